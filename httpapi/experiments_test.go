package httpapi

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/engine"
)

// experiment makes an experiment and returns its id.
func (a *api) experiment(body string) string {
	a.t.Helper()
	var x struct{ ID string }
	a.must(201, post, "/api/v1/experiments", a.editor, body).into(a.t, &x)
	return x.ID
}

// rivals are a champion and a challenger of the family cards.
func (a *api) rivals() (champion, challenger string) {
	a.t.Helper()
	champion, challenger = a.inFamily("one", "cards"), a.inFamily("three", "cards")
	a.stand(champion, "champion")
	return champion, challenger
}

func TestExperimentRoutes(t *testing.T) {
	a := startAPI(t)
	champion, challenger := a.rivals()
	body := fmt.Sprintf(`{"key":"q2","name":"Q2","championModelId":%q,"trafficSplit":{"championPct":66.67},"challengers":[{"modelId":%q,"trafficPct":33.33}]}`, champion, challenger)
	made := a.must(201, post, "/api/v1/experiments", a.editor, body, "Idempotency-Key: k1")
	again := a.must(201, post, "/api/v1/experiments", a.editor, body, "Idempotency-Key: k1")
	if string(made.body) != string(again.body) || made.header.Get("X-Applied-Index") == "" {
		t.Errorf("made %s, repeated %s", made.body, again.body)
	}
	var x struct {
		ID, Status, Family string
		PromoteThreshold   float64
		PromoteAfterDays   int
		StartedAt          *string
		TrafficSplit       struct{ ChampionPct float64 }
	}
	made.into(t, &x)
	if x.Status != "draft" || x.Family != "cards" || x.PromoteThreshold != 0.02 || x.PromoteAfterDays != 14 || x.StartedAt != nil || x.TrafficSplit.ChampionPct != 66.67 {
		t.Errorf("got %s", made.body)
	}
	path := "/api/v1/experiments/" + x.ID
	a.must(409, get, path+"/assignment?customerId=c1", a.viewer, "")
	a.must(400, put, path, a.editor, `{"status":"paused"}`)
	a.must(200, put, path, a.editor, `{"status":"active"}`)
	a.must(409, remove, path, a.editor, "")
	a.must(403, put, path, a.viewer, `{"status":"paused"}`)

	// The assignment, and the family's routes, say the same.
	var as struct {
		ExperimentID, CustomerID, Variant, ModelID string
		Bucket                                     int
	}
	variants := map[string]int{}
	for i := range 40 {
		customer := fmt.Sprint("cust é", i)
		a.must(200, get, path+"/assignment?customerId="+strings.ReplaceAll(strings.ReplaceAll(customer, " ", "%20"), "é", "%C3%A9"), a.viewer, "").into(t, &as)
		variants[as.Variant]++
		if as.CustomerID != customer || as.ExperimentID != x.ID {
			t.Fatalf("got %+v, want the assignment of %s", as, customer)
		}
		var score struct {
			ModelID, Variant, ExperimentID string
			Score                          *float64
		}
		a.must(200, post, "/api/v1/families/cards/score", a.viewer, fmt.Sprintf(`{"customerId":%q}`, customer)).into(t, &score)
		if score.ModelID != as.ModelID || score.Variant != as.Variant || score.ExperimentID != x.ID || score.Score == nil {
			t.Fatalf("the score %+v, want %+v", score, as)
		}
		var ranking struct {
			ModelID, Variant, ExperimentID string
			Scores                         []struct{ OfferID string }
		}
		a.must(200, post, "/api/v1/families/cards/score-offer-set", a.viewer, fmt.Sprintf(`{"customerId":%q,"offers":[{"id":"a"},{"id":"b"}]}`, customer)).into(t, &ranking)
		if ranking.ModelID != as.ModelID || ranking.Variant != as.Variant || ranking.ExperimentID != x.ID || len(ranking.Scores) != 2 {
			t.Fatalf("the ranking %+v, want %+v", ranking, as)
		}
	}
	if variants["__champion__"] == 0 || variants["three"] == 0 {
		t.Errorf("got the variants %v, want both", variants)
	}
	if r := a.must(200, post, "/api/v1/families/cards/score", a.viewer, `{}`); !strings.Contains(string(r.body), champion) || strings.Contains(string(r.body), "variant") {
		t.Errorf("without a customer: got %s, want the champion and no variant", r.body)
	}
	// A model in use.
	a.must(409, remove, "/api/v1/algorithm-models/"+challenger, a.editor, "")
	a.must(204, remove, "/api/v1/algorithm-models/"+challenger+"?force=true", a.editor, "")
	if r := a.must(200, get, path+"?consistency=strong", a.viewer, ""); !strings.Contains(string(r.body), `"status":"completed"`) || !strings.Contains(string(r.body), `"endReason":"model_deleted"`) {
		t.Errorf("after its challenger was deleted: got %s", r.body)
	}
	if r := a.must(200, get, "/api/v1/experiments", a.viewer, ""); !strings.Contains(string(r.body), x.ID) {
		t.Errorf("the list: got %s", r.body)
	}
	a.must(200, get, path+"/results", a.viewer, "")
	a.must(204, remove, path, a.editor, "")
	a.must(404, get, path, a.viewer, "")
	a.must(404, get, path+"/results", a.viewer, "")
}

