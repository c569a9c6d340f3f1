package engine

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/praetor-engine/praetor/actors"
	"github.com/praetor-engine/praetor/cluster"
	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/history"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/types"
	"github.com/praetor-engine/praetor/internal/wire"
)

// logless is a machine whose entries the test makes itself.
type logless struct {
	t     testing.TB
	m     *machine
	index uint64
}

func newLogless(t testing.TB) *logless {
	t.Helper()
	store, err := history.Open(t.TempDir(), history.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	l := &logless{t: t, m: newMachine(store, actors.NewSystem(testLog(t), nil), testLog(t))}
	t.Cleanup(func() {
		if err := l.m.close(); err != nil {
			t.Errorf("close() = %v", err)
		}
	})
	if err := l.m.Restore(nil); err != nil {
		t.Fatal(err)
	}
	return l
}

// apply applies one entry of the commands and waits until it is visible; it
// returns the values of their replies, or their errors.
func (l *logless) apply(commands ...string) []any {
	l.t.Helper()
	l.index++
	type applied struct{ results []any }
	done := make(chan applied, 1)
	go func() {
		a := l.m.Apply(&cluster.Entry{Index: l.index, Term: 1, At: 1_770_000_000_000 + int64(l.index), Commands: commands})
		<-a.Done
		done <- applied{a.Results}
	}()
	select {
	case a := <-done:
		values := make([]any, len(a.results))
		for i, r := range a.results {
			if values[i] = r.(*reply).value; r.(*reply).err != nil {
				values[i] = r.(*reply).err
			}
		}
		return values
	case <-time.After(limit):
		l.t.Fatalf("entry %d does not end", l.index)
		return nil
	}
}

func encode(t testing.TB, kind command.Kind, tenant string, payload any) string {
	t.Helper()
	b, err := command.Encode(&command.Header{Kind: kind, Tenant: tenant}, payload)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func recordCommand(outcomes ...OutcomeInput) string {
	b := command.AppendHeader(nil, &command.Header{Kind: command.KindRecord, Tenant: "t1"})
	b = wire.AppendUvarint(b, uint64(len(outcomes)))
	for i := range outcomes {
		outcomes[i].At = 1_770_000_000_000
		b = command.AppendRecorded(b, &outcomes[i].Outcome, outcomes[i].Fingerprint)
	}
	return string(b)
}

func (l *logless) create(id string, kind decision.ModelType, pairs ...string) {
	l.t.Helper()
	l.apply(encode(l.t, command.KindCreateModel, "t1", command.CreateModel{ID: id, Fields: fields(l.t, id, kind, pairs...)}))
}

// trainedCommand trains a model on the history up to a log index.
func trainedCommand(m *machine, mr *modelRuntime, revision, through uint64) (c command.InstallTraining, err error) {
	spec, err := specOf(&mr.record.Load().Model)
	if err != nil {
		return c, err
	}
	src := &source{machine: m, ordinal: mr.ordinal, modelID: mr.id, spec: &spec, through: through}
	t, _ := types.Of(spec.Type)
	trained, err := t.Train(context.Background(), spec, src, learn.TrainOptions{})
	return command.InstallTraining{
		ID: mr.id, Revision: revision, Through: through, State: trained.State,
		Metrics: json.RawMessage(`{"auc":0.5}`), SampleCount: trained.SampleCount,
	}, err
}

func (l *logless) installCommand(id string, through uint64) string {
	l.t.Helper()
	mr := l.m.directory.mustModel(id)
	c, err := trainedCommand(l.m, mr, mr.record.Load().Revision, through)
	if err != nil {
		l.t.Fatal(err)
	}
	return encode(l.t, command.KindInstallTraining, "t1", c)
}

func (l *logless) state(id string) string {
	l.t.Helper()
	c := <-l.m.directory.mustModel(id).handle.Capture()
	if c.Fault != nil {
		l.t.Fatalf("model %s is faulted: %s", id, c.Fault.Reason)
	}
	return string(c.State)
}

// A training's result in the middle of an entry, between outcomes, and after
// entries the training did not read: every outcome is learned once, in order.
func TestInstallBetweenOutcomesOfOneEntry(t *testing.T) {
	l := newLogless(t)
	l.apply(encode(t, command.KindCreateTenant, "", command.CreateTenant{ID: "t1", Name: "t1"}))
	l.create("m", decision.OnlineLearner)
	l.create("twin", decision.OnlineLearner)
	l.apply(recordCommand(mixed(80)...))
	install := l.installCommand("m", l.index)
	l.apply(recordCommand(mixed(7)...))
	l.apply(recordCommand(mixed(5)...), recordCommand(mixed(3)...))
	values := l.apply(recordCommand(mixed(9)...), recordCommand(mixed(2)...), install, recordCommand(mixed(6)...))
	for _, v := range values {
		if err, ok := v.(error); ok {
			t.Fatalf("the entry gave %v", err)
		}
	}
	if got, want := l.state("m"), l.state("twin"); got != want {
		t.Errorf("state = %x, want what observing alone gives, %x", got, want)
	}
	// A second one without outcomes before it in its entry, and one after which
	// nothing comes.
	install = l.installCommand("m", l.index)
	l.apply(install, recordCommand(mixed(4)...))
	install = l.installCommand("m", l.index-1)
	l.apply(recordCommand(mixed(4)...))
	l.apply(install)
	if got, want := l.state("m"), l.state("twin"); got != want {
		t.Errorf("state after more trainings = %x, want %x", got, want)
	}
}

// An entry that installs a training and then needs the state of the same model,
// for a reset or another version, must not wait for itself.
func TestInstallAndResetInOneEntry(t *testing.T) {
	l := newLogless(t)
	l.apply(encode(t, command.KindCreateTenant, "", command.CreateTenant{ID: "t1", Name: "t1"}))
	l.create("m", decision.OnlineLearner)
	l.create("twin", decision.OnlineLearner)
	l.apply(recordCommand(mixed(80)...))
	install := l.installCommand("m", l.index)
	l.apply(recordCommand(mixed(10)...))
	learned := l.state("m")
	values := l.apply(
		recordCommand(mixed(5)...),
		install,
		encode(t, command.KindResetLearning, "t1", command.ModelRef{ID: "m"}),
		encode(t, command.KindDigest, "", nothing{}),
		recordCommand(mixed(1)...),
		encode(t, command.KindDeleteModel, "t1", command.DeleteModel{ID: "twin"}),
	)
	for i, v := range values {
		if err, ok := v.(error); ok {
			t.Errorf("command %d gave %v", i, err)
		}
	}
	if got := l.state("m"); got == learned {
		t.Error("the reset has no effect")
	}
	rec := l.m.directory.mustModel("m").record.Load()
	if rec.Version != 3 {
		t.Errorf("version = %d, want 3", rec.Version)
	}
	// The reset kept what was learned before it, of this entry too.
	if v := l.apply(encode(t, command.KindRestoreVersion, "t1", command.RestoreVersion{ID: "m", Version: 2}))[0]; isError(v) {
		t.Fatalf("RestoreVersion = %v", v)
	}
	l.create("again", decision.OnlineLearner)
	all := append(append(mixed(80), mixed(10)...), mixed(5)...)
	want := newLogless(t)
	want.apply(encode(t, command.KindCreateTenant, "", command.CreateTenant{ID: "t1", Name: "t1"}))
	want.create("m", decision.OnlineLearner)
	want.apply(recordCommand(all...))
	if got := l.state("m"); got != want.state("m") {
		t.Errorf("state before the reset = %x, want that of all 95 outcomes, %x", got, want.state("m"))
	}
}

func isError(v any) bool { _, ok := v.(error); return ok }

// What a log may hold that this build does not know, or that is damaged, is an
// error to its proposer and changes nothing.
func TestUnreadableCommands(t *testing.T) {
	l := newLogless(t)
	l.apply(encode(t, command.KindCreateTenant, "", command.CreateTenant{ID: "t1", Name: "t1"}))
	l.create("m", decision.EpsilonGreedy)
	before := l.state("m")
	good := recordCommand(mixed(3)...)
	for what, c := range map[string]string{
		"nothing":                    "",
		"half a header":              good[:2],
		"half of the outcomes":       good[:len(good)-1],
		"more than the outcomes":     good + "x",
		"an unknown kind":            encode(t, 200, "t1", nothing{}),
		"a payload that is no JSON":  encode(t, command.KindDeleteModel, "t1", nothing{}) + "x",
		"a model that is not there":  encode(t, command.KindDeleteModel, "t1", command.DeleteModel{ID: "x"}),
		"a tenant that is not there": encode(t, command.KindDeleteModel, "t9", command.DeleteModel{ID: "m"}),
		"limits out of range":        encode(t, command.KindSetSettings, "", command.SetSettings{}),
	} {
		if v := l.apply(c)[0]; !isError(v) {
			t.Errorf("%s gave %v, want an error", what, v)
		}
	}
	if got := l.state("m"); got != before {
		t.Errorf("state = %x, want it unchanged, %x", got, before)
	}
	if got := l.m.history.Count(1); got != 0 {
		t.Errorf("%d interactions, want none", got)
	}
}

// Two machines that apply the same entries are the same, whatever the order in
// which their actors happen to run.
func TestMachinesAreDeterministic(t *testing.T) {
	var digests []string
	for range 3 {
		l := newLogless(t)
		l.apply(encode(t, command.KindCreateTenant, "", command.CreateTenant{ID: "t1", Name: "t1"}))
		for _, kind := range []decision.ModelType{decision.ThompsonBandit, decision.EpsilonGreedy, decision.OnlineLearner} {
			l.create(string(kind), kind)
		}
		l.create("auto", decision.Bayesian, "learningConfig", `{"autoLearn":true}`, "config", `{"binEdges":{"x":[0.5]}}`)
		for i := range 20 {
			l.apply(recordCommand(mixed(10+i)...), recordCommand(mixed(i+1)...))
		}
		l.apply(l.installCommand("online_learner", 10), l.installCommand("auto", 12))
		p, err := applyDigest(l.m, &entryContext{index: l.index}, "", nothing{})
		if err != nil {
			t.Fatal(err)
		}
		d, err := p.wait(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		b, _ := json.Marshal(d)
		digests = append(digests, string(b))
	}
	if digests[0] != digests[1] || digests[1] != digests[2] || strings.Contains(digests[0], "fault") {
		t.Errorf("digests differ:\n%s", strings.Join(digests, "\n"))
	}
}

// Whatever a log holds, applying it ends without a panic: a panic would end the
// process, and again at every restart.
func FuzzApply(f *testing.F) {
	l := newLogless(f)
	l.apply(encode(f, command.KindCreateTenant, "", command.CreateTenant{ID: "t1", Name: "t1"}))
	l.create("m", decision.EpsilonGreedy)
	f.Add(recordCommand(mixed(2)...))
	f.Add(encode(f, command.KindCreateModel, "t1", command.CreateModel{ID: "x"}))
	f.Add(encode(f, command.KindCreateModel, "t1", command.CreateModel{ID: "y", Fields: fields(f, "y", decision.OnlineLearner)}))
	f.Add(encode(f, command.KindUpdateModel, "t1", command.UpdateModel{ID: "m", Fields: with(f, fields(f, "m", decision.EpsilonGreedy), "config", `{"epsilon":0}`)}))
	f.Add(encode(f, command.KindInstallTraining, "t1", command.InstallTraining{ID: "m", Revision: 1, State: []byte{1}}))
	f.Add(encode(f, command.KindRestoreVersion, "t1", command.RestoreVersion{ID: "m", Version: 1}))
	f.Add(encode(f, command.KindResetLearning, "t1", command.ModelRef{ID: "m"}))
	f.Add(encode(f, command.KindTransition, "t1", command.Transition{ID: "m", Transition: catalogue.Transition{To: "challenger", Actor: "a"}}))
	f.Add(encode(f, command.KindTransition, "t1", command.Transition{ID: "m", Transition: catalogue.Transition{To: "champion", Metrics: map[string]float64{"psi.x": 1}}}))
	f.Add(encode(f, command.KindTransition, "t1", command.Transition{Invalid: true}))
	f.Add(encode(f, command.KindCreateKey, "t1", command.CreateKey{}))
	f.Add(encode(f, command.KindCreateOutcomeType, "t1", command.PutOutcomeType{}))
	f.Add(encode(f, command.KindSetSettings, "", command.SetSettings{}))
	f.Add(encode(f, command.KindDeleteTenant, "", command.DeleteTenant{}))
	f.Fuzz(func(t *testing.T, c string) {
		l.t = t
		l.apply(c)
		// And what the next node restores from is whole.
		capture := l.m.catalogue.Capture()
		registry, err := capture.Registry()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := catalogue.Restore(registry, string(capture.AppendAnswers(nil))); err != nil {
			t.Fatalf("after %q: Restore() = %v", c, err)
		}
	})
}
