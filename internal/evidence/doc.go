// Package evidence counts what a model's outcomes say of an offer, a category, a
// channel and all of them, and corrects the model's scores by it.
//
// # Rows
//
// A row holds the weights of the positives and of the negatives of one scope;
// their sum is its evidence. With a half-life h the row forgets: a weight counts
// 2^(−Δt/h) times after the time Δt. That is applied when the row is next
// touched, with the outcomes' own timestamps; an outcome that arrives late enters
// with what is left of it. The order of arrival therefore does not matter, up to
// rounding.
//
// Beside them a row holds the same sums over the outcomes whose score by the
// model is known, and the sum of these scores: what the model predicted of the
// outcomes that came.
//
// # Ladder
//
// The estimate of an offer is the first of
//
//	offer evidence ≥ 50    rate of the offer
//	offer evidence > 0     (positives + m·prior) / (evidence + m)
//	category evidence ≥ 20 rate of the category
//	global evidence ≥ 10   global rate
//	                       the model's score, where there is one
//	                       0.5
//
// with m the smoothing weight and prior the estimate without the offer's row.
//
// # Blend
//
//	logit p = logit(model's score) + δ(offer)
//
// where δ of a row is the log-odds of its shrunk rate minus the log-odds of the
// model's mean score on the same outcomes,
//
//	s = Σ scores / n                    of the row's n scored outcomes
//	q = sigmoid(logit s + δ(parent))    the rate they would have by the row above
//	r = (positives + m·q) / (n + m)
//	δ = logit r − logit s
//
// The parent of an offer is its category, that of a category the global row, and
// δ above that is 0, so a model without evidence is left alone, and an offer
// without evidence is corrected as its category is. docs/adaptive-learning.md has
// the derivation.
//
// # Goroutines
//
// One goroutine owns a Set; a View may be used by any at any time. A reader sees
// each row of one moment, and rows of moments that may be a burst apart.
//
// # Determinism
//
// The state is a function of the calls in their order: sums, products that are
// not fused, math.Exp2, no clock, no map. Scores are rounded to multiples of
// 2^−24 as they come in, so that a last bit in which two machines differ is
// almost never passed on.
package evidence
