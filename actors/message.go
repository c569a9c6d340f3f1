package actors

import (
	"context"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/evidence"
	"github.com/praetor-engine/praetor/internal/learn"
)

// Every message that changes state carries the log index it came with, so that
// a fault is marked at the same place on every node, and its Pending, which the
// actor tells when the view that contains the change is published.

// Observe brings outcomes in log order. The slice is shared with other actors
// and read only.
type Observe struct {
	Index    uint64
	Outcomes []decision.Outcome
	Pending  *Pending
}

// Replay is outcomes to be observed again, in log order.
type Replay interface {
	// Each calls f for each of them.
	Each(f func(*decision.Outcome)) error
	// Close frees what holds them. The actor that got the Replay calls it once,
	// whatever became of the message.
	Close()
}

// Install puts a state in the place of the present one: a training's result or
// an earlier version. It lifts a fault.
type Install struct {
	Index   uint64
	State   []byte // binary
	Since   Replay // what a learning model must still observe; may be nil
	Pending *Pending
}

// Configure changes the configuration, and the state too when JSON is not nil;
// a new state lifts a fault.
type Configure struct {
	Index    uint64
	Spec     learn.Spec
	Evidence evidence.Config
	JSON     []byte // a new state in the API's shape
	Pending  *Pending
}

// Reset forgets everything learned, the evidence too. It lifts a fault.
type Reset struct {
	Index   uint64
	Pending *Pending
}

// Adapt resets, pauses or resumes what a model learned of an offer, a category, a
// channel or of all: its evidence, and a bandit's arms alike. A scope that is not
// known changes nothing.
type Adapt struct {
	Index   uint64
	At      int64 // Unix milliseconds
	Request evidence.Request
	Reply   chan<- Adapted // with room for one
	Pending *Pending
}

// Adapted is what an Adapt did.
type Adapted struct {
	evidence.Result
	Err error
}

// capture asks for the state as of all messages before it.
type capture struct{ reply chan<- Captured }

// score asks for a score ordered after all messages before it.
type score struct {
	req   *learn.Request
	res   *learn.Result
	reply chan<- error
}

// stateJSON asks for the state in the API's shape.
type stateJSON struct{ reply chan<- jsonReply }

type jsonReply struct {
	state []byte
	err   error
}

// stop ends the actor after the messages before it.
type stop struct{ pending *Pending }

// Captured is a model's state at one place in the log.
type Captured struct {
	State    []byte // nil when faulted
	Evidence []byte // nil when faulted
	Fault    *Fault
}

// Score scores on the actor's goroutine, after every write sent before: for
// callers that need that order more than speed. res must not be used again
// when ctx ended first.
func (m *Model) Score(ctx context.Context, req *learn.Request, res *learn.Result) error {
	reply := make(chan error, 1)
	m.tell(score{req, res, reply})
	select {
	case err := <-reply:
		return err
	case <-m.gone:
		return errGone(m.id)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// StateJSON returns the state in the API's shape after every write sent before.
func (m *Model) StateJSON(ctx context.Context) ([]byte, error) {
	reply := make(chan jsonReply, 1)
	m.tell(stateJSON{reply})
	select {
	case r := <-reply:
		return r.state, r.err
	case <-m.gone:
		return nil, errGone(m.id)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Capture asks for the state as of every write sent before and returns without
// waiting; the channel delivers it once.
func (m *Model) Capture() <-chan Captured {
	reply := make(chan Captured, 1)
	m.tell(capture{reply})
	return reply
}
