package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
)

func TestTrainingNeedsFiftyInteractions(t *testing.T) {
	n := fresh(t)
	m := n.model("m", decision.LogisticRegression)
	n.record(mixed(49)...)
	_, _, err := n.Train(n.ctx, n.w(), m.ID)
	wantError(t, "Train() with 49 interactions", err, decision.KindUnprocessable, "")
	if err == nil || !strings.Contains(err.Error(), "50") || !strings.Contains(err.Error(), "49") || !hasReason(err, ReasonInsufficientData) {
		t.Errorf("Train() = %v, want what was got and wanted", err)
	}
	n.record(mixed(1)...)
	r := n.train(m.ID)
	if r.Model.Version != 2 || r.Model.Status != decision.StatusActive || r.Model.LastTrainedAt == 0 || r.Model.TrainingSamples != r.SampleCount {
		t.Errorf("Train() = %+v", r.Model)
	}
	_, _, err = n.Train(n.ctx, n.w(), "absent")
	wantError(t, "Train() of a model that does not exist", err, decision.KindNotFound, "")
}

func hasReason(err error, reason string) bool {
	e, ok := err.(*decision.Error)
	return ok && e.Reason == reason
}

func TestTrainingNeedsBothClasses(t *testing.T) {
	n := fresh(t)
	m := n.model("m", decision.LogisticRegression)
	unlabelled := n.model("unlabelled", decision.Bayesian, "outcomeWeights", `{"click":0}`)
	n.record(repeat(60, outcome("click", "c", "o"))...)
	for id, want := range map[string]string{m.ID: "all 60 labelled interactions are positive", unlabelled.ID: "no interaction carries a label"} {
		_, _, err := n.Train(n.ctx, n.w(), id)
		wantError(t, "Train()", err, decision.KindUnprocessable, "")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Train() = %v, want %q", err, want)
		}
		if got := n.get(id); got.Version != 1 || got.Status != decision.StatusDraft {
			t.Errorf("the model is %+v, want it untouched", got)
		}
	}
}

// Every type that trains gets a version, metrics and an entry of metricsHistory,
// and each version's state can be brought back.
func TestVersions(t *testing.T) {
	n := fresh(t)
	n.record(mixed(300)...)
	for _, kind := range []decision.ModelType{
		decision.Scorecard, decision.Bayesian, decision.LogisticRegression, decision.ThompsonBandit, decision.EpsilonGreedy, decision.OnlineLearner,
	} {
		m := n.model(string(kind), kind)
		born := n.state(m.ID)
		r := n.train(m.ID)
		if r.Metrics.SampleCount == 0 || r.Metrics.Evaluation == "" || r.Model.Version != 2 {
			t.Errorf("%s: Train() = %+v, version %d", kind, r.Metrics, r.Model.Version)
		}
		trained := n.state(m.ID)
		n.train(m.ID)
		d, err := n.ModelDetail(n.ctx, "t1", m.ID, false)
		if err != nil || len(d.Versions) != 3 || len(d.MetricsHistory) != 2 || d.Versions[0].Version != 3 || d.Versions[2].Version != 1 {
			t.Fatalf("%s: ModelDetail() = %+v, %v, want three versions, the newest first, and two entries", kind, d.Versions, err)
		}
		var entry struct {
			Version uint64
			Metrics map[string]any
			At      string
		}
		if err := json.Unmarshal(d.MetricsHistory[1], &entry); err != nil || entry.Version != 3 || entry.Metrics["auc"] == nil || entry.At == "" {
			t.Errorf("%s: metricsHistory = %s", kind, d.MetricsHistory[1])
		}
		for version, want := range map[uint64]string{1: born, 2: trained} {
			got, _, err := n.RestoreVersion(n.ctx, n.w(), m.ID, version)
			if err != nil || got.Version < 4 {
				t.Fatalf("%s: RestoreVersion(%d) = %+v, %v", kind, version, got, err)
			}
			if got := n.state(m.ID); got != want {
				t.Errorf("%s: state of version %d restored = %s, want %s", kind, version, got, want)
			}
		}
		_, _, err = n.RestoreVersion(n.ctx, n.w(), m.ID, 77)
		wantError(t, "RestoreVersion(77)", err, decision.KindNotFound, "")
		_, _, err = n.RestoreVersion(n.ctx, n.w(), m.ID, 0)
		wantError(t, "RestoreVersion(0)", err, decision.KindBadRequest, "version")
	}
	// All of it is the same after a restart, and so is what can be restored.
	before := n.digest()
	list, _ := n.Models("t1", Page{Limit: 10})
	n = n.restart(t)
	wantEqual(t, "after a restart", n.digest(), before)
	for _, m := range list.Items {
		want, got := fmt.Sprint(*m), fmt.Sprint(*n.get(m.ID))
		if got != want {
			t.Errorf("model after a restart = %s, want %s", got, want)
		}
		if _, _, err := n.RestoreVersion(n.ctx, n.w(), m.ID, 2); err != nil {
			t.Errorf("RestoreVersion() after a restart = %v", err)
		}
	}
}

