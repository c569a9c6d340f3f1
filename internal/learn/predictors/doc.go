// Package predictors measures the inputs of a model one by one: how well each
// alone tells positive outcomes from negative ones, how often it is missing, and
// how far its distribution of the last day is from that of the training rows.
//
// # Bins
//
// Every predictor divides the rows into bins, each row into exactly one:
//
//   - a number by inner edges, made on the training rows so that the bins hold
//     about equally many; a value that is frequent enough to fill a bin has one to
//     itself, so a count that is mostly 0 shows what the others tell (see edges);
//   - a category by its value, the most frequent ones of the training rows, and
//     "other" for the rest;
//   - a boolean by "false" and "true";
//   - a set as one predictor for each of its frequent members, by "false" and
//     "true": whether the member is in it;
//   - and all of them by "missing": the row has no value, or none of the kind
//     that most training rows have, as a numeric string in a field of numbers.
//
// With training rows n and positives p in a bin and r the positive rate of all
// training rows, a bin's propensity is the m-estimate
//
//	(p + m·r)/(n + m),  m = 10
//
// (Cestnik, Estimating probabilities: a crucial task in machine learning, ECAI
// 1990); m is the smoothing weight of adaptive learning. The raw rate is p/n. Rows
// count once, whatever their weight.
//
// # AUC
//
// A predictor's AUC is that of its bins' propensities as scores of the rows, ties
// counting half, as adaptive decisioning measures the performance of a predictor
// (Pega Adaptive Decision Manager). It is free of direction, sees relations that
// are not monotonic, and compares predictors of all kinds. A score measured on the
// rows that it was fitted to flatters: with 50 positives, ten bins of pure noise
// reach about 0.6 and a category of twenty values more, so that the list would be
// led by what is rarely there. So the training rows are halved by a hash of their
// ids (Hash()/5 & 1), the bins ordered by their propensities in one half and measured in the
// other, both ways:
//
//	auc = (c₁ + c₂)/(q₁ + q₂)
//
// with q the pairs of a positive and a negative row of a half and c those in
// which the positive has the greater propensity of the other half. Noise has 0.5
// in the mean, and may have less. Without a pair it is 0.5.
//
// A number has a second AUC, that of the value itself (rankAuc): the probability
// that a positive row's value is above a negative row's, one bin being a tie and
// missing values left out. Above 0.5 high values go with positive outcomes, below
// with negative ones; its distance from 0.5 against that of the AUC says how
// monotonic the relation is. Nothing is fitted, so all training rows count.
//
// # PSI
//
// Drift is the population stability index over B bins that have a row in either
// of the windows, "missing" and "other" among them (Lewis, An Introduction to
// Credit Scoring, 1994; Siddiqi, Credit Risk Scorecards, 2006), which is Jeffreys'
// divergence of the two distributions:
//
//	psi = Σ (a − e)·ln(a/e),  e = (n + ½)/(N + B/2),  a = (k + ½)/(K + B/2)
//
// with n of the N training rows and k of the K recent rows in the bin. The half
// row of a bin (Krichevsky and Trofimov 1981) makes an empty one finite and
// fades with the rows. By convention up to PSIModerate is stable and from
// PSISignificant on a major shift. Without any drift the mean is about
// (B − 1)(1/N + 1/K) (Yurdakul, Statistical Properties of Population Stability
// Index, 2018), so a window with fewer than 20 rows for each bin has no PSI: the
// mean stays below 0.1, and below 0.05 when only the recent window is that small.
//
// # Windows
//
// Training rows are those whose time is not after the last training, all rows of
// a model that was never trained; then there is no PSI. Recent are the rows of the
// 24 hours up to now, those that a training has used included.
//
// # Cost
//
// Two scans of the source: the first finds the fields, their kinds, edges and
// categories, the second counts. Nothing random: the same rows in the same order
// give the same report. Memory does not grow with the rows: at most
// Options.MaxPredictors fields with 64 KiB of numbers and 1280 values of at most
// 128 bytes each, which is below 0.4 MiB for a field. A row costs a look-up and an
// addition for each of its values in each scan, and allocates nothing.
package predictors
