package httpapi

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

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
	// What may be recorded may be asked for: names are counted in characters.
	name := strings.Repeat("%C3%A9", 255)
	a.must(200, get, "/api/v1/interaction-summaries?customerId="+name, a.viewer, "")
	a.must(200, get, "/api/v1/interaction-history?customerId="+name, a.viewer, "")
	a.must(400, get, "/api/v1/interaction-summaries?customerId="+name+"x", a.viewer, "")
	a.must(400, get, "/api/v1/interaction-summaries?customerId=%FF", a.viewer, "")
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
	for i, want := range []string{"outcomes[1].customerId: ", "outcomes[2]: ", "outcomes[3].outcome: ", "outcomes[5].conversionValue: "} {
		if got := got.Errors[i].Error.Message; !strings.HasPrefix(got, want) {
			t.Errorf("error %d: got %q, want it to begin with %q", i, got, want)
		}
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
	a.must(404, get, "/api/v1/algorithm-models/of-another-path", a.viewer, "") // the next request takes over its memory
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
