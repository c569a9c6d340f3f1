package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
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
	if want := `{"score":0.916827303506` + ``; !strings.HasPrefix(string(r.body), want) || !strings.Contains(string(r.body), `"rawScore":90,"explanations":[{"rule":"r1","matched":true,"points":40}]`) {
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

func TestBatch(t *testing.T) {
	a := startAPI(t)
	id := a.create(fmt.Sprintf(scorecardBody, "card"))
	path := "/api/v1/algorithm-models/" + id + "/score-batch"
	r := a.must(200, post, path, a.viewer, `{"rows":[{"customerId":"c1","attributes":{"income":95000}},{"attributes":{}},{}]}`)
	var got struct {
		ModelID string
		Count   int
		Results []struct {
			Index      int
			CustomerID string
			Score      float64
			RawScore   float64
		}
	}
	r.into(t, &got)
	if got.ModelID != id || got.Count != 3 || len(got.Results) != 3 || got.Results[0].CustomerID != "c1" || got.Results[0].RawScore != 90 || got.Results[2].Index != 2 {
		t.Errorf("got %s", r.body)
	}
	rows := func(n int) string { return `{"rows":[` + strings.Repeat("{},", n-1) + "{}]}" }
	a.must(200, post, path, a.viewer, rows(maxBatchRows))
	if e := a.must(400, post, path, a.viewer, rows(maxBatchRows+1)).failure(t); e.Details[0].Path != "rows" {
		t.Errorf("too many rows: got %+v", e)
	}
	a.must(404, post, "/api/v1/algorithm-models/none/score-batch", a.viewer, `{"rows":[{}]}`)
	// The body's faults come before the model's.
	a.must(400, post, "/api/v1/algorithm-models/none/score-batch", a.viewer, `{"rows":[]}`)
}

func TestNDJSON(t *testing.T) {
	a := startAPI(t)
	id := a.create(fmt.Sprintf(scorecardBody, "card"))
	path := "/api/v1/algorithm-models/" + id + "/score-batch"
	lines := func(body string) []string {
		r := a.must(200, post, path, a.viewer, body, "Content-Type: "+mediaNDJSON)
		if r.header.Get("Content-Type") != mediaNDJSON {
			t.Errorf("got Content-Type %q", r.header.Get("Content-Type"))
		}
		out := strings.Split(strings.TrimSuffix(string(r.body), "\n"), "\n")
		for _, l := range out {
			if !json.Valid([]byte(l)) {
				t.Errorf("got the line %q", l)
			}
		}
		return out
	}
	got := lines(`{"customerId":"c1","attributes":{"income":95000}}` + "\r\n\n" + `{"attributes":{"income":NaN}}` + "\n" + `[1]` + "\n" + `{"attributes":{"a":[1]}}` + "\n" + `{"attributes":{"income":1}}`)
	for i, want := range []string{
		`{"index":0,"customerId":"c1","score":0.9168`, `{"index":1,"error":{"code":"BAD_REQUEST"`, `{"index":2,"error":{"code":"BAD_REQUEST"`,
		`{"index":3,"error":{"code":"BAD_REQUEST","message":"attributes.a[0]: must be a string`, `{"index":4,"score":0.5`,
	} {
		if i >= len(got) || !strings.HasPrefix(got[i], want) {
			t.Fatalf("line %d: got %q, want %s", i, got, want)
		}
	}
	if got := lines(strings.Repeat(`{"attributes":{"income":95000}}`+"\n", 20_000)); len(got) != 20_000 || !strings.HasPrefix(got[19_999], `{"index":19999,`) {
		t.Errorf("got %d lines", len(got))
	}
	got = lines("{}\n" + `{"customerId":"` + strings.Repeat("x", 5<<10) + "\"}\n{}\n")
	if len(got) != 2 || !strings.Contains(got[1], "PAYLOAD_TOO_LARGE") {
		t.Errorf("a long line: got %.200q, want it to end the stream", got)
	}
	a.must(200, get, "/healthz", "", "")
	a.must(404, post, "/api/v1/algorithm-models/none/score-batch", a.viewer, "{}\n", "Content-Type: "+mediaNDJSON)
	a.must(415, post, "/api/v1/algorithm-models/"+id+"/score", a.viewer, "{}\n", "Content-Type: "+mediaNDJSON)
}

// A client that sends a line, waits for its result and goes on is served in
// step.
func TestNDJSONInStep(t *testing.T) {
	a := startAPI(t)
	id := a.create(fmt.Sprintf(scorecardBody, "card"))
	c := a.dial()
	fmt.Fprintf(c, "POST /api/v1/algorithm-models/%s/score-batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n", id, a.viewer, mediaNDJSON)
	const line = "{\"attributes\":{\"income\":95000}}\n"
	c.wantLine("HTTP/1.1 200")
	for i := range 3 {
		fmt.Fprintf(c, "%x\r\n%s\r\n", len(line), line)
		c.wantLine(fmt.Sprintf(`{"index":%d,"score":0.9`, i))
	}
	fmt.Fprint(c, "0\r\n\r\n")
	c.wantLine("0\r\n")
	fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") // the connection goes on
	c.wantLine("HTTP/1.1 200")
}

func TestRespond(t *testing.T) {
	a := startAPI(t)
	const body = `{"customerId":"c1","outcome":"click","offerId":"o1","channelId":"web","conversionValue":12.5,"direction":"outbound","attributes":{"a":{"b":1},"tags":["y","x"],"t":"é","f":false},"context":{"hour":9}}`
	for _, path := range []string{"/api/v1/respond", "/api/v1/capture"} {
		r := a.must(201, post, path, a.viewer, body)
		var got struct{ InteractionID, Classification, Status, Timestamp string }
		r.into(t, &got)
		if got.InteractionID == "" || got.Classification != "positive" || got.Status != "recorded" || r.header.Get("X-Applied-Index") == "" {
			t.Errorf("got %s", r.body)
		}
	}
	first := a.must(201, post, "/api/v1/respond", a.viewer, `{"customerId":"c1","outcome":"click"}`, "Idempotency-Key: k1")
	again := a.must(200, post, "/api/v1/respond", a.viewer, `{"outcome":"click", "customerId":"c1","idempotencyKey":"k1"}`)
	var one, two struct {
		InteractionID, Timestamp string
		Duplicate                bool
	}
	first.into(t, &one)
	again.into(t, &two)
	if one.InteractionID != two.InteractionID || one.Timestamp != two.Timestamp || one.Duplicate || !two.Duplicate {
		t.Errorf("a repetition: got %s, want the first answer %s", again.body, first.body)
	}
	a.must(409, post, "/api/v1/respond", a.viewer, `{"customerId":"c2","outcome":"click","idempotencyKey":"k1"}`)
	a.must(400, post, "/api/v1/respond", a.viewer, `{"customerId":"c2","outcome":"click","idempotencyKey":"k1"}`, "Idempotency-Key: k2")
	a.must(400, post, "/api/v1/respond", a.viewer, `{"customerId":"c2","outcome":"unheard"}`)
	ahead := time.Now().Add(25 * time.Hour).UTC().Format(time.RFC3339)
	a.must(400, post, "/api/v1/respond", a.viewer, fmt.Sprintf(`{"customerId":"c2","outcome":"click","timestamp":%q}`, ahead))

	var h struct {
		Data []struct {
			CustomerID, OfferID, Direction string
			ConversionValue                *float64
			Attributes, Context            map[string]any
		}
		Pagination pagination
	}
	a.must(200, get, "/api/v1/interaction-history?customerId=c1&offerId=o1&type=click", a.viewer, "").into(t, &h)
	want := map[string]any{"a.b": 1.0, "tags": []any{"x", "y"}, "t": "é", "f": false}
	if len(h.Data) != 2 || h.Data[0].Direction != "outbound" || *h.Data[0].ConversionValue != 12.5 || !reflect.DeepEqual(h.Data[0].Attributes, want) {
		t.Errorf("the history: got %+v", h)
	}
	var all struct{ Data []any }
	a.must(200, get, "/api/v1/interaction-history", a.viewer, "").into(t, &all)
	if len(all.Data) != 3 {
		t.Errorf("got %d interactions, want 3: nothing refused or repeated is counted", len(all.Data))
	}
	r := a.must(200, get, "/api/v1/interaction-summaries?customerId=c1", a.viewer, "")
	if !strings.Contains(string(r.body), `{"offerId":"o1","impressions":0,"positives":2,`) {
		t.Errorf("the summaries: got %s", r.body)
	}
	a.must(400, get, "/api/v1/interaction-summaries", a.viewer, "")
	a.must(200, get, "/api/v1/interaction-summaries?customerId=nobody", a.viewer, "")
}

func TestRespondBulk(t *testing.T) {
	a := startAPI(t)
	const path = "/api/v1/respond/bulk"
	r := a.must(200, post, path, a.viewer, `{"outcomes":[{"customerId":"c1","outcome":"click","idempotencyKey":"a"},{"outcome":"click"},"text",{"customerId":"c1","outcome":"unheard"},{"customerId":"c1","outcome":"click","idempotencyKey":"a"},{"customerId":"c1","outcome":"click","conversionValue":"much"},{"customerId":"c2","outcome":"click","idempotencyKey":"a"},{"customerId":"c3","outcome":"dismiss"}]}`)
	var got struct {
		Processed, Succeeded, Failed, Duplicates int
		Errors                                   []struct {
			Index int
			Error struct{ Code, Message string }
		}
	}
	r.into(t, &got)
	var at []int
	for _, e := range got.Errors {
		at = append(at, e.Index)
	}
	if got.Processed != 8 || got.Succeeded != 2 || got.Failed != 5 || got.Duplicates != 1 || !reflect.DeepEqual(at, []int{1, 2, 3, 5, 6}) || got.Errors[4].Error.Code != "CONFLICT" {
		t.Errorf("got %s", r.body)
	}
	if !strings.Contains(got.Errors[0].Error.Message, "customerId") {
		t.Errorf("the missing field is not named: %s", r.body)
	}
	a.must(422, post, path, a.viewer, `{"outcomes":[{}]}`)
	a.must(422, post, path, a.viewer, `{"outcomes":[{"customerId":"c1","outcome":"unheard"}]}`)
	many := func(n int) string {
		return `{"outcomes":[` + strings.Repeat(`{"customerId":"c","outcome":"click"},`, n-1) + `{"customerId":"c","outcome":"click"}]}`
	}
	if e := a.must(400, post, path, a.viewer, many(maxOutcomes+1)).failure(t); e.Details[0].Path != "outcomes" {
		t.Errorf("too many: got %+v", e)
	}
	// The same request again, whole, counts nothing twice.
	a.must(200, post, path, a.viewer, many(maxOutcomes), "Idempotency-Key: bulk-1")
	r = a.must(200, post, path, a.viewer, many(maxOutcomes), "Idempotency-Key: bulk-1")
	if !strings.HasPrefix(string(r.body), `{"processed":1000,"succeeded":0,"failed":0,"duplicates":1000,`) {
		t.Errorf("a repeated bulk request: got %s", r.body)
	}
}

func TestIdempotentWrites(t *testing.T) {
	a := startAPI(t)
	body := fmt.Sprintf(scorecardBody, "once")
	first := a.must(201, post, "/api/v1/algorithm-models", a.editor, body, "Idempotency-Key: create-1")
	again := a.must(201, post, "/api/v1/algorithm-models", a.editor, body, "Idempotency-Key: create-1")
	if string(first.body) != string(again.body) {
		t.Errorf("got %s, want the first answer %s", again.body, first.body)
	}
	a.must(409, post, "/api/v1/algorithm-models", a.editor, fmt.Sprintf(scorecardBody, "twice"), "Idempotency-Key: create-1")
}

func TestOutcomeTypes(t *testing.T) {
	a := startAPI(t)
	const path = "/api/v1/outcome-types"
	a.must(201, post, path, a.editor, `{"key":"applied","name":"Applied","classification":"positive","category":"response"}`)
	a.must(200, put, path+"/applied", a.editor, `{"name":"Applied online"}`)
	a.must(201, post, "/api/v1/respond", a.viewer, `{"customerId":"c","outcome":"applied"}`)
	a.must(200, get, path+"?limit=100", a.viewer, "")
	a.must(204, remove, path+"/applied", a.editor, "")
	a.must(404, remove, path+"/applied", a.editor, "")
	if r := a.do(remove, path+"/click", a.editor, ""); r.status < 400 || r.status >= 500 {
		t.Errorf("deleting a system outcome type: got %d", r.status)
	}
}

func TestKeysAndTenants(t *testing.T) {
	a := startAPI(t)
	r := a.must(201, post, "/api/v1/api-keys", a.admin, `{"name":"temp","role":"viewer","expiresAt":"2999-01-01T00:00:00Z"}`)
	var k struct{ ID, Key string }
	r.into(t, &k)
	a.must(200, get, "/api/v1/algorithm-models", k.Key, "")
	if list := a.must(200, get, "/api/v1/api-keys", a.admin, ""); strings.Contains(string(list.body), k.Key) || !strings.Contains(string(list.body), k.ID) {
		t.Errorf("the list of keys: got %s", list.body)
	}
	a.must(404, remove, "/api/v1/api-keys/"+k.ID, a.stranger, "")
	a.must(204, remove, "/api/v1/api-keys/"+k.ID, a.admin, "")
	a.must(401, get, "/api/v1/algorithm-models", k.Key, "")
	a.must(200, get, "/api/v1/tenants", operatorKey, "")
	a.must(200, get, "/api/v1/cluster", operatorKey, "")
	a.must(200, get, "/api/v1/cluster", a.admin, "")
	a.must(200, post, "/api/v1/cluster/snapshot", operatorKey, "")
	a.must(204, remove, "/api/v1/tenants/other", operatorKey, "")
	a.must(401, get, "/api/v1/algorithm-models", a.stranger, "")
	a.must(404, get, "/api/v1/algorithm-models", operatorKey, "", "X-Tenant-Id: other")
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"} {
		a.must(200, get, path, "", "")
	}
}

