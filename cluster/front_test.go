package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
)

// fakeLog takes entries and finishes them when the test says so.
type fakeLog struct {
	mu      sync.Mutex
	entries [][]string
	finish  []finish
	shut    atomic.Bool // no leader is known
}

func (l *fakeLog) now() int64 { return 7 }

func (l *fakeLog) open() bool { return !l.shut.Load() }

func (l *fakeLog) append(entry []byte, finished finish) {
	e, err := decodeEnvelope(string(entry))
	if err != nil {
		panic(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, e.Commands)
	l.finish = append(l.finish, finished)
}

// done finishes entry i: every command's value is itself.
func (l *fakeLog) done(i int) {
	l.mu.Lock()
	finish, commands := l.finish[i], l.entries[i]
	l.mu.Unlock()
	var results []any
	for _, c := range commands {
		results = append(results, c)
	}
	finish(uint64(i+1), results, nil)
}

func (l *fakeLog) sizes() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	var n []int
	for _, e := range l.entries {
		n = append(n, len(e))
	}
	return n
}

// bench is a front on a fake log in a bubble of fake time.
type bench struct {
	*front
	log     *fakeLog
	mu      sync.Mutex
	results map[string]error
}

func inBubble(t *testing.T, change func(*Config), run func(t *testing.T, b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultConfig()
		if change != nil {
			change(&cfg)
		}
		gone := make(chan struct{})
		b := &bench{log: new(fakeLog), results: make(map[string]error)}
		b.front = newFront(&cfg, b.log, gone)
		go b.front.run()
		run(t, b)
		close(gone)
		synctest.Wait()
	})
}

func (b *bench) start(ctx context.Context, commands ...string) {
	for _, c := range commands {
		go func() {
			r, err := b.propose(ctx, []byte(c))
			if err == nil && r.Value != c {
				err = fmt.Errorf("got value %v, want %v", r.Value, c)
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			b.results[c] = err
		}()
	}
	synctest.Wait()
}

func (b *bench) result(command string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.results[command]
}

func (b *bench) wantSizes(t *testing.T, want ...int) {
	t.Helper()
	if got := b.log.sizes(); !slices.Equal(got, want) {
		t.Errorf("got entries of %v commands, want %v", got, want)
	}
}

func (b *bench) wantKind(t *testing.T, command string, want decision.Kind) {
	t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if err, ok := b.results[command]; !ok || err == nil || decision.KindOf(err) != want {
		t.Errorf("%s: got %v (returned %v), want kind %v", command, err, ok, want)
	}
}

func (b *bench) wantDone(t *testing.T, commands ...string) {
	t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range commands {
		if err, ok := b.results[c]; !ok || err != nil {
			t.Errorf("%s: got %v (returned %v), want success", c, err, ok)
		}
	}
}

func TestLoneProposalGoesAtOnce(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		start := time.Now()
		for i, c := range []string{"a", "b", "c"} {
			b.start(t.Context(), c)
			b.wantSizes(t, slices.Repeat([]int{1}, i+1)...)
			b.log.done(i)
			b.wantDone(t, c)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("got %v of waiting, want none", took)
		}
	})
}

func TestConcurrentProposalsShareAnEntry(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.start(t.Context(), "a")
		b.start(t.Context(), "b", "c", "d")
		b.wantSizes(t, 1) // the others wait for each other
		b.log.done(0)
		synctest.Wait()
		b.wantSizes(t, 1, 3)
		// The three that come back are waited for, the deadline is not.
		b.log.done(1)
		b.wantDone(t, "a", "b", "c", "d")
		b.start(t.Context(), "e", "f")
		b.wantSizes(t, 1, 3)
		b.start(t.Context(), "g")
		b.wantSizes(t, 1, 3, 3)
		b.log.done(2)
	})
}

func TestDeadlineSendsWhatIsThere(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.start(t.Context(), "a")
		b.start(t.Context(), "b", "c")
		time.Sleep(b.cfg.GroupDelay)
		synctest.Wait()
		b.wantSizes(t, 1, 2)
		b.log.done(1)
		b.log.done(0)
		b.wantDone(t, "a", "b", "c")
	})
}

func TestEntriesAreBounded(t *testing.T) {
	inBubble(t, func(c *Config) { c.GroupBytes, c.InFlight = 10, 2 }, func(t *testing.T, b *bench) {
		b.start(t.Context(), "aaaa")
		b.start(t.Context(), "bbbb")
		b.start(t.Context(), "cccc")
		b.wantSizes(t, 1)
		b.start(t.Context(), "dddddddddddddddddddd") // over GroupBytes: goes alone
		b.wantSizes(t, 1, 2)                         // and two entries in flight are the bound
		b.log.done(0)
		synctest.Wait()
		b.wantSizes(t, 1, 2, 1)
		b.log.done(1)
		b.log.done(2)
		b.wantDone(t, "aaaa", "bbbb", "cccc", "dddddddddddddddddddd")
	})
}

func TestGroupCommitOff(t *testing.T) {
	inBubble(t, func(c *Config) { c.GroupBytes = 0 }, func(t *testing.T, b *bench) {
		b.start(t.Context(), "a", "b", "c")
		b.wantSizes(t, 1, 1, 1)
		for i := range 3 {
			b.log.done(i)
		}
		b.wantDone(t, "a", "b", "c")
	})
}

