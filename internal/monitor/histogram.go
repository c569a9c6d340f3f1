package monitor

import (
	"math"
	"slices"

	"github.com/praetor-engine/praetor/internal/learn/predictors"
)

// The bins: eight to an octave, down to 2⁻¹³ from either end.
const (
	perOctaveBits = 3 // of the mantissa
	perOctave     = 1 << perOctaveBits
	octaves       = 12
	halfBins      = perOctave*octaves + 1
	Bins          = 2 * halfBins
)

// lowest is where the first bin ends: 2⁻¹³, one octave for each of octaves below
// one half.
const lowest = 0x1p-13

// BinOf returns the bin of a score, from 0 to Bins − 1. What is outside of [0, 1]
// is in the bin at its end, what is no number in the first.
func BinOf(score float64) int {
	if score > 0.5 {
		return Bins - 1 - lowerBin(1-score)
	}
	return lowerBin(score)
}

// lowerBin reads the bin off the exponent and the first bits of the mantissa.
func lowerBin(p float64) int {
	if !(p >= lowest) {
		return 0
	}
	const lowestExponent = 1023 - 13
	return min(int(math.Float64bits(p)>>(52-perOctaveBits))-lowestExponent<<perOctaveBits+1, halfBins-1)
}

// binEdge returns the lower end of a bin; that of Bins is 1.
func binEdge(bin int) float64 {
	switch {
	case bin <= 0:
		return 0
	case bin >= Bins:
		return 1
	case bin > halfBins:
		return 1 - binEdge(Bins-bin)
	}
	n := bin - 1
	return math.Ldexp(1+float64(n%perOctave)/perOctave, n/perOctave-13)
}

// Histogram counts scores by bin. It holds the range of bins that are in use; the
// zero value is empty.
type Histogram struct {
	first  int // the bin of counts[0]
	counts []uint32
}

// Add adds n scores in a bin. Counts stop at their greatest value.
func (h *Histogram) Add(bin int, n uint32) {
	if n == 0 {
		return
	}
	switch {
	case len(h.counts) == 0:
		h.first, h.counts = bin, append(h.counts, 0)
	case bin < h.first:
		h.counts = slices.Insert(h.counts, 0, make([]uint32, h.first-bin)...)
		h.first = bin
	case bin >= h.first+len(h.counts):
		h.counts = append(h.counts, make([]uint32, bin-h.first-len(h.counts)+1)...)
	}
	at := &h.counts[bin-h.first]
	if *at > math.MaxUint32-n {
		n = math.MaxUint32 - *at
	}
	*at += n
}

// Merge adds the counts of another histogram.
func (h *Histogram) Merge(o *Histogram) {
	for i, n := range o.counts {
		h.Add(o.first+i, n)
	}
}

// Count returns the scores in a bin.
func (h *Histogram) Count(bin int) uint32 {
	if i := bin - h.first; i >= 0 && i < len(h.counts) {
		return h.counts[i]
	}
	return 0
}

// Total returns the number of scores.
func (h *Histogram) Total() uint64 {
	var n uint64
	for _, c := range h.counts {
		n += uint64(c)
	}
	return n
}

func (h *Histogram) clone() Histogram { return Histogram{h.first, slices.Clone(h.counts)} }

// AUC is the probability that a positive's score is in a higher bin than a
// negative's, the same bin counting half: the Mann–Whitney U statistic. ok is
// false with one class alone.
func AUC(positives, negatives *Histogram) (auc float64, ok bool) {
	var below, concordant float64 // negatives in lower bins; pairs
	for bin := range Bins {
		p, n := float64(positives.Count(bin)), float64(negatives.Count(bin))
		concordant += p * (below + n/2)
		below += n
	}
	pairs := float64(positives.Total()) * below
	if pairs == 0 {
		return 0.5, false
	}
	return concordant / pairs, true
}

// groups divides the bins into at most most runs that hold about equally many of
// the histogram's scores: the first bins of all runs but the first. Equal scores
// cannot be divided, so a run may be larger.
func groups(h *Histogram, most int) []int {
	total := float64(h.Total())
	var starts []int
	seen, target := 0.0, total/float64(most)
	for i, n := range h.counts {
		if seen > 0 && seen+float64(n)/2 >= target {
			starts = append(starts, h.first+i)
			// What is left is divided among the groups that are left.
			total -= seen
			seen = 0
			target = total / float64(most-len(starts))
			if len(starts) == most-1 {
				break
			}
		}
		seen += float64(n)
	}
	return starts
}

// sums counts the scores by the runs of bins.
func (h *Histogram) sums(starts []int) []int {
	all := make([]int, len(starts)+1)
	group := 0
	for i, n := range h.counts {
		for group < len(starts) && h.first+i >= starts[group] {
			group++
		}
		all[group] += int(n)
	}
	return all
}

// psiGroups is how many groups of bins a PSI is made of: deciles, as usual.
const psiGroups = 10

// PSI is the population stability index of scores against those of a reference,
// in ten groups of the reference; ok is false when either has too few.
func PSI(reference, scores *Histogram) (psi float64, ok bool) {
	starts := groups(reference, psiGroups)
	return predictors.PSI(reference.sums(starts), scores.sums(starts))
}

// CalibrationBin says what became of the scores in a range.
type CalibrationBin struct {
	From      float64 `json:"from"` // inclusive
	To        float64 `json:"to"`   // exclusive, but for the last
	Samples   int     `json:"samples"`
	Positives int     `json:"positives"`
	MeanScore float64 `json:"meanScore"` // of the middles of the bins
	Rate      float64 `json:"rate"`
}

// calibrationBins is how many ranges a calibration has, at most.
const calibrationBins = 10

// Calibration compares scores with rates, in ranges that hold about equally many.
func Calibration(positives, negatives *Histogram) []CalibrationBin {
	all := positives.clone()
	all.Merge(negatives)
	bins := []CalibrationBin{}
	if len(all.counts) == 0 {
		return bins
	}
	starts := append(groups(&all, calibrationBins), Bins)
	from := 0
	for _, to := range starts {
		b := CalibrationBin{From: binEdge(from), To: binEdge(to)}
		for bin := from; bin < to; bin++ {
			n := int(all.Count(bin))
			b.Samples += n
			b.Positives += int(positives.Count(bin))
			b.MeanScore += float64(n) * (binEdge(bin) + binEdge(bin+1)) / 2
		}
		from = to
		if b.Samples == 0 {
			continue
		}
		b.MeanScore /= float64(b.Samples)
		b.Rate = float64(b.Positives) / float64(b.Samples)
		bins = append(bins, b)
	}
	return bins
}
