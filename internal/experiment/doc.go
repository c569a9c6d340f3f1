// Package experiment divides customers between a champion and its challengers,
// and says what came of it.
//
// # Assignment
//
//	bucket = FNV-1a-64("{experimentKey}:{customerId}") mod 10 000
//
// The buckets are dealt out in this order: the holdout, holdoutPercent of all;
// then the champion and the challengers, who share what is left in proportion to
// their percentages. A bound that falls between two buckets is rounded to the
// nearest. Percentages have at most two decimals and are kept as whole
// hundredths, so nothing here is computed in floating point. No node needs to
// look anything up or to ask another one: the same definition gives the same
// assignment everywhere, whatever other experiments there are.
//
// # Stickiness
//
// When a split changes, the customers who were assigned under the old one keep
// their variant for 30 days; all others follow the new split at once. An
// assignment needs no storage while the split stands, but who was assigned must be
// known when it changes, and to check the split. So
//
//  1. every node remembers the hashes of the customers it served, in memory, in a
//     Seen set of bounded size; those it has not seen before are Fresh,
//  2. each node tells the fresh ones through the log now and then, with the split
//     that assigned them; every node adds them to the Customers of the experiment,
//  3. a change of the split goes through the log; every node applies it at the same
//     place, computes with Carry which of the customers the new split would move,
//     and merges these into the Kept customers, which Plan.Assign asks first,
//  4. customers who are told of with an earlier split are carried when they are.
//
// Only customers whom a change would move are kept, as 8 bytes each without their
// names. Between 1 and 2, a moment, a change does not know of the customer: until 4
// has landed, they may be assigned by the new split. A customer who changes back
// to the old variant's share needs no keep. A variant that the experiment does not
// have any more is kept by nobody.
//
// A node that ends without having told whom it served last has forgotten them.
//
// What is bounded: a Seen set takes about a million customers and 11 MB, and
// Customers take MaxKept and 16 MB; further ones follow the new split at the next
// change, and are counted. At most MaxKept customers are kept, and those beyond
// are counted by With. Two customers whose 64-bit hashes are equal share their
// fate; with a million kept, another customer is taken for one of them with a
// chance of 5·10^−14.
//
// # Results
//
// A variant is compared with the champion by the pooled two-proportion z-test.
// With k challengers p must be below 0.05/k (Bonferroni). The split itself is
// checked by a χ² test on the number of customers in each variant: a p below
// 0.001 means that the sample ratio does not match, and that no result is to be
// trusted before the reason is known.
//
// After a change, customers who keep a variant are not where the new split would
// have them, and leaving only them out would leave too few in the variant that
// they would have gone to. So for 30 days the check looks at the buckets that the
// change left where they were, in which nobody keeps anything, and at the shares
// that these have.
package experiment
