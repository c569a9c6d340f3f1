package httpapi

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/praetor-engine/praetor/internal/engine"
	"github.com/praetor-engine/praetor/internal/factorial"
)

// pageBody is an optimization of a page: two design factors, one of the context.
const pageBody = `{"name":"Signup page","model_type":%q,"training_data_config":{
	"design_factors":[{"name":"headline","dtype":"str","levels":["short","long"]},{"name":"badge","dtype":"bool","levels":[false,true]}],
	"context_factors":[{"name":"device","dtype":"str","levels":["desktop","mobile"]}],
	"reward":{"name":"signup","type":"bool"},"attribution":{"type":"last_touch","conversion_window_hours":24}},"holdout_percentage":%v}`

// optimization is what the tests read of one.
type optimizationSeen struct {
	ID          string
	Status      string
	Name        string
	ModelID     string `json:"model_id"`
	ModelStatus string `json:"model_status"`
	Summary     *struct {
		VariantsCount int `json:"variants_count"`
		Exposures     uint64
		Lift          *float64
		Confidence    *float64
	}
	Meta struct {
		RequestID      string `json:"request_id"`
		OrganizationID string `json:"organization_id"`
	}
}

func (a *api) optimization(body string) (o optimizationSeen) {
	a.t.Helper()
	a.must(201, post, "/api/v2/optimizations", a.editor, body).into(a.t, &o)
	return o
}

type servedSeen struct {
	OptimizationID string `json:"optimization_id"`
	ModelID        string `json:"model_id"`
	Variant        map[string]any
	Number         int  `json:"variant_number"`
	Holdout        bool `json:"is_holdout"`
	Propensity     float64
}

func (a *api) serves(id, key, visitor, more string) (s servedSeen) {
	a.t.Helper()
	a.must(200, post, "/api/v2/optimizations/"+id+"/serve", key, fmt.Sprintf(`{"anonymous_id":%q%s}`, visitor, more)).into(a.t, &s)
	return s
}

// failureV2 is the error envelope of the second version.
func (r *reply) failureV2(t testing.TB) (code, message string) {
	t.Helper()
	var env struct {
		Error struct{ Code, Message string }
		Meta  struct {
			RequestID string `json:"request_id"`
		}
	}
	if err := json.Unmarshal(r.body, &env); err != nil {
		t.Fatalf("got %q, want an error envelope", r.body)
	}
	if env.Error.Code == "" || env.Error.Message == "" || env.Meta.RequestID == "" || env.Meta.RequestID != r.header.Get("X-Request-Id") {
		t.Errorf("incomplete envelope %s", r.body)
	}
	return env.Error.Code, env.Error.Message
}

// ingested sends events in requests of at most 500, with the time where it is given.
func (a *api) ingested(kind string, events []string) {
	a.t.Helper()
	for len(events) > 0 {
		n := min(len(events), engine.MaxEvents)
		r := a.must(200, post, "/api/v2/ingest/"+kind, a.editor, `{"events":[`+strings.Join(events[:n], ",")+`]}`)
		if want := fmt.Sprintf(`{"accepted":%d,"duplicates":0,"rejected":[]`, n); !strings.HasPrefix(string(r.body), want) {
			a.t.Fatalf("ingest: got %s, want %s", r.body, want)
		}
		events = events[n:]
	}
}

// longAgo is before every window.
var longAgo = time.Now().Add(-1000 * time.Hour).UTC().Format(time.RFC3339)

// seen makes n exposures of a variant of an optimization, long ago, of which hits
// were rewarded; the visitors are numbered from first on.
func seen(id, variant string, first, n, hits int, who func(int) string) (exposures, rewards []string) {
	for i := range n {
		v := who(first + i)
		exposures = append(exposures, fmt.Sprintf(`{"anonymous_id":%q,"optimization_id":%q,"variant":%s,"timestamp":%q}`, v, id, variant, longAgo))
		if i < hits {
			rewards = append(rewards, fmt.Sprintf(`{"anonymous_id":%q,"name":"signup","timestamp":%q}`, v, longAgo))
		}
	}
	return exposures, rewards
}