// The results of outcomes sent over HTTP are those of a calculation by hand:
// 50 of 500 against 60 of 400, pooled z-test and Wilson's intervals, by
//
//	P = 110/900, z = (0.15 − 0.1)/√(P(1−P)(1/400 + 1/500)), p = erfc(z/√2)
func TestResultsByHand(t *testing.T) {
	a := startAPI(t, func(c *engine.Config) { c.ShadowShare = 1 })
	champion, challenger := a.rivals()
	id := a.experiment(fmt.Sprintf(`{"key":"q2","name":"Q2","status":"active","championModelId":%q,"trafficSplit":{"championPct":50},"challengers":[{"modelId":%q,"trafficPct":50}]}`, champion, challenger))
	// Customers of each variant, by the family's route.
	of := map[string][]string{}
	for i := 0; len(of[champion]) < 100 || len(of[challenger]) < 100; i++ {
		var s struct{ ModelID string }
		a.must(200, post, "/api/v1/families/cards/score", a.viewer, fmt.Sprintf(`{"customerId":"c%d"}`, i)).into(t, &s)
		of[s.ModelID] = append(of[s.ModelID], fmt.Sprint("c", i))
	}
	send := func(model string, named bool, outcome string, n int) {
		var items []string
		for i := range n {
			item := fmt.Sprintf(`{"customerId":%q,"outcome":%q`, of[model][i%100], outcome)
			if named {
				item += fmt.Sprintf(`,"modelId":%q`, model)
			}
			items = append(items, item+"}")
		}
		a.must(200, post, "/api/v1/respond/bulk", a.viewer, `{"outcomes":[`+strings.Join(items, ",")+`]}`)
	}
	send(champion, true, "click", 50)
	send(champion, false, "dismiss", 450)
	send(challenger, false, "click", 60)
	send(challenger, true, "dismiss", 340)
	send(challenger, true, "impression", 100) // no label
	a.must(201, post, "/api/v1/respond", a.viewer, `{"customerId":"c1","outcome":"click","modelId":"another"}`)

	var r struct {
		ExperimentID string
		Variants     []struct {
			Variant, ModelID                                               string
			Samples, Positives                                             int
			Rate, CILower, CIUpper, Uplift, RelativeUplift, ZScore, PValue float64
			Significant, InsufficientData                                  bool
		}
		SRM    struct{ ChiSquare, PValue float64 }
		Shadow struct {
			Models []struct {
				Samples int
				Mean    float64
			}
		}
	}
	customers := len(of[champion]) + len(of[challenger])
	waitFor(t, func() bool {
		a.must(200, get, "/api/v1/experiments/"+id+"/results", a.viewer, "").into(t, &r)
		s := a.engine.Stats()
		return s.ExperimentCustomers == customers && int(s.ShadowScored+s.ShadowDropped) == customers
	})
	a.must(200, get, "/api/v1/experiments/"+id+"/results", a.viewer, "").into(t, &r)
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	if r.ExperimentID != id || len(r.Variants) != 2 || r.Variants[0].Variant != "__champion__" || r.Variants[0].ModelID != champion || r.Variants[1].Variant != "three" || r.Variants[1].ModelID != challenger {
		t.Fatalf("got %+v", r)
	}
	b, c := r.Variants[0], r.Variants[1]
	if b.Samples != 500 || b.Positives != 50 || c.Samples != 400 || c.Positives != 60 || !c.Significant || b.Significant || b.InsufficientData || c.InsufficientData {
		t.Errorf("got %+v and %+v", b, c)
	}
	near("rate", c.Rate, 0.15)
	near("uplift", c.Uplift, 0.05)
	near("relative uplift", c.RelativeUplift, 0.5)
	near("z", c.ZScore, 2.2756023241901486)
	near("p", c.PValue, 0.022869822106789447)
	near("champion's lower", b.CILower, 0.07667756273730172)
	near("champion's upper", b.CIUpper, 0.1294219096319401)
	near("challenger's lower", c.CILower, 0.11834499530337543)
	near("challenger's upper", c.CIUpper, 0.18831361073063213)
	// χ² of the customers against halves: (n − N/2)²/(N/2), twice.
	half := float64(customers) / 2
	d := float64(len(of[champion])) - half
	near("χ²", r.SRM.ChiSquare, 2*d*d/half)
	near("its p", r.SRM.PValue, math.Erfc(math.Sqrt(d*d/half)))
	if len(r.Shadow.Models) != 2 || r.Shadow.Models[0].Samples == 0 || r.Shadow.Models[0].Samples != r.Shadow.Models[1].Samples {
		t.Errorf("shadow: got %+v", r.Shadow)
	}
}
