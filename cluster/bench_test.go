package cluster

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// nothing is a machine that costs nothing, so that the log is what is measured.
type nothing struct{ counter }

func (*nothing) Apply(e *Entry) Applied { return Applied{} }

// BenchmarkPropose is closed loop: so many clients, each with one proposal of
// 256 bytes at a time, fsync on, a node alone.
func BenchmarkPropose(b *testing.B) {
	for _, group := range []int{0, DefaultConfig().GroupBytes} {
		for _, clients := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("group=%d/clients=%d", group, clients), func(b *testing.B) {
				cfg := testConfig(b)
				cfg.GroupBytes = group
				n := open(b, cfg, &nothing{})
				ready(b, n)
				benchPropose(b, n, clients)
			})
		}
	}
}

// BenchmarkProposeTrio is the same on three nodes that share this machine.
func BenchmarkProposeTrio(b *testing.B) {
	for _, group := range []int{0, DefaultConfig().GroupBytes} {
		for _, clients := range []int{1, 256} {
			b.Run(fmt.Sprintf("group=%d/clients=%d", group, clients), func(b *testing.B) {
				c := newTrio(b, func(_ int, cfg *Config) { cfg.GroupBytes, cfg.HeartbeatTimeout = group, 0 })
				c.start(b, 0, 1, 2)
				benchPropose(b, c.nodes[c.leader(b)], clients)
			})
		}
	}
}

func benchPropose(b *testing.B, n *Node, clients int) {
	before := n.Status()
	command := make([]byte, 256)
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if _, err := n.Propose(b.Context(), command); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	after := n.Status()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
	b.ReportMetric(float64(after.Commands-before.Commands)/float64(after.Entries-before.Entries), "commands/entry")
}

// BenchmarkBulk is eight clients with commands of 64 KiB, about 500 outcomes.
func BenchmarkBulk(b *testing.B) {
	n := open(b, testConfig(b), &nothing{})
	ready(b, n)
	command := make([]byte, 64<<10)
	b.SetBytes(int64(len(command)))
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if _, err := n.Propose(b.Context(), command); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(500*float64(b.N)/b.Elapsed().Seconds(), "outcomes/s")
}

// BenchmarkForward sets proposals on a follower beside those on the leader of the
// same three nodes, which share this machine.
func BenchmarkForward(b *testing.B) {
	for _, clients := range []int{1, 64, 256} {
		c := newTrio(b, func(_ int, cfg *Config) { cfg.HeartbeatTimeout = 0 })
		c.start(b, 0, 1, 2)
		lead := c.leader(b)
		for name, n := range map[string]*Node{"leader": c.nodes[lead], "follower": c.nodes[(lead+1)%3]} {
			b.Run(fmt.Sprintf("on=%s/clients=%d", name, clients), func(b *testing.B) { benchPropose(b, n, clients) })
		}
		for i := range 3 {
			c.stop(b, i)
		}
	}
}

// BenchmarkBarrier is a strong read without a write before it.
func BenchmarkBarrier(b *testing.B) {
	c := newTrio(b, func(_ int, cfg *Config) { cfg.HeartbeatTimeout = 0 })
	c.start(b, 0, 1, 2)
	lead := c.leader(b)
	for name, n := range map[string]*Node{"leader": c.nodes[lead], "follower": c.nodes[(lead+1)%3]} {
		b.Run("on="+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := n.Barrier(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
