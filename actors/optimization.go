package actors

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"

	"github.com/praetor-engine/praetor/internal/attribution"
	"github.com/praetor-engine/praetor/internal/optimization"
)

// Optimization is the handle of an optimization's actor, which owns what the
// optimization has seen and what its model learned. The rules are those of Model.
type Optimization struct {
	id        string
	root      *actor.RootContext
	pid       *actor.PID
	published atomic.Pointer[PublishedOptimization]
	gone      chan struct{} // closed when the actor has stopped
}

// PublishedOptimization is what serving reads: a view, or the fault in its place.
type PublishedOptimization struct {
	View  *optimization.View
	Fault *Fault
}

// OptimizationBirth is what an optimization starts from: a binary state or a fault,
// both from a snapshot, or nothing.
type OptimizationBirth struct {
	ID    string
	Plan  *optimization.Plan
	State []byte
	Fault *Fault
}

// RecordEvents brings exposures and rewards of one optimization as of a time.
type RecordEvents struct {
	Index   uint64
	At      int64 // Unix milliseconds
	Events  []optimization.Event
	Pending *Pending
}

// MarkObservations moves an optimization's time on and answers with what was
// counted by then.
type MarkObservations struct {
	Index   uint64
	At      int64 // Unix milliseconds
	Reply   chan<- Observations
	Pending *Pending
}

// Observations are what an optimization has seen; the table is the receiver's own.
type Observations struct {
	Table *attribution.Table
	Seen  uint64 // exposures recorded, immature ones included
	Err   error
}

// InstallTrained puts a training's result in place.
type InstallTrained struct {
	Index   uint64
	State   string
	Arms    optimization.Arms
	Pending *Pending
}

// ForgetTrained forgets what the model learned, and lifts a fault: the optimization
// has then seen nothing.
type ForgetTrained struct {
	Index   uint64
	Pending *Pending
}

// observations asks for what was counted, without moving the time on.
type observations struct{ reply chan<- Observations }

// digest asks for a fingerprint of the state as of all messages before it.
type digest struct{ reply chan<- Captured }

// SpawnOptimization starts an optimization's actor.
func (s *System) SpawnOptimization(b OptimizationBirth) *Optimization {
	o := &Optimization{id: b.ID, root: s.actors.Root, gone: make(chan struct{})}
	a := &optimizationActor{handle: o, plan: b.Plan, fault: b.Fault, log: s.log, onFault: s.onFault}
	a.begin(b.State)
	a.publish()
	props := actor.PropsFromProducer(func() actor.Actor { return a }, actor.WithSupervisor(resume{}))
	o.pid = s.actors.Root.Spawn(props)
	return o
}

// Published returns what the actor last published: one atomic load.
func (o *Optimization) Published() *PublishedOptimization { return o.published.Load() }

// Send sends a write: a RecordEvents, MarkObservations, InstallTrained or
// ForgetTrained. It counts the mailbox in the message's Pending.
func (o *Optimization) Send(message any) {
	switch msg := message.(type) {
	case *RecordEvents:
		msg.Pending.add()
	case *MarkObservations:
		msg.Pending.add()
	case *InstallTrained:
		msg.Pending.add()
	case *ForgetTrained:
		msg.Pending.add()
	default:
		panic("actors: not a write") // a defect of the caller, never of its data
	}
	o.root.Send(o.pid, message)
}

// Stop ends the actor after the writes sent before; nothing may be sent after.
func (o *Optimization) Stop(p *Pending) {
	p.add()
	o.root.Send(o.pid, stop{p})
}

// Capture asks for the state as of every write sent before and returns without
// waiting; the channel delivers it once.
func (o *Optimization) Capture() <-chan Captured {
	reply := make(chan Captured, 1)
	o.root.Send(o.pid, capture{reply})
	return reply
}

// Digest is Capture of a fingerprint, which costs a tenth.
func (o *Optimization) Digest() <-chan Captured {
	reply := make(chan Captured, 1)
	o.root.Send(o.pid, digest{reply})
	return reply
}

// Observations returns what was counted as of the latest write.
func (o *Optimization) Observations(ctx context.Context) (Observations, error) {
	reply := make(chan Observations, 1)
	o.root.Send(o.pid, observations{reply})
	select {
	case r := <-reply:
		return r, r.Err
	case <-o.gone:
		return Observations{}, optimization.NotFound(o.id)
	case <-ctx.Done():
		return Observations{}, ctx.Err()
	}
}

