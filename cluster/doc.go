// Package cluster is the replicated log: a Raft node that orders commands, keeps
// them on a quorum's disks, and drives a Machine with them in the same order on
// every node. It is the only package that knows hashicorp/raft.
//
// A node is opened with Open, changed with Propose, and closed with Close. One
// node alone is a cluster too: it elects itself within milliseconds and needs no
// port. What can go wrong, and what then happens, is in DESIGN.md.
package cluster
