package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/praetor-engine/praetor/internal/engine"
)

// scoringSystem is another system that gives scores: one for each candidate, by
// its id, and .9 for a customer alone.
type scoringSystem struct {
	*httptest.Server
	status  atomic.Int64 // other than 0: answered with this instead
	queries atomic.Int64
	last    atomic.Pointer[asked]
}

type asked struct {
	header http.Header
	query  struct {
		CustomerID, RequestID string
		Attributes            map[string]any
		Candidates            []struct {
			ID, Name   string
			Attributes map[string]any
		}
	}
}

func startScoringSystem(t *testing.T) *scoringSystem {
	x := &scoringSystem{}
	known := map[string]float64{"high": 0.8, "low": 0.2, "beyond": 7}
	x.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x.queries.Add(1)
		if s := x.status.Load(); s != 0 {
			w.WriteHeader(int(s))
			return
		}
		a := &asked{header: r.Header}
		if err := json.NewDecoder(r.Body).Decode(&a.query); err != nil {
			t.Errorf("the query is not JSON: %v", err)
		}
		x.last.Store(a)
		var scores []string
		for _, c := range a.query.Candidates {
			if s, ok := known[c.ID]; ok {
				scores = append(scores, fmt.Sprintf(`{"offer":%q,"p":%g}`, c.ID, s))
			}
		}
		if len(a.query.Candidates) == 0 {
			scores = []string{`{"p":0.9}`}
		}
		fmt.Fprintf(w, `{"result":{"scores":[%s]}}`, strings.Join(scores, ","))
	}))
	t.Cleanup(x.Close)
	return x
}

const secretToken = "token-that-nobody-may-see"

func externalModel(url string) string {
	return fmt.Sprintf(`{"key":"ext","name":"ext","modelType":"external_endpoint","config":{"endpoint":%q,"auth":{"token":%q},
		"responseMapping":{"scoresPath":"result.scores","offerIdField":"offer","scoreField":"p"},"fallbackScore":0.4}}`, url, secretToken)
}

func allowLocal(c *engine.Config) {
	c.Endpoints.AllowHTTP, c.Endpoints.Allow = true, []string{"127.0.0.0/8"}
}

func TestExternalEndpoint(t *testing.T) {
	x := startScoringSystem(t)
	a := startAPI(t, allowLocal)
	path := "/api/v1/algorithm-models/" + a.create(externalModel(x.URL+"/score"))

	r := a.must(200, post, path+"/score", a.viewer, `{"customerId":"c1","attributes":{"age":40}}`, "X-Request-Id: request-1")
	if got, want := strings.TrimSpace(string(r.body)), `{"score":0.9}`; got != want {
		t.Errorf("score = %s, want %s", got, want)
	}
	q := x.last.Load()
	if q.query.CustomerID != "c1" || q.query.RequestID != "request-1" || q.query.Attributes["age"] != 40.0 {
		t.Errorf("the endpoint was asked %+v", q.query)
	}
	if got := q.header.Get("Authorization"); got != "Bearer "+secretToken {
		t.Errorf("Authorization = %q", got)
	}
	if got := q.header.Get("X-Tenant-Id"); got != "acme" {
		t.Errorf("X-Tenant-Id = %q", got)
	}

	r = a.must(200, post, path+"/score", a.viewer, `{"offerId":"low"}`)
	if got, want := strings.TrimSpace(string(r.body)), `{"score":0.2}`; got != want {
		t.Errorf("score of an offer = %s, want %s", got, want)
	}

	x.queries.Store(0)
	var set struct {
		Degraded bool
		Scores   []struct {
			OfferID  string
			Score    float64
			Degraded bool
		}
	}
	a.must(200, post, path+"/score-offer-set", a.viewer,
		`{"customerId":"c1","offers":[{"id":"low"},{"id":"new","name":"N","attributes":{"price":3}},{"id":"beyond"},{"id":"high"}]}`).into(t, &set)
	if got, want := fmt.Sprint(set), "{true [{beyond 1 false} {high 0.8 false} {new 0.4 true} {low 0.2 false}]}"; got != want {
		t.Errorf("ranking = %s, want %s", got, want)
	}
	if n := x.queries.Load(); n != 1 {
		t.Errorf("a ranking made %d queries, want 1", n)
	}
	if c := x.last.Load().query.Candidates[1]; c.Name != "N" || c.Attributes["price"] != 3.0 {
		t.Errorf("candidate = %+v", c)
	}

	r = a.must(200, post, path+"/score-batch", a.viewer, `{"rows":[{"customerId":"c1"},{"attributes":{"age":2}}]}`)
	if want := `"results":[{"index":0,"customerId":"c1","score":0.9},{"index":1,"score":0.9}]`; !strings.Contains(string(r.body), want) {
		t.Errorf("batch = %s, want %s", r.body, want)
	}

	x.status.Store(http.StatusInternalServerError)
	x.queries.Store(0)
	for range 8 {
		r = a.must(200, post, path+"/score", a.viewer, `{"customerId":"c1"}`)
		if got, want := strings.TrimSpace(string(r.body)), `{"score":0.4,"degraded":true}`; got != want {
			t.Fatalf("score without the endpoint = %s, want %s", got, want)
		}
	}
	if n := x.queries.Load(); n != 5 {
		t.Errorf("a failing endpoint was asked %d times, want 5 until it is left alone", n)
	}
	a.must(400, post, path+"/train", a.editor, "")
	a.must(400, post, path+"/reset-learning", a.editor, "")
}

