package optimization

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/attribution"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/factorial"
	"github.com/praetor-engine/praetor/internal/factorial/posterior"
	"github.com/praetor-engine/praetor/internal/wire"
)

const hour = 3600_000

// page is a valid definition with six variants and three contexts.
func page() *Definition {
	level := factorial.StringOf
	return &Definition{
		Name: "page", ModelType: CMAB, HoldoutPercentage: 10, Excluded: []factorial.Combination{{"headline": level("none"), "badge": factorial.BoolOf(true)}},
		TrainingDataConfig: TrainingDataConfig{
			DesignFactors: []factorial.Factor{
				{Name: "headline", Type: factorial.String, Levels: []factorial.Value{level("short"), level(`"long"`), level("none")}},
				{Name: "badge", Type: factorial.Bool, Levels: []factorial.Value{factorial.BoolOf(false), factorial.BoolOf(true)}},
			},
			ContextFactors: []factorial.Factor{{Name: "device", Type: factorial.String, Levels: []factorial.Value{level("desktop"), level("mobile")}}},
			Reward:         Reward{Name: "signup", Type: BoolReward},
			Attribution:    Attribution{Type: "last_touch", ConversionWindowHours: 24},
		},
	}
}

func planned(t testing.TB) *Plan {
	t.Helper()
	p, err := page().Plan()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPlanNamesEveryField(t *testing.T) {
	d := page()
	d.Name, d.ModelType, d.HoldoutPercentage = "", "oracle", 91
	d.AutoTrain = &AutoTrain{}
	d.TrainingDataConfig.Reward = Reward{}
	d.TrainingDataConfig.Attribution = Attribution{"x", 0}
	d.TrainingDataConfig.DesignFactors = nil
	_, err := d.Plan()
	if err == nil {
		t.Fatal("want an error")
	}
	for _, want := range []string{"[name:", "[model_type:", "[holdout_percentage:", "[auto_train:", "reward.name:", "reward.type:", "attribution.type:", "conversion_window_hours:", "design_factors:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want a problem at %s", err, want)
		}
	}
}

