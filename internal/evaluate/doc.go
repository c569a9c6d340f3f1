// Package evaluate estimates from logged decisions what another policy would have
// earned: off-policy evaluation.
//
// # What is given
//
// A logged Decision has its features x, its candidates, which of them was chosen
// (a), with which probability the log chose it (the propensity p), and what came
// of it (the reward r). A Policy gives the probabilities π with which it would
// choose each candidate. The weight of a decision is w = π(a)/p.
//
// # Estimators
//
// With n decisions and sums over them:
//
//	logged   Σ r / n                      what the log itself earned
//	replay   Σ k·r / Σ k                  k: accepted, with probability w/max w
//	ips      Σ w·r / n
//	snips    Σ w·r / Σ w
//	dr       Σ (m(x) + w·(r − q(x,a))) / n
//
// with q the reward model's expectation and m(x) = Σ π(c)·q(x,c) over the
// candidates c.
//
// Replay is L. Li, W. Chu, J. Langford and X. Wang, "Unbiased offline evaluation
// of contextual-bandit-based news article recommendation algorithms", WSDM 2011:
// of a log that chose uniformly, the decisions that the policy would have made
// too. Where the log did not choose uniformly, decisions are accepted with a
// probability in proportion to their weight, as in M. Dudík, D. Erhan, J. Langford
// and L. Li, "Sample-efficient nonstationary policy evaluation for contextual
// bandits", UAI 2012; for a uniform log and a policy that does not randomise both
// are the same. Whether a decision is accepted depends on a hash of its id, so
// that the same log gives the same figures.
//
// IPS is D. G. Horvitz and D. J. Thompson, "A generalization of sampling without
// replacement from a finite universe", JASA 47 (1952): unbiased, its variance grows
// with the weights. SNIPS is A. Swaminathan and T. Joachims, "The self-normalized
// estimator for counterfactual learning", NIPS 2015: a bias of order 1/n for a
// variance that is mostly smaller, and never outside of the rewards seen. DR is
// M. Dudík, J. Langford and L. Li, "Doubly robust policy evaluation and learning",
// ICML 2011: unbiased with right propensities whatever the model, and the better
// the model the smaller the variance.
//
// # Intervals
//
// Every estimator above is a ratio Σ u / Σ v, so that one rule serves all: by the
// influence function ψ = (u − θ·v)/v̄ the standard error is √(Σψ²/(n(n−1))), and the
// 95 % interval θ ± 1.96 of it. For replay of rewards that are all 0 or 1 it is
// Wilson's. Beside it stands the percentile interval of a bootstrap with a fixed
// seed, which needs no symmetry; where the two differ much, a few decisions with
// large weights carry the estimate and neither is to be trusted.
//
// # The reward model
//
// DR's q is a logistic regression on the features, the candidate, and, where there
// are at least 20 decisions for each, their products; rewards are scaled to [0, 1].
// It is cross-fitted (V. Chernozhukov et al., "Double/debiased machine learning",
// Econometrics Journal 21, 2018): a decision's predictions come from a model fitted
// without its fifth of the decisions, so that no decision tells its own reward.
//
// # Support
//
// What the log never chooses it says nothing about. Where the policy would choose
// such candidates with more than 1 % of its probability there is no estimate but a
// reason: any number would be about another policy. A log that never randomises
// can only be evaluated against itself.
//
// Cost: O(n·candidates) scores, five fits of the reward model, O(n) for each of
// the bootstrap's replicates. Deterministic.
package evaluate
