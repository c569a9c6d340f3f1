package predictors

import (
	"cmp"
	"math"
	"slices"
)

// smoothing is m of the propensities.
const smoothing = 10

// propensity is the m-estimate of a bin's positive rate around that of all rows.
func propensity(positives, rows int, rate float64) float64 {
	return (float64(positives) + smoothing*rate) / (float64(rows) + smoothing)
}

// auc orders the bins by their propensities in one half of the training rows and
// measures in the other, both ways.
func auc(bins []tally, total *tally) float64 {
	scores := make([]float64, len(bins))
	concordant, pairs := 0.0, 0.0
	for half := range total.rows {
		other := 1 - half
		for k := range bins {
			scores[k] = propensity(bins[k].positives[other], bins[k].rows[other], total.rate(other))
		}
		c := concordance(scores, func(k int) (positives, negatives int) {
			return bins[k].positives[half], bins[k].rows[half] - bins[k].positives[half]
		})
		concordant += c
		pairs += float64(total.positives[half]) * float64(total.rows[half]-total.positives[half])
	}
	if pairs == 0 {
		return 0.5
	}
	return concordant / pairs
}

// rankAUC is the AUC of the order of the bins, over all training rows.
func rankAUC(bins []tally) float64 {
	scores := make([]float64, len(bins))
	positives, negatives := 0, 0
	for k := range bins {
		scores[k] = float64(k)
		positives += bins[k].positiveCount()
		negatives += bins[k].samples() - bins[k].positiveCount()
	}
	if positives == 0 || negatives == 0 {
		return 0.5
	}
	return concordance(scores, func(k int) (int, int) {
		return bins[k].positiveCount(), bins[k].samples() - bins[k].positiveCount()
	}) / (float64(positives) * float64(negatives))
}

// concordance returns the number of pairs of a positive and a negative row in
// which the positive's bin has the greater score, equal scores being half a pair:
// the Mann–Whitney U statistic of grouped rows. Counts below 2^53 are exact.
func concordance(scores []float64, count func(k int) (positives, negatives int)) float64 {
	order := make([]int, len(scores))
	for k := range order {
		order[k] = k
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(scores[a], scores[b]), cmp.Compare(a, b)) })
	sum, below := 0.0, 0 // negatives of smaller scores
	for i := 0; i < len(order); {
		score := scores[order[i]]
		p, n := 0, 0
		for ; i < len(order) && scores[order[i]] == score; i++ {
			positives, negatives := count(order[i])
			p += positives
			n += negatives
		}
		sum += float64(p) * (float64(below) + float64(n)/2)
		below += n
	}
	return sum
}

// minRowsPerBin is how many rows a window needs for each bin to have a PSI.
const minRowsPerBin = 20

// psi returns the population stability index of the recent rows against the
// training rows; ok is false when a window has too few.
func psi(bins []tally) (index float64, ok bool) {
	training, recent := make([]int, len(bins)), make([]int, len(bins))
	for k := range bins {
		training[k], recent[k] = bins[k].samples(), bins[k].recent
	}
	return PSI(training, recent)
}

// PSI returns the population stability index of two windows' rows by bin, as the
// package's documentation has it; ok is false when a window has too few rows. Bins
// that are empty in both do not count.
func PSI(training, recent []int) (index float64, ok bool) {
	b, trainings, recents := 0, 0, 0
	for k := range training {
		if training[k]+recent[k] > 0 {
			b++
			trainings += training[k]
			recents += recent[k]
		}
	}
	if b == 0 || min(trainings, recents) < minRowsPerBin*b {
		return 0, false
	}
	half := float64(b) / 2
	for k := range training {
		if training[k]+recent[k] > 0 {
			e := (float64(training[k]) + 0.5) / (float64(trainings) + half)
			a := (float64(recent[k]) + 0.5) / (float64(recents) + half)
			index += (a - e) * math.Log(a/e)
		}
	}
	return index, true
}
