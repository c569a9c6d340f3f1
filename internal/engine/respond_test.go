package engine

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
)

func TestRespondIsIdempotent(t *testing.T) {
	n := fresh(t)
	m := n.model("m", decision.EpsilonGreedy, "config", `{"epsilon":0}`)
	o := outcome("click", "c1", "o1")
	o.IdempotencyKey, o.Fingerprint = "k", 7
	first := n.record(o)[0]
	if first.Duplicate || first.Classification != decision.Positive || first.ID.IsZero() || first.At == 0 {
		t.Errorf("first = %+v", first)
	}
	again := n.record(o)[0]
	want := first
	want.Duplicate = true
	if again != want {
		t.Errorf("again = %+v, want the first answer as a duplicate, %+v", again, want)
	}
	other := o
	other.Fingerprint = 8
	results, _, err := n.Respond(n.ctx, n.w(), now(), []OutcomeInput{other, outcome("dismiss", "c1", "o1"), o}, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, "another content under the key", results[0].Err, decision.KindConflict, "")
	if results[1].Err != nil || results[1].Duplicate || !results[2].Duplicate {
		t.Errorf("results = %+v, want one recorded and one duplicate beside the conflict", results)
	}
	// The same key twice in one request counts once.
	o.IdempotencyKey = "twice"
	if r := n.record(o, o); r[0].Duplicate || !r[1].Duplicate || r[0].ID != r[1].ID {
		t.Errorf("the same key twice = %+v", r)
	}
	if got := n.count(); got != 3 {
		t.Errorf("%d interactions, want 3", got)
	}
	if got := n.state(m.ID); !strings.Contains(got, `"o1":{"totalReward":2,"pulls":3}`) {
		t.Errorf("arms = %s, want 2 of 3", got)
	}
	// A repetition gets its answer also when the type of the outcome is gone.
	if _, _, err := n.CreateOutcomeType(n.ctx, n.w(), catalogue.OutcomeType{Key: "own", Classification: "positive"}); err != nil {
		t.Fatal(err)
	}
	own := outcome("own", "c1", "o1")
	own.IdempotencyKey, own.Fingerprint = "own", 1
	first = n.record(own)[0]
	if _, err := n.DeleteOutcomeType(n.ctx, n.w(), "own"); err != nil {
		t.Fatal(err)
	}
	if r := n.record(own)[0]; !r.Duplicate || r.ID != first.ID || r.Classification != decision.Positive {
		t.Errorf("repetition after its type is gone = %+v, want the first answer", r)
	}
	// The answers are in the log, and so they are there after a restart.
	n = n.restart(t)
	if r := n.record(own)[0]; !r.Duplicate || r.ID != first.ID {
		t.Errorf("repetition after a restart = %+v, want the first answer", r)
	}
	if got := n.count(); got != 4 {
		t.Errorf("%d interactions after the restart, want 4", got)
	}
}

func TestInvalidOutcomes(t *testing.T) {
	n := fresh(t)
	at := now()
	const hour = 60 * 60 * 1000
	long := strings.Repeat("é", 256)
	valid := outcome("click", "c", "o")
	for _, c := range []struct {
		path   string
		change func(*OutcomeInput)
	}{
		{"customerId", func(o *OutcomeInput) { o.CustomerID = "" }},
		{"customerId", func(o *OutcomeInput) { o.CustomerID = long }},
		{"outcome", func(o *OutcomeInput) { o.Type = "" }},
		{"outcome", func(o *OutcomeInput) { o.Type = "clack" }},
		{"offerId", func(o *OutcomeInput) { o.OfferID = long }},
		{"categoryId", func(o *OutcomeInput) { o.CategoryID = long }},
		{"channelId", func(o *OutcomeInput) { o.ChannelID = long }},
		{"placementId", func(o *OutcomeInput) { o.PlacementID = long }},
		{"modelId", func(o *OutcomeInput) { o.ModelID = long }},
		{"decisionId", func(o *OutcomeInput) { o.DecisionID = long }},
		{"idempotencyKey", func(o *OutcomeInput) { o.IdempotencyKey = long }},
		{"timestamp", func(o *OutcomeInput) { o.At = int64(at) + 24*hour + 1 }},
		{"timestamp", func(o *OutcomeInput) { o.At = -1 }},
	} {
		bad := valid
		c.change(&bad)
		results, _, err := n.Respond(n.ctx, n.w(), at, []OutcomeInput{bad, valid}, nil)
		if err != nil || results[1].Err != nil {
			t.Fatalf("Respond() = %+v, %v, want the valid one recorded", results, err)
		}
		wantError(t, "an outcome with a wrong "+c.path, results[0].Err, decision.KindBadRequest, c.path)
	}
	if got := n.count(); got != 13 {
		t.Errorf("%d interactions, want the 13 valid ones", got)
	}
	edge := valid
	edge.At = int64(at) + 24*hour
	edge.CustomerID = strings.Repeat("é", 255)
	if results, _, err := n.Respond(n.ctx, n.w(), at, []OutcomeInput{edge}, nil); err != nil || results[0].Err != nil || results[0].At != at+24*hour {
		t.Errorf("an outcome at the limits = %+v, %v, want it recorded", results, err)
	}
	for _, count := range []int{0, MaxOutcomes + 1} {
		_, _, err := n.Respond(n.ctx, n.w(), at, make([]OutcomeInput, count), nil)
		wantError(t, fmt.Sprintf("%d outcomes", count), err, decision.KindBadRequest, "outcomes")
	}
	n.tenant = "nobody"
	_, _, err := n.Respond(n.ctx, n.w(), at, []OutcomeInput{valid}, nil)
	wantError(t, "Respond() of a tenant that does not exist", err, decision.KindNotFound, "")
}

