package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/evolve"
	"github.com/praetor-engine/praetor/internal/mlclient"
)

// healthy plays an ML worker that is there and is never asked for more.
func healthy(t *testing.T) func(*Config) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"status":"ok","capabilities":["lightgbm"],"protocol":1}`))
	}))
	t.Cleanup(s.Close)
	return func(c *Config) { c.Worker = mlclient.DefaultConfig(s.URL, "") }
}

// Every type, with every way to configure its evolution, is upgraded to what the
// ladder says, or refused with the reason.
func TestUpgrades(t *testing.T) {
	for _, worker := range []bool{false, true} {
		var change []func(*Config)
		if worker {
			change = append(change, healthy(t))
		}
		n := fresh(t, change...)
		for i, config := range []string{`{}`, `{"targetTier":"bayesian"}`, `{"skipTiers":true}`, `{"skipTiers":true,"targetTier":"logistic_regression"}`} {
			for _, from := range []decision.ModelType{
				decision.Scorecard, decision.Bayesian, decision.LogisticRegression, decision.GradientBoosted,
				decision.ThompsonBandit, decision.EpsilonGreedy, decision.NeuralCF, decision.OnlineLearner,
			} {
				m := n.model(fmt.Sprint(from, "/", i), from, "evolutionConfig", config)
				c := evolutionOf(m)
				want, ok := c.Next(from)
				if !ok {
					want, ok = evolve.Next(from)
				}
				up, _, err := n.Upgrade(n.ctx, n.w(), m.ID, false)
				got := up.Upgraded
				what := fmt.Sprintf("Upgrade(%s with %s), worker %v", from, config, worker)
				switch {
				case !ok:
					wantError(t, what, err, decision.KindBadRequest, "")
				case want == decision.GradientBoosted && !worker:
					wantError(t, what, err, decision.KindUnavailable, "")
				case err != nil || got.ModelType != want || got.Key != m.Key+"-"+string(want):
					t.Errorf("%s = %+v, %v, want a %s", what, got, err, want)
				}
			}
		}
	}
}

// The new model has what the old one learns from and nothing of what it is.
func TestUpgradeTakesAlong(t *testing.T) {
	n := fresh(t)
	n.record(mixed(120)...)
	old := n.model("m", decision.Bayesian, "family", `"fam"`, "description", `"d"`, "predictors", `["x",{"field":"y","selected":false}]`, "targetField", `"bought"`,
		"learningConfig", `{"adaptive":"ladder"}`, "outcomeWeights", `{"click":1,"dismiss":-1}`, "config", `{"smoothing":3}`, "evolutionConfig", `{"targetTier":"logistic_regression"}`)
	n.train(old.ID)
	n.stand(old.ID, decision.RegistryChallenger)
	n.stand(old.ID, decision.RegistryChampion)
	before := n.get(old.ID)
	up, receipt, err := n.Upgrade(n.ctx, n.keyed("up", 1), old.ID, true)
	if err != nil {
		t.Fatal(err)
	}
	first := up.Upgraded
	again, replayed, err := n.Upgrade(n.ctx, n.keyed("up", 1), old.ID, true)
	if err != nil || again.Upgraded.ID != first.ID || again.Experiment.ID != up.Experiment.ID || !replayed.Replayed || receipt.Replayed {
		t.Errorf("the same request again = %+v, %+v, %v, want the first answer", again, replayed, err)
	}
	x := up.Experiment
	if x == nil || x.Key != first.Key || x.Name != "m: Champion vs Logistic Regression Upgrade" || x.Status != "draft" || x.ChampionModelID != old.ID ||
		len(x.Challengers) != 1 || x.Challengers[0].ModelID != first.ID || x.Challengers[0].TrafficPct != x.TrafficSplit.ChampionPct {
		t.Errorf("the experiment is %+v", x)
	}
	if made := n.audits("t1", AuditFilter{EntityType: auditExperiment}); len(made) != 1 || made[0].EntityID != x.ID || made[0].Action != "create" {
		t.Errorf("the audit log has %+v of the experiment", made)
	}
	up, _, err = n.Upgrade(n.ctx, n.w(), old.ID, false)
	second := up.Upgraded
	if up.Experiment != nil {
		t.Errorf("the experiment is %+v, want none", up.Experiment)
	}
	if err != nil || first.Key != "m-logistic_regression" || second.Key != "m-logistic_regression-2" {
		t.Errorf("keys %s and %s, %v", first.Key, second.Key, err)
	}
	same := func(what string, got, want any) {
		t.Helper()
		g, _ := json.Marshal(got)
		w, _ := json.Marshal(want)
		if string(g) != string(w) {
			t.Errorf("%s = %s, want %s", what, g, w)
		}
	}
	same("name", first.Name, old.Name)
	same("description", first.Description, old.Description)
	same("family", first.Family, "fam")
	same("predictors", first.Predictors, old.Predictors)
	same("targetField", first.TargetField, "bought")
	same("learningConfig", first.LearningConfig, old.LearningConfig)
	same("outcomeWeights", first.OutcomeWeights, old.OutcomeWeights)
	same("evolutionConfig", first.EvolutionConfig, old.EvolutionConfig)
	same("config", first.Config, json.RawMessage(`{}`))
	same("status", first.Status, decision.StatusDraft)
	same("registryStatus", first.RegistryStatus, decision.RegistryDraft)
	same("trainingSamples", first.TrainingSamples, 0)
	same("version", first.Version, 1)
	same("the old model", n.get(old.ID), before)

	v, err := n.Evolution("t1", first.ID)
	if err != nil || len(v.Timeline) != 1 || v.Timeline[0].Reason != catalogue.ReasonEvolve || *v.From != old.ID || v.To != nil || v.Progress != nil {
		t.Errorf("Evolution() of the new model = %+v, %v", v, err)
	}
	if v, err = n.Evolution("t1", old.ID); err != nil || *v.To != second.ID || v.From != nil {
		t.Errorf("Evolution() of the old model = %+v, %v", v, err)
	}
	// What the new one began with can be had back.
	n.train(first.ID)
	fresh := n.state(second.ID)
	if _, _, err := n.RestoreVersion(n.ctx, n.w(), first.ID, 1); err != nil || n.state(first.ID) != fresh {
		t.Errorf("RestoreVersion(1) = %v, state %s, want %s", err, n.state(first.ID), fresh)
	}
	want := n.digest()
	n = n.restart(t)
	wantEqual(t, "after a restart", n.digest(), want)
	n.snapshot()
	n = n.restart(t)
	wantEqual(t, "after a restart from a snapshot", n.digest(), want)
	if v, err := n.Evolution("t1", old.ID); err != nil || *v.To != second.ID {
		t.Errorf("Evolution() after a restart = %+v, %v", v, err)
	}
	_, _, err = n.Upgrade(n.ctx, n.w(), "absent", false)
	wantError(t, "Upgrade() of no model", err, decision.KindNotFound, "")
	_, err = n.Evolution("t2", old.ID)
	wantError(t, "Evolution() of another tenant", err, decision.KindNotFound, "")
}

// The progress is that of the specification, by hand.
func TestProgress(t *testing.T) {
	n := fresh(t)
	for i, tc := range []struct {
		kind    decision.ModelType
		config  string
		samples int
		metrics string
		want    string // progress as JSON
	}{
		{decision.Bayesian, `{"autoEvolve":true,"skipTiers":true,"thresholds":{"gradientBoostedSamples":20000,"gradientBoostedAuc":0.80}}`, 13600, `{"auc":0.78}`,
			`{"nextTier":"gradient_boosted","progressPct":83,"readyToEvolve":false,"details":{"samplesRequired":20000,"samplesActual":13600,"aucRequired":0.8,"aucActual":0.78}}`},
		{decision.Scorecard, `{}`, 50, `{}`,
			`{"nextTier":"bayesian","progressPct":75,"readyToEvolve":false,"details":{"samplesRequired":100,"samplesActual":50,"aucRequired":0,"aucActual":0}}`},
		{decision.Bayesian, `{}`, 1000, `{"auc":null}`,
			`{"nextTier":"logistic_regression","progressPct":100,"readyToEvolve":true,"details":{"samplesRequired":1000,"samplesActual":1000,"aucRequired":0,"aucActual":0}}`},
		{decision.LogisticRegression, `{"thresholds":{"gradientBoostedSamples":0,"gradientBoostedAuc":0.9}}`, 0, `{"auc":0.45}`,
			`{"nextTier":"gradient_boosted","progressPct":75,"readyToEvolve":false,"details":{"samplesRequired":0,"samplesActual":0,"aucRequired":0.9,"aucActual":0.45}}`},
		{decision.LogisticRegression, `{"targetTier":"logistic_regression"}`, 9999, `{"auc":0.9}`, `null`},
		{decision.GradientBoosted, `{}`, 9999, `{}`, `null`},
		{decision.ThompsonBandit, `{}`, 9999, `{}`, `null`},
	} {
		key := fmt.Sprint("m", i)
		x := Export{Format: FormatPraetor, FormatVersion: exportVersion, Model: catalogue.Model{
			Key: key, Name: key, ModelType: tc.kind, Status: decision.StatusActive, Version: 1, TrainingSamples: tc.samples, Metrics: json.RawMessage(tc.metrics),
			EvolutionConfig: json.RawMessage(tc.config), Config: json.RawMessage(`{}`), Predictors: json.RawMessage(`[]`), LearningConfig: json.RawMessage(`{}`), InteractionFeatures: json.RawMessage(`{}`),
		}}
		raw, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		m, _, err := n.ImportModel(n.ctx, n.w(), Import{Format: FormatPraetor, Model: raw})
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		v, err := n.Evolution("t1", m.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := json.Marshal(v.Progress); string(got) != tc.want {
			t.Errorf("%s with %s: progress %s, want %s", tc.kind, tc.config, got, tc.want)
		}
		if v.Config.CurrentTier != tc.kind || v.ModelType != tc.kind || v.ModelKey != key {
			t.Errorf("%s: Evolution() = %+v", key, v)
		}
	}
}

func TestEvolutionConfigIsChecked(t *testing.T) {
	n := fresh(t)
	m := n.model("m", decision.Bayesian)
	for config, path := range map[string]string{
		`{"autoEvolve":1}`:                             "evolutionConfig.autoEvolve",
		`{"targetTier":"thompson_bandit"}`:             "evolutionConfig.targetTier",
		`{"skipTiers":"yes"}`:                          "evolutionConfig.skipTiers",
		`{"thresholds":7}`:                             "evolutionConfig.thresholds",
		`{"thresholds":{"bayesianSamples":-1}}`:        "evolutionConfig.thresholds.bayesianSamples",
		`{"thresholds":{"logisticAuc":2}}`:             "evolutionConfig.thresholds.logisticAuc",
		`{"thresholds":{"gradientBoostedSamples":""}}`: "evolutionConfig.thresholds.gradientBoostedSamples",
		`[]`: "evolutionConfig",
	} {
		f := catalogue.ModelFields{EvolutionConfig: json.RawMessage(config)}
		_, _, err := n.UpdateModel(n.ctx, n.w(), m.ID, f)
		wantError(t, "UpdateModel() with "+config, err, decision.KindBadRequest, path)
		var e *decision.Error
		if errors.As(err, &e) && len(e.Details) != 1 {
			t.Errorf("%s: %d problems, want one: %+v", config, len(e.Details), e.Details)
		}
	}
}

// evolving looks as the leader does until nothing is left to do.
func (n *node) evolving(v *evolver) {
	n.t.Helper()
	for range 10 {
		v.look(n.ctx, time.Now())
		l, err := n.Jobs(n.ctx, "t1", Page{Limit: 100})
		if err != nil {
			n.t.Fatal(err)
		}
		for _, j := range l.Items {
			found, err := n.jobs.find("t1", j.ID)
			if err != nil {
				n.t.Fatal(err)
			}
			<-found.done
		}
	}
}

// A model that is ready after a training is upgraded, the new one trained and
// registered as challenger, once; the champion stays, also through a restart.
func TestModelsEvolve(t *testing.T) {
	n := fresh(t)
	n.record(mixed(300)...)
	const config = `{"autoEvolve":true,"targetTier":"logistic_regression","thresholds":{"bayesianSamples":50,"logisticSamples":100}}`
	m := n.model("m", decision.Scorecard, "evolutionConfig", config, "family", `"f"`)
	manual := n.model("manual", decision.Bayesian, "evolutionConfig", `{"thresholds":{"logisticSamples":1}}`)
	poor := n.model("poor", decision.Bayesian, "evolutionConfig", `{"autoEvolve":true,"thresholds":{"logisticSamples":1,"logisticAuc":1}}`)
	paused := n.model("paused", decision.Bayesian, "evolutionConfig", `{"autoEvolve":true,"thresholds":{"logisticSamples":1}}`)
	for _, id := range []string{m.ID, manual.ID, poor.ID, paused.ID} {
		n.train(id)
	}
	status := decision.StatusPaused
	if _, _, err := n.UpdateModel(n.ctx, n.w(), paused.ID, catalogue.ModelFields{Status: &status}); err != nil {
		t.Fatal(err)
	}
	n.stand(m.ID, decision.RegistryChallenger)
	n.stand(m.ID, decision.RegistryChampion)
	n.evolving(newEvolver(n.Engine))

	family, err := n.Family("t1", "f")
	if err != nil || family.Champion == nil || family.Champion.ModelID != m.ID || len(family.Members) != 3 {
		t.Fatalf("family = %+v, %v, want the champion and two models that evolved", family, err)
	}
	last := n.get(family.Members[0].ModelID)
	if last.ModelType != decision.LogisticRegression || last.RegistryStatus != decision.RegistryChallenger || last.Version != 2 ||
		last.Key != "m-bayesian-logistic_regression" || last.Status != decision.StatusActive {
		t.Errorf("the newest model = %+v", last)
	}
	if middle := n.get(family.Members[1].ModelID); middle.ModelType != decision.Bayesian || middle.RegistryStatus != decision.RegistryChallenger {
		t.Errorf("the model between = %+v", middle)
	}
	if all := n.all(); len(all) != 6 {
		t.Errorf("%d models, want 6: who is poor, paused or manual does not evolve", len(all))
	}
	for _, e := range n.audits("t1", AuditFilter{EntityID: last.ID}) {
		if e.Actor != "evolution" || e.KeyID != "evolution" {
			t.Errorf("%s by %s with %s, want evolution", e.Action, e.Actor, e.KeyID)
		}
	}
	// Once: trained again, taken back to draft, its upgrade deleted, restarted.
	n.train(m.ID)
	n.stand(last.ID, decision.RegistryDraft)
	n.evolving(newEvolver(n.Engine))
	n = n.restart(t)
	n.snapshot()
	n = n.restart(t)
	n.evolving(newEvolver(n.Engine))
	if got := n.get(last.ID); got.RegistryStatus != decision.RegistryDraft || len(n.all()) != 6 {
		t.Errorf("a second time: %+v, %d models", got, len(n.all()))
	}
	// Another leader that proposes the same is refused.
	_, _, err = n.upgrade(n.ctx, n.w(), command.UpgradeModel{ID: m.ID, To: decision.Bayesian, Auto: true})
	wantError(t, "a second evolution", err, decision.KindConflict, "")
}

// The leader evolves by itself; the others do not.
func TestTheLeaderEvolves(t *testing.T) {
	nodes := trio(t)
	n := nodes[0]
	n.record(mixed(300)...)
	m := n.model("m", decision.Bayesian, "evolutionConfig", `{"autoEvolve":true,"thresholds":{"logisticSamples":100}}`, "family", `"f"`)
	n.train(m.ID)
	var f catalogue.FamilyDetail
	until(t, n.ctx, func() (is bool) {
		var err error
		f, err = n.Family("t1", "f")
		return err == nil && len(f.Members) == 2 && f.Members[0].RegistryStatus == decision.RegistryChallenger
	})
	if f.Champion != nil {
		t.Errorf("the champion is %+v, want none", f.Champion)
	}
	_, receipt, err := do[*pendingDigest](n.ctx, n.Engine, &command.Header{Kind: command.KindDigest}, nothing{})
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range nodes {
		if err := other.WaitApplied(other.ctx, receipt.Index); err != nil {
			t.Fatal(err)
		}
		if got, want := other.exported("t1"), n.exported("t1"); got != want || strings.Count(got, `"action":"upgrade"`) != 1 {
			t.Errorf("the audit log is\n%s, want\n%s", got, want)
		}
	}
}

// Without a worker a model waits for the last rung, and takes it when there is one.
func TestEvolutionWaitsForTheWorker(t *testing.T) {
	n := fresh(t)
	n.record(mixed(200)...)
	m := n.model("m", decision.LogisticRegression, "evolutionConfig", `{"autoEvolve":true,"thresholds":{"gradientBoostedSamples":10}}`)
	n.train(m.ID)
	v := newEvolver(n.Engine)
	now := time.Now()
	v.look(n.ctx, now)
	if len(n.all()) != 1 || v.again[m.ID].IsZero() {
		t.Errorf("%d models, tried again at %v, want it to wait", len(n.all()), v.again[m.ID])
	}
	dir := n.dir
	n.stop()
	n = start(t, dir, healthy(t))
	v = newEvolver(n.Engine)
	v.look(context.Background(), now.Add(evolveRetry))
	if l := n.all(); len(l) != 2 {
		t.Errorf("%d models, want the upgraded one too", len(l))
	}
}
