package actors

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/evidence"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/types"
)

// System is where the model actors live.
type System struct {
	actors  *actor.ActorSystem
	log     zerolog.Logger
	onFault func(modelID string, f *Fault)
}

// NewSystem starts an actor system. onFault is called on the actor's goroutine
// for each model that faults; it may be nil.
func NewSystem(log zerolog.Logger, onFault func(modelID string, f *Fault)) *System {
	config := actor.Configure(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
			return slog.New(zerolog.NewSlogHandler(log.Level(zerolog.WarnLevel)))
		}),
		// A message to an actor that has stopped starts a goroutine that only
		// waits for this long; nothing of it is logged here.
		actor.WithDeadLetterThrottleInterval(time.Millisecond),
	)
	return &System{actors: actor.NewActorSystemWithConfig(config), log: log, onFault: onFault}
}

// Close stops the actor system. Models must have been stopped before.
func (s *System) Close() { s.actors.Shutdown() }

// Fault is why a model is out of service: applying the entry at Index panicked
// or failed. Its Index is the same on every node.
type Fault struct {
	Index  uint64
	Reason string
}

// Published is what scoring reads: a view, or the fault in its place.
type Published struct {
	View  learn.View
	Spec  *learn.Spec // what the view was made with
	Fault *Fault
	// Evidence is what the outcomes say of the model's offers; nil while faulted.
	Evidence *evidence.View
}

// Model is the handle of a model's actor. Its methods may be called from any
// goroutine; those that send writes keep the order of their calls only when
// they come from one goroutine.
type Model struct {
	id        string
	root      *actor.RootContext
	pid       *actor.PID
	published atomic.Pointer[Published]
	gone      chan struct{} // closed when the actor has stopped
}

// Birth is what a model starts from: a binary state (from a snapshot), a fault
// (from a snapshot), or a state in the API's shape, or nothing.
type Birth struct {
	ID    string
	Spec  learn.Spec
	JSON  []byte
	State []byte
	Fault *Fault
	Index uint64 // log index of the entry that makes the model

	Evidence      evidence.Config
	EvidenceState []byte // beside State; nil: none
}

// Spawn starts a model's actor. A model whose learner cannot be made starts
// faulted: the entry is in the log and the other nodes see the same.
func (s *System) Spawn(b Birth) *Model {
	m := &Model{id: b.ID, root: s.actors.Root, gone: make(chan struct{})}
	a := &modelActor{model: m, spec: &b.Spec, evidence: evidence.New(b.Evidence), log: s.log, onFault: s.onFault}
	a.typ, _ = types.Of(b.Spec.Type)
	a.begin(b)
	a.publish()
	props := actor.PropsFromProducer(func() actor.Actor { return a }, actor.WithSupervisor(resume{}))
	m.pid = s.actors.Root.Spawn(props)
	return m
}

// resume is the supervision of last resort. The actor recovers from every panic
// itself; should one escape, going on with the state there is beats the
// library's default, a restart with an empty one.
type resume struct{}

func (resume) HandleFailure(_ *actor.ActorSystem, supervisor actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, _, _ any) {
	supervisor.ResumeChildren(child)
}

// Published returns what the actor last published: one atomic load.
func (m *Model) Published() *Published { return m.published.Load() }

// Send sends a write: an Observe, Install, Configure, Reset or Adapt.
// It counts the mailbox in the message's Pending.
func (m *Model) Send(message any) {
	switch msg := message.(type) {
	case *Observe:
		msg.Pending.add()
	case *Install:
		msg.Pending.add()
	case *Configure:
		msg.Pending.add()
	case *Reset:
		msg.Pending.add()
	case *Adapt:
		msg.Pending.add()
	default:
		panic("actors: not a write") // a defect of the caller, never of its data
	}
	m.tell(message)
}

// Stop ends the actor after the writes sent before; nothing may be sent after.
func (m *Model) Stop(p *Pending) {
	p.add()
	m.tell(stop{p})
}

func (m *Model) tell(message any) { m.root.Send(m.pid, message) }

func errGone(id string) error {
	return decision.Errorf(decision.KindNotFound, "model %q was deleted", id)
}
