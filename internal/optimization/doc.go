// Package optimization is the state behind /api/v2 as a pure state machine: what
// clients define, the models and their lives, and what each optimization has seen
// and learned. It knows neither the log nor HTTP; times come with the calls.
//
// # Two halves
//
// Registry is what is said about optimizations and models. One goroutine changes
// it; its values are immutable and replaced whole, so that readers keep theirs.
//
// Learned is what one optimization has seen of its visitors, and what its model
// made of it. It belongs to one goroutine, its actor's; View is what it publishes
// for those who serve.
//
// # Who gets what
//
// A visitor's variant is a function of the published table and of the hash of
// optimization and visitor, so that every node gives the same one. Across
// trainings a visitor keeps a variant for the attribution window: a recorded
// exposure binds the visitor to it, on every node.
//
// # Memory
//
// An optimization remembers MaxEvents exposures and rewards at most, and
// MaxEventsOfVisitor of one visitor. From half of MaxEvents on, and then whenever
// half of the room that was left is used up, it forgets what no event can change any
// more that is younger than the window; what is older is then refused. What finds no
// room is counted as dropped and not learned from, and its visitor is not bound. The
// counts by variant and context stay for ever.
package optimization
