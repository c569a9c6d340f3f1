package cluster

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Peer is a node as the others reach it.
type Peer struct {
	ID      string
	Address string // host:port of its node port
}

// ParsePeers reads peers written as id=host:port.
func ParsePeers(list []string) ([]Peer, error) {
	var problems decision.Problems
	var peers []Peer
	for _, s := range list {
		id, address, ok := strings.Cut(s, "=")
		if !ok || id == "" {
			problems.Addf("peers", "got %q, want id=host:port", s)
			continue
		}
		peers = append(peers, Peer{ID: id, Address: address})
	}
	return peers, problems.Err()
}

// Config configures a node. Start from DefaultConfig.
type Config struct {
	NodeID  string // unique in the cluster, for ever bound to DataDir
	DataDir string

	// Listen is the host:port of the node port, which carries Raft and the node
	// protocol. Empty: none, which only a node alone can do with.
	Listen string
	// Advertise is the host:port under which the others reach the node port;
	// empty: this node's address in Peers, else Listen.
	Advertise string
	// TLS secures the node port; nil: plain connections, see CheckPlain.
	TLS *TLSConfig
	// Peers are the voters that found the cluster, this node among them, the
	// same list on each; none: this node alone. Once there is state on the disk
	// the membership in the log counts.
	Peers []Peer
	// Join has a node with an empty data directory join a running cluster instead
	// of founding one: the addresses of some members.
	Join []string
	// JoinNonvoter has it stay without a vote.
	JoinNonvoter bool
	// Transport carries the connections of the node port instead of TCP on
	// Listen; the node closes it.
	Transport Transport

	// Level is the newest level of commands that this build can apply, Version
	// its name for people.
	Level   uint8
	Version string
	// LevelOf returns the least level of a build that can apply a command; nil:
	// zero for all. It must be quick.
	LevelOf func(command []byte) uint8
	// Detail returns what peers are shown of this node beside its state, such as
	// its digest, at most 64 KiB; nil: nothing.
	Detail func() []byte
	// Answer answers what the machine's owner asks of this node on another one, see
	// Node.Ask; nil: it answers nothing. Answers are at most 256 KiB.
	Answer func(ctx context.Context, question []byte) ([]byte, error)

	// HeartbeatTimeout is how long a follower waits for its leader before it
	// stands for election; zero: 10 ms for a node alone, 500 ms otherwise.
	HeartbeatTimeout time.Duration
	// ElectionTimeout is how long a candidate waits for votes; zero:
	// HeartbeatTimeout.
	ElectionTimeout time.Duration
	// LeaderLease is how long a leader goes on without hearing from a quorum;
	// zero: four fifths of HeartbeatTimeout.
	LeaderLease time.Duration
	// WriteTimeout ends a proposal when the log has not moved for so long.
	WriteTimeout time.Duration
	// LeaderWait is how long a proposal waits for a leader to be known.
	LeaderWait time.Duration
	// StallTimeout is how long one append to the log may take before the node
	// gives up its office and is not ready; after several times as long it fails.
	StallTimeout time.Duration

	// A snapshot is taken once so many entries or bytes were applied since the
	// last one, but not sooner than SnapshotInterval after it or after the start.
	SnapshotEntries  uint64
	SnapshotBytes    uint64
	SnapshotInterval time.Duration
	// TrailingEntries stay in the log behind the newest snapshot, for followers
	// to catch up with; at least 2 × SnapshotEntries. What the older of the
	// retained snapshots needs stays in any case.
	TrailingEntries uint64
	RetainSnapshots int // at least 2, so that one damaged snapshot is survived

	// GroupBytes is how large an entry of several commands may become; zero
	// gives every command an entry of its own.
	GroupBytes int
	// AppendEntries is how many waiting entries Raft puts into one append, with
	// one fsync, at most 64. It matters where commands are not grouped.
	AppendEntries int
	// GroupDelay is how long a command waits for others while entries are in
	// flight.
	GroupDelay time.Duration
	// InFlight bounds the entries handed to Raft and not yet visible.
	InFlight int
	// MaxPending and MaxPendingBytes bound the proposals that are not finished;
	// one more is refused as overloaded.
	MaxPending      int
	MaxPendingBytes int

	// faults is put between Raft and the log store by tests.
	faults func(raft.LogStore) raft.LogStore
}

