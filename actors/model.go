package actors

import (
	"fmt"
	"runtime/debug"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/types"
)

// modelActor is the single writer of one model's learned state.
type modelActor struct {
	model   *Model
	spec    *learn.Spec
	typ     *types.Type
	learner learn.Learner // nil while faulted
	fault   *Fault
	example learn.Example
	scratch decision.Row
	log     zerolog.Logger
	onFault func(modelID string, f *Fault)
}

// begin makes the learner of a new actor.
func (a *modelActor) begin(b Birth) {
	if b.Fault != nil {
		a.fault = b.Fault
		return
	}
	a.guard(b.Index, func() error {
		if b.State != nil {
			return a.load(b.State)
		}
		return a.make(b.JSON)
	})
}

// Receive handles one message. Panics of the learner end in a fault, never in
// a restart.
func (a *modelActor) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *Observe:
		a.write(msg.Index, msg.Pending, func() error { a.observe(msg.Outcomes); return nil })
	case *Install:
		a.fault = nil
		a.write(msg.Index, msg.Pending, func() error { return a.install(msg) })
	case *Configure:
		a.spec = &msg.Spec // also while faulted: a reset then starts from it
		if msg.JSON != nil {
			a.fault = nil
		}
		a.write(msg.Index, msg.Pending, func() error { return a.configure(msg) })
	case *Reset:
		a.fault = nil
		a.write(msg.Index, msg.Pending, func() error { return a.make(nil) })
	case *ResetArm:
		a.write(msg.Index, msg.Pending, func() error { return a.resetArm(msg) })
	case capture:
		msg.reply <- a.captured()
	case score:
		msg.reply <- a.score(msg.req, msg.res)
	case stateJSON:
		msg.reply <- a.stateJSON()
	case stop:
		ctx.Stop(ctx.Self())
		msg.pending.Done()
	case *actor.Stopped:
		close(a.model.gone)
	}
}

// write runs one change, publishes its result and tells the entry.
func (a *modelActor) write(index uint64, p *Pending, change func() error) {
	if a.fault == nil {
		a.guard(index, change)
	}
	a.publish()
	p.Done()
}

// guard runs a change; a panic or an error marks the model faulted at index.
func (a *modelActor) guard(index uint64, change func() error) {
	defer func() {
		if r := recover(); r != nil {
			a.log.Error().Str("model", a.model.id).Uint64("index", index).Bytes("stack", debug.Stack()).Msgf("model panicked: %v", r)
			a.fail(index, fmt.Sprintf("panic: %v", r))
		}
	}()
	if err := change(); err != nil {
		a.log.Error().Err(err).Str("model", a.model.id).Uint64("index", index).Msg("model cannot apply an entry")
		a.fail(index, err.Error())
	}
}

func (a *modelActor) fail(index uint64, reason string) {
	a.fault, a.learner = &Fault{Index: index, Reason: reason}, nil
	if a.onFault != nil {
		a.onFault(a.model.id, a.fault)
	}
}

func (a *modelActor) publish() {
	last := a.model.published.Load()
	next := Published{Spec: a.spec, Fault: a.fault}
	if a.fault == nil {
		a.guardPublish(&next)
	}
	if last == nil || *last != next {
		a.model.published.Store(&next)
	}
}

// guardPublish fills in the view; a learner that cannot publish is faulted at
// index 0, where no entry is, since the state itself is as the log left it.
func (a *modelActor) guardPublish(next *Published) {
	a.guard(0, func() error {
		next.View = a.learner.Publish()
		return nil
	})
	next.Fault = a.fault
	if a.fault != nil {
		next.View = nil
	}
}

func (a *modelActor) make(state []byte) error {
	if a.typ == nil {
		return fmt.Errorf("model type %q is not known to this build", a.spec.Type)
	}
	l, err := a.typ.New(*a.spec, state)
	if err != nil {
		return err
	}
	a.learner = l
	return nil
}

func (a *modelActor) load(state []byte) error {
	if a.typ == nil {
		return fmt.Errorf("model type %q is not known to this build", a.spec.Type)
	}
	l, err := a.typ.Load(*a.spec, string(state))
	if err != nil {
		return err
	}
	a.learner = l
	return nil
}

func (a *modelActor) observe(outcomes []decision.Outcome) {
	if !a.typ.Learns(a.spec) {
		return
	}
	for i := range outcomes {
		a.observeOne(&outcomes[i])
	}
}

func (a *modelActor) observeOne(o *decision.Outcome) {
	if a.spec.Example(a.model.id, o, &a.example, &a.scratch) {
		a.learner.Observe(&a.example)
	}
}

func (a *modelActor) install(msg *Install) error {
	if msg.Since != nil {
		defer msg.Since.Close()
	}
	if err := a.load(msg.State); err != nil {
		return err
	}
	if msg.Since == nil || !a.typ.Learns(a.spec) {
		return nil
	}
	return msg.Since.Each(a.observeOne)
}

// configure moves the state under a new configuration; a new state in the
// API's shape replaces it.
func (a *modelActor) configure(msg *Configure) error {
	if msg.JSON != nil {
		return a.make(msg.JSON)
	}
	return a.load(a.learner.AppendState(nil))
}

func (a *modelActor) resetArm(msg *ResetArm) error {
	r, ok := a.learner.(learn.ArmResetter)
	if !ok {
		return nil
	}
	r.ResetArm(msg.OfferID, msg.Rate, msg.Mass)
	return nil
}

func (a *modelActor) captured() (c Captured) {
	if a.fault == nil {
		a.guard(0, func() error { c.State = a.learner.AppendState([]byte{}); return nil })
	}
	c.Fault = a.fault
	return c
}

// score fails alone when it panics: it changes nothing.
func (a *modelActor) score(req *learn.Request, res *learn.Result) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("actors: scoring with model %s panicked: %v", a.model.id, r)
		}
	}()
	p := a.model.published.Load()
	if p.Fault != nil {
		return p.Fault.Err()
	}
	p.View.Score(req, res)
	return nil
}

func (a *modelActor) stateJSON() (r jsonReply) {
	if a.fault != nil {
		return jsonReply{err: a.fault.Err()}
	}
	r.state, r.err = a.learner.StateJSON()
	return r
}

// Err is the fault as a client sees it.
func (f *Fault) Err() error {
	return &decision.Error{
		Kind: decision.KindInternal, Reason: "model_faulted",
		Msg: fmt.Sprintf("the model is out of service since log index %d; restore one of its versions or reset it", f.Index),
	}
}