func TestResetLearning(t *testing.T) {
	n := fresh(t)
	m := n.model("m", decision.EpsilonGreedy, "config", `{"epsilon":0}`)
	n.record(mixed(60)...)
	n.train(m.ID)
	n.record(outcome("click", "c", "o0"))
	learned := n.state(m.ID)
	got, _, err := n.ResetLearning(n.ctx, n.w(), m.ID)
	if err != nil || got.Version != 3 || got.Status != decision.StatusDraft || got.TrainingSamples != 0 || got.LastTrainedAt != 0 ||
		string(got.Metrics) != "{}" || len(got.MetricsHistory) != 0 {
		t.Errorf("ResetLearning() = %+v, %v", got, err)
	}
	if state := n.state(m.ID); strings.Contains(state, "o0") {
		t.Errorf("state after a reset = %s, want nothing learned", state)
	}
	n.record(outcome("dismiss", "c", "o0"))
	// The state just before the reset is version 2's, what was observed since its
	// training included.
	if _, _, err := n.RestoreVersion(n.ctx, n.w(), m.ID, 2); err != nil {
		t.Fatal(err)
	}
	if state := n.state(m.ID); state != learned {
		t.Errorf("state of the version before the reset = %s, want %s", state, learned)
	}
	card := n.model("card", decision.Scorecard)
	_, _, err = n.ResetLearning(n.ctx, n.w(), card.ID)
	wantError(t, "ResetLearning() of a scorecard", err, decision.KindBadRequest, "")
	if got := n.get(card.ID).Version; got != 1 {
		t.Errorf("version of the scorecard = %d, want 1", got)
	}
	_, _, err = n.ResetLearning(n.ctx, n.w(), "absent")
	wantError(t, "ResetLearning() of a model that does not exist", err, decision.KindNotFound, "")
}

// occupy takes the only training worker until the test lets go of it, so that
// the next training is queued and known to be so.
func (n *node) occupy() (release func()) {
	n.jobs.slots <- struct{}{}
	return sync.OnceFunc(func() { <-n.jobs.slots })
}

func (n *node) ended(id string) Job {
	n.t.Helper()
	var j Job
	until(n.t, n.ctx, func() bool {
		var err error
		j, err = n.Job(n.ctx, n.tenant, id)
		return err == nil && j.FinishedAt != 0
	})
	return j
}

