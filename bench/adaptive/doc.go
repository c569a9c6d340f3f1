// Package adaptive simulates what adaptive learning is worth: a market whose truth
// is known and whose offers drift, a model that was trained before it did, and
// the modes that correct the model's scores.
//
// # The truth
//
// It is internal/simulator's, with a drift of each offer added to the log-odds of
// acceptance on day t of 180:
//
//	travel-card     0
//	cashback-card   −1.2 from day 60 on              a competitor's offer
//	first-card      +1.5·t/180                       a campaign that grows
//	fixed-deposit   0.8·sin(2πt/90)                  seasons
//	instant-saver   −1.0 from day 45 to below 135    a bad press, forgotten
//	personal-loan   +1.5 from day 120 on             a lower rate
//	home-loan       0
//	travel-cover    0.8·sin(2πt/60)
//
// In the calm market all drifts are 0. A day has the same number of visitors
// throughout; visitors, their outcomes and the offers that are shown at random
// are functions of the round's seed.
//
// # The models
//
// A logistic regression, trained before day 0 on visitors who were shown offers
// at random, once with the offer among its inputs and once without; and the first
// one mistaking the customer, who gets the score of the visitor that follows.
//
// # What is measured
//
// Predictions: every visitor is shown an offer at random; each mode predicts, then
// learns of the outcome. The log-loss is the expected one under the truth, less
// that of the truth itself: 0 is perfect. The calibration error is the mean over
// offers and spans of 15 days, weighted by their visitors, of |mean prediction −
// mean truth|.
//
// Decisions: each mode shows the offer that it scores highest, or one time in 20
// any, and learns from its own outcomes alone. The regret is what it loses
// against the best offer for the visitor, in acceptances for 1000 visitors.
//
// Bandits do not look at the customer: their regret is against the offer that is
// best for all customers on that day.
package adaptive