// One positive and one negative outcome on each kind of model, against the
// formulas.
func TestEffectsOfOutcomes(t *testing.T) {
	n := fresh(t)
	arms := `{"arms":{"o":{"totalReward":1,"pulls":2}}}`
	thompson := n.model("thompson", decision.ThompsonBandit, "modelState", `{"arms":{"o":{"alpha":2,"beta":3}}}`)
	epsilon := n.model("epsilon", decision.EpsilonGreedy, "config", `{"epsilon":0}`, "modelState", arms)
	online := n.model("online", decision.OnlineLearner, "config", `{"normalize":false,"learningRate":0.1}`)
	counting := `{"binEdges":{"x":[0.5]},"calibrate":false}`
	counted := n.model("counted", decision.Bayesian, "config", counting, "learningConfig", `{"autoLearn":true}`)
	uncounted := n.model("uncounted", decision.Bayesian, "config", counting)
	fixed := n.model("fixed", decision.LogisticRegression, "modelState", `{"bias":0,"weights":{"x":1}}`)
	weighed := n.model("weighed", decision.EpsilonGreedy, "config", `{"epsilon":0}`, "modelState", arms,
		"outcomeWeights", `{"click":-2,"impression":0.5,"dismiss":0}`)
	filtered := map[string]*catalogue.Model{}
	for name, filter := range map[string]string{
		"offer": `{"offerIds":["o"]}`, "other offer": `{"offerIds":["p","q"]}`,
		"category": `{"categoryIds":["cards"]}`, "other category": `{"categoryIds":["loans"]}`,
		"channel": `{"channelIds":["web"]}`, "other channel": `{"channelIds":["mail"]}`,
		"model": `{"modelIdOnly":true}`,
	} {
		filtered[name] = n.model("filter "+name, decision.EpsilonGreedy, "config", `{"epsilon":0}`, "modelState", arms, "learningConfig", `{"filter":`+filter+`}`)
	}
	before := map[string]string{uncounted.ID: n.state(uncounted.ID), fixed.ID: n.state(fixed.ID)}

	click, dismiss, seen := outcome("click", "c", "o"), outcome("dismiss", "c", "o"), outcome("impression", "c", "o")
	for _, o := range []*OutcomeInput{&click, &dismiss, &seen} {
		o.CategoryID, o.ChannelID = "cards", "web"
	}
	click.ModelID = filtered["model"].ID
	n.record(click, dismiss, seen)

	has := func(what, id, want string) {
		t.Helper()
		if got := n.state(id); !strings.Contains(got, want) {
			t.Errorf("%s: state = %s, want it to have %s", what, got, want)
		}
	}
	has("thompson", thompson.ID, `"alpha":3,"beta":4`)
	has("epsilon", epsilon.ID, `"totalReward":2,"pulls":4`)
	// click −2: no reward, two pulls; impression 0.5: reward and pull of a half.
	has("weights", weighed.ID, `"totalReward":1.5,"pulls":4.5`)
	has("bayesian", counted.ID, `"samples":2`)
	for id, want := range before {
		if got := n.state(id); got != want {
			t.Errorf("a model that does not learn from outcomes changed: %s, want %s", got, want)
		}
	}
	for name, want := range map[string]string{
		"offer": `"totalReward":2,"pulls":4`, "category": `"totalReward":2,"pulls":4`, "channel": `"totalReward":2,"pulls":4`,
		"other offer": `"totalReward":1,"pulls":2`, "other category": `"totalReward":1,"pulls":2`, "other channel": `"totalReward":1,"pulls":2`,
		"model": `"totalReward":2,"pulls":3`, // the click alone
	} {
		has("filter by "+name, filtered[name].ID, want)
	}
	// Two steps of w += lr·(y − p)·x from nothing: x = 0.75, y = 1, then x = 0.25, y = 0.
	sigmoid := func(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
	bias, w := 0.1*0.5, 0.1*0.5*0.75
	step := 0.1 * -sigmoid(bias+w*0.25)
	bias, w = bias+step, w+step*0.25
	if got, want := n.score(online.ID, "", number("x", 0.5)), sigmoid(bias+w*0.5); math.Abs(got-want) > 1e-12 {
		t.Errorf("online learner scores %v, want %v", got, want)
	}

	all, err := n.Summaries("t1", "c")
	if err != nil || len(all) != 1 || all[0].OfferID != "o" || all[0].Impressions != 1 || all[0].Positives != 1 || all[0].Negatives != 1 {
		t.Errorf("Summaries() = %+v, %v", all, err)
	}
	if _, err := n.Summaries("t1", ""); err == nil {
		t.Error("Summaries() without a customer succeeded")
	}
	list, err := n.Interactions(n.ctx, "t1", HistoryFilter{CustomerID: "c"}, Page{Limit: 10})
	if err != nil || len(list.Items) != 3 || list.Items[0].Type != "impression" || list.Items[2].Type != "click" {
		t.Errorf("Interactions() = %+v, %v, want three, the newest first", list, err)
	}
}

// The customer's history with the offer is an input where the model names it,
// and it is what it was before the outcome.
func TestInteractionFeatures(t *testing.T) {
	n := fresh(t)
	m := n.model("m", decision.LogisticRegression, "modelState", `{"bias":0,"weights":{"interaction.impressions":1}}`,
		"interactionFeatures", `{"features":["impressions"]}`)
	n.record(repeat(3, outcome("impression", "c0", "o"))...)
	if got, want := n.score(m.ID, "o", nil), 1/(1+math.Exp(-3)); got != want {
		t.Errorf("score after three impressions = %v, want %v", got, want)
	}
	if got := n.score(m.ID, "other", nil); got != 0.5 {
		t.Errorf("score for an offer without history = %v, want 0.5", got)
	}
}

func TestOutcomeTypes(t *testing.T) {
	n := fresh(t)
	m := n.model("m", decision.EpsilonGreedy, "config", `{"epsilon":0}`)
	made, _, err := n.CreateOutcomeType(n.ctx, n.w(), catalogue.OutcomeType{Key: "call", Classification: "positive"})
	if err != nil || made.Name != "call" || made.Category != catalogue.CategoryResponse || made.IsSystem {
		t.Fatalf("CreateOutcomeType() = %+v, %v", made, err)
	}
	if r := n.record(outcome("call", "c", "o"))[0]; r.Classification != decision.Positive {
		t.Errorf("classification = %v, want positive", r.Classification)
	}
	if _, _, err := n.UpdateOutcomeType(n.ctx, n.w(), "call", catalogue.OutcomeType{Classification: "negative"}); err != nil {
		t.Fatal(err)
	}
	if r := n.record(outcome("call", "c", "o"))[0]; r.Classification != decision.Negative {
		t.Errorf("classification = %v, want negative", r.Classification)
	}
	if got := n.state(m.ID); !strings.Contains(got, `"totalReward":1,"pulls":2`) {
		t.Errorf("arms = %s, want each outcome as it was classified when it came", got)
	}
	for _, c := range []struct {
		path string
		o    catalogue.OutcomeType
	}{
		{"key", catalogue.OutcomeType{Key: "with space", Classification: "positive"}},
		{"key", catalogue.OutcomeType{Classification: "positive"}},
		{"classification", catalogue.OutcomeType{Key: "k"}},
		{"classification", catalogue.OutcomeType{Key: "k", Classification: "good"}},
		{"category", catalogue.OutcomeType{Key: "k", Classification: "positive", Category: "view"}},
		{"name", catalogue.OutcomeType{Key: "k", Classification: "positive", Name: strings.Repeat("n", 256)}},
	} {
		_, _, err := n.CreateOutcomeType(n.ctx, n.w(), c.o)
		wantError(t, fmt.Sprintf("CreateOutcomeType(%+v)", c.o), err, decision.KindBadRequest, c.path)
	}
	_, _, err = n.CreateOutcomeType(n.ctx, n.w(), catalogue.OutcomeType{Key: "click", Classification: "negative"})
	wantError(t, "CreateOutcomeType(click)", err, decision.KindConflict, "")
	_, _, err = n.UpdateOutcomeType(n.ctx, n.w(), "click", catalogue.OutcomeType{Classification: "negative"})
	wantError(t, "UpdateOutcomeType(click)", err, decision.KindConflict, "")
	_, err = n.DeleteOutcomeType(n.ctx, n.w(), "click")
	wantError(t, "DeleteOutcomeType(click)", err, decision.KindConflict, "")
	_, err = n.DeleteOutcomeType(n.ctx, n.w(), "absent")
	wantError(t, "DeleteOutcomeType(absent)", err, decision.KindNotFound, "")
	if l, err := n.OutcomeTypes("t1", Page{Limit: 100}); err != nil || l.Total != 17 || l.Items[0].Key != "call" {
		t.Errorf("OutcomeTypes() = %+v, %v, want 17, the newest first", l, err)
	}
}