func TestJobs(t *testing.T) {
	n := fresh(t)
	m, other := n.model("m", decision.OnlineLearner), n.model("other", decision.OnlineLearner)
	n.record(mixed(60)...)
	release := n.occupy()
	defer release()
	first, err := n.StartTraining(n.ctx, n.w(), m.ID)
	if err != nil || first.Status != JobQueued || first.ModelID != m.ID || first.Kind != "train" {
		t.Fatalf("StartTraining() = %+v, %v", first, err)
	}
	_, err = n.StartTraining(n.ctx, n.w(), m.ID)
	wantError(t, "a second training of the model", err, decision.KindConflict, "")
	second, err := n.StartTraining(n.ctx, n.w(), other.ID)
	if err != nil {
		t.Fatal(err)
	}
	if n.Stats().JobsRunning != 2 {
		t.Errorf("JobsRunning = %d, want 2", n.Stats().JobsRunning)
	}
	l, err := n.Jobs(n.ctx, "t1", Page{Limit: 1})
	if err != nil || l.Total != 2 || len(l.Items) != 1 || l.Items[0].ID != second.ID || !l.HasMore {
		t.Errorf("Jobs() = %+v, %v, want the newest first", l, err)
	}
	l, err = n.Jobs(n.ctx, "t1", Page{Limit: 1, Cursor: l.Cursor})
	if err != nil || len(l.Items) != 1 || l.Items[0].ID != first.ID || l.HasMore || l.Cursor != "" {
		t.Errorf("second page of Jobs() = %+v, %v", l, err)
	}
	if _, err := n.CancelJob(n.ctx, "t1", first.ID); err != nil {
		t.Fatal(err)
	}
	if j := n.ended(first.ID); j.Status != JobCancelled || j.Error == nil || j.Metrics != nil {
		t.Errorf("a cancelled job = %+v", j)
	}
	if got := n.get(m.ID).Version; got != 1 {
		t.Errorf("version after a cancelled training = %d, want 1", got)
	}
	release()
	j := n.ended(second.ID)
	if j.Status != JobSucceeded || j.Progress != 1 || j.Version != 2 || j.Metrics == nil || j.Error != nil {
		t.Errorf("an ended job = %+v", j)
	}
	if again, err := n.CancelJob(n.ctx, "t1", second.ID); err != nil || again.Status != JobSucceeded {
		t.Errorf("CancelJob() of one that has ended = %+v, %v", again, err)
	}
	_, err = n.Job(n.ctx, "t1", "job_absent")
	wantError(t, "Job() that does not exist", err, decision.KindNotFound, "")
	n.train(m.ID) // the model is free for another one

	release = n.occupy()
	defer release()
	ctx, cancel := context.WithCancel(n.ctx)
	cancel()
	_, _, err = n.Train(ctx, n.w(), m.ID)
	wantError(t, "Train() whose request ends", err, decision.KindUnavailable, "")
	release()
	l, _ = n.Jobs(n.ctx, "t1", Page{Limit: 1})
	if j := n.ended(l.Items[0].ID); j.Status != JobSucceeded {
		t.Errorf("the job of a request that ended = %+v, want it to go on", j)
	}
}

