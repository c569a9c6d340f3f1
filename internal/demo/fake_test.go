package demo

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/praetor-engine/praetor/internal/client"
	"github.com/praetor-engine/praetor/internal/decision"
)

// fakeEngine answers the routes that the demo uses, in the API's shapes, with
// learners simple enough to be obviously right: a naive Bayes over the texts of
// a row, and arms. It is strict: an unknown field or a wrong id fails the test.
type fakeEngine struct {
	t        *testing.T
	mu       sync.Mutex
	models   map[string]*fakeModel
	outcomes []client.Outcome
	keys     map[string]bool
	rng      *rand.Rand
	fail     func(path string) int // a status to fail with; 0 goes on
}

type fakeModel struct {
	id   string
	spec struct {
		Key, Name, Description string
		ModelType              decision.ModelType
		Config                 map[string]any
		LearningConfig         struct {
			AutoLearn bool
			Filter    struct {
				OfferIDs    []string
				CategoryIDs []string
				ModelIDOnly bool
			}
		}
	}
	counts    map[string][2]float64 // "field=value" and "" (the prior): negatives, positives
	arms      map[string]map[string]float64
	trainings int
}

func newFake(t *testing.T) (*fakeEngine, *httptest.Server) {
	f := &fakeEngine{t: t, models: map[string]*fakeModel{}, keys: map[string]bool{}, rng: rand.New(rand.NewPCG(1, 2))}
	mux := http.NewServeMux()
	const models = "/api/v1/algorithm-models"
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { reply(w, 200, object{"status": "ready"}) })
	mux.HandleFunc("POST "+models, f.create)
	mux.HandleFunc("GET "+models+"/{id}", f.get)
	mux.HandleFunc("POST "+models+"/{id}/train", f.train)
	mux.HandleFunc("POST "+models+"/{id}/score", f.score)
	mux.HandleFunc("POST "+models+"/{id}/score-batch", f.scoreBatch)
	mux.HandleFunc("POST "+models+"/{id}/score-offer-set", f.rank)
	mux.HandleFunc("POST /api/v1/respond/bulk", f.respond)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.fail != nil {
			if status := f.fail(r.URL.Path); status != 0 {
				refuse(w, status, "BROKEN", "on purpose")
				return
			}
		}
		if r.URL.Path != "/readyz" && r.Header.Get("Authorization") != "Bearer prk_fake" {
			refuse(w, 401, "UNAUTHORIZED", "no such key")
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return f, server
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	reply(w, status, object{"error": object{"code": code, "message": message, "status": status, "requestId": "r"}})
}

// read decodes the body; a field that dst does not have fails the test.
func (f *fakeEngine) read(r *http.Request, dst any) {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(dst); err != nil {
		f.t.Errorf("%s: %v", r.URL.Path, err)
	}
}

func (f *fakeEngine) model(r *http.Request) *fakeModel {
	m := f.models[r.PathValue("id")]
	if m == nil {
		f.t.Errorf("%s: no such model", r.URL.Path)
		return &fakeModel{}
	}
	return m
}

func (f *fakeEngine) create(w http.ResponseWriter, r *http.Request) {
	m := &fakeModel{id: fmt.Sprintf("model_%d", len(f.models)+1), counts: map[string][2]float64{}, arms: map[string]map[string]float64{}}
	f.read(r, &m.spec)
	for _, other := range f.models {
		if other.spec.Key == m.spec.Key {
			refuse(w, 400, "BAD_REQUEST", "key: is taken")
			return
		}
	}
	f.models[m.id] = m
	reply(w, 201, object{"id": m.id, "key": m.spec.Key, "modelType": m.spec.ModelType})
}

func (f *fakeEngine) get(w http.ResponseWriter, r *http.Request) {
	m := f.model(r)
	if r.URL.Query().Get("include") != "modelState" {
		f.t.Errorf("%s: want include=modelState", r.URL)
	}
	reply(w, 200, object{"id": m.id, "modelState": object{"arms": m.arms}})
}

func (f *fakeEngine) train(w http.ResponseWriter, r *http.Request) {
	m := f.model(r)
	if len(f.outcomes) < 50 {
		reply(w, 422, object{"error": object{"code": "UNPROCESSABLE", "reason": reasonInsufficient, "message": "too few"}})
		return
	}
	m.trainings++
	m.counts = map[string][2]float64{}
	for i := range f.outcomes {
		m.learn(&f.outcomes[i])
	}
	reply(w, 200, object{"id": m.id, "metrics": object{"auc": 0.5}})
}

func (f *fakeEngine) score(w http.ResponseWriter, r *http.Request) {
	m := f.model(r)
	var req client.ScoreRequest
	f.read(r, &req)
	explanations := []object{}
	for name, v := range req.Attributes {
		explanations = append(explanations, object{"field": name, "contribution": m.part(name, v)})
	}
	reply(w, 200, object{"score": m.predict(req.Attributes), "explanations": explanations})
}

func (f *fakeEngine) scoreBatch(w http.ResponseWriter, r *http.Request) {
	m := f.model(r)
	var req struct{ Rows []client.BatchRow }
	f.read(r, &req)
	results := make([]object, len(req.Rows))
	for i, row := range req.Rows {
		results[i] = object{"index": i, "customerId": row.CustomerID, "score": m.predict(row.Attributes)}
	}
	reply(w, 200, object{"modelId": m.id, "count": len(results), "results": results})
}

