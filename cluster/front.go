package cluster

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Result is the outcome of a proposal.
type Result struct {
	Index uint64 // of the entry that carried the command
	Value any    // what the machine returned for it
}

// appender is what the front needs of the log, wherever the leader is.
type appender interface {
	// append hands one entry over. It may block for as long as the log takes to
	// accept it, which is how the log pushes back. finished is called once, when
	// all effects are visible or the entry failed; with KindUnavailable it never
	// entered the log, and with errAgain in its chain it may be sent again.
	append(entry []byte, finished finish)
	// now returns the time to stamp on an entry, in Unix milliseconds.
	now() int64
	// open says whether a leader is known. Its change is told by front.signal.
	open() bool
}

// front is the group commit: it coalesces concurrent proposals into entries.
//
// A proposal goes at once when nothing is in flight and the last entry carried
// one command, so a lone client waits for nobody. Otherwise an entry is sent when
// it is full, when it has waited for GroupDelay, or, with nothing in flight, when
// as many proposals are back as the last entry carried: these are the clients
// that it released.
//
// Nothing leaves the queue while no leader is known, and what certainly never
// entered the log goes back into it: so a change of leader costs a proposal time
// and not its answer, and one that runs out of time in the queue is known not to
// have been written.
type front struct {
	cfg  *Config
	back appender
	wake chan struct{}   // tells run to look again; holds one
	gone <-chan struct{} // closed when nothing will finish any more

	progress atomic.Int64 // when an entry last finished, Unix nanoseconds

	mu           sync.Mutex
	queue        []*proposal
	queueBytes   int
	since        time.Time // when the queue was last empty
	notBefore    time.Time // the next entry, after one that came back
	pending      int       // proposals admitted and not finished
	pendingBytes int
	inFlight     int // entries
	lastCount    int // commands of the last entry
	closed       error
	idle         chan struct{} // made by close, closed once pending is zero

	entries, commands atomic.Uint64 // sent, for Status
}

type proposal struct {
	command []byte
	state   atomic.Uint32
	done    chan struct{}
	result  Result
	err     error
}

// The states of a proposal. Whoever moves it out of queued owns its fate.
const (
	queued uint32 = iota
	taken         // handed to the log
	abandoned
)

func newFront(cfg *Config, back appender, gone <-chan struct{}) *front {
	return &front{cfg: cfg, back: back, wake: make(chan struct{}, 1), gone: gone}
}

// propose returns once the command's effects are visible.
func (f *front) propose(ctx context.Context, command []byte) (Result, error) {
	if len(command) > MaxCommandBytes {
		return Result{}, decision.Errorf(decision.KindTooLarge, "command has %d bytes, at most %d are allowed", len(command), MaxCommandBytes)
	}
	if err := ctx.Err(); err != nil {
		return Result{}, unavailable("", err, "the request ended before it was written")
	}
	p := &proposal{command: command, done: make(chan struct{})}
	if err := f.admit(p); err != nil {
		return Result{}, err
	}
	return f.wait(ctx, p)
}

// admit queues a proposal, or sends it when commands are not grouped.
func (f *front) admit(p *proposal) error {
	f.mu.Lock()
	if f.closed != nil {
		f.mu.Unlock()
		return unavailable("", f.closed, "this node is stopping; nothing was written")
	}
	if f.pending >= f.cfg.MaxPending || f.pendingBytes+len(p.command) > f.cfg.MaxPendingBytes {
		n, b := f.pending, f.pendingBytes
		f.mu.Unlock()
		return unavailable(ReasonOverloaded, nil, "%d writes of %d bytes are pending, at most %d of %d bytes are allowed; try again later", n, b, f.cfg.MaxPending, f.cfg.MaxPendingBytes)
	}
	f.pending++
	f.pendingBytes += len(p.command)
	if f.cfg.GroupBytes == 0 && len(f.queue) == 0 && f.back.open() {
		p.state.Store(taken)
		f.inFlight++
		f.mu.Unlock()
		f.send([]*proposal{p})
		return nil
	}
	if len(f.queue) == 0 {
		f.since = time.Now()
	}
	f.queue = append(f.queue, p)
	f.queueBytes += len(p.command)
	look := len(f.queue) == 1 || len(f.queue) >= f.lastCount || f.queueBytes >= f.cfg.GroupBytes
	f.mu.Unlock()
	if look {
		f.signal()
	}
	return nil
}

func (f *front) signal() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// wait waits for a proposal's result. It gives up when ctx ends, when no leader
// is known for LeaderWait, or when nothing at all has finished for WriteTimeout:
// then there is no quorum.
func (f *front) wait(ctx context.Context, p *proposal) (Result, error) {
	start := time.Now()
	timer := time.NewTimer(min(f.cfg.LeaderWait, f.cfg.WriteTimeout))
	defer timer.Stop()
	for {
		select {
		case <-p.done:
			return p.result, p.err
		case <-ctx.Done():
			return f.giveUp(p, "", ctx.Err(), "the request ended")
		case <-f.gone:
			return f.giveUp(p, "", errStopped, "the node stopped")
		case <-timer.C:
			if time.Since(start) < f.cfg.WriteTimeout {
				if p.state.Load() == queued && !f.back.open() {
					return f.giveUp(p, ReasonNotLeader, nil, "no leader was known for "+f.cfg.LeaderWait.String())
				}
				timer.Reset(min(f.cfg.LeaderWait, f.cfg.WriteTimeout-time.Since(start)))
				continue
			}
			idle := time.Since(time.Unix(0, f.progress.Load()))
			if left := f.cfg.WriteTimeout - idle; left > 0 {
				timer.Reset(left)
				continue
			}
			return f.giveUp(p, ReasonNotLeader, nil, "the log has not moved for "+f.cfg.WriteTimeout.String())
		}
	}
}

