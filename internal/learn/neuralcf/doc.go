// Package neuralcf is neural collaborative filtering: who likes what, learned
// from nothing but who was offered what and how it went.
//
// What: every customer and every offer has a learned vector of D numbers, its
// embedding. Both go side by side through one hidden layer of H rectified units
// into a probability,
//
//	h = max(0, b1 + W1·[u; v]),  z = b2 + w2·h,  score = 1/(1 + e^−z),
//
// with u the customer's embedding and v the offer's, W1 of the shape H × 2D. It is
// the multi-layer perceptron of He et al., Neural Collaborative Filtering, 2017,
// section 3.3, with one layer. Attributes have no part in it.
//
// Unknown customers and offers, and a request without offer, take the mean
// embedding of their table. Training shows one row in sixteen as one of the mean
// customer, and another as one of the mean offer, so that the mean customer's
// scores come near the offers' overall rates: a new customer gets the order of
// popularity.
//
// Training minimises binary cross-entropy by mini-batch stochastic gradient
// descent with AdaGrad's rates (see fit.go) from Xavier's initial weights, and
// stops when the loss of the held-out rows no longer falls (see train.go). The
// same rows in the same order with the same configuration and seed give the same
// bytes on machines of one kind; the result reaches the nodes as a state, so they
// need not be able to repeat it.
//
// Cost: a score is two look-ups and H·D multiplications, without allocation: the
// offers' half of the hidden layer is computed once, when a state is loaded. A
// training of n rows reads the source twice, holds 16 bytes a row and
// 4·D + 12 bytes a customer beside the id, and costs O(n·H·D) a pass.
// Embeddings are float32, in memory and in every form of the state; scores are
// computed in float64.
package neuralcf
