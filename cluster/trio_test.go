package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/praetor-engine/praetor/internal/decision"
)

func TestThreeNodes(t *testing.T) {
	t.Parallel()
	c := newTrio(t, nil)
	c.start(t, 0, 1, 2)
	lead := c.leader(t)
	var last Result
	for i := range 50 {
		last = propose(t, c.nodes[lead], fmt.Sprintf("key %d", i%5))
	}
	if got, want := last.Value, 10; got != want {
		t.Errorf("got value %v, want %v", got, want)
	}
	c.agree(t, last.Index)
	for _, n := range c.nodes {
		ready(t, n)
	}
	follower := c.nodes[(lead+1)%3]
	if got, want := propose(t, follower, "key 0").Value, 11; got != want {
		t.Errorf("got value %v from a follower, want %v", got, want)
	}
	s := follower.Status()
	if s.Role != "follower" || s.LeaderID != c.cfgs[lead].NodeID || len(s.Members) != 3 || s.LastContact < 0 {
		t.Errorf("got status %+v, want a follower of %s among 3", s, c.cfgs[lead].NodeID)
	}
}

// The leader leaves in order and comes back; the writes go on elsewhere.
func TestHandOver(t *testing.T) {
	t.Parallel()
	c := newTrio(t, nil)
	c.start(t, 0, 1, 2)
	first := c.leader(t)
	propose(t, c.nodes[first], "a", "b")
	c.stop(t, first)
	start := time.Now()
	second := c.leader(t)
	propose(t, c.nodes[second], "a", "c")
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("got writes %v after the hand-over, want within 3 s", took)
	}
	c.start(t, first)
	ready(t, c.nodes[first])
	must(t, c.nodes[second].TransferLeadership(t.Context(), ""))
	third := c.leader(t)
	c.agree(t, propose(t, c.nodes[third], "d").Index)
}

// Without a quorum a write ends in bounded time, and says that it may have
// landed; a node that hears of no leader is stale and not ready.
func TestWithoutAQuorum(t *testing.T) {
	t.Parallel()
	c := newTrio(t, func(_ int, cfg *Config) { cfg.WriteTimeout = 500 * time.Millisecond })
	c.start(t, 0, 1, 2)
	lead := c.leader(t)
	propose(t, c.nodes[lead], "a")
	// Cut off, not closed: closing would hand over and step down.
	for i := range 3 {
		if i != lead {
			c.nodes[i].raft.Shutdown()
			c.nodes[i].net.Close()
		}
	}
	start := time.Now()
	_, err := c.nodes[lead].Propose(t.Context(), []byte("b"))
	if got, want := decision.KindOf(err), decision.KindIndeterminate; got != want {
		t.Errorf("got %v, want %v", err, want)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("got an answer after %v, want within the write time-out", took)
	}
	eventually(t, "stale", c.nodes[lead].Stale)
	if err := c.nodes[lead].Ready(); err == nil {
		t.Error("got ready without a leader")
	}
	_, err = c.nodes[lead].Propose(t.Context(), []byte("c"))
	if got, want := decision.KindOf(err), decision.KindUnavailable; got != want {
		t.Errorf("got %v, want %v", err, want)
	}
}

// A node whose place in the log is gone gets the snapshot, checksums and
// directories and all, and goes on from there; so it does after a restart.
func TestSnapshotInstall(t *testing.T) {
	t.Parallel()
	c := newTrio(t, nil)
	for i := range c.cfgs {
		c.cfgs[i].SnapshotEntries, c.cfgs[i].TrailingEntries = 1, 2
		c.cfgs[i].SnapshotInterval = time.Hour // only those of the test
	}
	c.start(t, 0, 1)
	lead := c.leader(t)
	for range 2 {
		for i := range 20 {
			propose(t, c.nodes[lead], fmt.Sprintf("key %d", i%3))
		}
		must(t, c.nodes[lead].Snapshot(t.Context()))
	}
	if first, err := c.nodes[lead].logs.FirstIndex(); err != nil || first < 10 {
		t.Fatalf("got a log from %d, %v, want its beginning gone", first, err)
	}
	c.start(t, 2)
	ready(t, c.nodes[2])
	c.agree(t, propose(t, c.nodes[lead], "after").Index)
	if c.machines[2].restores != 2 {
		t.Errorf("got %d restores, want 2: the empty state, then the leader's snapshot", c.machines[2].restores)
	}
	if s := c.nodes[2].Status(); s.SnapshotIndex == 0 || s.HighWater < s.SnapshotIndex {
		t.Errorf("got snapshot index %d and high-water mark %d, want both of the installed one", s.SnapshotIndex, s.HighWater)
	}
	c.stop(t, 2)
	propose(t, c.nodes[lead], "meanwhile")
	c.start(t, 2)
	ready(t, c.nodes[2])
	c.agree(t, propose(t, c.nodes[lead], "again").Index)
	if c.machines[2].restores != 1 {
		t.Errorf("got %d restores, want 1: from its own directory", c.machines[2].restores)
	}
}