// Nothing of one tenant can be read, changed or told from absent by another.
func TestTenantIsolation(t *testing.T) {
	a := startAPI(t)
	id := a.create(fmt.Sprintf(banditBody, "secret-model"))
	a.outcomes(60)
	var job struct{ JobID string }
	a.must(202, post, "/api/v1/algorithm-models/"+id+"/train?async=true", a.editor, "").into(t, &job)
	for _, tc := range []struct{ method, path, body string }{
		{get, "/api/v1/algorithm-models/%s", ""},
		{put, "/api/v1/algorithm-models/%s", `{"name":"x"}`},
		{remove, "/api/v1/algorithm-models/%s", ""},
		{remove, "/api/v1/algorithm-models?id=%s", ""},
		{post, "/api/v1/algorithm-models/%s/score", "{}"},
		{post, "/api/v1/algorithm-models/%s/score-offer-set", `{"offers":[{"id":"o"}]}`},
		{post, "/api/v1/algorithm-models/%s/score-batch", `{"rows":[{}]}`},
		{post, "/api/v1/algorithm-models/%s/train", ""},
		{post, "/api/v1/algorithm-models/%s/reset-learning", ""},
		{post, "/api/v1/algorithm-models/%s/restore", `{"version":1}`},
		{get, "/api/v1/models/%s/registry", ""},
	} {
		for _, header := range []string{"X-Tenant-Id: acme", "X-Other: none"} {
			theirs := a.must(404, tc.method, fmt.Sprintf(tc.path, id), a.stranger, tc.body, header)
			absent := a.must(404, tc.method, fmt.Sprintf(tc.path, "model_absent"), a.stranger, tc.body, header)
			if got, want := strings.ReplaceAll(theirs.failure(t).Message, id, "ID"), strings.ReplaceAll(absent.failure(t).Message, "model_absent", "ID"); got != want {
				t.Errorf("%s %s: got %q for another tenant's model, %q for an absent one", tc.method, tc.path, got, want)
			}
		}
	}
	a.must(404, get, "/api/v1/jobs/"+job.JobID, a.stranger, "")
	a.must(404, remove, "/api/v1/jobs/"+job.JobID, a.stranger, "")
	for _, path := range []string{"/api/v1/algorithm-models", "/api/v1/interaction-history", "/api/v1/jobs", "/api/v1/interaction-summaries?customerId=c1"} {
		if r := a.must(200, get, path, a.stranger, ""); !strings.Contains(string(r.body), `"data":[]`) {
			t.Errorf("%s: another tenant sees %s", path, r.body)
		}
	}
	a.must(200, get, "/api/v1/algorithm-models/"+id, operatorKey, "", "X-Tenant-Id: acme")
}