func (f *fakeEngine) rank(w http.ResponseWriter, r *http.Request) {
	m := f.model(r)
	var req client.OfferSet
	f.read(r, &req)
	scores := make([]client.OfferScore, len(req.Offers))
	for i, o := range req.Offers {
		row := object{}
		for _, part := range []map[string]any{req.CustomerAttributes, req.Context, o.Attributes} {
			for k, v := range part {
				row[k] = v
			}
		}
		scores[i] = client.OfferScore{OfferID: o.ID, OfferName: o.Name, Score: m.predict(row)}
		if m.spec.ModelType.Bandit() {
			scores[i].Score = f.draw(m, o.ID)
		}
	}
	slices.SortStableFunc(scores, func(a, b client.OfferScore) int { return cmp.Compare(b.Score, a.Score) })
	reply(w, 200, client.Ranking{ModelID: m.id, Count: len(scores), Scores: scores})
}

// draw is Thompson sampling by a normal approximation, and greedy with chance
// one in ten of a uniform draw.
func (f *fakeEngine) draw(m *fakeModel, offer string) float64 {
	a := m.arms[offer]
	if m.spec.ModelType == decision.EpsilonGreedy {
		if f.rng.Float64() < 0.1 || a == nil {
			return f.rng.Float64()
		}
		return a["totalReward"] / a["pulls"]
	}
	alpha, beta := 1.0, 1.0
	if a != nil {
		alpha, beta = a["alpha"], a["beta"]
	}
	n := alpha + beta
	p := alpha / n
	return p + f.rng.NormFloat64()*math.Sqrt(p*(1-p)/(n+1))
}

func (f *fakeEngine) respond(w http.ResponseWriter, r *http.Request) {
	var req struct{ Outcomes []client.Outcome }
	f.read(r, &req)
	duplicates := 0
	for i := range req.Outcomes {
		o := &req.Outcomes[i]
		if o.CustomerID == "" || o.IdempotencyKey == "" || (o.Outcome != "accept" && o.Outcome != "dismiss" && o.Outcome != "convert") {
			f.t.Errorf("outcome %d is not valid: %+v", i, o)
		}
		if f.keys[o.IdempotencyKey] {
			duplicates++
			continue
		}
		f.keys[o.IdempotencyKey] = true
		f.outcomes = append(f.outcomes, *o)
		for _, m := range f.models {
			if m.spec.ModelType.Bandit() || m.spec.ModelType == decision.OnlineLearner || m.spec.LearningConfig.AutoLearn {
				m.learn(o)
			}
		}
	}
	reply(w, 200, object{"processed": len(req.Outcomes), "succeeded": len(req.Outcomes), "failed": 0, "duplicates": duplicates, "errors": []object{}})
}

func (m *fakeModel) learn(o *client.Outcome) {
	filter := &m.spec.LearningConfig.Filter
	if (filter.ModelIDOnly && o.ModelID != m.id) ||
		(filter.OfferIDs != nil && !slices.Contains(filter.OfferIDs, o.OfferID)) ||
		(filter.CategoryIDs != nil && !slices.Contains(filter.CategoryIDs, o.CategoryID)) {
		return
	}
	y := 1
	if o.Outcome == "dismiss" {
		y = 0
	}
	switch m.spec.ModelType {
	case decision.ThompsonBandit:
		a := m.arm(o.OfferID, "alpha", "beta", 1)
		a[[]string{"beta", "alpha"}[y]]++
	case decision.EpsilonGreedy:
		a := m.arm(o.OfferID, "totalReward", "pulls", 0)
		a["totalReward"] += float64(y)
		a["pulls"]++
	default:
		m.count("", y)
		for _, part := range []map[string]any{o.Attributes, o.Context} {
			for name, v := range part {
				m.count(name+"="+fmt.Sprint(v), y)
			}
		}
	}
}

func (m *fakeModel) arm(offer, first, second string, prior float64) map[string]float64 {
	if m.arms[offer] == nil {
		m.arms[offer] = map[string]float64{first: prior, second: prior}
	}
	return m.arms[offer]
}

func (m *fakeModel) count(key string, y int) {
	c := m.counts[key]
	c[y]++
	m.counts[key] = c
}

func (m *fakeModel) part(name string, v any) float64 {
	text, ok := v.(string)
	if !ok || name == "region" {
		return 0
	}
	c, prior := m.counts[name+"="+text], m.counts[""]
	return math.Log((c[1]+1)/(prior[1]+2)) - math.Log((c[0]+1)/(prior[0]+2))
}

// predict uses the pair of offer and segment alone where there is one: the
// other texts say the same again.
func (m *fakeModel) predict(row map[string]any) float64 {
	if m.spec.ModelType == decision.Scorecard {
		return 0.15
	}
	prior := m.counts[""]
	z := math.Log((prior[1] + 1) / (prior[0] + 1))
	if pair, ok := row["offer_segment"]; ok {
		z += m.part("offer_segment", pair)
	} else {
		for name, v := range row {
			z += m.part(name, v) / 3
		}
	}
	return 1 / (1 + math.Exp(-z))
}

// lines splits output into lines and checks what every line promises.
func lines(t *testing.T, out string) []string {
	t.Helper()
	if strings.ContainsAny(out, "\x1b\r") {
		t.Error("the output has control characters, want none when it is no terminal")
	}
	all := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	for _, l := range all {
		if n := len([]rune(l)); n > 80 {
			t.Errorf("a line is %d columns wide, want at most 80: %q", n, l)
		}
		if strings.TrimRight(l, " ") != l {
			t.Errorf("a line ends in spaces: %q", l)
		}
	}
	return all
}
