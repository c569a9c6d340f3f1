// Package nodes runs nodes as processes of their own, alone or as a cluster on
// one machine, and asks them over HTTP. The measurements and the fault harness
// share it.
package nodes
