package httpapi

import (
	"strings"
	"testing"
)

func TestAdaptiveLearningOverHTTP(t *testing.T) {
	a := startAPI(t)
	id := a.create(`{"key":"m","name":"M","modelType":"scorecard","config":{"baseScore":30,"rules":[]},"learningConfig":{"adaptive":"ladder"}}`)
	path := "/api/v1/algorithm-models/" + id
	for range 10 {
		a.must(201, post, "/api/v1/respond", a.viewer, `{"customerId":"c","offerId":"o1","categoryId":"cards","channelId":"web","outcome":"click"}`)
	}
	r := a.must(200, post, path+"/score", a.viewer, `{"offerId":"o1"}`)
	if !strings.Contains(string(r.body), `"source":"offer_shrunk","modelScore":0.23`) {
		t.Errorf("score = %s", r.body)
	}
	r = a.must(200, post, path+"/score-offer-set", a.viewer, `{"offers":[{"id":"o1"},{"id":"o2"}]}`)
	if !strings.Contains(string(r.body), `"source":"offer_shrunk","modelScore":0.23`) || !strings.Contains(string(r.body), `"source":"global"`) {
		t.Errorf("ranking = %s", r.body)
	}
	r = a.must(200, get, path+"/adaptations?scope=offer&limit=1", a.viewer, "")
	if !strings.Contains(string(r.body), `"scopeId":"o1","categoryId":"cards","positives":10,"negatives":0,"evidence":10,"rate":1`) ||
		!strings.Contains(string(r.body), `"maturity":"immature","paused":false`) {
		t.Errorf("adaptations = %s", r.body)
	}
	a.must(400, get, path+"/adaptations?scope=planet", a.viewer, "")
	a.must(400, get, path+"/adaptations?cursor=x", a.viewer, "")
	a.must(404, get, path+"/adaptations", a.stranger, "")

	a.must(403, post, path+"/reset-offer", a.viewer, `{"offerId":"o1"}`)
	a.must(404, post, path+"/reset-offer", a.stranger, `{"offerId":"o1"}`)
	a.must(404, post, path+"/reset-offer", a.editor, `{"offerId":"never seen"}`)
	a.must(400, post, path+"/reset-offer", a.editor, `{}`)
	r = a.must(200, post, path+"/reset-offer", a.editor, `{"offerId":"o1","action":"pause"}`)
	if !strings.Contains(string(r.body), `"action":"pause","previousEvidence":10,"newPrior":1,"paused":true`) {
		t.Errorf("pause = %s", r.body)
	}
	r = a.must(200, post, path+"/reset-offer", a.editor, `{"scope":"category","categoryId":"cards","resetTo":"zero","reason":"relaunch"}`, "Idempotency-Key: r1")
	if !strings.Contains(string(r.body), `"scope":"category","scopeId":"cards","action":"reset","resetTo":"zero","previousEvidence":10,"newPrior":0.5,"paused":false,"reason":"relaunch"`) {
		t.Errorf("reset = %s", r.body)
	}
	again := a.must(200, post, path+"/reset-offer", a.editor, `{"scope":"category","categoryId":"cards","resetTo":"zero","reason":"relaunch"}`, "Idempotency-Key: r1")
	if string(again.body) != string(r.body) {
		t.Errorf("the second answer is %s, want the first", again.body)
	}
}