// Every route of the table asks for the role that it declares.
func TestRolesOfEveryRoute(t *testing.T) {
	a := startAPI(t)
	keys := []struct {
		role decision.Role
		key  string
	}{{decision.RoleNone, ""}, {decision.RoleViewer, a.viewer}, {decision.RoleEditor, a.editor}, {decision.RoleAdmin, a.admin}, {decision.RoleOperator, operatorKey}}
	for _, rt := range a.table {
		path := strings.NewReplacer("{id}", "none", "{key}", "none").Replace(rt.path)
		for _, k := range keys {
			if rt.path == "/api/v1/tenants/{id}" || (rt.path == "/api/v1/cluster/snapshot" && k.role == decision.RoleOperator) {
				continue
			}
			r := a.do(rt.method, path, k.key, "", "X-Tenant-Id: acme")
			want := "pass"
			switch {
			case rt.access == public:
			case k.key == "":
				want = "401"
			case k.role < accessRoles[rt.access]:
				want = "403"
			}
			got := "pass"
			if r.status == http.StatusUnauthorized || r.status == http.StatusForbidden {
				got = fmt.Sprint(r.status)
			}
			if got != want {
				t.Errorf("%s %s as %s: got %d, want %s", rt.method, rt.path, k.role, r.status, want)
			}
		}
	}
}