func TestOverload(t *testing.T) {
	inBubble(t, func(c *Config) { c.MaxPending, c.MaxPendingBytes = 3, 100 }, func(t *testing.T, b *bench) {
		b.start(t.Context(), string(bytes.Repeat([]byte("x"), 90)))
		b.start(t.Context(), "eleven byte")
		b.wantKind(t, "eleven byte", decision.KindUnavailable)
		b.start(t.Context(), "a", "b")
		b.start(t.Context(), "c")
		b.wantKind(t, "c", decision.KindUnavailable)
		var e *decision.Error
		if errors.As(b.result("c"), &e); e.Reason != ReasonOverloaded {
			t.Errorf("got reason %q, want %q", e.Reason, ReasonOverloaded)
		}
		b.log.done(0)
		synctest.Wait()
		b.start(t.Context(), "d")
		b.log.done(1)
		synctest.Wait()
		time.Sleep(b.cfg.GroupDelay)
		synctest.Wait()
		b.log.done(2)
		b.wantDone(t, "a", "b", "d")
	})
}

func TestTooLarge(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		_, err := b.propose(t.Context(), make([]byte, MaxCommandBytes+1))
		if got, want := decision.KindOf(err), decision.KindTooLarge; got != want {
			t.Errorf("got kind %v, want %v", got, want)
		}
	})
}

func TestEndedContext(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		ctx, cancel := context.WithCancel(t.Context())
		b.start(ctx, "in the log")
		b.start(ctx, "queued")
		b.start(t.Context(), "patient")
		cancel()
		b.wantKind(t, "in the log", decision.KindIndeterminate)
		b.wantKind(t, "queued", decision.KindUnavailable)
		b.log.done(0)
		synctest.Wait()
		b.wantSizes(t, 1, 1) // the abandoned one never enters the log
		b.log.done(1)
		b.wantDone(t, "patient")
		b.start(ctx, "late")
		b.wantKind(t, "late", decision.KindUnavailable)
		if b.pending != 0 || b.pendingBytes != 0 {
			t.Errorf("got %d proposals of %d bytes pending, want none", b.pending, b.pendingBytes)
		}
	})
}

func TestNoProgressEndsTheWait(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.start(t.Context(), "first")
		b.start(t.Context(), "second")
		time.Sleep(b.cfg.WriteTimeout * 3 / 4)
		synctest.Wait()
		b.log.done(1) // the log moves: the others go on waiting
		b.wantDone(t, "second")
		time.Sleep(b.cfg.WriteTimeout / 2)
		synctest.Wait()
		if err := b.result("first"); err != nil {
			t.Error("got an end of the wait although the log moved")
		}
		time.Sleep(b.cfg.WriteTimeout)
		b.wantKind(t, "first", decision.KindIndeterminate)
		b.log.done(0)
	})
}

func TestCloseLetsPendingFinish(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.start(t.Context(), "a")
		b.start(t.Context(), "b")
		idle := b.close(errStopped)
		b.start(t.Context(), "late")
		b.wantKind(t, "late", decision.KindUnavailable)
		b.wantSizes(t, 1, 1)
		b.log.done(0)
		b.log.done(1)
		b.wantDone(t, "a", "b")
		<-idle
		<-b.close(errStopped)
	})
}

func TestFailedEntry(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.start(t.Context(), "a")
		b.log.finish[0](0, nil, unavailable(ReasonNotLeader, nil, "no"))
		b.wantKind(t, "a", decision.KindUnavailable)
	})
}

// Without a leader nothing is taken from the queue, and who runs out of time
// there knows that nothing was written.
func TestNoLeader(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.log.shut.Store(true)
		b.start(t.Context(), "a")
		time.Sleep(b.cfg.LeaderWait + time.Millisecond)
		b.wantKind(t, "a", decision.KindUnavailable)
		b.start(t.Context(), "b")
		time.Sleep(b.cfg.LeaderWait / 2)
		b.log.shut.Store(false)
		b.signal()
		synctest.Wait()
		b.wantSizes(t, 1)
		b.log.done(0)
		b.wantDone(t, "b")
	})
}

// What never entered the log is sent again, before what came later.
func TestSentAgain(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.start(t.Context(), "a")
		b.start(t.Context(), "b")
		b.log.finish[0](0, nil, again(nil, "the leader changed"))
		synctest.Wait()
		b.wantSizes(t, 1) // not at once
		time.Sleep(retryPause)
		synctest.Wait()
		b.wantSizes(t, 1, 2)
		if got := b.log.entries[1][0]; got != "a" {
			t.Errorf("got %q first, want the one that came back", got)
		}
		b.log.done(1)
		b.wantDone(t, "a", "b")
		if b.pending != 0 || b.pendingBytes != 0 || b.inFlight != 0 {
			t.Errorf("got %d proposals of %d bytes and %d entries pending, want none", b.pending, b.pendingBytes, b.inFlight)
		}
	})
}

// A proposal that came back and runs out of time in the queue was not written.
func TestSentAgainTooLate(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.start(t.Context(), "a")
		b.log.shut.Store(true)
		b.log.finish[0](0, nil, again(nil, "the leader changed"))
		time.Sleep(b.cfg.WriteTimeout)
		b.wantKind(t, "a", decision.KindUnavailable)
	})
}
