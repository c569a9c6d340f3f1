// Package learn holds what every learner shares: the contract between a learner
// and the actor that owns it, examples, training sources, metrics. The learners
// themselves are its subpackages, one per model type, and package
// internal/learn/types lists them.
//
// Every learner is pure: no clock, no goroutine, no global randomness, no map
// iteration in arithmetic. The same calls give the same bytes on every node of
// one build; time and seeds arrive in the arguments.
package learn
