// Package logistic is the logistic regression.
//
// What: the log-odds of a positive outcome are linear in the features,
//
//	z = bias + Σ w·x,  score = 1/(1 + e^−z).
//
// A number x (a boolean is 1 or 0) has the weight of the key "field"; a category
// or a member of a set has x = 1 and the weight of the key "field=value". A key
// that the state does not have contributes 0. A number in a field that has only
// category weights is the category of its shortest decimal text; a text in a
// field that has a number's weight is a missing number, unless the state has its
// category as well. The first "=" of a key ends the field's name, so that a field
// with "=" in its name can have no weight and training leaves it out.
//
// A missing number is taken at means[field] where the state has it, else
// contributes 0. Training stores the mean of each number there, because it fitted
// with missing numbers at their means; a row without missing numbers scores by
// the formula above alone, so the weights of an exported state need nothing else.
//
// Training fits the weights of standardised numbers and of one-hot categories by
// mini-batch stochastic gradient descent (see fit.go) and folds mean and standard
// deviation back into weights and bias.
//
// Cost: a score is one pass over the row and the model's fields together, without
// allocation; a training of n rows with k features reads the source once, twice
// when the rows are too many to be remembered (package tape), and then costs
// O(n·k) a pass, in 4 bytes a feature and row. The same rows, in the
// same order, with the same configuration and seed give the same bytes.
package logistic
