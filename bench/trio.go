package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/praetor-engine/praetor/bench/nodes"
	"github.com/praetor-engine/praetor/internal/client"
)

// trio is a cluster of real processes with a tenant whose models learn.
type trio struct {
	*nodes.Cluster
	key    string
	models []string // ids
}

// tenant is the tenant of a trio.
const tenant = "bench"

// startTrio starts size nodes in dir, with the learning models.
func (o *Options) startTrio(ctx context.Context, dir string, size int, flags ...string) (t *trio, err error) {
	c, err := nodes.New(nodes.Config{
		Command: []string{o.Self, EngineCommand}, Flags: append([]string{"--log-level=error"}, flags...),
		Dir: dir, Places: make([]nodes.Place, size),
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if err := c.Start(ctx); err != nil {
		return nil, err
	}
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := c.AwaitReady(starting); err != nil {
		return nil, err
	}
	leader, err := c.AwaitLeader(starting)
	if err != nil {
		return nil, err
	}
	t = &trio{Cluster: c}
	if t.key, err = leader.CreateTenant(starting, tenant); err != nil {
		return nil, err
	}
	return t, t.create(starting, leader, learners())
}

// create makes models on a node.
func (t *trio) create(ctx context.Context, n *nodes.Node, models []client.NewModel) error {
	c, err := client.New(client.DefaultConfig("http://"+n.Addr, t.key))
	if err != nil {
		return err
	}
	defer c.Close()
	for _, m := range models {
		created, err := c.CreateModel(ctx, m)
		if err != nil {
			return fmt.Errorf("bench: create model %s: %w", m.Key, err)
		}
		t.models = append(t.models, created.ID)
	}
	return nil
}

// stream sends requests at a fixed rate through whatever happens: what is due
// is sent, what is refused or cut off goes to the next node.
type stream struct {
	addrs    func() []string // nodes to send to
	requests [][]byte
	conns    int
	rate     float64 // a second
	retry    bool    // a request that failed is sent again elsewhere

	mu     sync.Mutex
	acked  []time.Time      // when each was answered 2xx
	failed map[string]int64 // by what went wrong
	next   atomic.Int64
}

// answerTimeout bounds one request of a stream.
const answerTimeout = 5 * time.Second

// run sends until ctx ends.
func (s *stream) run(ctx context.Context) {
	s.failed = map[string]int64{}
	began := time.Now()
	interval := time.Duration(float64(time.Second) / s.rate)
	var group sync.WaitGroup
	for i := range s.conns {
		group.Go(func() { s.drive(ctx, i, began, interval) })
	}
	group.Wait()
}

func (s *stream) drive(ctx context.Context, at int, began time.Time, interval time.Duration) {
	var conn *Conn
	defer func() {
		if conn != nil {
			_ = conn.Close()
		}
	}()
	for {
		n := s.next.Add(1) - 1
		due := began.Add(time.Duration(n) * interval)
		timer := time.NewTimer(time.Until(due))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		for ctx.Err() == nil {
			var ok bool
			if conn, ok = s.once(ctx, conn, at, s.requests[int(n)%len(s.requests)]); ok || !s.retry {
				break
			}
			at++
		}
	}
}

// once sends one request over the connection, which it makes when there is none,
// and drops it when it breaks.
func (s *stream) once(ctx context.Context, conn *Conn, at int, request []byte) (*Conn, bool) {
	addrs := s.addrs()
	if conn == nil {
		c, err := Dial(addrs[at%len(addrs)])
		if err != nil {
			s.fail(ctx, "no connection")
			time.Sleep(time.Millisecond) // a node that is down refuses at once
			return nil, false
		}
		conn = c
	}
	_ = conn.conn.SetDeadline(time.Now().Add(answerTimeout))
	status, _, err := conn.Do(request)
	switch {
	case err != nil:
		s.fail(ctx, "connection lost")
	case status/100 != 2:
		s.fail(ctx, fmt.Sprintf("status %d", status))
	default:
		s.mu.Lock()
		s.acked = append(s.acked, time.Now())
		s.mu.Unlock()
		return conn, true
	}
	_ = conn.Close()
	return nil, false
}

func (s *stream) fail(ctx context.Context, why string) {
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed[why]++
}

// between counts the answers in a time.
func (s *stream) between(from, to time.Time) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.acked {
		if !at.Before(from) && at.Before(to) {
			n++
		}
	}
	return n
}

// longestGap is the longest time without an answer from a moment on.
func (s *stream) longestGap(from, to time.Time) (gap time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := from
	for _, at := range s.acked {
		if at.After(from) && at.Before(to) {
			gap = max(gap, at.Sub(last))
			last = at
		}
	}
	return max(gap, to.Sub(last))
}

// failures sums up what went wrong.
func (s *stream) failures() (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.failed {
		n += k
	}
	return n
}

// wait waits while ctx lasts.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// inRounds runs a measurement of a cluster in a directory of its own as often as
// there are rounds.
func (o *Options) inRounds(ctx context.Context, r *Report, f func(ctx context.Context, dir string) error) error {
	for i := range o.Rounds {
		dir, remove, err := o.workDir()
		if err != nil {
			return err
		}
		if i == 0 {
			r.Machine, err = Describe(dir)
		}
		if err == nil {
			err = f(ctx, dir)
		}
		remove()
		if err != nil {
			return fmt.Errorf("round %d: %w", i+1, err)
		}
		o.logf("  round %d of %d done", i+1, o.Rounds)
	}
	return nil
}

// scoreRequests are single scores of a model.
func (t *trio) scoreRequests(model int) [][]byte {
	return [][]byte{PrepareRequest("/api/v1/algorithm-models/"+t.models[model]+"/score?explain=false", t.key, []byte(`{"customerId":"c1","offerId":"offer-1"}`))}
}

// dirOf is the directory of one variant.
func dirOf(dir, name string) string { return filepath.Join(dir, fileName(name)) }
