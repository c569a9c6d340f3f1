package optimization

import (
	"fmt"

	"github.com/praetor-engine/praetor/internal/attribution"
	"github.com/praetor-engine/praetor/internal/factorial"
	"github.com/praetor-engine/praetor/internal/factorial/posterior"
	"github.com/praetor-engine/praetor/internal/wire"
)

// The bounds of what one optimization remembers of its visitors.
const (
	// MaxEvents is about 350 MB of visitors with one exposure each.
	MaxEvents = 1_000_000
	// MaxEventsOfVisitor bounds what one event of a visitor can cost.
	MaxEventsOfVisitor = 1000

	// What can be forgotten is looked for at most once a minute, since it takes a look
	// at every visitor, half a microsecond each.
	forgetPause = 60 * 1000 // milliseconds
)

// Learned is what an optimization has seen of its visitors and learned from it. It
// belongs to one goroutine, but for its View.
type Learned struct {
	id      string
	plan    *Plan
	tracker *attribution.Tracker
	kept    *Kept
	trained *posterior.Trained // nil: never
	arms    Arms               // of the last training
	seen    uint64             // exposures recorded
	dropped uint64             // events for which there was no room
	// looked is when it was last looked for what can be forgotten.
	looked int64
	// lookAt is how many events are to be remembered before it is looked again.
	lookAt int
	limit  int // MaxEvents, but in tests

	view *View // what was published last; nil: it is out of date
}

// Arms are what the treated and the held-out visitors brought.
type Arms struct{ Treated, Holdout factorial.Arm }

// ArmsOf returns what a table has of both sides.
func ArmsOf(t *attribution.Table) Arms { return Arms{t.Visitors(false), t.Visitors(true)} }

// View is what serving reads. It is immutable but for Kept, which any goroutine may
// look into.
type View struct {
	Trained *posterior.Trained // nil: never
	Kept    *Kept
	Arms    Arms   // of the last training
	Seen    uint64 // exposures recorded
	Dropped uint64 // events for which there was no room
	Events  int    // remembered
}

// NewLearned returns what an optimization knows at first.
func NewLearned(id string, plan *Plan) *Learned {
	return &Learned{id: id, plan: plan, tracker: attribution.NewTracker(plan.Rules), kept: newKept(), limit: MaxEvents, lookAt: MaxEvents / 2}
}

// Publish returns the view of the present state.
func (l *Learned) Publish() *View {
	if l.view == nil {
		l.view = &View{Trained: l.trained, Kept: l.kept, Arms: l.arms, Seen: l.seen, Dropped: l.dropped, Events: l.tracker.Events()}
	}
	return l.view
}

// Record records an event as of a time.
func (l *Learned) Record(e *Event, now int64) Outcome {
	l.view = nil
	l.forget(now)
	if l.tracker.Events() >= l.limit || l.tracker.EventsOf(e.Visitor) >= MaxEventsOfVisitor {
		l.dropped++
		return NoRoom
	}
	var became attribution.Outcome
	if e.IsReward {
		became = l.tracker.Reward(e.Visitor, e.Reward, now)
	} else {
		became = l.tracker.Expose(e.Visitor, e.Exposure, now)
	}
	switch became {
	case attribution.Duplicate:
		return Duplicate
	case attribution.TooLate:
		return TooLate
	}
	if !e.IsReward {
		l.seen++
		if e.Binds {
			l.bind(e, now)
		}
	}
	return Accepted
}

// bind lets a visitor keep a variant, unless it keeps another one.
func (l *Learned) bind(e *Event, now int64) {
	key := factorial.DrawKey(l.id, e.Visitor)
	last := l.kept.Of(key)
	if last.Holds(now, l.plan.Rules.Window) || now-e.Exposure.At >= l.plan.Rules.Window {
		return
	}
	l.kept.put(key, kept{at: e.Exposure.At, propensity: e.Propensity, variant: e.Exposure.Variant})
}

// forget drops what can be, when there is much and it was not looked for lately.
func (l *Learned) forget(now int64) {
	if l.tracker.Events() < l.lookAt || now-l.looked < forgetPause {
		return
	}
	l.looked = now
	l.tracker.Advance(now)
	l.tracker.Forget(now - l.plan.Rules.Window)
	l.kept.forget(now - l.plan.Rules.Window)
	l.lookAgain()
}

