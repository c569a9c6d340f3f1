package engine

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
)

func manyKeys(n int) string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf(`"k%d":0`, i)
	}
	return "{" + strings.Join(keys, ",") + "}"
}

func quoted(n int) string { return `"` + strings.Repeat("é", n) + `"` }

func TestInvalidModels(t *testing.T) {
	n := fresh(t)
	n.model("taken", decision.EpsilonGreedy)
	stays := n.model("stays", decision.EpsilonGreedy, "config", `{"epsilon":0}`, "modelState", `{"arms":{"o":{"totalReward":1,"pulls":2}}}`)
	before, state := n.get(stays.ID), n.state(stays.ID)

	for _, c := range []struct {
		kind        decision.ModelType
		field, json string
		path        string
	}{
		{decision.EpsilonGreedy, "key", `""`, "key"},
		{decision.EpsilonGreedy, "key", quoted(256), "key"},
		{decision.EpsilonGreedy, "key", `"taken"`, "key"},
		{"gradient_boasted", "name", `"n"`, "modelType"},
		{decision.EpsilonGreedy, "name", `""`, "name"},
		{decision.EpsilonGreedy, "name", quoted(256), "name"},
		{decision.EpsilonGreedy, "status", `"retired"`, "status"},
		{decision.EpsilonGreedy, "description", quoted(4097), "description"},
		{decision.EpsilonGreedy, "targetField", quoted(256), "targetField"},
		{decision.EpsilonGreedy, "targetSchemaKey", quoted(256), "targetSchemaKey"},
		{decision.EpsilonGreedy, "family", quoted(256), "family"},
		{decision.EpsilonGreedy, "config", `[1]`, "config"},
		{decision.EpsilonGreedy, "config", manyKeys(101), "config"},
		{decision.EpsilonGreedy, "config", `{"epsilon":2}`, "config.epsilon"},
		{decision.EpsilonGreedy, "config", `{"epsilon":"x"}`, "config.epsilon"},
		{decision.EpsilonGreedy, "metrics", `7`, "metrics"},
		{decision.EpsilonGreedy, "modelState", `"x"`, "modelState"},
		{decision.EpsilonGreedy, "modelState", `{"arms":{"o":{"totalReward":3,"pulls":2}}}`, "modelState.arms.o.totalReward"},
		{decision.ThompsonBandit, "modelState", `{"arms":{"o":{"alpha":-1,"beta":2}}}`, "modelState.arms.o.alpha"},
		{decision.LogisticRegression, "modelState", `{"weights":{"x":"y"}}`, "modelState.weights.x"},
		{decision.OnlineLearner, "config", `{"optimizer":"adam"}`, "config.optimizer"},
		{decision.Bayesian, "config", `{"binEdges":{"x":[2,1]}}`, "config.binEdges.x[1]"},
		{decision.Scorecard, "config", `{"rules":[{"field":"x","operator":"near","value":1,"points":1}]}`, "config.rules[0].operator"},
		{decision.Scorecard, "modelState", `{"arms":{}}`, "modelState"},
		{decision.EpsilonGreedy, "predictors", `{}`, "predictors"},
		{decision.EpsilonGreedy, "predictors", `["` + strings.Repeat(`x","`, 500) + `x"]`, "predictors"},
		{decision.EpsilonGreedy, "predictors", `["x",7]`, "predictors[1]"},
		{decision.EpsilonGreedy, "predictors", `["x",{"selected":true}]`, "predictors[1].field"},
		{decision.EpsilonGreedy, "predictors", `[{"field":"x","selected":"yes"}]`, "predictors[0].selected"},
		{decision.EpsilonGreedy, "learningConfig", `[]`, "learningConfig"},
		{decision.EpsilonGreedy, "learningConfig", `{"autoLearn":"yes"}`, "learningConfig.autoLearn"},
		{decision.EpsilonGreedy, "learningConfig", `{"filter":{"offerIds":"o"}}`, "learningConfig.filter.offerIds"},
		{decision.EpsilonGreedy, "outcomeWeights", `{"click":"much"}`, "outcomeWeights"},
		{decision.EpsilonGreedy, "interactionFeatures", `{"features":["visits"]}`, "interactionFeatures.features[0]"},
		{decision.EpsilonGreedy, "interactionFeatures", `{"features":7}`, "interactionFeatures.features"},
		{decision.EpsilonGreedy, "evolutionConfig", `true`, "evolutionConfig"},
	} {
		what := fmt.Sprintf("CreateModel with %s %.60s", c.field, c.json)
		_, _, err := n.CreateModel(n.ctx, n.w(), fields(t, "new", c.kind, c.field, c.json))
		wantError(t, what, err, decision.KindBadRequest, c.path)
		if c.kind != decision.EpsilonGreedy || c.field == "key" {
			continue
		}
		_, _, err = n.UpdateModel(n.ctx, n.w(), stays.ID, with(t, catalogue.ModelFields{}, c.field, c.json))
		wantError(t, "UpdateModel with "+c.field, err, decision.KindBadRequest, c.path)
	}
	_, _, err := n.CreateModel(n.ctx, n.w(), catalogue.ModelFields{})
	for _, path := range []string{"key", "name", "modelType"} {
		wantError(t, "CreateModel without anything", err, decision.KindBadRequest, path)
	}
	if list, err := n.Models("t1", Page{Limit: 100}); err != nil || list.Total != 2 {
		t.Errorf("%d models after it all (%v), want 2", list.Total, err)
	}
	if got := n.get(stays.ID); fmt.Sprint(*before) != fmt.Sprint(*got) {
		t.Errorf("the model is %+v, want it as before, %+v", got, before)
	}
	if got := n.state(stays.ID); got != state {
		t.Errorf("its state is %s, want it as before, %s", got, state)
	}
}