// A model's life, as the documentation of models has it.
func TestModelsOfOptimizations(t *testing.T) {
	a := startAPI(t)
	o := a.optimization(fmt.Sprintf(pageBody, "cmab", 10))
	if o.Status != "live" || o.ModelStatus != "created" || o.Summary != nil || o.Meta.OrganizationID != "acme" || o.Meta.RequestID == "" {
		t.Errorf("created: got %+v", o)
	}
	var list struct {
		Models []map[string]any
		Meta   map[string]string
	}
	a.must(200, get, "/api/v2/models", a.viewer, "").into(t, &list)
	if len(list.Models) != 1 || len(list.Models[0]) != 6 || list.Models[0]["id"] != o.ModelID || list.Models[0]["status"] != "created" {
		t.Fatalf("list: got %+v", list)
	}
	for _, name := range []string{"id", "model_type", "status", "training_data_config", "created_at", "updated_at"} {
		if list.Models[0][name] == nil {
			t.Errorf("list: a model has no %s", name)
		}
	}
	// Nothing to learn from.
	if code, message := a.must(409, post, "/api/v2/models/"+o.ModelID+"/train", a.editor, "").failureV2(t); code != "conflict" || !strings.Contains(message, "no observations") {
		t.Errorf("train: got %s %q", code, message)
	}
	exposures, rewards := seen(o.ID, `{"headline":"long","badge":true}`, 0, 60, 20, func(i int) string { return fmt.Sprint("v", i) })
	a.ingested("exposures", exposures)
	a.ingested("rewards", rewards)
	// Without a body there is no Content-Type either.
	req, err := http.NewRequest(post, "http://"+a.addr+"/api/v2/models/"+o.ModelID+"/train", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+a.editor)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var trained map[string]any
	if err := json.NewDecoder(res.Body).Decode(&trained); err != nil || res.StatusCode != 200 {
		t.Fatalf("train: got %d %v %v", res.StatusCode, trained, err)
	}
	metrics, _ := trained["in_sample_metrics"].(map[string]any)
	if len(trained) != 4 || trained["model_id"] != o.ModelID || trained["status"] != "trained" || len(metrics) != 2 || metrics["historic_reward"] != 20.0/60 {
		t.Errorf("train: got %v", trained)
	}
	expected, _ := metrics["expected_reward"].(map[string]any)
	if lower, mean, upper := expected["ci_lower"].(float64), expected["mean"].(float64), expected["ci_upper"].(float64); !(lower < mean && mean < upper) {
		t.Errorf("expected reward: got %v", expected)
	}
	// The bias is kept with what was trained with it, and not longer.
	bias := func() any {
		var m map[string]any
		a.must(200, get, "/api/v2/models/"+o.ModelID, a.viewer, "").into(t, &m)
		return m["bias"]
	}
	a.must(200, post, "/api/v2/models/"+o.ModelID+"/train", a.editor, `{"bias":{"headline":0.1,"badge":0}}`)
	if got := fmt.Sprint(bias()); got != "map[badge:0 headline:0.1]" {
		t.Errorf("bias: got %s", got)
	}
	a.must(200, post, "/api/v2/models/"+o.ModelID+"/train", a.editor, `{}`)
	if got := bias(); got != nil {
		t.Errorf("bias: got %v, want none", got)
	}
	for _, body := range []string{`{"bias":{"device":1}}`, `{"bias":{"headline":-0.1}}`, `{"bias":{"headline":1e999}}`, `{"bias":{"headline":"x"}}`, `{"bias":3}`} {
		if code, message := a.must(400, post, "/api/v2/models/"+o.ModelID+"/train", a.editor, body).failureV2(t); code != "bad_request" || !strings.Contains(message, "bias") {
			t.Errorf("%s: got %s %q", body, code, message)
		}
	}
	var state struct {
		ModelID  string `json:"model_id"`
		Status   string
		Variants []struct {
			Number    int
			Exposures int
			Rewards   float64
			Weight    float64
			ProbBest  float64 `json:"prob_best"`
		}
	}
	a.must(200, get, "/api/v2/models/"+o.ModelID+"/state", a.viewer, "").into(t, &state)
	weights, best := 0.0, 0.0
	for _, v := range state.Variants {
		weights, best = weights+v.Weight, best+v.ProbBest
	}
	if len(state.Variants) != 4 || state.Variants[3].Exposures != 60 || state.Variants[3].Rewards != 20 || math.Abs(best-1) > 1e-9 || math.Abs(weights-0.9) > 1e-9 {
		t.Errorf("state: got %+v", state)
	}
	a.deleted(&o)
}