// giveUp ends a proposal whose caller no longer waits. Still queued, it never
// enters the log.
func (f *front) giveUp(p *proposal, reason string, cause error, why string) (Result, error) {
	if p.state.CompareAndSwap(queued, abandoned) {
		f.release(p)
		return Result{}, unavailable(reason, cause, "%s before the write entered the log; nothing was written, try again", why)
	}
	select {
	case <-p.done: // finished just now
		return p.result, p.err
	default:
		return Result{}, indeterminate(cause, "%s before the write was confirmed; a retry with the same idempotency key tells whether it was accepted", why)
	}
}

// release takes finished proposals off the account.
func (f *front) release(batch ...*proposal) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range batch {
		f.pending--
		f.pendingBytes -= len(p.command)
	}
	if f.idle != nil && f.pending == 0 && len(batch) > 0 {
		close(f.idle)
	}
}

// run sends entries until the front is closed and its queue is empty, or gone.
func (f *front) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		batch, wait, over := f.next()
		switch {
		case batch != nil:
			f.send(batch)
		case over:
			return
		case wait > 0:
			timer.Reset(wait)
			select {
			case <-f.wake:
			case <-timer.C:
			case <-f.gone:
				return
			}
		default:
			select {
			case <-f.wake:
			case <-f.gone:
				return
			}
		}
	}
}

// next returns a batch that is due, or how long to wait for it (zero: until
// woken), or that there will be none any more.
func (f *front) next() (batch []*proposal, wait time.Duration, over bool) {
	open := f.back.open()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) == 0 {
		return nil, 0, f.closed != nil && f.pending == 0
	}
	if !open && f.closed == nil {
		return nil, leaderPoll, false
	}
	if f.inFlight >= f.cfg.InFlight {
		return nil, 0, false
	}
	if left := time.Until(f.notBefore); left > 0 {
		return nil, left, false
	}
	idle := f.inFlight == 0
	switch left := f.cfg.GroupDelay - time.Since(f.since); {
	case f.queueBytes >= f.cfg.GroupBytes, idle && len(f.queue) >= f.lastCount, idle && f.lastCount <= 1, left <= 0, f.closed != nil:
		return f.take(), 0, false
	default:
		return nil, left, false
	}
}

const (
	// leaderPoll is how often the queue is looked at while no leader is known,
	// in case its appearance was not told.
	leaderPoll = 50 * time.Millisecond
	// retryPause is how long an entry that never entered the log waits before it
	// is sent again: less than an election, more than a spin.
	retryPause = 10 * time.Millisecond
)

// take moves proposals from the queue into one entry, at least one, and no more
// than GroupBytes of several. It returns nil when all were abandoned.
func (f *front) take() []*proposal {
	var batch []*proposal
	size, n := 0, 0
	for _, p := range f.queue {
		if len(batch) > 0 && size+len(p.command) > f.cfg.GroupBytes {
			break
		}
		n++
		f.queueBytes -= len(p.command)
		if p.state.CompareAndSwap(queued, taken) {
			batch = append(batch, p)
			size += len(p.command)
		}
	}
	clear(f.queue[:n])
	f.queue = f.queue[n:]
	if len(f.queue) == 0 {
		f.queue = nil
	} else {
		f.signal()
	}
	if len(batch) == 0 {
		f.signal() // have run look again
		return nil
	}
	f.since = time.Now()
	f.inFlight++
	f.lastCount = len(batch)
	return batch
}

// send hands a batch to the log as one entry.
func (f *front) send(batch []*proposal) {
	size := envelopeOverhead(len(batch))
	commands := make([][]byte, len(batch))
	h := header{at: f.back.now(), seed: rand.Uint64()}
	for i, p := range batch {
		commands[i] = p.command
		size += len(p.command)
		if f.cfg.LevelOf != nil {
			h.level = max(h.level, f.cfg.LevelOf(p.command))
		}
	}
	entry := appendEnvelope(make([]byte, 0, size), h, commands...)
	f.entries.Add(1)
	f.commands.Add(uint64(len(batch)))
	f.back.append(entry, func(index uint64, results []any, err error) { f.finish(batch, index, results, err) })
}

// finish gives the proposals of an entry their results.
func (f *front) finish(batch []*proposal, index uint64, results []any, err error) {
	if errors.Is(err, errAgain) && f.requeue(batch) {
		return
	}
	if err == nil {
		f.progress.Store(time.Now().UnixNano())
	}
	for i, p := range batch {
		p.err = err
		if err == nil {
			p.result.Index = index
			if results != nil {
				p.result.Value = results[i]
			}
		}
		close(p.done)
	}
	f.mu.Lock()
	f.inFlight--
	f.mu.Unlock()
	f.release(batch...)
	f.signal()
}

// requeue puts proposals that never entered the log back, before the others.
// Their callers decide how long they wait.
func (f *front) requeue(batch []*proposal) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed != nil {
		return false
	}
	for _, p := range batch {
		p.state.Store(queued)
		f.queueBytes += len(p.command)
	}
	f.queue = append(batch[:len(batch):len(batch)], f.queue...)
	f.inFlight--
	f.lastCount = 0
	f.notBefore = time.Now().Add(retryPause)
	f.entries.Add(^uint64(0))
	f.commands.Add(-uint64(len(batch)))
	f.signal()
	return true
}

// close refuses new proposals. The channel is closed when none is pending.
func (f *front) close(why error) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed == nil {
		f.closed = why
		f.signal()
	}
	if f.idle == nil {
		f.idle = make(chan struct{})
		if f.pending == 0 {
			close(f.idle)
		}
	}
	return f.idle
}
