package httpapi

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// The life of a model, through every route, in one tenant.
func TestModelLife(t *testing.T) {
	a := startAPI(t)
	const models = "/api/v1/algorithm-models"
	r := a.must(201, post, models, a.editor, `{"key":"propensity","name":"Propensity","modelType":"bayesian","targetField":"converted","predictors":["income",{"field":"age","selected":true}],"description":"é"}`)
	if r.header.Get("X-Applied-Index") == "" {
		t.Error("a write without X-Applied-Index")
	}
	var m struct {
		ID, Status, Family, RegistryStatus string
		Version                            int
		Predictors                         []any
		LastTrainedAt                      *string
		TrainingSamples                    int
	}
	r.into(t, &m)
	if m.Status != "draft" || m.Family != "Propensity" || m.RegistryStatus != "draft" || len(m.Predictors) != 2 || m.LastTrainedAt != nil {
		t.Errorf("a new model: got %s", r.body)
	}
	path := models + "/" + m.ID
	a.must(400, post, models, a.editor, `{"key":"propensity","name":"Again","modelType":"bayesian"}`)
	a.must(200, get, path, a.viewer, "", "X-Min-Index: "+r.header.Get("X-Applied-Index"))
	a.must(200, get, path+"?include=modelState&consistency=strong", a.viewer, "")
	a.must(200, put, path, a.editor, `{"status":"active","config":{"laplaceSmoothingAlpha":2},"outcomeWeights":{"click":1}}`)
	a.must(200, put, path, a.editor, `{"outcomeWeights":null,"targetField":null}`)
	a.must(200, get, "/api/v1/models/"+m.ID+"/registry", a.viewer, "")

	a.must(422, post, path+"/train", a.editor, "")
	r = a.must(400, post, models+"/train", a.editor, fmt.Sprintf(`{"modelId":%q}`, m.ID))
	if !strings.Contains(string(r.body), `"status":"insufficient_data"`) || r.failure(t).Reason != reasonInsufficient {
		t.Errorf("bulk training without data: got %s", r.body)
	}
	a.must(400, post, models+"/train", a.editor, `{"modelId":"model_unknown"}`)
	a.must(404, post, models+"/model_unknown/train", a.editor, "")

	a.outcomes(300)
	r = a.must(200, post, path+"/train", a.editor, "{}")
	r.into(t, &m)
	if m.Version != 1 && m.Version != 2 || m.Status != "active" || m.TrainingSamples != 300 || m.LastTrainedAt == nil {
		t.Errorf("the trained model: got %s", r.body)
	}
	a.must(200, post, models+"/train", a.editor, fmt.Sprintf(`{"modelId":%q}`, m.ID))
	trained := m.Version
	r = a.must(202, post, path+"/train?async=true", a.editor, "")
	var job struct{ JobID, Status string }
	r.into(t, &job)
	waitFor(t, func() bool {
		a.must(200, get, "/api/v1/jobs/"+job.JobID, a.viewer, "").into(t, &job)
		return job.Status == "succeeded" || job.Status == "failed"
	})
	if job.Status != "succeeded" {
		t.Errorf("the job: got %s", job.Status)
	}
	a.must(200, get, "/api/v1/jobs?limit=1", a.viewer, "")
	a.must(404, get, "/api/v1/jobs/job_unknown", a.viewer, "")
	a.must(404, remove, "/api/v1/jobs/job_unknown", a.editor, "")

	r = a.must(200, post, path+"/score", a.viewer, `{"attributes":{"income":20000,"age":33}}`)
	var score struct {
		Score, Confidence float64
		Explanations      []struct {
			Field        string
			Contribution float64
		}
	}
	r.into(t, &score)
	if score.Score <= 0 || score.Score >= 1 || score.Confidence == 0 || len(score.Explanations) == 0 {
		t.Errorf("a score: got %s", r.body)
	}
	if r := a.must(200, post, path+"/score?explain=false", a.viewer, ""); strings.Contains(string(r.body), "explanations") {
		t.Errorf("explain=false: got %s", r.body)
	}
	a.must(200, post, path+"/restore", a.editor, fmt.Sprintf(`{"version":%d}`, trained))
	a.must(404, post, path+"/restore", a.editor, `{"version":99}`)
	a.must(200, post, path+"/reset-learning", a.editor, "").into(t, &m)
	if m.Status != "draft" || m.TrainingSamples != 0 || m.LastTrainedAt != nil {
		t.Errorf("after reset-learning: got %+v", m)
	}
	var detail struct{ Versions []struct{ Reason string } }
	a.must(200, get, path, a.viewer, "").into(t, &detail)
	if len(detail.Versions) < 3 {
		t.Errorf("got versions %+v", detail.Versions)
	}
	a.must(200, put, path, a.editor, `{"status":"paused"}`)
	a.must(409, post, path+"/score", a.viewer, "{}")
	a.must(409, post, path+"/score-batch", a.viewer, `{"rows":[{}]}`)
	a.must(204, remove, models+"?id="+m.ID, a.editor, "")
	a.must(404, get, path, a.viewer, "")
	a.must(404, remove, path, a.editor, "")
	a.must(400, remove, models, a.editor, "")

	card := a.create(fmt.Sprintf(scorecardBody, "card"))
	a.must(400, post, models+"/"+card+"/reset-learning", a.editor, "")
	r = a.must(200, post, models+"/"+card+"/score", a.viewer, `{"attributes":{"income":95000}}`)
	if want := `{"score":0.916827303506` + ``; !strings.HasPrefix(string(r.body), want) || !strings.Contains(string(r.body), `"rawScore":90,"baseline":50,"explanations":[{"rule":"r1","matched":true,"points":40,"contribution":40}]`) {
		t.Errorf("the scorecard's vector: got %s", r.body)
	}
	logistic := a.create(fmt.Sprintf(logisticBody, "logistic"))
	r = a.must(200, post, models+"/"+logistic+"/score", a.viewer, `{"attributes":{"credit_score":760,"income":95000,"age":38,"segment":"Gold"}}`)
	if !strings.HasPrefix(string(r.body), `{"score":0.9295`) && !strings.HasPrefix(string(r.body), `{"score":0.9296`) {
		t.Errorf("the logistic vector: got %s", r.body)
	}
	a.must(204, remove, models+"/"+card+"?force=true", a.editor, "")
}