// optimizationActor is the single writer of what an optimization knows.
type optimizationActor struct {
	handle  *Optimization
	plan    *optimization.Plan
	learned *optimization.Learned // nil while faulted
	fault   *Fault
	log     zerolog.Logger
	onFault func(id string, f *Fault)
}

func (a *optimizationActor) begin(state []byte) {
	switch {
	case a.fault != nil:
	case state == nil:
		a.learned = optimization.NewLearned(a.handle.id, a.plan)
	default:
		a.guard(0, func() (err error) {
			a.learned, err = optimization.ReadLearned(a.handle.id, a.plan, string(state))
			return err
		})
	}
}

// Receive handles one message. Panics end in a fault, never in a restart.
func (a *optimizationActor) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *RecordEvents:
		a.write(msg.Index, msg.Pending, func() error { a.record(msg); return nil })
	case *MarkObservations:
		a.write(msg.Index, msg.Pending, func() error {
			table, seen := a.learned.Mark(msg.At)
			msg.Reply <- Observations{Table: table, Seen: seen}
			return nil
		})
		if a.fault != nil {
			select {
			case msg.Reply <- Observations{Err: a.fault.Err()}:
			default: // it had answered before
			}
		}
	case *InstallTrained:
		a.write(msg.Index, msg.Pending, func() error { return a.learned.Install(msg.State, msg.Arms) })
	case *ForgetTrained:
		if a.fault != nil {
			a.fault, a.learned = nil, optimization.NewLearned(a.handle.id, a.plan)
		}
		a.write(msg.Index, msg.Pending, func() error { a.learned.Forget(); return nil })
	case observations:
		msg.reply <- a.counted()
	case capture:
		msg.reply <- a.captured(func() []byte { return a.learned.Append([]byte{}) })
	case digest:
		msg.reply <- a.captured(func() []byte { return a.learned.AppendDigest([]byte{}) })
	case stop:
		ctx.Stop(ctx.Self())
		msg.pending.Done()
	case *actor.Stopped:
		close(a.handle.gone)
	}
}

func (a *optimizationActor) record(msg *RecordEvents) {
	for i := range msg.Events {
		e := &msg.Events[i]
		became := a.learned.Record(e, msg.At)
		if e.Outcome != nil {
			*e.Outcome = became
		}
	}
}

func (a *optimizationActor) write(index uint64, p *Pending, change func() error) {
	if a.fault == nil {
		a.guard(index, change)
	}
	a.publish()
	p.Done()
}

// guard runs a change; a panic or an error marks the optimization faulted at index.
func (a *optimizationActor) guard(index uint64, change func() error) {
	defer func() {
		if r := recover(); r != nil {
			a.log.Error().Str("optimization", a.handle.id).Uint64("index", index).Bytes("stack", debug.Stack()).Msgf("optimization panicked: %v", r)
			a.fail(index, fmt.Sprintf("panic: %v", r))
		}
	}()
	if err := change(); err != nil {
		a.log.Error().Err(err).Str("optimization", a.handle.id).Uint64("index", index).Msg("optimization cannot apply an entry")
		a.fail(index, err.Error())
	}
}

func (a *optimizationActor) fail(index uint64, reason string) {
	a.fault, a.learned = &Fault{Index: index, Reason: reason}, nil
	if a.onFault != nil {
		a.onFault(a.handle.id, a.fault)
	}
}

func (a *optimizationActor) publish() {
	next := PublishedOptimization{Fault: a.fault}
	if a.fault == nil {
		next.View = a.learned.Publish()
	}
	if last := a.handle.published.Load(); last == nil || *last != next {
		a.handle.published.Store(&next)
	}
}

func (a *optimizationActor) counted() (o Observations) {
	if a.fault == nil {
		a.guard(0, func() error {
			o.Table, o.Seen = a.learned.Counted(), a.handle.published.Load().View.Seen
			return nil
		})
	}
	if a.fault != nil {
		o = Observations{Err: a.fault.Err()}
	}
	return o
}

func (a *optimizationActor) captured(state func() []byte) (c Captured) {
	if a.fault == nil {
		a.guard(0, func() error { c.State = state(); return nil })
	}
	if c.Fault = a.fault; c.Fault != nil {
		c.State = nil
	}
	return c
}