// A damaged snapshot must not reach a follower.
func TestDamagedSnapshotIsNotInstalled(t *testing.T) {
	t.Parallel()
	c := newTrio(t, nil)
	for i := range c.cfgs {
		c.cfgs[i].SnapshotEntries, c.cfgs[i].TrailingEntries = 1, 2
		c.cfgs[i].SnapshotInterval = time.Hour
	}
	c.start(t, 0, 1)
	lead := c.leader(t)
	for range 2 {
		propose(t, c.nodes[lead], strings.Split("abcdefghijklmnop", "")...)
		must(t, c.nodes[lead].Snapshot(t.Context()))
	}
	damageSnapshot(t, c.cfgs[lead].DataDir, 1)
	c.start(t, 2)
	eventually(t, "a refusal that names the file", func() bool {
		return c.logs[lead].contains("history/rows: checksum is")
	})
	// A newer, whole snapshot ends it.
	propose(t, c.nodes[lead], "x")
	must(t, c.nodes[lead].Snapshot(t.Context()))
	c.agree(t, propose(t, c.nodes[lead], "y").Index)
	entries, err := os.ReadDir(filepath.Join(c.cfgs[2].DataDir, snapshotsName))
	must(t, err)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".tmp") {
			t.Errorf("got %s left over from a broken install", e.Name())
		}
	}
}

// A passing error of a follower's log store must not wedge its replication
// (hashicorp/raft#612, which needs pipelining).
func TestFollowerCatchesUpAfterAPassingLogError(t *testing.T) {
	t.Parallel()
	var failing [3]atomic.Int32 // appends still to fail
	c := newTrio(t, func(i int, cfg *Config) {
		cfg.GroupBytes = 0 // many appends
		cfg.faults = func(l raft.LogStore) raft.LogStore {
			return &faultStore{LogStore: l, before: func([]*raft.Log) error {
				if failing[i].Load() > 0 {
					failing[i].Add(-1)
					time.Sleep(20 * time.Millisecond) // a slow disk: the next append is under way
					return errors.New("injected: no space left")
				}
				return nil
			}}
		}
	})
	c.start(t, 0, 1, 2)
	lead := c.leader(t)
	sick := (lead + 1) % 3
	ready(t, c.nodes[sick])
	for range 3 {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for range 20 {
					propose(t, c.nodes[lead], fmt.Sprintf("key %d", i))
				}
			})
		}
		failing[sick].Store(2) // amid the load; few, so that Raft's back-off stays short
		wg.Wait()
		eventually(t, "the errors", func() bool { return failing[sick].Load() == 0 })
		start := time.Now()
		last := propose(t, c.nodes[lead], "last")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if err := c.nodes[sick].WaitApplied(ctx, last.Index); err != nil {
			t.Fatalf("follower has not caught up after %v: %v", time.Since(start), err)
		}
		cancel()
		c.agree(t, last.Index)
	}
}

// Bytes that are not Raft's do not harm the port.
func TestMalformedBytesOnTheRaftPort(t *testing.T) {
	t.Parallel()
	c := newTrio(t, nil)
	c.start(t, 0, 1, 2)
	lead := c.leader(t)
	for i := range 20 {
		conn, err := tcp{}.Dial(c.cfgs[lead].Listen, time.Second)
		must(t, err)
		fmt.Fprintf(conn, "%c GET / HTTP/1.1\r\n\r\n%c", i, 255)
		must(t, conn.Close())
	}
	c.agree(t, propose(t, c.nodes[lead], "a").Index)
}
