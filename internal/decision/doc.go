// Package decision holds the domain's words: models, outcomes, feature rows,
// ids, roles, and the one error type. It imports only the standard library and
// every other package may import it.
package decision