// deleted deletes an optimization's model, and makes a new one.
func (a *api) deleted(o *optimizationSeen) {
	t := a.t
	t.Helper()
	a.must(409, post, "/api/v2/optimizations/"+o.ID+"/models", a.editor, "")
	var gone map[string]any
	a.must(200, remove, "/api/v2/models/"+o.ModelID, a.admin, "").into(t, &gone)
	if len(gone) != 3 || gone["id"] != o.ModelID || gone["status"] != "archived" {
		t.Errorf("delete: got %v", gone)
	}
	a.must(404, remove, "/api/v2/models/"+o.ModelID, a.admin, "")
	a.must(409, post, "/api/v2/models/"+o.ModelID+"/train", a.editor, "")
	for _, dry := range []string{"", `,"dry_run":true`} {
		a.must(409, post, "/api/v2/optimizations/"+o.ID+"/serve", a.viewer, `{"anonymous_id":"v"`+dry+`}`)
	}
	a.must(200, get, "/api/v2/optimizations/"+o.ID, a.viewer, "")
	var m struct{ ID, Status string }
	a.must(201, post, "/api/v2/optimizations/"+o.ID+"/models", a.editor, "").into(t, &m)
	if m.ID == o.ModelID || m.Status != "created" {
		t.Errorf("new model: got %+v", m)
	}
	if s := a.serves(o.ID, a.viewer, "v", ""); s.ModelID != m.ID {
		t.Errorf("serve: got model %s, want %s", s.ModelID, m.ID)
	}
	// What was seen is still there.
	a.must(200, post, "/api/v2/models/"+m.ID+"/train", a.editor, "")
}

// The check values of the policy value, through the API.
func TestExpectedRewardOverHTTP(t *testing.T) {
	a := startAPI(t)
	o := a.optimization(fmt.Sprintf(pageBody, "cmab", 0))
	first := 0
	for _, c := range []struct {
		variant string
		n, hits int
	}{
		{`{"headline":"short","badge":false}`, 1000, 200}, {`{"headline":"long","badge":false}`, 500, 120},
		{`{"headline":"short","badge":true}`, 500, 105}, {`{"headline":"long","badge":true}`, 2000, 620},
	} {
		exposures, rewards := seen(o.ID, c.variant, first, c.n, c.hits, func(i int) string { return fmt.Sprint("v", i) })
		a.ingested("exposures", exposures)
		a.ingested("rewards", rewards)
		first += c.n
	}
	var trained struct {
		Metrics struct {
			Historic float64 `json:"historic_reward"`
			Expected struct {
				Mean  float64
				Lower float64 `json:"ci_lower"`
				Upper float64 `json:"ci_upper"`
			} `json:"expected_reward"`
		} `json:"in_sample_metrics"`
	}
	a.must(200, post, "/api/v2/models/"+o.ModelID+"/train", a.editor, "").into(t, &trained)
	m := trained.Metrics
	if m.Historic != 1045.0/4000 {
		t.Errorf("historic reward: got %v, want %v", m.Historic, 1045.0/4000)
	}
	for _, c := range []struct {
		name      string
		got, want float64
	}{{"mean", m.Expected.Mean, 0.3097}, {"lower", m.Expected.Lower, 0.2899}, {"upper", m.Expected.Upper, 0.3299}} {
		if math.Abs(c.got-c.want) > 0.002 {
			t.Errorf("expected reward, %s: got %v, want %v ± 0.002", c.name, c.got, c.want)
		}
	}
}