func TestPages(t *testing.T) {
	a := startAPI(t)
	var want []string
	for i := range 7 {
		want = append([]string{a.create(fmt.Sprintf(scorecardBody, fmt.Sprint("m", i)))}, want...)
	}
	var got []string
	cursor := ""
	for n := 0; ; n++ {
		var l struct {
			Data       []struct{ ID string }
			Pagination struct {
				Total, Limit int
				HasMore      bool
				Cursor       *string
			}
		}
		a.must(200, get, "/api/v1/algorithm-models?limit=3"+cursor, a.viewer, "").into(t, &l)
		for _, m := range l.Data {
			got = append(got, m.ID)
		}
		if l.Pagination.Limit != 3 || (l.Pagination.Cursor != nil) != l.Pagination.HasMore {
			t.Errorf("page %d: got %+v", n, l.Pagination)
		}
		if !l.Pagination.HasMore {
			break
		}
		cursor = "&cursor=" + *l.Pagination.Cursor
		if n == 0 { // an insert does not disturb the pages behind
			a.create(fmt.Sprintf(scorecardBody, "late"))
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, path := range []string{"/api/v1/algorithm-models", "/api/v1/jobs", "/api/v1/interaction-history", "/api/v1/outcome-types", "/api/v1/api-keys"} {
		for _, query := range []string{"limit=0", "limit=101", "limit=x", "limit=", "cursor=nonsense", "cursor=" + strings.Repeat("x", 2000)} {
			r := a.must(400, get, path+"?"+query, a.admin, "")
			if e := r.failure(t); len(e.Details) != 1 || !strings.HasPrefix(query, e.Details[0].Path) {
				t.Errorf("%s?%.30s: got %s", path, query, r.body)
			}
		}
	}
}

func TestOfferSet(t *testing.T) {
	a := startAPI(t)
	id := a.create(`{"key":"k","name":"n","modelType":"scorecard","config":{"rules":[{"field":"fee","operator":"lt","value":50,"points":20},{"field":"income","operator":"gt","value":10,"points":10}]}}`)
	path := "/api/v1/algorithm-models/" + id + "/score-offer-set"
	a.must(201, post, "/api/v1/respond", a.viewer, `{"customerId":"c1","offerId":"cheap","outcome":"impression","timestamp":"2026-03-14T06:00:00+01:00"}`)
	a.must(201, post, "/api/v1/respond", a.viewer, `{"customerId":"c1","offerId":"cheap","outcome":"click","timestamp":"2026-03-14T06:00:01+01:00"}`)
	r := a.must(200, post, path, a.viewer, `{"customerId":"c1","customerAttributes":{"fee":10,"income":1},"context":{"income":11},"offers":[{"id":"dear","name":"Dear \"one\"","attributes":{"fee":99}},{"id":"cheap"},{"id":"tie"}]}`)
	var got struct {
		ModelID, ModelKey, ModelType, CustomerID string
		Count                                    int
		Scores                                   []struct {
			OfferID, OfferName  string
			Score               float64
			InteractionFeatures *struct {
				Impressions, Positives int
				PositiveRate           float64
				LastContactAt          string
			}
		}
	}
	r.into(t, &got)
	if got.ModelID != id || got.ModelKey != "k" || got.CustomerID != "c1" || got.Count != 3 || len(got.Scores) != 3 {
		t.Fatalf("got %s", r.body)
	}
	if got.Scores[0].OfferID != "cheap" || got.Scores[1].OfferID != "tie" || got.Scores[2].OfferName != `Dear "one"` {
		t.Errorf("the order: got %s", r.body)
	}
	f := got.Scores[0].InteractionFeatures
	if f == nil || f.Impressions != 1 || f.Positives != 1 || f.PositiveRate != 1 || f.LastContactAt != "2026-03-14T05:00:01.000Z" || got.Scores[1].InteractionFeatures != nil {
		t.Errorf("the history: got %s", r.body)
	}
	if r := a.must(200, post, path, a.viewer, `{"offers":[{"id":"a"}]}`); !strings.Contains(string(r.body), `"customerId":null`) {
		t.Errorf("without a customer: got %s", r.body)
	}
	offers := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,{"id":"o%d"}`, i)
		}
		return `{"offers":[` + b.String()[1:] + `]}`
	}
	a.must(200, post, path, a.viewer, offers(maxOffers))
	if e := a.must(400, post, path, a.viewer, offers(maxOffers+1)).failure(t); e.Details[0].Path != "offers" {
		t.Errorf("too many offers: got %+v", e)
	}
	bandit := a.create(fmt.Sprintf(banditBody, "b"))
	a.outcomes(30)
	r = a.must(200, post, "/api/v1/algorithm-models/"+bandit+"/score", a.viewer, "")
	var choice struct {
		OfferID      string
		Propensity   float64
		Explanations []struct{ OfferID string }
	}
	r.into(t, &choice)
	if choice.OfferID == "" || choice.Propensity <= 0 || len(choice.Explanations) == 0 {
		t.Errorf("a bandit's choice: got %s", r.body)
	}
	if r := a.must(200, post, "/api/v1/algorithm-models/"+bandit+"/score", a.viewer, `{"offerId":"o1"}`); !strings.Contains(string(r.body), `"offerId":"o1"`) {
		t.Errorf("a bandit's arm: got %s", r.body)
	}
}
