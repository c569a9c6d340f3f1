// Package attribution credits rewards to the exposures that came before them, and
// counts. It is pure: times come with the events and with the calls.
//
// # Rules
//
// A reward at r may be credited to an exposure of the same visitor at e with
// 0 ≤ r − e ≤ window; last touch credits the latest of them, first touch the
// earliest, and nobody else. An exposure brings, of boolean rewards, 1 when any was
// credited to it, else 0; of numbers, the sum of what was credited.
//
// An exposure that is younger than the window and has no reward is immature: nobody
// knows yet what it brings, and it is left out. Events with the idempotency key of
// an earlier one of their visitor and kind do not count.
//
// # Two ways, one result
//
// Batch takes all events, visitor by visitor, as a warehouse gives them. A Tracker, or
// a Journey for each visitor that its owner keeps, takes them one by one in any order:
// a reward before its exposure, an exposure that takes over what an older one was
// credited with. After the same events and at the same time the tables are equal, to
// the byte: sums are integers, of millionths where rewards are numbers.
package attribution
