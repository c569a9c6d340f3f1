package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/external"
)

const token = "t0ken-of-the-endpoint"

func config(t testing.TB, url, more string) *external.Config {
	t.Helper()
	c, err := external.ReadConfig(json.RawMessage(`{"endpoint":"` + url + `","fallbackScore":0.4,"auth":{"token":"` + token + `"}` + more + `}`))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newScorer(t *testing.T) *Scorer {
	return NewScorer(newClient(t, Options{AllowHTTP: true, Allow: []string{"127.0.0.1"}}))
}

func query(offers ...string) *Query {
	q := &Query{TenantID: "t1", ModelID: "m1", RequestID: "r1", CustomerID: "c1"}
	for _, id := range offers {
		q.Candidates = append(q.Candidates, Candidate{ID: id, Name: strings.ToUpper(id)})
	}
	return q
}

func TestTheRequest(t *testing.T) {
	var got *http.Request
	var body []byte
	s := serve(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		got = r.Clone(context.Background())
		body, _ = io.ReadAll(r.Body)
		io.WriteString(w, `{"scores":[{"offerId":"a","score":0.75}]}`)
	})
	q := query("a")
	q.Attributes = decision.Row{
		{Name: "age", Kind: decision.Number, Num: 38}, {Name: "home.city", Kind: decision.Text, Text: "Bern"}, {Name: "none", Kind: decision.EmptySet},
		{Name: "set", Kind: decision.Member, Text: "p"}, {Name: "set", Kind: decision.Member, Text: "q"}, {Name: "vip", Kind: decision.Bool, Num: 1},
	}
	q.Candidates[0].Attributes = decision.Row{{Name: "price", Kind: decision.Number, Num: 9.5}}
	a := newScorer(t).Score(t.Context(), config(t, s.URL+"/v1", ""), q)
	if a.Err != nil || a.Degraded || !slices.Equal(a.Scores, []Score{{Value: 0.75}}) {
		t.Errorf("Score = %+v", a)
	}
	const want = `{"customerId":"c1","attributes":{"age":38,"home.city":"Bern","none":[],"set":["p","q"],"vip":true},` +
		`"candidates":[{"id":"a","name":"A","attributes":{"price":9.5}}],"requestId":"r1"}`
	if string(body) != want {
		t.Errorf("body = %s\nwant %s", body, want)
	}
	if got.Method != "POST" || got.URL.Path != "/v1" || got.Header.Get("Authorization") != "Bearer "+token ||
		got.Header.Get("X-Tenant-Id") != "t1" || got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("request = %s %s %v", got.Method, got.URL, got.Header)
	}
}

