package chaos

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	overloadWriters = 128
	overloadSeconds = 5
	slowClients     = 200
	dripPause       = 500 * time.Millisecond
	// memoryBound is what a node may take at most in this load; its own bounds
	// are far below.
	memoryBound = 1 << 30
	firstWorker = 1000 // of the overload, so that its keys are its own
)

// overload writes with many times the clients, without a pause, beside others
// that send a byte at a time.
func overload(ctx context.Context, s *scene) (func(context.Context) error, error) {
	s.logf("%d writers without a pause and %d clients that send a byte at a time", overloadWriters, slowClients)
	loading, cancel := context.WithTimeout(ctx, overloadSeconds*time.Second)
	defer cancel()
	var group sync.WaitGroup
	var opened atomic.Int64
	for i := range slowClients {
		group.Go(func() { s.drip(loading, s.members[i%size], &opened) })
	}
	before := len(s.ledger.in(acknowledged))
	for i := range overloadWriters {
		group.Go(func() {
			rng, number, at := rand.New(rand.NewPCG(s.seed, uint64(firstWorker+i))), 0, i
			for loading.Err() == nil {
				list := s.draw(rng, firstWorker+i, &number, 1)
				s.ledger.note(list, s.sendOnce(ctx, list, &at), time.Now())
			}
		})
	}
	group.Wait()
	for _, m := range s.members {
		rss := peakMemory(m)
		s.logf("%s took %d MiB at most", m.ID(), rss>>20)
		if rss > memoryBound {
			s.findings.addf(0, "%s took %d MiB of memory under overload, want at most %d", m.ID(), rss>>20, memoryBound>>20)
		}
	}
	s.logf("%d outcomes acknowledged in %d s; %d slow clients got in", len(s.ledger.in(acknowledged))-before, overloadSeconds, opened.Load())
	return nil, nil
}

// sendOnce sends outcomes to one node, and goes on to the next when refused.
func (s *scene) sendOnce(ctx context.Context, list []outcome, at *int) fate {
	a, err := s.do(ctx, s.members[*at%size], s.outcomesRequest(list, false), requestTimeout)
	f := fateOf(&a, err)
	if f != acknowledged {
		*at++
	}
	return f
}

// drip opens a connection, announces a body, and sends it a byte at a time.
func (s *scene) drip(ctx context.Context, m *member, opened *atomic.Int64) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", m.Addr)
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	head := fmt.Sprintf("POST /api/v1/respond HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n", s.keys[outcomesTenant])
	if _, err := c.Write([]byte(head)); err != nil {
		return
	}
	opened.Add(1)
	for ctx.Err() == nil {
		if _, err := c.Write([]byte(" ")); err != nil {
			return
		}
		select {
		case <-time.After(dripPause):
		case <-ctx.Done():
		}
	}
}

// peakMemory is the most memory that a node's process has had resident, in
// bytes; 0 where the system does not tell.
func peakMemory(m *member) int64 {
	if !m.Alive() {
		return 0
	}
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", m.Process().Pid()))
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }()
	for s := bufio.NewScanner(f); s.Scan(); {
		if value, ok := strings.CutPrefix(s.Text(), "VmHWM:"); ok {
			n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64) // 0: not told
			return n << 10
		}
	}
	return 0
}