func TestExternalEndpointsTokenIsNotShown(t *testing.T) {
	x := startScoringSystem(t)
	a := startAPI(t, allowLocal)
	const models = "/api/v1/algorithm-models"
	created := a.must(201, post, models, a.editor, externalModel(x.URL), "Idempotency-Key: once")
	again := a.must(201, post, models, a.editor, externalModel(x.URL), "Idempotency-Key: once")
	var m struct {
		ID     string
		Config json.RawMessage
	}
	created.into(t, &m)
	if !strings.Contains(string(m.Config), `"[redacted]"`) {
		t.Errorf("config = %s, want a placeholder of the token", m.Config)
	}
	path := models + "/" + m.ID
	answers := []*reply{
		created, again, a.must(200, get, models, a.viewer, ""), a.must(200, get, path+"?include=modelState", a.viewer, ""),
		// What was read may be written back: the token stays.
		a.must(200, put, path, a.editor, `{"config":`+string(m.Config)+`}`),
		// Not to another place, which could be anybody's.
		a.must(400, put, path, a.editor, `{"config":`+strings.Replace(string(m.Config), x.URL, x.URL+"/else", 1)+`}`),
		a.must(400, post, models, a.editor, strings.Replace(externalModel(x.URL), secretToken, "[redacted]", 1)),
		a.must(400, post, models, a.editor, strings.Replace(externalModel("ftp://x"), `"ext"`, `"e2"`, 1)),
		a.must(200, post, path+"/score", a.viewer, `{}`),
	}
	for i, r := range answers {
		if strings.Contains(string(r.body), secretToken) {
			t.Errorf("answer %d shows the token: %s", i, r.body)
		}
	}
	if got := x.last.Load().header.Get("Authorization"); got != "Bearer "+secretToken {
		t.Errorf("after the placeholder was written back the endpoint got %q", got)
	}
}

// Without the operator's word, nothing but https to public addresses is called.
func TestExternalEndpointsAreGuarded(t *testing.T) {
	a := startAPI(t)
	for _, url := range []string{"http://example.com/", "https://127.0.0.1/", "https://[::1]:8443/", "https://localhost/", "https://169.254.169.254/latest"} {
		r := a.must(400, post, "/api/v1/algorithm-models", a.editor, externalModel(url))
		if !strings.Contains(string(r.body), `"path":"config.endpoint"`) {
			t.Errorf("%s: %s, want the path config.endpoint", url, r.body)
		}
	}
}