func TestAnswers(t *testing.T) {
	fallback := Score{Value: 0.4, Degraded: true}
	lost := []Score{fallback, fallback}
	const mapped = `,"responseMapping":{"scoresPath":"data.out","offerIdField":"id","scoreField":"p"}`
	cases := []struct {
		name, config string
		status       int
		body         string
		want         []Score
		reason       string
	}{
		{"both", "", 200, `{"scores":[{"offerId":"b","score":0.2},{"offerId":"a","score":0.9}]}`, []Score{{Value: 0.9}, {Value: 0.2}}, ""},
		{"other success", "", 201, `{"scores":[{"offerId":"b","score":0.2},{"offerId":"a","score":0.9}]}`, []Score{{Value: 0.9}, {Value: 0.2}}, ""},
		{"clamped", "", 200, `{"scores":[{"offerId":"b","score":-3},{"offerId":"a","score":1e300}]}`, []Score{{Value: 1}, {Value: 0}}, ""},
		{"one missing", "", 200, `{"scores":[{"offerId":"b","score":0.2}]}`, []Score{fallback, {Value: 0.2}}, ""},
		{"the first of two", "", 200, `{"scores":[{"offerId":"b","score":0.2},{"offerId":"b","score":0.3},{"offerId":"a","score":0}]}`, []Score{{Value: 0}, {Value: 0.2}}, ""},
		{"unknown offers", "", 200, `{"scores":[{"offerId":"z","score":1},{"offerId":"b","score":0.2}]}`, []Score{fallback, {Value: 0.2}}, ""},
		{"not finite", "", 200, `{"scores":[{"offerId":"a","score":1e999},{"offerId":"b","score":0.2}]}`, []Score{fallback, {Value: 0.2}}, ""},
		{"null score", "", 200, `{"scores":[{"offerId":"a","score":null},{"offerId":"b","score":0.2}]}`, []Score{fallback, {Value: 0.2}}, ""},
		{"text score", "", 200, `{"scores":[{"offerId":"a","score":"0.5"},{"offerId":"b","score":0.2}]}`, []Score{fallback, {Value: 0.2}}, ""},
		{"elements that are no objects", "", 200, `{"scores":[1,null,[],{"offerId":"b","score":0.2},{"offerId":7,"score":1}]}`, []Score{fallback, {Value: 0.2}}, ""},
		{"mapped", mapped, 200, `{"data":{"out":[{"id":"a","p":0.1},{"id":"b","p":0.2}]}}`, []Score{{Value: 0.1}, {Value: 0.2}}, ""},
		{"mapped to the whole", `,"responseMapping":{"scoresPath":""}`, 200, `[{"offerId":"a","score":0.1},{"offerId":"b","score":0.2}]`, []Score{{Value: 0.1}, {Value: 0.2}}, ""},
		{"none of them", "", 200, `{"scores":[]}`, lost, ReasonAnswer},
		{"not where it should be", mapped, 200, `{"scores":[{"offerId":"a","score":0.1}]}`, lost, ReasonAnswer},
		{"null", "", 200, `{"scores":null}`, lost, ReasonAnswer},
		{"an object in place of the array", "", 200, `{"scores":{"a":0.5}}`, lost, ReasonAnswer},
		{"NaN is no JSON", "", 200, `{"scores":[{"offerId":"a","score":NaN}]}`, lost, ReasonAnswer},
		{"cut off", "", 200, `{"scores":[{"offerId":"a","score":0.5}`, lost, ReasonAnswer},
		{"something after it", "", 200, `{"scores":[{"offerId":"a","score":0.5}]}{}`, lost, ReasonAnswer},
		{"a page", "", 200, `<html>secret</html>`, lost, ReasonAnswer},
		{"empty", "", 200, ``, lost, ReasonAnswer},
		{"deep", "", 200, strings.Repeat(`{"scores":`, 50_000), lost, ReasonAnswer},
		{"error", "", 500, `{"scores":[{"offerId":"a","score":0.5},{"offerId":"b","score":0.5}]}`, lost, ReasonStatus},
		{"not authorised", "", 401, `secret`, lost, ReasonStatus},
		{"not changed", "", 304, ``, lost, ReasonStatus},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, "127.0.0.1:0", func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			})
			a := newScorer(t).Score(t.Context(), config(t, s.URL, c.config), query("a", "b"))
			degraded := slices.ContainsFunc(c.want, func(s Score) bool { return s.Degraded })
			if !slices.Equal(a.Scores, c.want) || a.Degraded != degraded || reason(a.Err) != c.reason {
				t.Errorf("Score = %+v\nwant %+v, degraded %v, reason %q", a, c.want, degraded, c.reason)
			}
			if a.Err != nil && (strings.Contains(a.Err.Error(), "secret") || strings.Contains(a.Err.Error(), token)) {
				t.Errorf("the error shows what it must not: %v", a.Err)
			}
		})
	}
}

func TestTheCustomerAlone(t *testing.T) {
	body := `{"scores":[{"score":0.3}]}`
	s := serve(t, "127.0.0.1:0", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })
	if a := newScorer(t).Score(t.Context(), config(t, s.URL, ""), query()); !slices.Equal(a.Scores, []Score{{Value: 0.3}}) || a.Degraded || a.Err != nil {
		t.Errorf("Score = %+v, want 0.3", a)
	}
	body = `{"scores":[]}`
	if a := newScorer(t).Score(t.Context(), config(t, s.URL, ""), query()); !slices.Equal(a.Scores, []Score{{0.4, true}}) || a.Err == nil {
		t.Errorf("Score = %+v, want the fallback", a)
	}
}

