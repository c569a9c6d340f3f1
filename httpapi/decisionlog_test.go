package httpapi

import (
	"fmt"
	"strings"
	"testing"
)

// Where decisions are logged every answer names its decision; the client's own name
// stays.
func TestDecisionsAreNamed(t *testing.T) {
	a := startAPI(t)
	id := a.create(fmt.Sprintf(banditBody, "nbo"))
	a.stand(id, "challenger")
	a.stand(id, "champion")
	model, family := "/api/v1/algorithm-models/"+id, "/api/v1/families/Bandit"
	ranking := `{"offers":[{"id":"a"},{"id":"b"}]}`
	asks := []struct{ path, body, named string }{
		{model + "/score", `{}`, `{"decisionId":"mine"}`},
		{model + "/score-offer-set", ranking, `{"decisionId":"mine",` + ranking[1:]},
		{family + "/score", `{}`, `{"decisionId":"mine"}`},
		{family + "/score-offer-set", ranking, `{"decisionId":"mine",` + ranking[1:]},
		{model + "/score-batch", `{"rows":[{},{}]}`, `{"rows":[{"decisionId":"mine"},{}]}`},
	}
	for _, ask := range asks {
		if r := a.must(200, post, ask.path, a.viewer, ask.body); strings.Contains(string(r.body), "decisionId") {
			t.Errorf("%s names a decision that is not logged: %s", ask.path, r.body)
		}
	}
	var got struct {
		Enabled, Features bool
		SamplePct         float64
		Format, Source    string
	}
	a.must(200, get, model+"/decision-log", a.viewer, "").into(t, &got)
	if got.Enabled || got.Source != "default" {
		t.Errorf("at first %+v", got)
	}
	a.must(200, put, family+"/decision-log", a.editor, `{"enabled":true,"samplePct":0,"format":"parquet","features":false}`)
	a.must(200, get, model+"/decision-log", a.viewer, "").into(t, &got)
	if !got.Enabled || got.SamplePct != 0 || got.Format != "parquet" || got.Features || got.Source != "family" {
		t.Errorf("of its family %+v", got)
	}
	for _, ask := range asks {
		r := a.must(200, post, ask.path, a.viewer, ask.body)
		if !strings.Contains(string(r.body), `"decisionId":"dec_`) {
			t.Errorf("%s names no decision: %s", ask.path, r.body)
		}
		if r := a.must(200, post, ask.path, a.viewer, ask.named); !strings.Contains(string(r.body), `"decisionId":"mine"`) {
			t.Errorf("%s does not keep the client's name: %s", ask.path, r.body)
		}
	}
	a.must(400, put, model+"/decision-log", a.editor, `{"enabled":true,"format":"csv"}`)
	a.must(400, put, model+"/decision-log", a.editor, `{"enabled":true,"samplePct":101}`)
	a.must(204, remove, family+"/decision-log", a.editor, "")
	a.must(204, remove, model+"/decision-log", a.editor, "") // it has none: nothing to take away
	a.must(404, get, "/api/v1/families/absent/decision-log", a.viewer, "")
}
