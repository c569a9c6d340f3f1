// Package webhook delivers a tenant's events to its endpoints, signed as Standard
// Webhooks 1.0 describes (https://www.standardwebhooks.com).
//
// A [Set] is the replicated part: the endpoints, their secrets, and up to which
// event each has been served, its high-water mark. A [Deliverer] is the part that
// acts: on the node that leads it sends each endpoint its events one after the
// other, and reports from time to time, by the log, how far it came. A new leader
// goes on from the last report, so that every event is delivered at least once and
// in order, and now and then one twice, under the same id.
package webhook
