package httpapi

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestExportAndImportOverHTTP(t *testing.T) {
	a := startAPI(t)
	const models = "/api/v1/algorithm-models"
	id := a.create(`{"key":"s","name":"S","modelType":"scorecard","config":{"rules":[{"field":"x","operator":"gt","value":1,"points":9}]}}`)
	a.must(403, get, models+"/"+id+"/export", a.viewer, "")
	a.must(404, get, models+"/"+id+"/export", a.stranger, "")
	a.must(400, get, models+"/"+id+"/export?format=onnx", a.editor, "")
	a.must(400, get, models+"/"+id+"/export?format=lightgbm_text", a.editor, "")
	xml := a.must(200, get, models+"/"+id+"/export?format=pmml", a.editor, "")
	if got := xml.header.Get("Content-Type"); got != "application/xml" || !strings.Contains(string(xml.body), "<Scorecard") {
		t.Errorf("PMML: %s %.200s", got, xml.body)
	}
	x := a.must(200, get, models+"/"+id+"/export", a.editor, "")

	a.must(400, get, models+"/"+id+"/predictors?bins=none", a.viewer, "")
	a.must(404, get, models+"/"+id+"/predictors", a.stranger, "")
	a.must(201, post, "/api/v1/respond", a.viewer, `{"customerId":"c","outcome":"click","attributes":{"age":3,"plan":"a","tags":["x"]}}`)
	a.must(200, get, models+"/"+id+"/predictors?bins=5&categories=3", a.viewer, "")

	body := fmt.Sprintf(`{"format":"praetor","key":"copy","model":%s}`, x.body)
	a.must(403, post, models+"/import", a.editor, body)
	a.must(400, post, models+"/import", a.admin, `{"format":"praetor"}`)
	a.must(400, post, models+"/import", a.admin, strings.Replace(body, `"key":"copy",`, "", 1)) // the key is taken
	r := a.must(201, post, models+"/import", a.admin, body, "Idempotency-Key: i1")
	again := a.must(201, post, models+"/import", a.admin, body, "Idempotency-Key: i1")
	if string(r.body) != string(again.body) {
		t.Errorf("the second answer is %s, want %s", again.body, r.body)
	}
	var m struct{ ID, Key, Name string }
	r.into(t, &m)
	if m.Key != "copy" || m.Name != "S" || m.ID == id {
		t.Errorf("imported %+v", m)
	}
	score := a.must(200, post, models+"/"+m.ID+"/score", a.viewer, `{"attributes":{"x":2}}`)
	if want := string(a.must(200, post, models+"/"+id+"/score", a.viewer, `{"attributes":{"x":2}}`).body); string(score.body) != want {
		t.Errorf("score = %s, want %s", score.body, want)
	}
}

// A tree ensemble is larger than other requests may be.
func TestImportTakesALargeBody(t *testing.T) {
	a := startAPI(t)
	text, err := os.ReadFile("../internal/learn/boosted/testdata/lightgbm/missing_nan.txt")
	if err != nil {
		t.Fatal(err)
	}
	// LightGBM ends a model with its parameters, which nobody reads for scores.
	text = append(text, strings.Repeat("[comment: "+strings.Repeat("x", 100)+"]\n", (a.cfg.MaxBody+1)/100)...)
	quoted, err := json.Marshal(string(text))
	if err != nil {
		t.Fatal(err)
	}
	r := a.must(201, post, "/api/v1/algorithm-models/import", a.admin, fmt.Sprintf(`{"format":"lightgbm_text","key":"b","name":"B","model":%s}`, quoted))
	var m struct{ ID string }
	r.into(t, &m)
	if got := a.must(200, get, "/api/v1/algorithm-models/"+m.ID+"/export?format=lightgbm_text", a.editor, ""); string(got.body) != string(text) {
		t.Errorf("the exported text has %d bytes, want the %d imported", len(got.body), len(text))
	}
}