func TestTimeoutAndBreaker(t *testing.T) {
	var hits atomic.Int32
	var healthy atomic.Bool
	s := serve(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		if healthy.Load() {
			io.WriteString(w, `{"scores":[{"offerId":"a","score":0.9}]}`)
			return
		}
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	scorer := newScorer(t)
	now := time.Unix(1000, 0)
	scorer.breakers.now = func() time.Time { return now }
	c := config(t, s.URL, `,"timeoutMs":20`)
	ask := func(wantReason string, wantHits int32) {
		t.Helper()
		a := scorer.Score(t.Context(), c, query("a"))
		if got := reason(a.Err); got != wantReason || a.Degraded != (wantReason != "") || hits.Load() != wantHits {
			t.Errorf("Score = %+v after %d calls, want reason %q after %d", a, hits.Load(), wantReason, wantHits)
		}
	}
	for i := range int32(5) {
		ask(ReasonTimeout, i+1)
	}
	ask(ReasonOpen, 5)
	now = now.Add(breakerPause)
	ask(ReasonTimeout, 6)
	ask(ReasonOpen, 6)
	other := query("a") // another tenant's calls go on
	other.TenantID = "t2"
	if a := scorer.Score(t.Context(), c, other); reason(a.Err) != ReasonTimeout {
		t.Errorf("another tenant's call: %+v", a)
	}
	healthy.Store(true)
	now = now.Add(breakerPause)
	c.Timeout = 5 * time.Second
	ask("", 8)
	ask("", 9)
	scorer.Forget("t2", "m1")
	if got := len(scorer.breakers.byKey); got != 0 {
		t.Errorf("%d breakers are kept, want none", got)
	}
}

func TestACallerWhoGivesUpSaysNothing(t *testing.T) {
	s := serve(t, "127.0.0.1:0", func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	scorer := newScorer(t)
	for range 2 * breakerFailures {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		if a := scorer.Score(ctx, config(t, s.URL, ""), query("a")); reason(a.Err) != ReasonCancelled || !a.Degraded {
			t.Fatalf("Score = %+v, want it cancelled", a)
		}
		cancel()
	}
}

func TestCheckConfig(t *testing.T) {
	strict := NewScorer(newClient(t, Options{Allow: []string{"10.0.0.0/8", "ml.internal"}}))
	for _, url := range []string{"https://e.example/", "https://e.example:8443/", "https://10.1.2.3/", "https://ml.internal:500/", "https://[2606:4700::1]/"} {
		if err := strict.Check(json.RawMessage(`{"endpoint":"` + url + `"}`)); err != nil {
			t.Errorf("Check(%s) = %v", url, err)
		}
	}
	for _, url := range []string{
		"http://e.example/", "https://e.example:25/", "https://e.example:0/", "https://e.example:70000/", "https://127.0.0.1/", "https://192.168.1.1/",
		"https://localhost/", "https://x.localhost./", "https://[::1]/", "https://169.254.169.254/", "nonsense",
	} {
		err := strict.Check(json.RawMessage(`{"endpoint":"` + url + `"}`))
		var e *decision.Error
		if !errors.As(err, &e) || e.Kind != decision.KindBadRequest || e.Details[0].Path != "config.endpoint" {
			t.Errorf("Check(%s) = %v, want a problem at config.endpoint", url, err)
		}
	}
	if err := strict.Check(json.RawMessage(`{"endpoint":"https://e.example","timeoutMs":-1}`)); err == nil {
		t.Error("a time-out below zero was taken")
	}
}

func TestManyAtOnce(t *testing.T) {
	s := serve(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Tenant-Id") == "bad" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		var q queryJSON
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		fmt.Fprintf(w, `{"scores":[{"offerId":%q,"score":%s}]}`, q.Candidates[0].ID, strings.TrimPrefix(q.Candidates[0].ID, "o"))
	})
	scorer, c := newScorer(t), config(t, s.URL, "")
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := range 25 {
				want := float64(g*25+i) / 1000
				q := query(fmt.Sprint("o", want))
				if g%4 == 0 {
					q.TenantID = "bad"
				}
				a := scorer.Score(t.Context(), c, q)
				if g%4 == 0 {
					if !a.Degraded {
						t.Errorf("Score = %+v, want it degraded", a)
					}
				} else if a.Degraded || math.Abs(a.Scores[0].Value-want) > 1e-12 {
					t.Errorf("Score = %+v, want %v", a, want)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzDecodeScores(f *testing.F) {
	f.Add("scores", []byte(`{"scores":[{"offerId":"a","score":0.5},{"offerId":"b","score":2}]}`))
	f.Add("", []byte(`[{"offerId":"a"},null,3]`))
	f.Add("a.b", []byte(`{"a":{"b":[{}]}}`))
	f.Fuzz(func(t *testing.T, path string, body []byte) {
		c := &external.Config{OfferIDField: "offerId", ScoreField: "score", Fallback: 0.5}
		if path != "" {
			c.ScoresPath = strings.Split(path, ".")
		}
		for _, q := range []*Query{query("a", "b"), query()} {
			scores, err := decodeScores(c, q, body)
			if err != nil {
				continue
			}
			if len(scores) != max(len(q.Candidates), 1) {
				t.Fatalf("%d scores for %d candidates", len(scores), len(q.Candidates))
			}
			for _, s := range scores {
				if !(s.Value >= 0 && s.Value <= 1) || (s.Degraded && s.Value != c.Fallback) {
					t.Fatalf("score = %+v", s)
				}
			}
		}
	})
}