func TestModelLife(t *testing.T) {
	n := fresh(t)
	m := n.model("m", decision.LogisticRegression,
		"modelState", `{"bias":-3.5,"weights":{"credit_score":0.005,"income":0.00002,"age":0.01}}`, "description", `"d"`)
	if m.Version != 1 || m.Status != decision.StatusDraft || m.Family != "m" || m.RegistryStatus != decision.RegistryDraft {
		t.Errorf("a new model = %+v, want version 1, draft, family m, registry draft", m)
	}
	customer := decision.Row{
		{Name: "age", Num: 38, Kind: decision.Number}, {Name: "credit_score", Num: 760, Kind: decision.Number},
		{Name: "income", Num: 95000, Kind: decision.Number}, {Name: "segment", Text: "Gold", Kind: decision.Text},
	}
	if got := n.score(m.ID, "", customer); fmt.Sprintf("%.4f", got) != "0.9296" {
		t.Errorf("score = %.4f, want 0.9296", got)
	}

	// A PUT changes what it has, and no version.
	for _, s := range []decision.Status{decision.StatusPaused, decision.StatusArchived} {
		got, _, err := n.UpdateModel(n.ctx, n.w(), m.ID, with(t, catalogue.ModelFields{}, "status", `"`+string(s)+`"`))
		if err != nil || got.Status != s || got.Version != 1 || got.Description != "d" {
			t.Fatalf("UpdateModel() = %+v, %v", got, err)
		}
		_, err = n.tryScore(m.ID, "", customer)
		wantError(t, "score of a model that is "+string(s), err, decision.KindConflict, "")
	}
	got, _, err := n.UpdateModel(n.ctx, n.w(), m.ID, with(t, catalogue.ModelFields{}, "status", `"active"`, "family", `"cards"`, "name", `"renamed"`))
	if err != nil || got.Family != "cards" || got.Name != "renamed" || got.Key != "m" {
		t.Fatalf("UpdateModel() = %+v, %v", got, err)
	}
	if got := n.score(m.ID, "", customer); fmt.Sprintf("%.4f", got) != "0.9296" {
		t.Errorf("score after renaming = %.4f, want 0.9296", got)
	}
	// The key and the type of a model stay, whatever an update says.
	other := fields(t, "other", decision.Bayesian)
	if got, _, err = n.UpdateModel(n.ctx, n.w(), m.ID, other); err != nil || got.Key != "m" || got.ModelType != decision.LogisticRegression {
		t.Errorf("UpdateModel() with a key and a type = %+v, %v, want both as they were", got, err)
	}
	// modelState is replaced whole.
	if _, _, err := n.UpdateModel(n.ctx, n.w(), m.ID, with(t, catalogue.ModelFields{}, "modelState", `{"bias":0,"weights":{}}`)); err != nil {
		t.Fatalf("UpdateModel() = %v", err)
	}
	if got := n.score(m.ID, "", customer); got != 0.5 {
		t.Errorf("score of an empty state = %v, want 0.5", got)
	}
	d, err := n.ModelDetail(n.ctx, "t1", m.ID, false)
	if err != nil || d.ModelState != nil || len(d.Versions) != 0 {
		t.Errorf("ModelDetail() = %+v, %v, want no state unless asked for, and no versions yet", d, err)
	}

	if _, err := n.DeleteModel(n.ctx, n.w(), m.ID, false); err != nil {
		t.Fatalf("DeleteModel() = %v", err)
	}
	_, err = n.Model("t1", m.ID)
	wantError(t, "Model() of a deleted one", err, decision.KindNotFound, "")
	_, err = n.tryScore(m.ID, "", customer)
	wantError(t, "score of a deleted one", err, decision.KindNotFound, "")
	_, err = n.DeleteModel(n.ctx, n.w(), m.ID, false)
	wantError(t, "DeleteModel() again", err, decision.KindNotFound, "")
	n.model("m", decision.Bayesian) // its key is free again
}

