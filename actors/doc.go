// Package actors runs one actor per model. The actor owns the model's learner
// and is the only goroutine that changes it; what it publishes is what scoring
// reads. It is the only package that knows protoactor-go.
//
// See DESIGN.md for the invariant and the failure cases.
package actors
