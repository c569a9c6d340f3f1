// Package warehouse is where the observations of an optimization can come from:
// besides the engine's own store, a database or files that somebody else fills.
//
// A source gives exposures and rewards; what they count as is package
// attribution's. A training reads its source once, as of one moment, and either
// gets all of it or an error: nothing in between.
package warehouse
