package predictors

import "slices"

// edges returns the ascending inner edges of at most bins bins for the values,
// which it sorts. Bins hold about equally many values, as LightGBM cuts its
// histograms (GreedyFindBin; Ke et al., LightGBM: a highly efficient gradient
// boosting decision tree, NIPS 2017): a heavy value, one that would fill a bin of
// equal size alone, has a bin to itself, and the others share the other bins. Plain
// quantiles would put a count that is 0 in 95 % of the rows into one bin. Bins of
// light values aim at a tenth of an equal share, at least, and what is left of
// them beside a heavy value is a bin from a hundredth on, 0.1 % of the values in
// ten bins: days since the last contact, say, are of few rows and tell much.
func edges(values []float64, bins int) []float64 {
	slices.Sort(values)
	n := len(values)
	equal := float64(n) / float64(bins)
	least := equal / 100
	heavy, light := weigh(values, equal)
	target := max(float64(light)/float64(max(bins-heavy, 1)), equal/10)
	var cuts []float64
	start, afterHeavy := 0, false // of the open bin; whether it ends with a heavy value
	for i := 0; i < n; {
		end := runEnd(values, i)
		isHeavy := float64(end-i) >= equal
		free := bins - 1 - len(cuts)
		wanted := free > 0 && (isHeavy || afterHeavy)
		if !wanted {
			wanted = free > heavy && float64(i-start) >= target // leaves a cut for every heavy value to come
		}
		if wanted && float64(i-start) >= least && float64(n-i) >= least {
			cuts = append(cuts, values[i])
			start = i
		}
		if isHeavy {
			heavy--
		}
		afterHeavy = isHeavy
		i = end
	}
	return cuts
}

// weigh returns how many of the ascending values are heavy, and how many values
// are not of these.
func weigh(values []float64, equal float64) (heavy, light int) {
	light = len(values)
	for i := 0; i < len(values); {
		end := runEnd(values, i)
		if float64(end-i) >= equal {
			heavy++
			light -= end - i
		}
		i = end
	}
	return heavy, light
}

// runEnd returns the end of the run of equal values that starts at i.
func runEnd(values []float64, i int) int {
	end := i + 1
	for end < len(values) && values[end] == values[i] {
		end++
	}
	return end
}
