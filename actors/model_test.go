package actors

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newSystem(t *testing.T, onFault func(string, *Fault)) *System {
	t.Helper()
	s := NewSystem(zerolog.Nop(), onFault)
	t.Cleanup(s.Close)
	return s
}

func spawn(t *testing.T, s *System, b Birth) *Model {
	t.Helper()
	m := s.Spawn(b)
	t.Cleanup(func() { await(t, func(p *Pending) { m.Stop(p) }) })
	return m
}

// await sends with a Pending and waits until it has passed.
func await(t *testing.T, send func(*Pending)) {
	t.Helper()
	p := NewPending()
	send(p)
	p.Done()
	<-p.Passed()
}

// ask makes a request; ε is 0 in these tests, so its draws decide nothing.
func ask(offer string) *learn.Request {
	return &learn.Request{OfferID: offer, Rand: rand.New(rand.NewPCG(1, 2))}
}

func epsilonBirth(id string) Birth {
	return Birth{ID: id, Spec: learn.Spec{Type: decision.EpsilonGreedy, Config: json.RawMessage(`{"epsilon":0}`)}, Index: 1}
}

func outcome(offer string, class decision.Classification, seq uint32) decision.Outcome {
	return decision.Outcome{ID: decision.InteractionID{Index: 2, Seq: seq}, CustomerID: "c", OfferID: offer, Type: "click", Class: class, At: 1}
}

func observe(t *testing.T, m *Model, index uint64, outcomes ...decision.Outcome) {
	t.Helper()
	await(t, func(p *Pending) { m.Send(&Observe{Index: index, Outcomes: outcomes, Pending: p}) })
}

func scoreOf(t *testing.T, m *Model, offer string) float64 {
	t.Helper()
	var res learn.Result
	if err := m.Score(t.Context(), ask(offer), &res); err != nil {
		t.Fatalf("Score() = %v", err)
	}
	return res.Score
}

func TestObservedIsPublishedWhenItHasPassed(t *testing.T) {
	m := spawn(t, newSystem(t, nil), epsilonBirth("m"))
	observe(t, m, 2, outcome("a", decision.Positive, 0), outcome("a", decision.Negative, 1), outcome("a", decision.Neutral, 2))

	var res learn.Result
	m.Published().View.Score(ask("a"), &res)
	if res.Score != 0.5 {
		t.Errorf("score from the published view = %v, want 0.5 after one positive and one negative", res.Score)
	}
	if got := scoreOf(t, m, "a"); got != 0.5 {
		t.Errorf("score by message = %v, want 0.5", got)
	}
}

func TestCaptureIsAnExactCut(t *testing.T) {
	s := newSystem(t, nil)
	m, twin := spawn(t, s, epsilonBirth("m")), spawn(t, s, epsilonBirth("twin"))
	const before, after = 100, 50
	p := NewPending()
	for i := range uint32(before) {
		o := []decision.Outcome{outcome("a", decision.Positive, i)}
		m.Send(&Observe{Index: 2, Outcomes: o, Pending: p})
		twin.Send(&Observe{Index: 2, Outcomes: o, Pending: p})
	}
	cut := m.Capture()
	for i := range uint32(after) {
		m.Send(&Observe{Index: 3, Outcomes: []decision.Outcome{outcome("a", decision.Negative, i)}, Pending: p})
	}
	p.Done()
	<-p.Passed()
	if got, want := string((<-cut).State), string((<-twin.Capture()).State); got != want {
		t.Errorf("captured state = %q, want what a model has that saw only what came before, %q", got, want)
	}
}

// panicky is a state that makes epsilon-greedy's loader fail.
var panicky = []byte{0xff, 0xff}