func TestAppendVariant(t *testing.T) {
	if got, want := string(planned(t).AppendVariant(nil, 3)), `{"headline":"\"long\"","badge":true}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A registry's life; what is refused changes nothing, and its form gives it back.
func TestRegistry(t *testing.T) {
	r := NewRegistry()
	check := func(err error, want decision.Kind) {
		t.Helper()
		if err == nil || decision.KindOf(err) != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	o, err := r.Create("t", "o1", "m1", page(), 5)
	if err != nil || o.Status != Live || r.Current(o).Status != ModelCreated {
		t.Fatalf("Create() = %+v, %v", o, err)
	}
	_, err = r.Create("t", "o1", "m9", page(), 5)
	check(err, decision.KindConflict)
	_, err = r.Optimization("u", "o1")
	check(err, decision.KindNotFound)
	_, _, err = r.CreateModel("t", "o1", "m2", 6)
	check(err, decision.KindConflict)
	m, err := r.Begin("t", "m1", 7, "n1", 1000)
	if err != nil || m.Status != ModelTraining {
		t.Fatalf("Begin() = %+v, %v", m, err)
	}
	_, err = r.Begin("t", "m1", 8, "n2", 1000+TrainingLease-1)
	check(err, decision.KindConflict)
	if m, err = r.Begin("t", "m1", 9, "n2", 1000+TrainingLease); err != nil || m.Before != ModelCreated {
		t.Errorf("Begin() after the lease = %+v, %v", m, err)
	}
	_, err = r.Install("t", "m1", 7, &Summary{}, 2000)
	check(err, decision.KindConflict)
	if m, err = r.Install("t", "m1", 9, &Summary{Exposures: 3}, 2000); err != nil || m.Status != ModelTrained || m.Summary.At != 2000 || m.Run != 0 {
		t.Errorf("Install() = %+v, %v", m, err)
	}
	holdout := 20.0
	if o, err = r.Patch("t", "o1", &Patch{HoldoutPercentage: &holdout}, 9); err != nil || o.HoldoutPercentage != 20 || o.Name != "page" {
		t.Errorf("Patch() = %+v, %v", o, err)
	}
	if got := r.Rewarded("t", "signup"); len(got) != 1 || len(r.Rewarded("t", "x")) != 0 || len(r.Rewarded("u", "signup")) != 0 {
		t.Errorf("Rewarded() = %v", got)
	}
	// Of many deleted models the newest are remembered.
	last := "m1"
	for i := range 2 * maxArchivedModels {
		if _, err := r.DeleteModel("t", last, 10); err != nil {
			t.Fatal(err)
		}
		_, err = r.DeleteModel("t", last, 10)
		check(err, decision.KindNotFound)
		_, err = r.Begin("t", last, 11, "n", 10)
		check(err, decision.KindConflict)
		last = fmt.Sprint("m", i+2)
		if _, _, err := r.CreateModel("t", "o1", last, 11); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.Models("t")); n != maxArchivedModels+1 {
		t.Errorf("%d models are remembered, want %d", n, maxArchivedModels+1)
	}
	form, err := r.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ReadRegistry(string(form))
	if err != nil || !reflect.DeepEqual(again, r) {
		t.Errorf("ReadRegistry() = %+v, %v, want %+v", again, err, r)
	}
	held := r.Capture()
	if gone := r.DropTenant("t"); len(gone) != 1 || len(r.Models("t")) != 0 || len(held.Models("t")) == 0 {
		t.Errorf("DropTenant() = %v", gone)
	}
}

func TestEventsReadAsWritten(t *testing.T) {
	all := []Event{
		{Visitor: "v", Sequence: 3, Binds: true, Propensity: 0.25, Exposure: attribution.Exposure{At: 77, Cell: 2, Variant: 5}},
		{Visitor: "w", Sequence: 300, Exposure: attribution.Exposure{At: 5, Key: 9, Holdout: true}},
		{Visitor: "v", Name: "signup", IsReward: true, Reward: attribution.Reward{At: 77, Value: -3}},
		{Visitor: "v", Sequence: 1, IsReward: true, Reward: attribution.Reward{At: 6, Key: 1, Value: 1_000_000}},
	}
	var b []byte
	for _, e := range all {
		if e.Exposure.At == 77 {
			e.Exposure.At = 0
		}
		if e.Reward.At == 77 {
			e.Reward.At = 0
		}
		b = e.Append(b)
	}
	r := wire.NewReader(string(b))
	got := ReadEvents(&r, 77)
	if err := r.Close(); err != nil || !reflect.DeepEqual(got, all) {
		t.Errorf("got %+v, %v, want %+v", got, err, all)
	}
	if n := len((&Event{Visitor: strings.Repeat("v", 36), Sequence: 200, Binds: true}).Append(nil)); n > 60 {
		t.Errorf("a serve has %d bytes in the log, want at most 60", n)
	}
}

func FuzzReadEvents(f *testing.F) {
	e := Event{Visitor: "v", Sequence: 3, Binds: true, Propensity: 0.25, Exposure: attribution.Exposure{At: 77, Cell: 2, Variant: 5}}
	f.Add(string(e.Append(nil)))
	e = Event{Visitor: "v", Name: "signup", IsReward: true}
	f.Add(string(e.Append(nil)))
	f.Fuzz(func(t *testing.T, s string) {
		r := wire.NewReader(s)
		events := ReadEvents(&r, 1)
		if r.Close() != nil {
			return
		}
		var b []byte
		for i := range events {
			b = events[i].Append(b)
		}
		r = wire.NewReader(string(b))
		if again := ReadEvents(&r, 1); r.Close() != nil || !reflect.DeepEqual(again, events) {
			t.Errorf("got %+v again, want %+v", again, events)
		}
	})
}

// grown is what an optimization knows after many events of some visitors.
func grown(t testing.TB, events int) *Learned {
	t.Helper()
	l, rng := NewLearned("o", planned(t)), rand.New(rand.NewPCG(1, 2))
	for i := range events {
		now := int64(1_000_000_000 + i*60_000)
		e := Event{Visitor: fmt.Sprint("v", rng.IntN(events/4+1))}
		if i%4 == 3 {
			e.IsReward, e.Reward = true, attribution.Reward{At: now, Value: 1_000_000}
		} else {
			e.Binds, e.Propensity = true, 0.25
			e.Exposure = attribution.Exposure{At: now, Cell: uint64(rng.IntN(3)), Variant: uint16(rng.IntN(5))}
		}
		if got := l.Record(&e, now); got != Accepted {
			t.Fatalf("event %d: got %d", i, got)
		}
	}
	return l
}

func (l *Learned) train(t testing.TB) *Learned {
	t.Helper()
	table, _ := l.Mark(2_000_000_000_000)
	trained, err := posterior.Train(t.Context(), l.plan.Space, l.plan.Model, l.plan.Reward, table.Observed(), posterior.Options{Draws: 64})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Install(string(trained.Append(nil)), ArmsOf(table)); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLearnedReadsAsWritten(t *testing.T) {
	for _, l := range []*Learned{NewLearned("o", planned(t)), grown(t, 500), grown(t, 500).train(t)} {
		form := l.Append(nil)
		again, err := ReadLearned("o", l.plan, string(form))
		if err != nil {
			t.Fatal(err)
		}
		if got := again.Append(nil); string(got) != string(form) {
			t.Error("the form of what was read is another")
		}
		if got, want := string(again.AppendDigest(nil)), string(l.AppendDigest(nil)); got != want {
			t.Errorf("digest %x, want %x", got, want)
		}
		if got, want := again.Publish(), l.Publish(); got.Seen != want.Seen || got.Events != want.Events || got.Kept.Len() != want.Kept.Len() || (got.Trained == nil) != (want.Trained == nil) {
			t.Errorf("view %+v, want %+v", got, want)
		}
	}
	a, b := grown(t, 500), grown(t, 500)
	b.Record(&Event{Visitor: "v1", Exposure: attribution.Exposure{At: 5}}, 6)
	if string(a.AppendDigest(nil)) == string(b.AppendDigest(nil)) {
		t.Error("different states have one digest")
	}
}

func FuzzReadLearned(f *testing.F) {
	f.Add(string(grown(f, 20).Append(nil)))
	f.Add(string(grown(f, 20).train(f).Append(nil)))
	plan := planned(f)
	f.Fuzz(func(t *testing.T, s string) {
		if l, err := ReadLearned("o", plan, s); err == nil {
			l.Publish()
			l.AppendDigest(nil)
		}
	})
}

// A visitor keeps a variant for the window after it was given, whatever is recorded
// meanwhile, and another one after.
func TestVisitorsKeepTheirVariant(t *testing.T) {
	l := NewLearned("o", planned(t))
	expose := func(variant uint16, at int64) {
		l.Record(&Event{Visitor: "v", Binds: true, Propensity: 0.5, Exposure: attribution.Exposure{At: at, Variant: variant}}, at)
	}
	keeps := func(at int64) int {
		a := l.Publish().Kept.Of(factorial.DrawKey("o", "v"))
		if !a.Holds(at, 24*hour) {
			return -1
		}
		return a.Variant
	}
	const t0 = 1000 * hour
	if got := keeps(t0); got != -1 {
		t.Errorf("before: keeps %d", got)
	}
	expose(3, t0)
	expose(4, t0+hour)
	if got := keeps(t0 + 24*hour - 1); got != 3 {
		t.Errorf("within the window: keeps %d, want 3", got)
	}
	if got := keeps(t0 + 24*hour); got != -1 {
		t.Errorf("after the window: keeps %d, want nothing", got)
	}
	expose(4, t0+24*hour)
	if got := keeps(t0 + 25*hour); got != 4 {
		t.Errorf("given anew: keeps %d, want 4", got)
	}
	// One of long ago binds nobody.
	l = NewLearned("o", planned(t))
	l.Record(&Event{Visitor: "v", Binds: true, Exposure: attribution.Exposure{At: t0 - 24*hour, Variant: 2}}, t0)
	if got := l.Publish().Kept.Len(); got != 0 {
		t.Errorf("%d visitors keep something of long ago", got)
	}
}

// Memory is bounded, by visitor and in all, and time makes room.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	l := NewLearned("o", planned(t))
	at := int64(1000 * hour)
	for i := range MaxEventsOfVisitor + 10 {
		want := Accepted
		if i >= MaxEventsOfVisitor {
			want = NoRoom
		}
		if got := l.Record(&Event{Visitor: "robot", Exposure: attribution.Exposure{At: at}}, at); got != want {
			t.Fatalf("event %d of one visitor: got %d, want %d", i, got, want)
		}
	}
	if v := l.Publish(); v.Dropped != 10 || v.Seen != MaxEventsOfVisitor {
		t.Errorf("got %+v", v)
	}
	l.limit, l.lookAt = 5000, 2500
	i := 0
	fill := func() Outcome {
		i++
		return l.Record(&Event{Visitor: fmt.Sprint("v", i), Binds: true, Exposure: attribution.Exposure{At: at}}, at)
	}
	for l.Publish().Events < l.limit {
		if got := fill(); got != Accepted {
			t.Fatalf("event %d: got %d", i, got)
		}
	}
	if got := fill(); got != NoRoom {
		t.Errorf("beyond the bound: got %d, want no room", got)
	}
	at += 48*hour + 1 // no event of now can be credited to what was
	if got := fill(); got != Accepted {
		t.Errorf("two windows later: got %d, want accepted", got)
	}
	v := l.Publish()
	if v.Events != 1 || v.Kept.Len() != 1 {
		t.Errorf("%d events and %d visitors are remembered, want 1 and 1", v.Events, v.Kept.Len())
	}
	table, seen := l.Mark(at + 24*hour)
	if want := uint64(l.limit + 1); table.Exposures() != want || seen != want {
		t.Errorf("%d exposures are counted of %d, want %d", table.Exposures(), seen, want)
	}
	if got := l.Record(&Event{Visitor: "late", Exposure: attribution.Exposure{At: at - 24*hour - 1}}, at); got != TooLate {
		t.Errorf("an event of before: got %d, want too late", got)
	}
}
