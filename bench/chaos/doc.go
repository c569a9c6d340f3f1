// Package chaos is the fault harness: it runs a cluster of real processes under
// load, injects faults, and checks every promise of the engine from outside.
//
// A round is: load, fault, load under the fault, heal, load, stop; then the nodes
// must agree, every acknowledged outcome must be there exactly once, and every
// register's history must be linearizable. Several rounds share a cluster, a
// life; everything drawn comes from the run's seed and the round's number.
package chaos
