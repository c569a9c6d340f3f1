// Package online is the online learner: a logistic model that takes one step for
// every outcome, in the order of the log.
//
// What: z = bias + Σ w·x, score p = 1/(1 + e^−z), and after an outcome y of weight
// v, with the learning rate lr,
//
//	w += lr·v·(y − p)·x,  bias += lr·v·(y − p).
//
// The plain model does just that on the numbers as they are (a boolean is 1 or
// 0). It is what imported weights get, and config.normalize false. Categories
// count where the state has their weight, under the key "field=value", with x = 1;
// no new ones are added.
//
// The normalised model, the default without imported weights, standardises:
// x = (value − mean)/deviation within ±8, mean and variance running over all
// values seen (West 1979, the weighted form of Welford's method). Each category
// and each member of a set is a feature with x = 1. What a field is, its first
// value decides: after a number, its texts are missing; after a text, its numbers
// are categories of their shortest decimal text. A missing value contributes
// nothing, which for a number is its mean. Memory is bounded: the first 1000
// categories of a field, the first 65 536 features of a model; later ones
// contribute nothing. Imported weights under config.normalize true are taken as
// weights of standardised numbers.
//
// The step is one of config.optimizer, by default ftrl for the normalised model and
// sgd for the plain one: sgd as above; adagrad (Duchi, Hazan, Singer
// 2011), whose rate falls per feature as its squared gradients add up; ftrl
// (FTRL-Proximal: McMahan et al., Ad click prediction: a view from the trenches,
// 2013, algorithm 1, with β = 1), which adds the penalties config.l1 and config.l2.
//
// Units: weights are log-odds per unit of x. Cost: an outcome costs O(its fields)
// and, after its features are known, does not allocate; a score is one pass over
// the row. Deterministic: the same outcomes in the same order give the same bytes;
// no product is fused with a sum and e^x is computed portably.
//
// Each published weight, with the mean and deviation that belong to it, changes in
// one piece: a score during an outcome may mix weights from before and after it,
// never halves of one feature.
package online