// lookAgain has it looked again when half of the room is used up.
func (l *Learned) lookAgain() { l.lookAt = (l.tracker.Events() + l.limit) / 2 }

// Mark moves the time on and returns a copy of what was counted, and how many
// exposures were recorded.
func (l *Learned) Mark(now int64) (*attribution.Table, uint64) {
	return l.tracker.Table(now).Clone(), l.seen
}

// Counted returns a copy of what was counted as of the latest event.
func (l *Learned) Counted() *attribution.Table {
	return l.tracker.Table(0).Clone() // the time does not go back
}

// Install puts a training's result in place, in its binary form.
func (l *Learned) Install(state string, arms Arms) error {
	t, err := posterior.Decode(l.plan.Space, state)
	if err != nil {
		return fmt.Errorf("optimization: %w", err)
	}
	l.trained, l.arms, l.view = t, arms, nil
	return nil
}

// Forget forgets what the model learned; what was seen stays. Visitors keep what
// they have.
func (l *Learned) Forget() { l.trained, l.arms, l.view = nil, Arms{}, nil }

const learnedVersion = 1

// Append appends the binary form, which is canonical: version, when it was last
// looked for what to forget and when it will be again, exposures recorded, events dropped, both sides of the
// last training, its result or nothing, the tracker, what visitors keep.
func (l *Learned) Append(b []byte) []byte {
	b = l.appendHead(b)
	b = wire.AppendBytes(b, l.tracker.Append(nil))
	return l.kept.append(b)
}

func (l *Learned) appendHead(b []byte) []byte {
	b = append(b, learnedVersion)
	b = wire.AppendVarint(b, l.looked)
	b = wire.AppendUvarint(b, uint64(l.lookAt))
	b = wire.AppendUvarint(b, l.seen)
	b = wire.AppendUvarint(b, l.dropped)
	for _, a := range [...]*factorial.Arm{&l.arms.Treated, &l.arms.Holdout} {
		b = wire.AppendUvarint(b, a.Users)
		b = wire.AppendFloat(wire.AppendFloat(b, a.Sum), a.SumSq)
	}
	var state []byte
	if l.trained != nil {
		state = l.trained.Append(nil)
	}
	return wire.AppendBytes(b, state)
}

// AppendDigest appends a fingerprint of the state that needs no order of visitors.
func (l *Learned) AppendDigest(b []byte) []byte {
	b = wire.AppendUint64(b, hash(l.appendHead(nil)))
	b = wire.AppendUint64(b, l.tracker.Digest())
	return wire.AppendUint64(b, l.kept.digest())
}

// ReadLearned reads what Append wrote. It keeps nothing of s.
func ReadLearned(id string, plan *Plan, s string) (*Learned, error) {
	r := wire.NewReader(s)
	if v := r.Byte(); r.Err() == nil && v != learnedVersion {
		r.Fail("want version %d, got %d", learnedVersion, v)
	}
	l := &Learned{id: id, plan: plan, limit: MaxEvents, looked: r.Varint(), lookAt: int(min(r.Uvarint(), MaxEvents)), seen: r.Uvarint(), dropped: r.Uvarint()}
	for _, a := range [...]*factorial.Arm{&l.arms.Treated, &l.arms.Holdout} {
		a.Users, a.Sum, a.SumSq = r.Uvarint(), r.Float(), r.Float()
	}
	state, tracker := r.String(), r.String()
	l.kept = readKept(&r)
	if err := r.Close(); err != nil {
		return nil, fmt.Errorf("optimization: %w", err)
	}
	var err error
	if l.tracker, err = attribution.DecodeTracker(plan.Rules, tracker); err != nil {
		return nil, fmt.Errorf("optimization: the observations: %w", err)
	}
	if state != "" {
		if l.trained, err = posterior.Decode(plan.Space, state); err != nil {
			return nil, fmt.Errorf("optimization: the trained state: %w", err)
		}
	}
	return l, nil
}