func TestFaultIsMarkedAndOthersGoOn(t *testing.T) {
	var mu sync.Mutex
	var faults []string
	s := newSystem(t, func(id string, f *Fault) {
		mu.Lock()
		defer mu.Unlock()
		faults = append(faults, id)
	})
	m, other := spawn(t, s, epsilonBirth("m")), spawn(t, s, epsilonBirth("other"))
	observe(t, m, 2, outcome("a", decision.Positive, 0))
	good := (<-m.Capture()).State

	await(t, func(p *Pending) { m.Send(&Install{Index: 7, State: panicky, Pending: p}) })
	if f := m.Published().Fault; f == nil || f.Index != 7 {
		t.Fatalf("fault = %+v, want one at index 7", f)
	}
	if v := m.Published().View; v != nil {
		t.Error("a faulted model still has a view")
	}
	err := m.Score(t.Context(), ask("a"), &learn.Result{})
	if decision.KindOf(err) != decision.KindInternal || !strings.Contains(err.Error(), "index 7") {
		t.Errorf("Score() = %v, want an internal error that names index 7", err)
	}
	if c := <-m.Capture(); c.Fault == nil || c.State != nil {
		t.Errorf("Capture() = %+v, want the fault and no state", c)
	}
	observe(t, m, 8, outcome("a", decision.Positive, 0)) // ignored, and passes
	if f := m.Published().Fault; f == nil || f.Index != 7 {
		t.Errorf("fault after another outcome = %+v, want the first one", f)
	}

	observe(t, other, 8, outcome("a", decision.Negative, 0))
	if got := scoreOf(t, other, "a"); got != 0 {
		t.Errorf("the other model scores %v, want 0", got)
	}

	await(t, func(p *Pending) { m.Send(&Install{Index: 9, State: good, Pending: p}) })
	if got := scoreOf(t, m, "a"); got != 1 {
		t.Errorf("score after a version was installed = %v, want 1", got)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(faults) != 1 || faults[0] != "m" {
		t.Errorf("reported faults = %v, want [m]", faults)
	}
}

// A score that panics is the request's trouble, not the model's.
func TestPanicOfAScoreIsItsErrorAlone(t *testing.T) {
	m := spawn(t, newSystem(t, nil), epsilonBirth("m"))
	observe(t, m, 2, outcome("a", decision.Positive, 0))
	err := m.Score(t.Context(), &learn.Request{OfferID: "a"}, &learn.Result{}) // no generator
	if decision.KindOf(err) != decision.KindInternal {
		t.Errorf("Score() = %v, want an internal error", err)
	}
	if got := scoreOf(t, m, "a"); got != 1 {
		t.Errorf("score afterwards = %v, want 1", got)
	}
}

// A learner that panics is a fault too, at the index of what it was applying.
func TestPanicBecomesAFault(t *testing.T) {
	m := spawn(t, newSystem(t, nil), epsilonBirth("m"))
	await(t, func(p *Pending) {
		m.Send(&Install{Index: 4, State: (<-m.Capture()).State, Pending: p, Since: &replay{each: func(func(*decision.Outcome)) error { panic("boom") }}})
	})
	if f := m.Published().Fault; f == nil || f.Index != 4 || !strings.Contains(f.Reason, "boom") {
		t.Fatalf("fault = %+v, want one at index 4 with the panic's text", f)
	}
	await(t, func(p *Pending) { m.Send(&Reset{Index: 5, Pending: p}) })
	if f := m.Published().Fault; f != nil {
		t.Errorf("fault after a reset = %+v, want none", f)
	}
}

func TestABirthThatCannotBeLoadedIsFaulted(t *testing.T) {
	s := newSystem(t, nil)
	b := epsilonBirth("m")
	b.State, b.Index = panicky, 3
	if f := spawn(t, s, b).Published().Fault; f == nil || f.Index != 3 {
		t.Errorf("fault = %+v, want one at index 3", f)
	}
	b = epsilonBirth("n")
	b.Fault = &Fault{Index: 11, Reason: "before"}
	if f := spawn(t, s, b).Published().Fault; f == nil || f.Index != 11 {
		t.Errorf("fault = %+v, want the one it was born with", f)
	}
	b = Birth{ID: "o", Spec: learn.Spec{Type: "unheard_of"}, Index: 12}
	if f := spawn(t, s, b).Published().Fault; f == nil || f.Index != 12 {
		t.Errorf("fault = %+v, want one for an unknown type", f)
	}
}

// replay is a Replay of a function.
type replay struct {
	each   func(f func(*decision.Outcome)) error
	closed *int // counts the calls of Close; nil: nobody asks
}

func (r *replay) Each(f func(*decision.Outcome)) error { return r.each(f) }

func (r *replay) Close() {
	if r.closed != nil {
		*r.closed++
	}
}

func TestInstallReplaysWhatCameSince(t *testing.T) {
	closed := 0
	m := spawn(t, newSystem(t, nil), epsilonBirth("m"))
	fresh := (<-m.Capture()).State
	await(t, func(p *Pending) {
		m.Send(&Install{Index: 5, State: fresh, Pending: p, Since: &replay{closed: &closed, each: func(f func(*decision.Outcome)) error {
			for i := range uint32(4) {
				o := outcome("a", decision.Classification(1+i%2), i)
				f(&o)
			}
			return nil
		}}})
	})
	if got := scoreOf(t, m, "a"); got != 0.5 {
		t.Errorf("score = %v, want 0.5 from the replayed outcomes", got)
	}
	// A state that cannot be loaded needs no replay, but holds one.
	await(t, func(p *Pending) {
		m.Send(&Install{Index: 6, State: panicky, Pending: p, Since: &replay{closed: &closed}})
	})
	if closed != 2 {
		t.Errorf("the replays were closed %d times, want once each", closed)
	}
}

func TestConfigureKeepsTheState(t *testing.T) {
	m := spawn(t, newSystem(t, nil), epsilonBirth("m"))
	observe(t, m, 2, outcome("a", decision.Positive, 0), outcome("a", decision.Negative, 1))
	spec := epsilonBirth("m").Spec
	spec.Filter.OfferIDs = []string{"b"}
	await(t, func(p *Pending) { m.Send(&Configure{Index: 3, Spec: spec, Pending: p}) })
	observe(t, m, 4, outcome("a", decision.Positive, 2)) // no longer learned from
	if got := scoreOf(t, m, "a"); got != 0.5 {
		t.Errorf("score = %v, want 0.5: the state stays and the filter holds", got)
	}
	await(t, func(p *Pending) {
		m.Send(&Configure{Index: 5, Spec: spec, JSON: []byte(`{"arms":{"a":{"totalReward":3,"pulls":4}}}`), Pending: p})
	})
	if got := scoreOf(t, m, "a"); got != 0.75 {
		t.Errorf("score = %v, want 0.75 from the new state", got)
	}
	state, err := m.StateJSON(t.Context())
	if err != nil || !strings.Contains(string(state), `"totalReward":3`) {
		t.Errorf("StateJSON() = %s, %v", state, err)
	}
}

// A faulted model is configured all the same, so that what lifts the fault starts
// from the configuration that the catalogue shows; a state of its own lifts it.
func TestConfigureReachesAFaultedModel(t *testing.T) {
	m := spawn(t, newSystem(t, nil), epsilonBirth("m"))
	fault := func(index uint64) {
		await(t, func(p *Pending) { m.Send(&Install{Index: index, State: panicky, Pending: p}) })
	}
	spec := epsilonBirth("m").Spec
	spec.Filter.OfferIDs = []string{"b"}

	fault(2)
	await(t, func(p *Pending) { m.Send(&Configure{Index: 3, Spec: spec, Pending: p}) })
	if f := m.Published().Fault; f == nil || f.Index != 2 {
		t.Errorf("fault after a new configuration = %+v, want the one at index 2", f)
	}
	await(t, func(p *Pending) { m.Send(&Reset{Index: 4, Pending: p}) })
	observe(t, m, 5, outcome("a", decision.Positive, 0), outcome("b", decision.Negative, 1))
	if a, b := scoreOf(t, m, "a"), scoreOf(t, m, "b"); a != 1 || b != 0 {
		t.Errorf("scores of a and b = %v, %v, want 1 (never pulled: the filter is in force) and 0", a, b)
	}

	fault(6)
	await(t, func(p *Pending) {
		m.Send(&Configure{Index: 7, Spec: spec, JSON: []byte(`{"arms":{"b":{"totalReward":1,"pulls":2}}}`), Pending: p})
	})
	if f := m.Published().Fault; f != nil {
		t.Errorf("fault after a new state = %+v, want none", f)
	}
	if b := scoreOf(t, m, "b"); b != 0.5 {
		t.Errorf("score of b = %v, want 0.5 from the new state", b)
	}
}

func TestAStoppedModelAnswersNotFound(t *testing.T) {
	s := newSystem(t, nil)
	m := s.Spawn(epsilonBirth("m"))
	await(t, func(p *Pending) { m.Stop(p) })
	<-m.gone
	err := m.Score(context.Background(), &learn.Request{}, &learn.Result{})
	if decision.KindOf(err) != decision.KindNotFound {
		t.Errorf("Score() = %v, want not found", err)
	}
}

// Readers score on the published view while the actor learns.
func TestConcurrentReads(t *testing.T) {
	m := spawn(t, newSystem(t, nil), epsilonBirth("m"))
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			req, res := ask("a"), learn.Result{}
			for {
				select {
				case <-stop:
					return
				default:
				}
				m.Published().View.Score(req, &res)
				if res.Score < 0 || res.Score > 1 {
					t.Errorf("score = %v", res.Score)
					return
				}
			}
		})
	}
	for i := range uint32(500) {
		observe(t, m, uint64(i), outcome("a", decision.Classification(1+i%2), i))
	}
	close(stop)
	readers.Wait()
	if got := scoreOf(t, m, "a"); got != 0.5 {
		t.Errorf("score = %v, want 0.5", got)
	}
}

