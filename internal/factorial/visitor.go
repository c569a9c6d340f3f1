package factorial

// Salts keep what is decided by one hash apart from what is decided by another.
const (
	holdoutSalt = "holdout"
	drawSalt    = "draw"
)

// key returns a hash of (salt, optimization, visitor) that is spread evenly over
// all 64 bits, and the same on every machine and in every release: FNV-1a with the
// finalizer of splitmix64 (Steele, Lea, Flood 2014).
func key(salt, optimization, visitor string) uint64 {
	const offset = 14695981039346656037
	h := fnv1a(offset, salt)
	h = fnv1a(h, "\x00")
	h = fnv1a(h, optimization)
	h = fnv1a(h, "\x00")
	h = fnv1a(h, visitor)
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

func fnv1a(h uint64, s string) uint64 {
	const prime = 1099511628211
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * prime
	}
	return h
}

// DrawKey returns the number that chooses a visitor's draw. It is independent of
// the visitor's holdout.
func DrawKey(optimization, visitor string) uint64 { return key(drawSalt, optimization, visitor) }

// HeldOut tells whether a visitor belongs to the percent of the visitors who always
// get the baseline. Whoever does, does at every higher percentage too.
func HeldOut(optimization, visitor string, percent float64) bool {
	const unit = 1.0 / (1 << 53)
	return float64(key(holdoutSalt, optimization, visitor)>>11)*unit*100 < percent
}

// Assignment is what a visitor was last given. The zero Assignment is none.
type Assignment struct {
	Variant    int
	Propensity float64 // of the variant when it was assigned
	At         int64   // Unix milliseconds; 0 is never
	Holdout    bool    // the visitor was held out
}

// Holds tells whether the visitor still gets it: for a window after it was
// assigned, in milliseconds. What a held-out visitor got binds nobody.
func (a *Assignment) Holds(now, window int64) bool {
	return a.At != 0 && !a.Holdout && now-a.At < window
}
