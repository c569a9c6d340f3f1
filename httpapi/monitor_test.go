package httpapi

import (
	"fmt"
	"testing"
	"time"

	"github.com/praetor-engine/praetor/internal/engine"
)

func TestMonitoringAndAlerts(t *testing.T) {
	a := startAPI(t, func(c *engine.Config) { c.MonitorInterval = 5 * time.Millisecond })
	id := a.create(fmt.Sprintf(scorecardBody, "card"))
	model := "/api/v1/algorithm-models/" + id
	var scored struct{ DecisionID string }
	a.must(200, post, model+"/score", a.viewer, `{"customerId":"c1","offerId":"o1","decisionId":"d1","attributes":{}}`).into(t, &scored)
	if scored.DecisionID != "d1" {
		t.Errorf("a score's decisionId: got %q, want d1", scored.DecisionID)
	}
	a.must(200, post, model+"/score-offer-set", a.viewer, `{"decisionId":"d2","offers":[{"id":"o1"},{"id":"o2"}]}`).into(t, &scored)
	if scored.DecisionID != "d2" {
		t.Errorf("a ranking's decisionId: got %q, want d2", scored.DecisionID)
	}
	a.must(200, post, model+"/score-batch", a.viewer, `{"rows":[{"customerId":"c9","attributes":{}}]}`)
	for i := range 120 {
		a.must(201, post, "/api/v1/respond", a.viewer, fmt.Sprintf(`{"customerId":"c%d","outcome":"accept","modelId":%q}`, i, id))
	}
	var m struct {
		ModelKey string
		Total    struct{ Responses, Positives int }
		Alerts   []struct{ Rule string }
	}
	for deadline := time.Now().Add(10 * time.Second); len(m.Alerts) == 0 && time.Now().Before(deadline); {
		a.must(200, get, model+"/monitoring", a.viewer, "").into(t, &m) // until the leader has looked
	}
	if m.ModelKey != "card" || m.Total.Responses != 120 || m.Total.Positives != 120 || len(m.Alerts) != 1 || m.Alerts[0].Rule != "one_class" {
		t.Errorf("monitoring: got %+v, want 120 positive responses and their alert", m)
	}
	var l struct {
		Data []struct{ ID, State, ModelID, ModelKey, Rule string }
	}
	a.must(200, get, "/api/v1/alerts?severity=critical&rule=one_class&modelId="+id, a.viewer, "").into(t, &l)
	if len(l.Data) != 1 || l.Data[0].ModelID != id || l.Data[0].ModelKey != "card" || l.Data[0].ID == "" || l.Data[0].State != "open" {
		t.Errorf("alerts: got %+v, want one of model %s", l, id)
	}
	a.must(200, get, "/api/v1/alerts?state=closed", a.viewer, "").into(t, &l)
	if len(l.Data) != 0 {
		t.Errorf("closed alerts: got %+v, want none", l)
	}
	for _, path := range []string{
		model + "/monitoring?days=0", model + "/monitoring?days=36", model + "/monitoring?days=x", "/api/v1/alerts?severity=bad",
		"/api/v1/alerts?rule=bad", "/api/v1/alerts?state=bad", "/api/v1/alerts?limit=0", "/api/v1/alerts?cursor=x",
	} {
		a.must(400, get, path, a.viewer, "")
	}
}

func TestHealthOfABandit(t *testing.T) {
	a := startAPI(t, func(c *engine.Config) { c.MonitorInterval = 5 * time.Millisecond })
	id := a.create(`{"key":"bandit","name":"Bandit","modelType":"epsilon_greedy","config":{"epsilon":0}}`)
	model := "/api/v1/algorithm-models/" + id
	for i, offer := range []string{"o1", "o2", "o1"} {
		a.must(201, post, "/api/v1/respond", a.viewer, fmt.Sprintf(`{"customerId":"c%d","offerId":%q,"outcome":"accept","modelId":%q}`, i, offer, id))
	}
	a.must(200, post, model+"/score-batch", a.viewer, `{"rows":[{"customerId":"c9","attributes":{}}]}`)
	a.must(200, post, model+"/score", a.viewer, `{"customerId":"c9","attributes":{},"offerId":"o1"}`)
	for range 120 {
		a.must(200, post, model+"/score", a.viewer, `{"customerId":"c9","attributes":{}}`)
		a.must(200, post, model+"/score-offer-set", a.viewer, `{"customerId":"c9","offers":[{"id":"o1"},{"id":"o2"}]}`)
	}
	var m struct {
		Bandit struct {
			Allocation struct {
				Served, Forced, Eligible int
				Entropy                  *float64
				Leader                   string
			}
			Verdict  struct{ Because string }
			Collapse struct{ Cause string }
		}
	}
	for deadline := time.Now().Add(10 * time.Second); m.Bandit.Allocation.Served < 242 && time.Now().Before(deadline); {
		a.must(200, get, model+"/monitoring", a.viewer, "").into(t, &m)
	}
	got := m.Bandit
	if got.Allocation.Served != 242 || got.Allocation.Forced != 1 || got.Allocation.Eligible != 2 || got.Allocation.Leader != "o1" || *got.Allocation.Entropy != 0 {
		t.Errorf("allocation: got %+v, want 242 decisions on the first of two equal arms, 1 of them forced", got.Allocation)
	}
	if got.Verdict.Because != "little_evidence" || got.Collapse.Cause != "epsilon" {
		t.Errorf("verdict %+v, collapse %+v, want little evidence and an ε of 0", got.Verdict, got.Collapse)
	}
	a.must(200, get, "/api/v1/alerts?rule=bandit_collapsed&severity=warning&state=all", a.viewer, "")
}

// A decision without a customer waits for its outcome under the id that the decision
// log gave it, and one with a customer for those that name none.
func TestLoggedDecisionsAreJoined(t *testing.T) {
	a := startAPI(t, func(c *engine.Config) { c.MonitorInterval = 5 * time.Millisecond })
	id := a.create(fmt.Sprintf(scorecardBody, "card"))
	model := "/api/v1/algorithm-models/" + id
	a.must(200, put, model+"/decision-log", a.admin, `{"enabled":true}`)
	var scored struct{ DecisionID string }
	a.must(200, post, model+"/score", a.viewer, `{"offerId":"o1","attributes":{}}`).into(t, &scored)
	a.must(200, post, model+"/score", a.viewer, `{"customerId":"c2","offerId":"o1","attributes":{}}`)
	a.must(201, post, "/api/v1/respond", a.viewer, fmt.Sprintf(`{"customerId":"c1","offerId":"o1","outcome":"accept","decisionId":%q}`, scored.DecisionID))
	a.must(201, post, "/api/v1/respond", a.viewer, `{"customerId":"c2","offerId":"o1","outcome":"accept"}`)
	var m struct{ Total struct{ Served, Joined int } }
	for deadline := time.Now().Add(10 * time.Second); m.Total.Joined < 2 && time.Now().Before(deadline); {
		a.must(200, get, model+"/monitoring", a.viewer, "").into(t, &m)
	}
	if m.Total.Served != 2 || m.Total.Joined != 2 {
		t.Errorf("monitoring: got %+v, want 2 scores, each with its outcome", m.Total)
	}
}