// A request that is repeated finds its training, whether it is under way or has
// ended; one that failed may be tried again.
func TestARepeatedTrainingIsOne(t *testing.T) {
	n := fresh(t)
	m := n.model("m", decision.LogisticRegression)
	n.record(mixed(60)...)
	release := n.occupy()
	defer release()
	start := func(key string, fingerprint uint64) (Job, error) {
		return n.StartTraining(n.ctx, n.keyed(key, fingerprint), m.ID)
	}
	first, err := start("once", 1)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := start("once", 1); err != nil || again.ID != first.ID {
		t.Errorf("a repeated StartTraining() = %+v, %v, want job %s", again, err, first.ID)
	}
	_, err = start("once", 2)
	wantError(t, "StartTraining() with the key of another request", err, decision.KindConflict, "")
	if !hasReason(err, "idempotency_key_reused") {
		t.Errorf("StartTraining() with the key of another request = %v, want the reason idempotency_key_reused", err)
	}
	_, err = start("twice", 1)
	wantError(t, "another training of the model", err, decision.KindConflict, "")
	if _, err := n.CancelJob(n.ctx, "t1", first.ID); err != nil {
		t.Fatal(err)
	}
	n.ended(first.ID)
	second, err := start("once", 1)
	if err != nil || second.ID == first.ID {
		t.Fatalf("StartTraining() after it was cancelled = %+v, %v, want another job", second, err)
	}
	release()
	n.ended(second.ID)
	if again, err := start("once", 1); err != nil || again.ID != second.ID || again.Status != JobSucceeded {
		t.Errorf("StartTraining() after its end = %+v, %v, want job %s", again, err, second.ID)
	}
	if got := n.get(m.ID).Version; got != 2 {
		t.Errorf("version = %d, want 2: trained once", got)
	}
	r, _, err := n.Train(n.ctx, n.keyed("wait", 3), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := n.Train(n.ctx, n.keyed("wait", 3), m.ID)
	if err != nil || again.Model.Version != r.Model.Version || n.get(m.ID).Version != 3 {
		t.Errorf("a repeated Train() = version %d, %v, want %d", again.Model.Version, err, r.Model.Version)
	}
}

// A model that was changed while it was trained keeps what it has.
func TestAChangedModelDiscardsItsTraining(t *testing.T) {
	n := fresh(t)
	n.record(mixed(60)...)
	for what, change := range map[string]func(id string) error{
		"reset":  func(id string) error { _, _, err := n.ResetLearning(n.ctx, n.w(), id); return err },
		"delete": func(id string) error { _, err := n.DeleteModel(n.ctx, n.w(), id, false); return err },
		"configure": func(id string) error {
			_, _, err := n.UpdateModel(n.ctx, n.w(), id, with(t, catalogue.ModelFields{}, "config", `{"learningRate":0.5}`))
			return err
		},
		"train": func(id string) error {
			return n.install(id, n.machine.directory.mustModel(id).record.Load().Revision, n.AppliedIndex())
		},
	} {
		m := n.model(what, decision.OnlineLearner)
		before := n.machine.directory.mustModel(m.ID).record.Load().Revision
		through := n.AppliedIndex()
		if err := change(m.ID); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		want := decision.KindConflict
		if what == "delete" {
			want = decision.KindNotFound
		}
		var state string
		if what != "delete" {
			state = n.state(m.ID)
		}
		wantError(t, "a training's result after a "+what, n.install(m.ID, before, through), want, "")
		if what != "delete" && n.state(m.ID) != state {
			t.Errorf("%s: the discarded result changed the state", what)
		}
	}
	// A change that does not concern the learner discards nothing.
	m := n.model("renamed", decision.OnlineLearner)
	if _, _, err := n.UpdateModel(n.ctx, n.w(), m.ID, with(t, catalogue.ModelFields{}, "name", `"n"`, "status", `"paused"`)); err != nil {
		t.Fatal(err)
	}
	if err := n.install(m.ID, 1, n.AppliedIndex()); err != nil {
		t.Errorf("a training's result after a new name = %v, want it installed", err)
	}
}

func (d *directory) mustModel(id string) *modelRuntime { return (*d.models.Load())[id] }

// install proposes what a training of the model gives that read the history up
// to through.
func (n *node) install(id string, revision, through uint64) error {
	n.t.Helper()
	b, err := n.trained(id, revision, through)
	if err != nil {
		return err
	}
	r, err := n.node.Propose(n.ctx, b)
	if err != nil {
		return err
	}
	return r.Value.(*reply).err
}

// trained returns the command that such a training proposes.
func (n *node) trained(id string, revision, through uint64) ([]byte, error) {
	mr := n.machine.directory.mustModel(id)
	h := n.w()
	if mr == nil { // deleted: the command still comes
		return command.Encode(h.header(command.KindInstallTraining), command.InstallTraining{ID: id, Revision: revision, Through: through, Metrics: json.RawMessage("{}")})
	}
	c, err := trainedCommand(n.machine, mr, revision, through)
	if err != nil {
		return nil, err
	}
	return command.Encode(h.header(command.KindInstallTraining), c)
}

// Trainings and outcomes at the same time: what comes between a training's read
// and its installation is learned too. The twin only observes.
func TestNoOutcomeIsLostToATraining(t *testing.T) {
	n := fresh(t)
	m, twin := n.model("m", decision.OnlineLearner), n.model("twin", decision.OnlineLearner)
	counted := n.model("counted", decision.Bayesian, "learningConfig", `{"autoLearn":true}`)
	const clients, requests, size = 4, 25, 10
	n.record(mixed(60)...)
	var clicking sync.WaitGroup
	for range clients {
		clicking.Go(func() {
			for range requests {
				if _, _, err := n.Respond(n.ctx, n.w(), now(), mixed(size), nil); err != nil {
					t.Errorf("Respond() = %v", err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { clicking.Wait(); close(done) }()
	trainings := 0
	for running := true; running; trainings++ {
		select {
		case <-done:
			running = false // and once more
		default:
		}
		for _, id := range []string{m.ID, counted.ID} {
			if _, _, err := n.Train(n.ctx, n.w(), id); err != nil {
				t.Fatalf("Train() = %v", err)
			}
		}
	}
	t.Logf("%d trainings while %d outcomes came", trainings, clients*requests*size)
	if got, want := n.count(), int64(60+clients*requests*size); got != want {
		t.Errorf("%d interactions, want %d", got, want)
	}
	if got, want := n.state(m.ID), n.state(twin.ID); got != want {
		t.Errorf("state after trainings = %s, want what observing alone gives, %s", got, want)
	}
	labelled := 45 + clients*requests*8 // of four outcomes three teach, of ten eight
	if got, want := n.state(counted.ID), fmt.Sprintf(`"samples":%d`, labelled); !strings.Contains(got, want) {
		t.Errorf("counts = %s, want %s", got, want)
	}
	live := n.digest()
	n = n.restart(t)
	wantEqual(t, "after a restart", n.digest(), live)
	n.stop()
	replayed, err := Replay(context.Background(), n.dir, testLog(t))
	if err != nil {
		t.Fatalf("Replay() = %v", err)
	}
	wantEqual(t, "replay", replayed, live)
}