func TestScoringAllocatesNothing(t *testing.T) {
	m := spawn(t, newSystem(t, nil), epsilonBirth("m"))
	observe(t, m, 2, outcome("a", decision.Positive, 0))
	req, res := ask("a"), learn.Result{}
	if n := testing.AllocsPerRun(1000, func() { m.Published().View.Score(req, &res) }); n != 0 {
		t.Errorf("%v allocations for a score, want 0", n)
	}
}

func BenchmarkModel(b *testing.B) {
	s := NewSystem(zerolog.Nop(), nil)
	defer s.Close()
	m := s.Spawn(epsilonBirth("m"))
	req, res := ask("a"), learn.Result{}
	b.Run("op=score-view", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.Published().View.Score(req, &res)
		}
	})
	b.Run("op=score-message", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = m.Score(b.Context(), req, &res)
		}
	})
	b.Run("op=observe", func(b *testing.B) {
		b.ReportAllocs()
		o := []decision.Outcome{outcome("a", decision.Positive, 0)}
		p := NewPending()
		for b.Loop() {
			m.Send(&Observe{Index: 2, Outcomes: o, Pending: p})
		}
		p.Done()
		<-p.Passed()
	})
	p := NewPending()
	m.Stop(p)
	p.Done()
	<-p.Passed()
}
