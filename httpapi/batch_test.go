package httpapi

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

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
	if len(got) != 3 || !strings.HasPrefix(got[1], `{"index":1,"error":{"code":"PAYLOAD_TOO_LARGE"`) || !strings.HasPrefix(got[2], `{"index":2,"score":`) {
		t.Errorf("a long line: got %.200q, want an error in its place", got)
	}
	got = lines("{}\n" + strings.Repeat("x", 5<<10))
	if len(got) != 2 || !strings.Contains(got[1], "PAYLOAD_TOO_LARGE") {
		t.Errorf("a long last line: got %.200q, want an error in its place", got)
	}
	if r := a.must(200, post, path, a.viewer, "", "Content-Type: "+mediaNDJSON); len(r.body) != 0 {
		t.Errorf("no lines: got %q, want none", r.body)
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
