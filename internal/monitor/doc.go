// Package monitor measures what models do once they serve: how many outcomes
// follow their decisions and how many of these are positive, how well the scores
// that were actually served tell them apart, and how far scores and inputs have
// moved; and it says by fixed rules when somebody should look.
//
// # What is counted where
//
// A node alone knows the scores that it served. Its Recorder counts all of them
// in a histogram for each model, and keeps each in a table of fixed size until
// outcomes follow. What the node so learned goes to the log as small deltas of
// histograms, about once a minute, and into the Book of every node. The Book is
// replicated: it changes by the log alone, in its order, so that all nodes show
// the same figures and raise the same alerts. A node that dies takes what it did
// not yet tell with it, a minute of joins at most, and the scores it had served
// and nobody responded to yet; no outcome is lost by that, as outcomes are
// counted by the log.
//
// # Responses
//
// A response of a model is an outcome with a label for it (its outcome weights
// say which, as for training) that either names the model, or names no model and
// was joined to a score that the model served. The first are counted when the log
// is applied, exactly; the second by the node that served. Both belong to the day
// (UTC) of the outcome's own time.
//
// # Join
//
// An outcome that names a decision belongs to the score served under the same
// decisionId, for the same offer or, where the score was for none, for any. One
// that names no decision, or an unknown one, belongs to the newest score served
// to its customer for its offer within the window; for no offer, only where the
// outcome names no offer either, or names the model. An outcome that names a
// model is joined to that model's scores alone. As in training, every labelled
// outcome is a row: two outcomes after one score are two.
//
// Each node looks among the scores that it served itself. An outcome with a known
// decision is so joined once; one without is joined by every node that served its
// customer its offer, each to the newest of its own scores.
//
// # The table
//
// The table has a fixed number of places. When more than half of them hold scores
// that are still within the window, it goes over to a sample: one half of the
// customers (or decisions), then a quarter, and so on, by a hash, so that what is
// kept is unbiased. Below that collisions displace some, the oldest first. When
// less than a fifth is in use, the sample doubles, once a minute. The Book's counts
// of unnamed responses are scaled by the inverse share; AUC, log-loss and
// calibration need no scale.
//
// Of a ranking the first MaxRanks offers are kept, what a page can show; all are
// counted. They stand beside each other, so that a ranking costs one trip to the
// memory and not one for each of its offers.
//
// Recording takes no lock and allocates nothing. A place is two words, key XOR
// value and value, as in Hyatt and Mann's lock-less transposition table (ICGA
// Journal 25, 2002): a place that two writers tore is the key of neither.
//
// # Bins
//
// Scores are counted in 194 bins, fine where scores are: eight to an octave of the
// distance from 0 below one half, and from 1 above, down to 2⁻¹³. A model of
// clicks whose scores are all below 2 % has fifty bins for them. The AUC of such
// counts is the Mann–Whitney statistic with ties for scores in the same bin; it
// differs from that of the scores themselves by at most half the share of the
// pairs that fall into one bin. Log-loss is summed score by score, with scores in
// steps of 2⁻²⁴ and clipped at half a step.
//
// # PSI
//
// A model's reference is what it served after it was last trained, reset or
// restored: the days from then on, up to the one with which there are MinReference
// scores. A later day's scores are compared with it in ten groups of bins that
// hold about equally many of the reference, by the population stability index of
// package predictors. The PSI of the inputs comes from that package's report, once
// a day.
//
// # Alerts
//
// Which rules a model breaks is a function of its life and the time. An alert is a
// fact of the log: it opens when the leader first finds a rule broken and closes
// when it was kept for an hour; the Book keeps those that stand and the newest that
// do not any more.
//
// # Bandits
//
// What a bandit served is counted by arm and day. Its health is judged by the entropy
// of that, and by what its model holds of the arms by then (Policy), which is the
// caller's to bring: the Book knows no learner. allocation.go and bandit.go have the
// formulas and the bounds.
package monitor
