// Package mlclient is the client of the ML worker, the service of folder
// mlworker that fits gradient boosted trees. Its README is the contract; this
// package is the only one that knows the wire.
//
// Nothing the worker does can hurt more than the training that was asked for: an
// answer is bounded in bytes, in silence and in time, what it says is checked,
// and every failure comes back as a *decision.Error that changes nothing. What
// the model's text holds is the caller's check.
package mlclient
