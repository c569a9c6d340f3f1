// Package regret measures what the factorial bandits are worth where the truth is
// known, and what can be said of them where only a log is.
//
// # The truths
//
// 48 variants of three design factors with 4, 4 and 3 levels; visitors come in one of
// three contexts, equally often. The chance of a conversion is
//
//	σ(−2 + Σ level effects + Σ pair effects + Σ effects of levels in the context)
//
// with effects drawn anew for each seed from normal distributions around 0, those of
// first levels 0:
//
//	truth                 levels   design pairs   pairs with the context
//	no interactions       0.5      0              0
//	strong interactions   0.3      0.8            0.4
//	best by context       0.3      0.2            0.8
//	drifting              0.3      0.8            0.4, from one draw to another along a line
//
// The regret of a serve is the chance of the best variant for the visitor less that of
// the served one; how a conversion falls does not enter.
//
// # The policies
//
//	uniform           every variant alike
//	mab               Thompson sampling, each variant alone
//	cmab              Thompson sampling over levels and pairs, with the context
//	cmab, bias 0.5    the same, exploring more: all biases at 0.5
//	epsilon 0.1       each variant alone: one in ten any, else the best rate, each
//	                  rate taken together with ten exposures at the mean rate
//
// All serve through the code that serves in the engine, uniformly at first, and learn
// when 100 more visitors came, or a tenth more. A policy's visitors are its own: it
// learns from what it served.
//
// # Equal arms
//
// Six variants that convert 20 % of the visitors each, a tenth of whom is held out. A
// lift that is significant at 5 % is a false one; of many rounds a twentieth must be.
//
// # The replay
//
// A log of a policy that showed items at random is gone through in the order of time,
// in spans of 500 rows. Before each, the policies learn from all rows before it; in it,
// they say with which probability π they would show what was shown with probability p.
// Replay keeps the rows where a policy's own draw is what was shown (L. Li, W. Chu, J.
// Langford, X. Wang, Unbiased offline evaluation of contextual-bandit-based news
// article recommendation algorithms, 2011). The self-normalised inverse-propensity
// estimate takes all rows, with the weights w = π/p:
//
//	V = Σ w·y / Σ w,  se = √(Σ w²(y − V)²) / Σ w
//
// (A. Swaminathan, T. Joachims, The self-normalized estimator for counterfactual
// learning, 2015; the standard error by the delta method).
package regret
