// Package posterior learns which variant of a factorial space works best, and in
// which context, from counts; it turns what it believes into a table from which
// variants are served. It is pure: the same counts, options and seed give the same
// bytes.
//
// # Models
//
// MAB takes each variant alone and ignores the context. Of boolean rewards: a
// Beta(1, 1) prior, so Beta(1+Σy, 1+n−Σy). Of numbers: normal-inverse-gamma, around
// the mean of all rewards with their variance, as if one reward had been seen.
//
// CMAB is a regression over the levels: an intercept; the design and the context
// levels, without the first of each; all pairs of levels of two design factors, and
// of a design and a context factor. Parameters have normal priors around 0, with the
// standard deviations 3, 1 and 0.5 for the intercept, the levels and the pairs. Of
// boolean rewards it is logistic, by Laplace's approximation: a normal distribution
// at the maximum of the posterior density with the inverse of the full Hessian as
// covariance (C. M. Bishop, Pattern Recognition and Machine Learning, 4.5). Of
// numbers it is linear and exact, conjugate in the parameters and the noise; rewards
// are brought to mean 0 and variance 1 first, which gives the priors their units.
//
// # Allocation
//
// Thompson sampling by table: Draws parameter vectors are drawn, and for each of them
// and each context cell the best variant is found among all that are allowed. A
// visitor picks a draw and gets what is best in it. What a table says of a cell is how
// often each variant was best, so rows are kept as runs of equal entries.
//
// Every context cell has a row as long as there are not too many of them; else those
// that were seen most have one, and all others share a row for the mean of the
// contexts that were seen.
//
// # Cost
//
// With c observed pairs of variant and cell, K effects in each, p parameters that
// occur, V variants, R rows and S draws: a step of the fit takes c·K² + p³/3
// multiplications, of about six steps; the draws 2·S·p²/2; the table and its
// value about 2·2·S·R·V additions: the best variant is found exactly, by adding up
// mains and pairs along the row-major order, where neighbours share all sums but
// their last. The number of exposures does not matter.
package posterior
