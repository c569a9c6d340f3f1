package actors

import (
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/evidence"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/types"
)

// modelActor is the single writer of one model's learned state.
type modelActor struct {
	model   *Model
	spec    *learn.Spec
	typ     *types.Type
	learner learn.Learner // nil while faulted
	// evidence is empty while faulted: what a model missed then, on any node, is
	// missed for good.
	evidence *evidence.Set
	fault    *Fault
	example  learn.Example
	request  learn.Request
	result   learn.Result
	scratch  decision.Row
	log      zerolog.Logger
	onFault  func(modelID string, f *Fault)
}

// begin makes the learner of a new actor.
func (a *modelActor) begin(b Birth) {
	if b.Fault != nil {
		a.fault = b.Fault
		return
	}
	a.guard(b.Index, func() error {
		if b.EvidenceState != nil {
			var err error
			if a.evidence, err = evidence.Load(b.Evidence, string(b.EvidenceState)); err != nil {
				return err
			}
		}
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
		a.evidence = evidence.New(a.evidence.Config())
		a.write(msg.Index, msg.Pending, func() error { return a.make(nil) })
	case *Adapt:
		a.write(msg.Index, msg.Pending, func() error { return a.adapt(msg) })
		if a.fault != nil {
			a.refuse(msg)
		}
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
	a.evidence = evidence.New(a.evidence.Config())
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
		next.Evidence = a.evidence.Publish()
		return nil
	})
	next.Fault = a.fault
	if a.fault != nil {
		next.View, next.Evidence = nil, nil
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

// observe counts the outcomes as evidence, and a learner that learns from
// outcomes learns. What a paused scope brings does neither.
func (a *modelActor) observe(outcomes []decision.Outcome) {
	learns, mode := a.typ.Learns(a.spec), a.evidence.Config().Mode
	if !learns && mode == evidence.Off {
		return
	}
	for i := range outcomes {
		if !a.spec.Example(a.model.id, &outcomes[i], &a.example, &a.scratch) {
			continue
		}
		ex := &a.example
		o := evidence.Outcome{
			OfferID: ex.OfferID, CategoryID: ex.CategoryID, ChannelID: ex.ChannelID,
			At: ex.At, Positive: ex.Positive, Weight: ex.Weight,
		}
		if mode == evidence.Blend {
			o.Score, o.Scored = a.predict(ex)
		}
		if a.evidence.Observe(&o) && learns {
			a.learner.Observe(ex)
		}
	}
}

// predict is what the model, as it is, says of an example. A bandit draws its
// scores and an endpoint is not asked here: they say nothing.
func (a *modelActor) predict(ex *learn.Example) (score float64, ok bool) {
	view := a.learner.Publish()
	if _, bandit := view.(learn.ArmView); bandit {
		return 0, false
	}
	a.request = learn.Request{Row: ex.Row, CustomerID: ex.CustomerID, OfferID: ex.OfferID}
	view.Score(&a.request, &a.result)
	return a.result.Score, !a.result.Degraded
}

// relearn learns from an outcome that is counted already.
func (a *modelActor) relearn(o *decision.Outcome) {
	if a.spec.Example(a.model.id, o, &a.example, &a.scratch) &&
		a.evidence.Admits(a.example.OfferID, a.example.CategoryID, a.example.ChannelID) {
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
	a.evidence.ForgetScores() // they were another state's
	if msg.Since == nil || !a.typ.Learns(a.spec) {
		return nil
	}
	return msg.Since.Each(a.relearn)
}

// configure moves the state under a new configuration; a new state in the
// API's shape replaces it.
func (a *modelActor) configure(msg *Configure) error {
	a.evidence.Configure(msg.Evidence)
	if msg.JSON != nil {
		a.evidence.ForgetScores()
		return a.make(msg.JSON)
	}
	return a.load(a.learner.AppendState(nil))
}

// adapt changes the evidence, and a bandit's arms alike. Its caller waits for the
// reply, which is sent whatever happens.
func (a *modelActor) adapt(msg *Adapt) error {
	var arms []string
	if view, ok := a.learner.Publish().(learn.ArmView); ok {
		arms = view.Arms()
	}
	r := msg.Request
	_, isArm := slices.BinarySearch(arms, r.ScopeID)
	result, err := a.evidence.Apply(r, msg.At, isArm && r.Scope == evidence.ScopeOffer)
	if err == nil && r.Action == evidence.ActionReset {
		a.resetArms(r.Scope, result, arms)
	}
	msg.Reply <- Adapted{result, err}
	return nil
}

func (a *modelActor) resetArms(scope evidence.Scope, result evidence.Result, arms []string) {
	resetter, ok := a.learner.(learn.ArmResetter)
	if !ok {
		return
	}
	offers := result.Offers
	if scope == evidence.ScopeGlobal {
		offers = arms
	}
	for _, id := range offers {
		if _, known := slices.BinarySearch(arms, id); known {
			resetter.ResetArm(id, result.NewPrior, result.Mass)
		}
	}
}

// refuse answers an Adapt that a fault kept from answering.
func (a *modelActor) refuse(msg *Adapt) {
	select {
	case msg.Reply <- Adapted{Err: a.fault.Err()}:
	default: // it had answered before the model failed
	}
}

func (a *modelActor) captured() (c Captured) {
	if a.fault == nil {
		a.guard(0, func() error {
			c.State, c.Evidence = a.learner.AppendState([]byte{}), a.evidence.AppendState([]byte{})
			return nil
		})
	}
	if c.Fault = a.fault; c.Fault != nil {
		c.State, c.Evidence = nil, nil
	}
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