// The check values of the lift, through the API.
func TestMeasuredLiftOverHTTP(t *testing.T) {
	a := startAPI(t)
	o := a.optimization(fmt.Sprintf(pageBody, "mab", 10))
	next := 0
	who := func(held bool) func(int) string {
		return func(int) string {
			for {
				next++
				if v := fmt.Sprint("v", next); factorial.HeldOut(o.ID, v, 10) == held {
					return v
				}
			}
		}
	}
	lift := func() (l struct {
		Percent      *float64 `json:"lift_percent"`
		SE           *float64
		Lower        *float64 `json:"ci_lower"`
		Upper        *float64 `json:"ci_upper"`
		P            *float64 `json:"p_value"`
		HoldoutUsers int      `json:"holdout_users"`
		TreatedUsers int      `json:"treated_users"`
	}) {
		var r struct {
			Lift json.RawMessage `json:"measured_lift"`
		}
		a.must(200, get, "/api/v2/optimizations/"+o.ID+"/results", a.viewer, "").into(t, &r)
		if err := json.Unmarshal(r.Lift, &l); err != nil {
			t.Fatal(err)
		}
		return l
	}
	if l := lift(); l.Percent != nil || l.SE != nil || l.P != nil || l.HoldoutUsers != 0 {
		t.Errorf("lift of nothing: got %+v", l)
	}
	record := func(variant string, n, hits int, held bool) {
		exposures, rewards := seen(o.ID, variant, 0, n, hits, who(held))
		a.ingested("exposures", exposures)
		a.ingested("rewards", rewards)
	}
	record(`{"headline":"short","badge":false}`, 1000, 200, true)
	record(`{"headline":"long","badge":false}`, 99, 26, false)
	if l := lift(); l.Percent == nil || l.SE == nil || l.P != nil || l.Lower != nil || l.TreatedUsers != 99 {
		t.Errorf("lift of 99: got %+v, want no interval", l)
	}
	record(`{"headline":"long","badge":false}`, 9901, 2574, false)
	l := lift()
	if l.HoldoutUsers != 1000 || l.TreatedUsers != 10000 {
		t.Fatalf("users: got %+v", l)
	}
	for _, c := range []struct {
		name            string
		got             *float64
		want, tolerance float64
	}{{"lift", l.Percent, 30, 1e-9}, {"se", l.SE, 8.5094, 1e-4}, {"lower", l.Lower, 13.3216, 1e-4}, {"upper", l.Upper, 46.6784, 1e-4}, {"p", l.P, 0.00042267, 1e-8}} {
		if c.got == nil || math.Abs(*c.got-c.want) > c.tolerance {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
	a.must(200, post, "/api/v2/models/"+o.ModelID+"/train", a.editor, "")
	a.must(200, get, "/api/v2/optimizations/"+o.ID, a.viewer, "").into(t, &o)
	if s := o.Summary; s == nil || s.VariantsCount != 4 || s.Exposures != 11000 || math.Abs(*s.Lift-30) > 1e-9 || math.Abs(*s.Confidence-0.99957733) > 1e-7 {
		t.Errorf("summary: got %+v", s)
	}
}

func TestServe(t *testing.T) {
	a := startAPI(t)
	o := a.optimization(fmt.Sprintf(pageBody, "cmab", 20))
	// Untrained: uniform, the holdout on the baseline, sticky.
	counts, held := map[int]int{}, 0
	for i := range 400 {
		v := fmt.Sprint("v", i)
		s := a.serves(o.ID, a.viewer, v, fmt.Sprintf(`,"context":{"device":%q}`, []string{"desktop", "mobile", "watch"}[i%3]))
		if again := a.serves(o.ID, a.viewer, v, `,"context":{"device":7,"more":[1,{"x":null}]}`); again.Number != s.Number || again.Propensity != s.Propensity {
			t.Fatalf("%s: got %+v, then %+v", v, s, again)
		}
		want := 0.2
		if s.Number == 1 {
			want = 0.4
		}
		if math.Abs(s.Propensity-want) > 1e-12 || s.OptimizationID != o.ID || s.ModelID != o.ModelID || len(s.Variant) != 2 || s.Holdout && s.Number != 1 {
			t.Fatalf("got %+v, want the propensity %v", s, want)
		}
		counts[s.Number]++
		if s.Holdout {
			held++
		}
	}
	if held < 50 || held > 110 || len(counts) != 4 || counts[4] < 50 {
		t.Errorf("of 400 visitors %d held out, by variant %v", held, counts)
	}
	// best-variant is the same; a dry run writes nothing.
	before := a.Server.engine.AppliedIndex()
	dry := a.serves(o.ID, a.viewer, "new", `,"dry_run":true`)
	if after := a.Server.engine.AppliedIndex(); after != before {
		t.Errorf("a dry run brought the log from %d to %d", before, after)
	}
	var best servedSeen
	a.must(200, post, "/api/v2/optimizations/best-variant", a.viewer, fmt.Sprintf(`{"optimization_id":%q,"anonymous_id":"new"}`, o.ID)).into(t, &best)
	if best.Number != dry.Number || best.ModelID != o.ModelID {
		t.Errorf("best-variant: got %+v, want %+v", best, dry)
	}
	// Completed: everyone gets the winner; archived: nobody anything.
	exposures, rewards := seen(o.ID, `{"headline":"long","badge":true}`, 1000, 400, 300, func(i int) string { return fmt.Sprint("v", i) })
	a.ingested("exposures", exposures)
	a.ingested("rewards", rewards)
	exposures, rewards = seen(o.ID, `{"headline":"short","badge":false}`, 2000, 400, 30, func(i int) string { return fmt.Sprint("v", i) })
	a.ingested("exposures", exposures)
	a.ingested("rewards", rewards)
	a.must(200, post, "/api/v2/models/"+o.ModelID+"/train", a.editor, "")
	a.must(200, patch, "/api/v2/optimizations/"+o.ID, a.editor, `{"status":"completed","name":"Done"}`).into(t, &o)
	if o.Status != "completed" || o.Name != "Done" {
		t.Errorf("patch: got %+v", o)
	}
	for i := range 20 {
		if s := a.serves(o.ID, a.viewer, fmt.Sprint("v", i), ""); s.Number != 4 || s.Propensity != 1 || s.Holdout {
			t.Fatalf("completed: got %+v, want the winner", s)
		}
	}
	a.must(200, patch, "/api/v2/optimizations/"+o.ID, a.editor, `{"status":"archived"}`)
	a.must(409, post, "/api/v2/optimizations/"+o.ID+"/serve", a.viewer, `{"anonymous_id":"v"}`)
	var list struct {
		Optimizations []optimizationSeen
		Total         int
	}
	a.must(200, get, "/api/v2/optimizations", a.viewer, "").into(t, &list)
	if list.Total != 0 || list.Optimizations == nil {
		t.Errorf("list: got %+v, want nothing", list)
	}
	a.must(200, get, "/api/v2/optimizations?include_archived=true&order_by=lift&limit=1&offset=0", a.viewer, "").into(t, &list)
	if list.Total != 1 || len(list.Optimizations) != 1 {
		t.Errorf("list: got %+v, want the archived one", list)
	}
	for _, query := range []string{"limit=0", "limit=101", "limit=x", "order_by=color", "include_archived=1", "offset=-1"} {
		a.must(400, get, "/api/v2/optimizations?"+query, a.viewer, "").failureV2(t)
	}
}

// Without a key only what was opened serves, and only that.
func TestPublicServe(t *testing.T) {
	a := startAPI(t)
	o := a.optimization(fmt.Sprintf(pageBody, "mab", 0))
	path, best := "/api/v2/optimizations/"+o.ID+"/serve", "/api/v2/optimizations/best-variant"
	body, named := `{"anonymous_id":"v"}`, fmt.Sprintf(`{"optimization_id":%q,"anonymous_id":"v"}`, o.ID)
	closed := func() {
		t.Helper()
		a.must(401, post, path, "", body).failureV2(t)
		a.must(401, post, best, "", named).failureV2(t)
		a.must(401, post, best, "", `{`)
		a.must(401, post, best, "", `{"anonymous_id":"v"}`)
		a.must(401, post, strings.Replace(path, o.ID, "none", 1), "", body)
	}
	closed()
	a.must(200, patch, "/api/v2/optimizations/"+o.ID, a.editor, `{"public_serve":true}`)
	var s servedSeen
	a.must(200, post, path, "", body).into(t, &s)
	a.must(200, post, best, "", named).into(t, &s)
	a.must(400, post, path, "", `{}`).failureV2(t)
	a.must(413, post, path, "", `{"anonymous_id":"`+strings.Repeat("v", maxServeBody)+`"}`).failureV2(t)
	a.must(413, post, best, "", `{"anonymous_id":"`+strings.Repeat("v", maxServeBody)+`"}`).failureV2(t)
	a.must(401, get, "/api/v2/optimizations/"+o.ID, "", "")
	a.must(401, post, "/api/v2/models/"+o.ModelID+"/train", "", "")
	a.must(401, post, path, "prk_wrong", body)
	a.must(404, post, path, a.stranger, body) // a key is of its tenant
	a.must(200, patch, "/api/v2/optimizations/"+o.ID, a.editor, `{"public_serve":false}`)
	closed()
}

// A limit holds without a key too, and leaves the tenant's own share alone.
func TestPublicServeIsLimited(t *testing.T) {
	a := startAPI(t)
	o := a.optimization(fmt.Sprintf(pageBody, "mab", 0))
	a.must(200, patch, "/api/v2/optimizations/"+o.ID, a.editor, `{"public_serve":true}`)
	a.Server.limiters[ClassServe] = newLimiter(ClassServe, RateLimit{3, time.Hour})
	for i := range 5 {
		want := 200
		if i >= 3 {
			want = 429
		}
		path, body := "/api/v2/optimizations/"+o.ID+"/serve", `{"anonymous_id":"v","dry_run":true}`
		if i%2 == 1 {
			path, body = "/api/v2/optimizations/best-variant", fmt.Sprintf(`{"optimization_id":%q,"anonymous_id":"v"}`, o.ID)
		}
		r := a.must(want, post, path, "", body)
		if want == 429 {
			if code, _ := r.failureV2(t); code != "rate_limited" || r.header.Get("Retry-After") == "" {
				t.Errorf("got %s", r.body)
			}
		}
	}
	a.must(200, post, "/api/v2/optimizations/"+o.ID+"/serve", a.viewer, `{"anonymous_id":"v","dry_run":true}`)
}

func TestIngest(t *testing.T) {
	a := startAPI(t)
	o := a.optimization(fmt.Sprintf(pageBody, "mab", 0))
	const good = `"variant":{"headline":"long","badge":true}`
	exposure := func(id, rest string) string {
		return fmt.Sprintf(`{"anonymous_id":"v","optimization_id":%q,%s}`, id, rest)
	}
	events := func(all ...string) string { return `{"events":[` + strings.Join(all, ",") + `]}` }
	type answer struct {
		Accepted, Duplicates int
		Rejected             []struct {
			Index         int
			Code, Message string
		}
	}
	var got answer
	a.must(207, post, "/api/v2/ingest/exposures", a.editor, events(
		exposure(o.ID, good+`,"idempotency_key":"k1"`), exposure(o.ID, good+`,"idempotency_key":"k1"`),
		exposure(o.ID, `"variant":{"headline":"huge","badge":true}`), exposure(o.ID, `"variant":{"headline":"long"}`), exposure("nobody", good),
		exposure(o.ID, good+`,"timestamp":"2999-01-01T00:00:00Z"`), exposure(o.ID, good+`,"timestamp":"yesterday"`), `{"anonymous_id":"v"}`, `{}`,
	)).into(t, &got)
	if got.Accepted != 1 || got.Duplicates != 1 || len(got.Rejected) != 7 {
		t.Fatalf("got %+v", got)
	}
	for i, want := range []struct {
		code, in string
	}{{"bad_request", "variant.headline"}, {"bad_request", "variant.badge"}, {"forbidden", "optimization_id"}, {"bad_request", "timestamp"},
		{"bad_request", "timestamp"}, {"bad_request", "optimization_id"}, {"bad_request", "events[8].anonymous_id"}} {
		if r := got.Rejected[i]; r.Index != i+2 || r.Code != want.code || !strings.Contains(r.Message, want.in) {
			t.Errorf("rejected: got %+v, want index %d, %s, %q", r, i+2, want.code, want.in)
		}
	}
	// All refused for one reason is a refusal.
	a.must(403, post, "/api/v2/ingest/exposures", a.editor, events(exposure("nobody", good)))
	a.must(403, post, "/api/v2/ingest/exposures", a.stranger, events(exposure(o.ID, good)))
	a.must(400, post, "/api/v2/ingest/exposures", a.editor, events(exposure(o.ID, `"variant":{}`)))
	a.must(400, post, "/api/v2/ingest/exposures", a.editor, events())
	a.must(400, post, "/api/v2/ingest/exposures", a.editor, `{}`)
	a.must(400, post, "/api/v2/ingest/exposures", a.editor, events(strings.Split(strings.Repeat(`{},`, 500)+`{}`, ",")...))
	if got := a.raw("POST /api/v2/ingest/exposures HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + a.editor +
		"\r\nContent-Type: application/json\r\nContent-Length: 5242881\r\nConnection: close\r\n\r\n" + strings.Repeat(" ", firstRead)); !strings.Contains(got, "413") || !strings.Contains(got, `"code":"bad_request"`) {
		t.Errorf("a body of more than 5 MB: got %s", got)
	}
	// Rewards: by name, and of one optimization.
	a.must(207, post, "/api/v2/ingest/rewards", a.editor, events(
		`{"anonymous_id":"v","name":"signup","idempotency_key":"r1"}`, `{"anonymous_id":"v","name":"signup","idempotency_key":"r1"}`,
		`{"anonymous_id":"v","name":"nothing"}`, fmt.Sprintf(`{"anonymous_id":"v","name":"other","optimization_id":%q}`, o.ID),
		fmt.Sprintf(`{"anonymous_id":"v","name":"signup","value":2.5,"optimization_id":%q}`, o.ID), `{"anonymous_id":"v","name":"signup","value":1e12}`,
	)).into(t, &got)
	if got.Accepted != 2 || got.Duplicates != 1 || len(got.Rejected) != 3 || got.Rejected[0].Code != "not_found" || got.Rejected[1].Code != "bad_request" {
		t.Errorf("rewards: got %+v", got)
	}
	// A reward before its exposure, and one of another tenant's visitor.
	a.must(200, post, "/api/v2/ingest/rewards", a.editor, events(fmt.Sprintf(`{"anonymous_id":"w","name":"signup","timestamp":%q}`, longAgo)))
	a.must(404, post, "/api/v2/ingest/rewards", a.stranger, events(`{"anonymous_id":"v","name":"signup"}`))
	a.must(200, post, "/api/v2/ingest/exposures", a.editor, events(fmt.Sprintf(`{"anonymous_id":"w","optimization_id":%q,%s,"context":{"device":"mobile"},"timestamp":%q}`, o.ID, good, longAgo)))
	var r struct {
		Variants []struct {
			Number, Exposures int
			Conversions       float64
		}
	}
	a.must(200, get, "/api/v2/optimizations/"+o.ID+"/results", a.viewer, "").into(t, &r)
	if v := r.Variants[3]; v.Number != 4 || v.Exposures != 2 || v.Conversions != 2 {
		t.Errorf("results: got %+v, want 2 exposures with a conversion each", r.Variants)
	}
}

// Refusals have the envelope wherever they come from.
func TestRefusalsOfTheSecondVersion(t *testing.T) {
	a := startAPI(t)
	for _, tc := range []struct {
		status            int
		method, path, key string
		code              string
	}{
		{404, get, "/api/v2/nothing", a.viewer, "not_found"},
		{404, get, "/api/v2", a.viewer, "not_found"},
		{404, get, "/api/v2/models/none", a.viewer, "not_found"},
		{405, put, "/api/v2/models", a.viewer, "bad_request"},
		{401, get, "/api/v2/models", "", "unauthorized"},
		{401, get, "/api/v2/models", "prk_none", "unauthorized"},
		{403, remove, "/api/v2/models/none", a.editor, "forbidden"},
		{400, get, "/api/v2/models/%00", a.viewer, "bad_request"},
	} {
		if code, _ := a.must(tc.status, tc.method, tc.path, tc.key, "").failureV2(t); code != tc.code {
			t.Errorf("%s %s: got %s, want %s", tc.method, tc.path, code, tc.code)
		}
	}
	if r := a.do(get, "/api/v2x", a.viewer, ""); r.status != 404 || r.failure(t).Code != "NOT_FOUND" {
		t.Errorf("got %d %s, want the first version's envelope", r.status, r.body)
	}
}

// Nothing of one organization can be read, changed or told from absent by another.
func TestOptimizationsAreIsolated(t *testing.T) {
	a := startAPI(t)
	o := a.optimization(fmt.Sprintf(pageBody, "mab", 0))
	const one, model = "/api/v2/optimizations/%s", "/api/v2/models/%s"
	for _, tc := range []struct{ method, path, id, body string }{
		{get, one, o.ID, ""},
		{patch, one, o.ID, `{"name":"x"}`},
		{post, one + "/models", o.ID, ""},
		{get, one + "/results", o.ID, ""},
		{post, one + "/serve", o.ID, `{"anonymous_id":"v"}`},
		{get, model, o.ModelID, ""},
		{get, model + "/state", o.ModelID, ""},
		{post, model + "/train", o.ModelID, ""},
		{remove, model, o.ModelID, ""},
	} {
		const absent = "00000000-0000-4000-8000-000000000000"
		code, theirs := a.must(404, tc.method, fmt.Sprintf(tc.path, tc.id), a.stranger, tc.body, "X-Tenant-Id: acme").failureV2(t)
		_, none := a.must(404, tc.method, fmt.Sprintf(tc.path, absent), a.stranger, tc.body).failureV2(t)
		if code != "not_found" || strings.ReplaceAll(theirs, tc.id, "ID") != strings.ReplaceAll(none, absent, "ID") {
			t.Errorf("%s %s: got %s %q for another organization's, %q for an absent one", tc.method, tc.path, code, theirs, none)
		}
	}
	a.must(404, post, "/api/v2/optimizations/best-variant", a.stranger, fmt.Sprintf(`{"optimization_id":%q,"anonymous_id":"v"}`, o.ID))
	for path, want := range map[string]string{"/api/v2/optimizations": `{"optimizations":[],"total":0,`, "/api/v2/models": `{"models":[],`} {
		if r := a.must(200, get, path, a.stranger, ""); !strings.HasPrefix(string(r.body), want) {
			t.Errorf("%s: another organization sees %s", path, r.body)
		}
	}
	a.must(200, get, "/api/v2/optimizations/"+o.ID, operatorKey, "", "X-Tenant-Id: acme")
}

// Every field of every body, as for the first version: the message names the path.
func TestEveryFieldOfTheSecondVersionIsChecked(t *testing.T) {
	a := startAPI(t)
	o := a.optimization(fmt.Sprintf(pageBody, "mab", 0))
	number := func(path string) field { return field{path: path, kind: "number"} }
	name := func(path string) field { return field{path: path, kind: "string", most: maxName, required: true} }
	choice := func(path string) field { return field{path: path, kind: "string", required: true} }
	good := fmt.Sprintf(strings.Replace(pageBody, `"holdout`, `"auto_train":{"every_minutes":5},"excluded_combinations":[{"headline":"long","badge":true}],"holdout`, 1), "mab", 0)
	const config = "training_data_config."
	for _, rt := range []spoiled{
		{post, "/api/v2/optimizations", good, []field{
			name("name"), choice("model_type"), {path: "training_data_config", kind: "object", required: true}, number("holdout_percentage"),
			{path: "excluded_combinations", kind: "array", nullable: true}, {path: "auto_train", kind: "object", nullable: true},
			{path: "auto_train.every_minutes", kind: "number", nullable: true}, {path: "public_serve", kind: "boolean"},
			{path: config + "design_factors", kind: "array", required: true}, {path: config + "context_factors", kind: "array", nullable: true},
			name(config + "design_factors[0].name"), choice(config + "design_factors[0].dtype"), {path: config + "design_factors[0].levels", kind: "array", required: true},
			{path: config + "reward", kind: "object", required: true}, name(config + "reward.name"), choice(config + "reward.type"),
			{path: config + "attribution", kind: "object", required: true}, choice(config + "attribution.type"),
			{path: config + "attribution.conversion_window_hours", kind: "number", required: true},
		}},
		{patch, "/api/v2/optimizations/" + o.ID, `{"auto_train":{}}`, []field{
			{path: "name", kind: "string", most: maxName}, {path: "status", kind: "string"}, number("holdout_percentage"), {path: "public_serve", kind: "boolean"},
			{path: "auto_train", kind: "object", nullable: true}}},
		{post, "/api/v2/optimizations/" + o.ID + "/models", `{}`, nil},
		{post, "/api/v2/optimizations/" + o.ID + "/serve", `{"anonymous_id":"v","dry_run":true}`, []field{
			name("anonymous_id"), {path: "context", kind: "object", nullable: true}, {path: "dry_run", kind: "boolean"}}},
		{post, "/api/v2/optimizations/best-variant", `{"anonymous_id":"v","optimization_id":"x"}`, []field{
			name("anonymous_id"), name("optimization_id"), {path: "context", kind: "object", nullable: true}}},
		{post, "/api/v2/ingest/exposures", `{"events":[]}`, []field{{path: "events", kind: "array", required: true, most: engine.MaxEvents}}},
		{post, "/api/v2/ingest/rewards", `{"events":[]}`, []field{{path: "events", kind: "array", required: true, most: engine.MaxEvents}}},
		{post, "/api/v2/models/" + o.ModelID + "/train", `{"bias":{"headline":1}}`, []field{{path: "bias", kind: "object", nullable: true}, number("bias.headline")}},
	} {
		a.spoil(rt)
	}
	for _, tc := range []struct{ change, to, at string }{
		{`"mab"`, `"oracle"`, "model_type"},
		{`"levels":["short","long"]`, `"levels":["short"]`, config + "design_factors[0].levels"},
		{`"levels":["short","long"]`, `"levels":["short","short"]`, config + "design_factors[0].levels[1]"},
		{`"levels":["short","long"]`, `"levels":["short",7]`, config + "design_factors[0].levels[1]"},
		{`"levels":[false,true]`, `"levels":[false,"true"]`, config + "design_factors[1].levels[1]"},
		{`"name":"badge"`, `"name":"headline"`, config + "design_factors[1].name"},
		{`"name":"device"`, `"name":"headline"`, config + "context_factors[0].name"},
		{`"conversion_window_hours":24`, `"conversion_window_hours":721`, config + "attribution.conversion_window_hours"},
		{`"conversion_window_hours":24`, `"conversion_window_hours":0`, config + "attribution.conversion_window_hours"},
		{`"last_touch"`, `"middle"`, config + "attribution.type"},
		{`"holdout_percentage":0`, `"holdout_percentage":90.1`, "holdout_percentage"},
		{`"holdout_percentage":0`, `"holdout_percentage":-1`, "holdout_percentage"},
		{`"headline":"long","badge":true}]`, `"headline":"short","badge":false}]`, "excluded_combinations[0]"},
		{`"headline":"long","badge":true}]`, `"headline":"tiny"}]`, "excluded_combinations[0].headline"},
		{`"headline":"long","badge":true}]`, `"color":"red"}]`, "excluded_combinations[0]"},
		{`{"every_minutes":5}`, `{}`, "auto_train"},
		{`{"every_minutes":5}`, `{"every_observations":0}`, "auto_train.every_observations"},
	} {
		body := strings.Replace(good, tc.change, tc.to, 1)
		if body == good {
			t.Fatalf("%s is not in the body", tc.change)
		}
		a.wantRefused(post, "/api/v2/optimizations", body, tc.at, "rule")
	}
	// More than 10 000 variants are refused with the reason.
	var factors []string
	for f := range 5 {
		factors = append(factors, fmt.Sprintf(`{"name":"f%d","dtype":"str","levels":["a","b","c","d","e","f","g"]}`, f))
	}
	from, to := strings.Index(good, `[{"name":"headline"`), strings.Index(good, `,
	"context_factors"`)
	body := good[:from] + "[" + strings.Join(factors, ",") + "]" + good[to:]
	if _, message := a.must(400, post, "/api/v2/optimizations", a.editor, strings.Replace(body, `[{"headline":"long","badge":true}]`, "[]", 1)).failureV2(t); !strings.Contains(message, "10000 variants") || !strings.Contains(message, "7·7·7·7·7") {
		t.Errorf("got %q", message)
	}
}
