package experiment

import "slices"

// Buckets is how many parts customers are divided into.
const Buckets = 10_000

// The variants that are not challengers, which are named by their models' keys.
const (
	Champion = "__champion__"
	Holdout  = "__holdout__"
)

// Variant is one arm of an experiment.
type Variant struct {
	Name    string
	ModelID string // of the holdout the champion's
	// The variant has the buckets from First to below End.
	First, End int

	settled int // of these, the buckets that no recent change has moved
}

// Plan is a definition made ready to assign. It is immutable.
type Plan struct {
	Variants []Variant // the holdout, the champion, the challengers; by their buckets
	prefix   uint64    // FNV-1a of "{key}:"
	of       [Buckets]uint8
	moved    [Buckets]bool // by a recent change
	kept     *Kept
}

// NewPlan makes the plan of a valid definition; keyOf returns the key of a
// challenger's model.
func NewPlan(d *Definition, keyOf func(modelID string) string) *Plan {
	p := &Plan{prefix: fnv1a(fnv1a(fnvOffset, d.Key), ":"), kept: new(Kept)}
	holdout := int(d.HoldoutPercent)
	rest := Buckets - holdout
	p.Variants = append(p.Variants,
		Variant{Name: Holdout, ModelID: d.ChampionModelID, End: holdout},
		Variant{Name: Champion, ModelID: d.ChampionModelID})
	for _, c := range d.Challengers {
		p.Variants = append(p.Variants, Variant{Name: keyOf(c.ModelID), ModelID: c.ModelID})
	}
	shares := int(d.TrafficSplit.ChampionPct)
	for i := 1; i < len(p.Variants); i++ {
		p.Variants[i].First = p.Variants[i-1].End
		p.Variants[i].End = holdout + (rest*shares+int(whole)/2)/int(whole)
		if i-1 < len(d.Challengers) {
			shares += int(d.Challengers[i-1].TrafficPct)
		}
	}
	for i := range p.Variants {
		for b := p.Variants[i].First; b < p.Variants[i].End; b++ {
			p.of[b] = uint8(i)
		}
	}
	return p.After()
}

// After returns the plan with the plans of the splits before it that ended less
// than StickyDays ago: customers whose bucket had another variant in one of them
// are not settled.
func (p *Plan) After(earlier ...*Plan) *Plan {
	next := *p
	next.Variants = slices.Clone(p.Variants)
	for i := range next.Variants {
		v := &next.Variants[i]
		v.settled = 0
		for b := v.First; b < v.End; b++ {
			next.moved[b] = slices.ContainsFunc(earlier, func(e *Plan) bool { return e.Variants[e.of[b]].Name != v.Name })
			if !next.moved[b] {
				v.settled++
			}
		}
	}
	return &next
}

// WithKept returns the plan with other customers who keep their variants.
func (p *Plan) WithKept(k *Kept) *Plan {
	next := *p
	next.kept = k
	return &next
}

// Assignment is what a customer gets.
type Assignment struct {
	Variant *Variant
	Index   int // of the variant in Variants
	Bucket  int
	Hash    uint64 // for Seen
	// Kept tells that the customer keeps the variant of an earlier split.
	Kept bool
	// Settled tells that no recent change has moved the customer's bucket, so
	// that the customer counts for the check of the split.
	Settled bool
}

// Assign returns a customer's assignment at a time in Unix milliseconds. It does
// not allocate.
func (p *Plan) Assign(customerID string, at int64) Assignment {
	return p.assign(fnv1a(p.prefix, customerID), at)
}

func (p *Plan) assign(hash uint64, at int64) Assignment {
	bucket := int(hash % Buckets)
	index := int(p.of[bucket])
	a := Assignment{Variant: &p.Variants[index], Index: index, Bucket: bucket, Hash: hash, Settled: !p.moved[bucket]}
	if name, ok := p.kept.variant(hash, at); ok {
		for i := range p.Variants {
			if p.Variants[i].Name == name {
				a.Kept = a.Variant != &p.Variants[i]
				a.Variant, a.Index = &p.Variants[i], i
				break
			}
		}
	}
	return a
}

// FNV-1a with 64 bits (G. Fowler, L. C. Noll, K.-P. Vo).
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

func fnv1a(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * fnvPrime
	}
	return h
}
