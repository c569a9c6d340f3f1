// Package history keeps what happened: every interaction on disk, the customer ×
// offer summaries in memory, and the encoded states of model versions on disk.
//
// It is driven by the replicated log. One goroutine, the one that applies the
// log, calls Begin and the methods of the batch it returns; everything else may
// be called from any goroutine at any time. The same entries in the same order
// give the same content on every node.
//
// The database has no log of its own: the replicated log is its log. What Open
// finds on disk is therefore thrown away; Restore brings a snapshot back and the
// entries after it are applied again. DESIGN.md has the layout, the invariants
// and what was refused.
package history
