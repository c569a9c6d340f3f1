package httpapi

import (
	"fmt"
	"strings"
	"testing"
)

func TestEvolutionOverHTTP(t *testing.T) {
	a := startAPI(t)
	id := a.create(`{"key":"card","name":"Card","modelType":"scorecard","config":{"rules":[]},"evolutionConfig":{"thresholds":{"bayesianSamples":200,"bayesianAuc":0.6}}}`)
	path := "/api/v1/algorithm-models/" + id
	a.must(403, post, path+"/upgrade", a.viewer, "{}")
	var up struct {
		Upgraded   struct{ ID, Key, ModelType, Status, RegistryStatus, Family string }
		Experiment any
	}
	r := a.must(201, post, path+"/upgrade", a.editor, "", "Idempotency-Key: u1")
	r.into(t, &up)
	if u := up.Upgraded; u.Key != "card-bayesian" || u.ModelType != "bayesian" || u.Status != "draft" || u.RegistryStatus != "draft" || u.Family != "Card" || up.Experiment != nil {
		t.Errorf("upgrade = %s", r.body)
	}
	if !strings.HasSuffix(strings.TrimSpace(string(r.body)), `"experiment":null}`) {
		t.Errorf("upgrade = %s, want experiment null", r.body)
	}
	if again := a.must(201, post, path+"/upgrade", a.editor, "", "Idempotency-Key: u1"); string(again.body) != string(r.body) {
		t.Errorf("the second answer is %s, want the first", again.body)
	}
	if r := a.must(201, post, "/api/v1/algorithm-models/"+up.Upgraded.ID+"/upgrade", a.editor, `{"createExperiment":true}`); !strings.Contains(string(r.body), `"name":"Card: Champion vs Logistic Regression Upgrade"`) {
		t.Errorf("upgrade with an experiment = %s", r.body)
	}
	r = a.must(200, get, path+"/evolution-history?consistency=strong", a.viewer, "")
	for _, want := range []string{
		fmt.Sprintf(`{"modelId":%q,"modelKey":"card","currentModelType":"scorecard","evolutionConfig":{"autoEvolve":false,"currentTier":"scorecard","targetTier":"gradient_boosted","skipTiers":false,`, id),
		`"thresholds":{"bayesianSamples":200,"bayesianAuc":0.6,"logisticSamples":1000,"logisticAuc":0,"gradientBoostedSamples":5000,"gradientBoostedAuc":0}}`,
		`"progress":{"nextTier":"bayesian","progressPct":0,"readyToEvolve":false,"details":{"samplesRequired":200,"samplesActual":0,"aucRequired":0.6,"aucActual":0}},"timeline":[]`,
		fmt.Sprintf(`"upgradedFrom":null,"upgradedTo":%q}`, up.Upgraded.ID),
	} {
		if !strings.Contains(string(r.body), want) {
			t.Errorf("evolution = %s, want %s in it", r.body, want)
		}
	}
	r = a.must(200, get, "/api/v1/algorithm-models/"+up.Upgraded.ID+"/evolution-history", a.viewer, "")
	if !strings.Contains(string(r.body), `"timeline":[{"version":1,"modelType":"bayesian","metrics":{},"trainingSamples":0,"reason":"evolve"`) {
		t.Errorf("evolution of the new model = %s", r.body)
	}
	a.outcomes(200)
	a.must(200, post, path+"/train", a.editor, "")
	r = a.must(200, get, path+"/evolution-history", a.viewer, "")
	if !strings.Contains(string(r.body), `"samplesActual":200`) || !strings.Contains(string(r.body), `"timeline":[{"version":2,"modelType":"scorecard"`) {
		t.Errorf("evolution after a training = %s", r.body)
	}

	logistic := a.create(fmt.Sprintf(logisticBody, "l"))
	e := a.must(503, post, "/api/v1/algorithm-models/"+logistic+"/upgrade", a.editor, "{}").failure(t)
	if !strings.Contains(e.Message, "ML_WORKER_URL") {
		t.Errorf("without a worker: %s, want it to say what to set", e.Message)
	}
	bandit := a.create(fmt.Sprintf(banditBody, "b"))
	a.must(400, post, "/api/v1/algorithm-models/"+bandit+"/upgrade", a.editor, "{}")
	if r := a.must(200, get, "/api/v1/algorithm-models/"+bandit+"/evolution-history", a.viewer, ""); !strings.Contains(string(r.body), `"progress":null`) {
		t.Errorf("evolution of a bandit = %s", r.body)
	}
}