// DefaultConfig returns the configuration of a node alone, but for its id and
// its data directory.
func DefaultConfig() Config {
	return Config{
		WriteTimeout: 1800 * time.Millisecond, // with what a request takes beside, 2 s
		// An election takes one to two heartbeat time-outs.
		LeaderWait:   1500 * time.Millisecond,
		StallTimeout: 5 * time.Second,
		// With full entries 8192 of them are a gigabyte; the bytes trigger first.
		SnapshotEntries:  8192,
		SnapshotBytes:    256 << 20,
		SnapshotInterval: 30 * time.Second,
		TrailingEntries:  16384,
		RetainSnapshots:  2,
		// 128 KiB keep an append well below a millisecond of disk bandwidth. The
		// delay is about one append; a lone client never waits for it. Measured
		// with 64 clients it gives entries of 60 commands, 300 µs gives 37.
		AppendEntries:   cachedRecords,
		GroupBytes:      128 << 10,
		GroupDelay:      time.Millisecond,
		InFlight:        4,
		MaxPending:      1 << 16,
		MaxPendingBytes: 256 << 20,
	}
}

// Validate names everything that is wrong.
func (c *Config) Validate() error {
	var p decision.Problems
	validateID(&p, "node_id", c.NodeID)
	if c.DataDir == "" {
		p.Addf("data_dir", "got nothing, want a directory")
	}
	c.validateNetwork(&p)
	c.validateTimes(&p)
	c.validateSizes(&p)
	return p.Err()
}

func notIDRune(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_')
}

func (c *Config) validateNetwork(p *decision.Problems) {
	if c.Listen != "" {
		if _, _, err := net.SplitHostPort(c.Listen); err != nil {
			p.Addf("listen", "got %q, want host:port", c.Listen)
		}
	}
	if c.Advertise != "" {
		validateAddress(p, "advertise", c.Advertise)
	}
	for i, a := range c.Join {
		validateAddress(p, fmt.Sprintf("join[%d]", i), a)
	}
	if len(c.Join) > 0 {
		if len(c.Peers) > 0 {
			p.Addf("join", "got %d addresses and %d peers, want one of the two: a cluster is founded or joined", len(c.Join), len(c.Peers))
		}
		if c.Listen == "" && c.Transport == nil {
			p.Addf("listen", "got nothing, want host:port since the node joins others")
		}
		if host, _, _ := net.SplitHostPort(c.Listen); c.Listen != "" && c.Advertise == "" && (host == "" || net.ParseIP(host).IsUnspecified()) {
			p.Addf("advertise", "got nothing and listen %q, want an address that others can reach", c.Listen)
		}
	}
	seen := make(map[string]bool)
	for _, peer := range c.Peers {
		validateID(p, "peers", peer.ID)
		validateAddress(p, "peers", peer.Address)
		if seen[peer.ID] || seen[peer.Address] {
			p.Addf("peers", "got %s=%s, but its id or its address is there twice", peer.ID, peer.Address)
		}
		seen[peer.ID], seen[peer.Address] = true, true
	}
	if len(c.Peers) > 0 && !slices.ContainsFunc(c.Peers, func(peer Peer) bool { return peer.ID == c.NodeID }) {
		p.Addf("peers", "got none with the id %q of this node, want it listed", c.NodeID)
	}
	if len(c.Peers) > 1 && c.Listen == "" && c.Transport == nil {
		p.Addf("listen", "got nothing, want host:port since there are peers")
	}
}

func validateID(p *decision.Problems, path, id string) {
	if id == "" || len(id) > maxNodeID || strings.ContainsFunc(id, notIDRune) {
		p.Addf(path, "got node id %q, want 1 to %d letters, digits, '.', '-' and '_'", id, maxNodeID)
	}
}

// validateAddress wants an address that others can dial.
func validateAddress(p *decision.Problems, path, address string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" || port == "0" {
		p.Addf(path, "got address %q, want host:port", address)
	} else if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		p.Addf(path, "got address %q, want one that others can reach", address)
	}
}

