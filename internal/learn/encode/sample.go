package encode

// Sample keeps values of a field for its quantiles: all of them up to Most, and
// then every second, fourth, … of them, in the order in which they came. So it is
// bounded, spread evenly over the time of the rows, and the same for the same
// rows.
type Sample struct {
	Most   int // how many values are kept, at most; set before the first Add
	Values []float64
	stride int // one value of so many is kept
	seen   int
}

// Add shows the sample the next value.
func (s *Sample) Add(v float64) {
	if s.stride == 0 {
		s.stride = 1
	}
	if s.seen%s.stride == 0 {
		if len(s.Values) == s.Most {
			s.thin()
		}
		if s.seen%s.stride == 0 {
			s.Values = append(s.Values, v)
		}
	}
	s.seen++
}

// thin drops every second value.
func (s *Sample) thin() {
	half := len(s.Values) / 2
	for i := range half {
		s.Values[i] = s.Values[2*i]
	}
	s.Values = s.Values[:half]
	s.stride *= 2
}

// BinOf returns the bin of x between ascending inner edges: the number of edges
// that are not above it, so that a bin includes its lower edge.
func BinOf(edges []float64, x float64) int {
	low, high := 0, len(edges)
	for low < high {
		if mid := int(uint(low+high) >> 1); edges[mid] <= x {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}
