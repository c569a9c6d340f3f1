// Package cluster is the replicated log: a Raft node that orders commands, keeps
// them on a quorum's disks, and drives a Machine with them in the same order on
// every node. It is the only package that knows hashicorp/raft.
//
// A node is opened with Open, changed with Propose, and closed with Close. Any
// node takes writes and strong reads: a follower sends them to the leader over the
// node port, which carries Raft's own streams too. Nodes join, are removed and hand
// over the leadership while the cluster runs. One node alone is a cluster too: it
// elects itself within milliseconds and needs no port. What can go wrong, and what
// then happens, is in DESIGN.md.
package cluster