// A configuration that the learned state cannot go on under is refused; the
// model keeps both.
func TestAConfigurationMustFitTheState(t *testing.T) {
	n := fresh(t)
	m := n.model("m", decision.OnlineLearner)
	n.record(mixed(60)...)
	n.train(m.ID)
	state := n.state(m.ID)
	plain := with(t, catalogue.ModelFields{}, "config", `{"normalize":false}`)
	_, _, err := n.UpdateModel(n.ctx, n.w(), m.ID, plain)
	wantError(t, "UpdateModel()", err, decision.KindBadRequest, "config.normalize")
	if got := n.state(m.ID); got != state || string(n.get(m.ID).Config) != "{}" {
		t.Errorf("config = %s, state = %s, want both as before", n.get(m.ID).Config, got)
	}
	if _, _, err := n.ResetLearning(n.ctx, n.w(), m.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := n.UpdateModel(n.ctx, n.w(), m.ID, plain); err != nil {
		t.Errorf("UpdateModel() after a reset = %v", err)
	}
	n.record(mixed(10)...)
	_, _, err = n.RestoreVersion(n.ctx, n.w(), m.ID, 2)
	wantError(t, "RestoreVersion() of a state of another configuration", err, decision.KindBadRequest, "config.normalize")
	if s := n.Stats(); s.Faults != 0 || n.get(m.ID).Version != 3 {
		t.Errorf("%d faults, version %d, want none and 3", s.Faults, n.get(m.ID).Version)
	}
}

// The same idempotency key and content give the first answer, whatever happened
// since; another content is a conflict and does nothing.
func TestRepeatedCommands(t *testing.T) {
	n := fresh(t)
	f := fields(t, "m", decision.EpsilonGreedy, "outcomeWeights", "null", "config", `{"epsilon":0}`)
	first, r1, err := n.CreateModel(n.ctx, n.keyed("a", 1), f)
	if err != nil || r1.Replayed {
		t.Fatalf("CreateModel() = %+v, %v", r1, err)
	}
	if _, _, err := n.UpdateModel(n.ctx, n.w(), first.ID, with(t, catalogue.ModelFields{}, "name", `"later"`)); err != nil {
		t.Fatal(err)
	}
	again, r2, err := n.CreateModel(n.ctx, n.keyed("a", 1), f)
	if err != nil || !r2.Replayed {
		t.Fatalf("CreateModel() again = %+v, %v, want the first answer", r2, err)
	}
	got, _ := json.Marshal(again)
	want, _ := json.Marshal(first)
	if string(got) != string(want) {
		t.Errorf("the first answer = %s, want %s", got, want)
	}
	_, _, err = n.CreateModel(n.ctx, n.keyed("a", 2), f)
	wantError(t, "CreateModel() with another content", err, decision.KindConflict, "")
	_, err = n.DeleteModel(n.ctx, n.keyed("a", 3), first.ID, false)
	wantError(t, "DeleteModel() with a key used for a create", err, decision.KindConflict, "")

	k1, _, err := n.CreateKey(n.ctx, n.keyed("k", 1), "laptop", "viewer", 0)
	if err != nil {
		t.Fatal(err)
	}
	k2, r, err := n.CreateKey(n.ctx, n.keyed("k", 1), "laptop", "viewer", 0)
	if err != nil || k2 != k1 || !r.Replayed {
		t.Errorf("CreateKey() again = %+v, %v, want the same raw key, %+v", k2, err, k1)
	}
	k3, _, err := n.CreateKey(n.ctx, n.keyed("k", 2), "laptop", "admin", 0)
	wantError(t, "CreateKey() with another content", err, decision.KindConflict, "")
	if k3.Raw != "" {
		t.Errorf("a refused CreateKey() shows the raw key %q", k3.Raw)
	}
	if p, ok := n.Authenticate([]byte(k1.Raw)); !ok || p.Role != decision.RoleViewer || p.KeyID != k1.ID {
		t.Errorf("Authenticate() = %+v, %v", p, ok)
	}
	// Another tenant's key of the same text is another key.
	n.newTenant("t2")
	n.tenant = "t2"
	if k, r, err := n.CreateKey(n.ctx, n.keyed("k", 1), "laptop", "viewer", 0); err != nil || r.Replayed || k.Raw == k1.Raw {
		t.Errorf("CreateKey() in another tenant = %+v, %+v, %v, want a key of its own", k, r, err)
	}
	n.tenant = "t1"

	for range 2 {
		if _, _, err := n.ResetLearning(n.ctx, n.keyed("reset", 1), first.ID); err != nil {
			t.Fatal(err)
		}
	}
	if got := n.get(first.ID).Version; got != 2 {
		t.Errorf("version after a reset that was repeated = %d, want 2", got)
	}
	for i := range 2 {
		r, err := n.DeleteModel(n.ctx, n.keyed("delete", 1), first.ID, false)
		if err != nil || r.Replayed != (i == 1) {
			t.Errorf("DeleteModel() %d = %+v, %v", i, r, err)
		}
	}
	// Answers outlive a restart.
	n = n.restart(t)
	if k, r, err := n.CreateKey(n.ctx, n.keyed("k", 1), "laptop", "viewer", 0); err != nil || !r.Replayed || k != k1 {
		t.Errorf("CreateKey() after a restart = %+v, %v, want the first key", k, err)
	}
}

// An idempotency key whose answer is forgotten makes another API key: one secret
// must never stand for two keys.
func TestAForgottenIdempotencyKeyMakesAnotherSecret(t *testing.T) {
	n := fresh(t, func(c *Config) { c.Limits.MaxAnswerBytes = 1 })
	k1, _, err := n.CreateKey(n.ctx, n.keyed("k", 1), "a", "viewer", 0)
	if err != nil {
		t.Fatal(err)
	}
	k2, r, err := n.CreateKey(n.ctx, n.keyed("k", 2), "b", "admin", 0)
	if err != nil || r.Replayed {
		t.Fatalf("CreateKey() = %+v, %v", r, err)
	}
	if k1.Raw == k2.Raw {
		t.Fatal("two keys have one secret")
	}
	for _, k := range []NewKey{k1, k2} {
		if p, ok := n.Authenticate([]byte(k.Raw)); !ok || p.KeyID != k.ID {
			t.Errorf("Authenticate() = %+v, %v, want key %s", p, ok, k.ID)
		}
	}
	if got := n.Stats().EvictedAnswers; got < 2 {
		t.Errorf("%d answers evicted, want 2", got)
	}
}

func TestPages(t *testing.T) {
	n := fresh(t)
	for i := range 5 {
		n.model(fmt.Sprintf("m%d", i), decision.EpsilonGreedy)
	}
	var seen []string
	page := Page{Limit: 2}
	for {
		l, err := n.Models("t1", page)
		if err != nil || len(l.Items) > 2 || l.HasMore != (l.Cursor != "") {
			t.Fatalf("Models() = %+v, %v", l, err)
		}
		for _, m := range l.Items {
			seen = append(seen, m.Key)
		}
		if !l.HasMore {
			break
		}
		page.Cursor = l.Cursor
		n.model("new "+l.Cursor, decision.EpsilonGreedy)
	}
	if got := strings.Join(seen, " "); got != "m4 m3 m2 m1 m0" {
		t.Errorf("pages = %s, want m4 to m0", got)
	}
	for _, p := range []Page{{}, {Limit: 101}, {Limit: -1}} {
		_, err := n.Models("t1", p)
		wantError(t, fmt.Sprintf("Models(limit %d)", p.Limit), err, decision.KindBadRequest, "limit")
		_, err = n.Interactions(n.ctx, "t1", HistoryFilter{}, p)
		wantError(t, fmt.Sprintf("Interactions(limit %d)", p.Limit), err, decision.KindBadRequest, "limit")
		_, err = n.Jobs(n.ctx, "t1", p)
		wantError(t, fmt.Sprintf("Jobs(limit %d)", p.Limit), err, decision.KindBadRequest, "limit")
	}
	for _, cursor := range []string{"x", "int_0", "YwAAAAAAAAAA", "!"} {
		p := Page{Limit: 1, Cursor: cursor}
		_, err := n.Models("t1", p)
		wantError(t, "Models(cursor "+cursor+")", err, decision.KindBadRequest, "cursor")
		_, err = n.Interactions(n.ctx, "t1", HistoryFilter{}, p)
		wantError(t, "Interactions(cursor "+cursor+")", err, decision.KindBadRequest, "cursor")
	}
}

func TestConfigNamesEveryProblem(t *testing.T) {
	err := (&Config{OperatorKey: "short"}).Validate()
	for _, want := range []string{"MaxHistoryRows", "MaxHistoryDays", "MaxSummaryCustomers", "MaxAnswerBytes", "TrainWorkers", "operator key", "node_id", "data_dir"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate() = %v, want it to name %s", err, want)
		}
	}
	if _, err := Open(Config{}, testLog(t)); err == nil {
		t.Error("Open() without a configuration succeeded")
	}
}