// CheckPlain returns an error when the node port would carry plain connections
// beyond this machine: without TLS, and with an address that is not loopback.
func (c *Config) CheckPlain() error {
	if c.TLS != nil {
		return nil
	}
	addresses := append([]string{c.Listen, c.Advertise}, c.Join...)
	for _, p := range c.Peers {
		addresses = append(addresses, p.Address)
	}
	for _, a := range addresses {
		if a == "" {
			continue
		}
		host, _, err := net.SplitHostPort(a)
		ip := net.ParseIP(host)
		if err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return decision.Errorf(decision.KindBadRequest, "got %s for the node port without TLS, want a loopback address, or certificates", a)
		}
	}
	return nil
}

// advertised is the address that others reach this node under; empty: none.
func (c *Config) advertised() string {
	if c.Advertise != "" {
		return c.Advertise
	}
	for _, p := range c.Peers {
		if p.ID == c.NodeID {
			return p.Address
		}
	}
	return ""
}

// minTimeout is the least that Raft takes.
const minTimeout = 5 * time.Millisecond

func (c *Config) validateTimes(p *decision.Problems) {
	atLeast := func(path string, got, want time.Duration) {
		if got < want {
			p.Addf(path, "got %v, want at least %v", got, want)
		}
	}
	for _, t := range []struct {
		path string
		d    time.Duration
	}{{"heartbeat_timeout", c.HeartbeatTimeout}, {"election_timeout", c.ElectionTimeout}, {"leader_lease", c.LeaderLease}} {
		if t.d != 0 {
			atLeast(t.path, t.d, minTimeout)
		}
	}
	t := c.times(false)
	if t.election < t.heartbeat {
		p.Addf("election_timeout", "got %v, want at least heartbeat_timeout, %v", t.election, t.heartbeat)
	}
	if t.lease > t.heartbeat {
		p.Addf("leader_lease", "got %v, want at most heartbeat_timeout, %v", t.lease, t.heartbeat)
	}
	atLeast("write_timeout", c.WriteTimeout, minTimeout)
	atLeast("leader_wait", c.LeaderWait, time.Millisecond)
	atLeast("stall_timeout", c.StallTimeout, minTimeout)
	atLeast("snapshot_interval", c.SnapshotInterval, 0)
	atLeast("group_delay", c.GroupDelay, 0)
}

func (c *Config) validateSizes(p *decision.Problems) {
	atLeast := func(path string, got, want uint64) {
		if got < want {
			p.Addf(path, "got %d, want at least %d", got, want)
		}
	}
	atLeast("snapshot_entries", c.SnapshotEntries, 1)
	atLeast("snapshot_bytes", c.SnapshotBytes, 1)
	atLeast("trailing_entries", c.TrailingEntries, 2*c.SnapshotEntries)
	if c.RetainSnapshots < 2 {
		p.Addf("retain_snapshots", "got %d, want at least 2", c.RetainSnapshots)
	}
	if c.GroupBytes < 0 || c.GroupBytes > MaxCommandBytes {
		p.Addf("group_bytes", "got %d, want 0 to %d", c.GroupBytes, MaxCommandBytes)
	}
	if c.AppendEntries < 1 || c.AppendEntries > cachedRecords {
		p.Addf("append_entries", "got %d, want 1 to %d", c.AppendEntries, cachedRecords)
	}
	if c.InFlight < 1 {
		p.Addf("in_flight", "got %d, want at least 1", c.InFlight)
	}
	if c.MaxPending < 1 {
		p.Addf("max_pending", "got %d, want at least 1", c.MaxPending)
	}
	if c.MaxPendingBytes < MaxCommandBytes {
		p.Addf("max_pending_bytes", "got %d, want at least %d, the largest command", c.MaxPendingBytes, MaxCommandBytes)
	}
}

// electionTimes are Raft's timers.
type electionTimes struct{ heartbeat, election, lease time.Duration }

// times fills in what the configuration leaves open. A node alone has nobody to
// wait for; among others half a second survives a pause of the runtime or a
// busy machine, and moves the leadership well within three.
func (c *Config) times(alone bool) electionTimes {
	t := electionTimes{c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLease}
	if t.heartbeat == 0 {
		t.heartbeat = 500 * time.Millisecond
		if alone {
			t.heartbeat = 10 * time.Millisecond
		}
	}
	if t.election == 0 {
		t.election = t.heartbeat
	}
	if t.lease == 0 {
		t.lease = max(t.heartbeat*4/5, minTimeout)
	}
	return t
}
