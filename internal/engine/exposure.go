package engine

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/praetor-engine/praetor/cluster"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/optimization"
)

// exposures records what was served. The log groups commands already; but an
// exposure has some fifty bytes and nothing to be answered with, and as a command of
// its own costs a proposal, a timer, a header and a result. So concurrent exposures,
// of whatever tenants, share one command here: it grows while the one before it is
// on its way through the log, and one channel wakes all who wait for it.
type exposures struct {
	propose func(ctx context.Context, command []byte) (cluster.Result, error)
	wake    chan struct{} // tells run to look; holds one

	mu     sync.Mutex
	group  *exposureGroup // what grows; nil: nothing
	closed bool

	served, groups atomic.Uint64 // exposures recorded, and the commands that they shared
}

// exposureGroup is the exposures of one command.
type exposureGroup struct {
	command []byte
	count   int
	done    chan struct{} // closed when the command was applied or failed
	index   uint64
	err     error
}

// maxGroupBytes bounds the exposures that wait while others are written.
const maxGroupBytes = 1 << 20

// groupSizeHint is about what a group of concurrent requests needs.
const groupSizeHint = 16 << 10

func newExposures(propose func(context.Context, []byte) (cluster.Result, error)) *exposures {
	return &exposures{propose: propose, wake: make(chan struct{}, 1)}
}

// record returns when the exposure is on a quorum's disks and applied here.
func (x *exposures) record(e *optimization.Event) (index uint64, err error) {
	x.mu.Lock()
	g := x.group
	switch {
	case x.closed:
		x.mu.Unlock()
		return 0, decision.Errorf(decision.KindUnavailable, "this node is stopping; nothing was recorded")
	case g == nil:
		g = &exposureGroup{done: make(chan struct{})}
		g.command = command.AppendHeader(make([]byte, 0, groupSizeHint), &command.Header{Kind: command.KindRecordEvents})
		x.group = g
	case len(g.command) >= maxGroupBytes:
		n := g.count
		x.mu.Unlock()
		return 0, &decision.Error{
			Kind: decision.KindUnavailable, Reason: cluster.ReasonOverloaded,
			Msg: fmt.Sprintf("the exposures of %d serves wait to be written already; try again later", n),
		}
	}
	g.command = e.Append(g.command)
	g.count++
	first := g.count == 1
	x.mu.Unlock()
	if first {
		select {
		case x.wake <- struct{}{}:
		default:
		}
	}
	<-g.done
	return g.index, g.err
}

// run writes the groups, one after the other, until ctx ends.
func (x *exposures) run(ctx context.Context) {
	for {
		select {
		case <-x.wake:
			x.write(ctx, x.take())
		case <-ctx.Done():
			x.mu.Lock()
			x.closed = true
			x.mu.Unlock()
			x.write(ctx, x.take())
			return
		}
	}
}

func (x *exposures) take() *exposureGroup {
	x.mu.Lock()
	defer x.mu.Unlock()
	g := x.group
	x.group = nil
	return g
}

func (x *exposures) write(ctx context.Context, g *exposureGroup) {
	if g == nil {
		return
	}
	result, err := x.propose(ctx, g.command)
	g.index, g.err = result.Index, err
	if r, ok := result.Value.(*reply); err == nil && ok {
		g.err = r.err
	}
	if g.err == nil {
		x.served.Add(uint64(g.count))
		x.groups.Add(1)
	}
	close(g.done)
}
