package httpapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// field is one field of a request body and what it takes.
type field struct {
	path     string // "a.b", with [0] for items
	kind     string // string, object, array, number, boolean
	required bool
	nullable bool
	most     int // characters of a string, keys of an object, items of an array; 0: unbounded
}

// spoiled is a route that takes fields: a body that is right, and its fields.
type spoiled struct {
	method, path, good string
	fields             []field
}

// bodiesTable has the routes that take fields, but the registry's.
func bodiesTable(id, experiment string) []spoiled {
	attributes := func(path string) field { return field{path: path, kind: "object", nullable: true, most: maxRowFields} }
	text := func(path string) field { return field{path: path, kind: "string", most: maxName} }
	optional := func(path string) field { return field{path: path, kind: "string", most: maxName, nullable: true} }
	required := func(path string) field {
		return field{path: path, kind: "string", most: maxName, required: true}
	}
	object := func(path string) field { return field{path: path, kind: "object", most: maxObjectKeys} }
	model := "/api/v1/algorithm-models/" + id
	shared := []field{
		{path: "description", kind: "string", most: maxDescription}, text("name"), text("family"), text("status"),
		optional("targetField"), optional("targetSchemaKey"), object("config"), object("metrics"), object("learningConfig"),
		object("interactionFeatures"), object("evolutionConfig"), {path: "outcomeWeights", kind: "object", nullable: true, most: maxObjectKeys},
		{path: "modelState", kind: "object", nullable: true, most: maxObjectKeys}, {path: "predictors", kind: "array", most: maxArrayItems},
	}
	outcome := []field{
		required("customerId"), required("outcome"), optional("offerId"), optional("categoryId"), optional("channelId"), optional("placementId"),
		optional("modelId"), optional("decisionId"), optional("idempotencyKey"), {path: "direction", kind: "string", nullable: true},
		{path: "timestamp", kind: "string", nullable: true}, {path: "conversionValue", kind: "number", nullable: true},
		attributes("attributes"), attributes("context"),
	}
	scored := []field{attributes("attributes"), attributes("context"), optional("offerId"), optional("customerId"), optional("decisionId")}
	offers := []field{
		attributes("customerAttributes"), attributes("context"), optional("customerId"), optional("decisionId"), {path: "offers", kind: "array", required: true},
		required("offers[0].id"), optional("offers[0].name"), attributes("offers[0].attributes"),
	}
	number := func(path string) field { return field{path: path, kind: "number"} }
	experimentFields := []field{
		{path: "description", kind: "string", most: maxDescription}, text("status"), {path: "trafficSplit", kind: "object"}, number("trafficSplit.championPct"),
		{path: "challengers", kind: "array"}, required("challengers[0].modelId"), {path: "challengers[0].trafficPct", kind: "number", required: true},
		number("holdoutPercent"), {path: "autoPromote", kind: "boolean"}, number("promoteThreshold"), number("promoteAfterDays"),
	}
	logged := []field{{path: "enabled", kind: "boolean", required: true}, number("samplePct"), text("format"), {path: "features", kind: "boolean"}}
	webhookFields := []field{{path: "description", kind: "string", most: maxDescription}, {path: "eventTypes", kind: "array"}, {path: "enabled", kind: "boolean"}}
	return []spoiled{
		{post, "/api/v1/algorithm-models", `{"key":"new","name":"n","modelType":"scorecard"}`, append([]field{
			required("key"), required("name"), required("modelType"), {path: "metricsHistory", kind: "array", most: maxArrayItems}}, shared...)},
		{put, model, `{}`, shared},
		{post, model + "/reset-offer", `{"scopeId":"x"}`, []field{
			optional("scopeId"), optional("offerId"), optional("categoryId"), optional("channelId"), optional("action"), optional("scope"), optional("resetTo"),
			{path: "reason", kind: "string", nullable: true, most: maxDescription}}},
		{post, model + "/upgrade", `{}`, []field{{path: "createExperiment", kind: "boolean"}}},
		{post, "/api/v1/cluster/join", `{"id":"n9","address":"127.0.0.1:1"}`, []field{required("id"), required("address"), {path: "voter", kind: "boolean"}}},
		{post, "/api/v1/cluster/remove", `{"id":"n9"}`, []field{required("id")}},
		{post, "/api/v1/cluster/transfer", `{"id":"n9"}`, []field{text("id")}},
		{post, "/api/v1/algorithm-models/import", `{"format":"praetor","model":{}}`, append([]field{
			required("format"), text("key"), {path: "model", kind: "object", required: true}}, slices.DeleteFunc(slices.Clone(shared), func(f field) bool {
			return f.path == "metrics" || f.path == "modelState" // they come with the model
		})...)},
		{post, model + "/restore", `{"version":1}`, []field{{path: "version", kind: "number", required: true}}},
		{post, "/api/v1/algorithm-models/train", `{"modelId":"x"}`, []field{required("modelId")}},
		{post, model + "/score", `{}`, scored},
		{post, model + "/score-offer-set", `{"offers":[{"id":"a"}]}`, offers},
		{post, "/api/v1/families/Card/score", `{}`, scored},
		{post, "/api/v1/families/Card/score-offer-set", `{"offers":[{"id":"a"}]}`, offers},
		{post, "/api/v1/experiments", `{"key":"k","name":"n","championModelId":"x","trafficSplit":{"championPct":50},"challengers":[{"modelId":"y","trafficPct":50}]}`,
			append([]field{required("key"), required("name"), required("championModelId")}, experimentFields...)},
		{put, "/api/v1/experiments/" + experiment, `{"trafficSplit":{},"challengers":[{"modelId":"y","trafficPct":20}]}`,
			append([]field{text("key"), text("name"), text("championModelId")}, experimentFields...)},
		{post, model + "/score-batch", `{"rows":[{}]}`, []field{
			{path: "rows", kind: "array", required: true}, optional("rows[0].customerId"), optional("rows[0].decisionId"), attributes("rows[0].attributes")}},
		{put, model + "/decision-log", `{"enabled":true}`, logged},
		{put, "/api/v1/families/Card/decision-log", `{"enabled":true}`, logged},
		{post, "/api/v1/respond", `{"customerId":"c","outcome":"click"}`, outcome},
		{post, "/api/v1/capture", `{"customerId":"c","outcome":"click"}`, outcome},
		{post, "/api/v1/respond/bulk", `{"outcomes":[{"customerId":"c","outcome":"click"}]}`, []field{{path: "outcomes", kind: "array", required: true}}},
		{post, "/api/v1/outcome-types", `{"key":"k","name":"n","classification":"neutral"}`, []field{
			required("key"), text("name"), required("classification"), text("category")}},
		{put, "/api/v1/outcome-types/click", `{}`, []field{text("name"), text("classification"), text("category")}},
		{post, "/api/v1/api-keys", `{"name":"n","role":"viewer"}`, []field{required("name"), required("role"), {path: "expiresAt", kind: "string", nullable: true}}},
		{post, "/api/v1/tenants", `{"name":"n"}`, []field{required("name"), text("id")}},
		{post, "/api/v1/webhooks", `{"url":"https://hooks.example.com"}`, append([]field{{path: "url", kind: "string", most: maxURL, required: true}}, webhookFields...)},
		{put, "/api/v1/webhooks/none", `{}`, append([]field{{path: "url", kind: "string", most: maxURL}}, webhookFields...)},
		{post, "/api/v1/webhooks/none/rotate-secret", `{}`, []field{{path: "overlapSeconds", kind: "number"}}},
	}
}

// with returns the body with the value put at (or, when empty, removed from)
// the path.
func with(t testing.TB, body, path, value string) string {
	t.Helper()
	var root any
	if err := json.Unmarshal([]byte(body), &root); err != nil {
		t.Fatal(err)
	}
	at := root
	steps := strings.Split(strings.NewReplacer("[0]", ".0").Replace(path), ".")
	for _, s := range steps[:len(steps)-1] {
		if s == "0" {
			at = at.([]any)[0]
		} else {
			at = at.(map[string]any)[s]
		}
	}
	m, last := at.(map[string]any), steps[len(steps)-1]
	if value == "" {
		delete(m, last)
	} else {
		m[last] = json.RawMessage(value)
	}
	b, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var samples = map[string]string{"string": `"x"`, "object": `{}`, "array": `[]`, "number": `7`, "boolean": `true`, "null": `null`}

// tooLarge returns a value of the field's kind that is one beyond its bound.
func tooLarge(f field) string {
	switch f.kind {
	case "string":
		return `"` + strings.Repeat("é", f.most+1) + `"`
	case "array":
		return "[" + strings.Repeat(`{"field":"x"},`, f.most) + `{"field":"x"}]`
	}
	var b strings.Builder
	for i := range f.most + 1 {
		fmt.Fprintf(&b, `,"f%d":1`, i)
	}
	return "{" + b.String()[1:] + "}"
}

// Every field of every route: wrong type, missing, too long, too many.
func TestEveryFieldIsChecked(t *testing.T) {
	a := startAPI(t)
	id := a.create(fmt.Sprintf(scorecardBody, "card"))
	a.stand(id, "challenger")
	a.stand(id, "champion")
	experiment := a.experiment(`{"key":"e","name":"e","championModelId":"` + id + `","trafficSplit":{"championPct":100}}`)
	before := a.Server.engine.AppliedIndex()
	covered := map[string]bool{}
	for _, rt := range bodiesTable(id, experiment) {
		matched, _ := a.match(rt.method, rt.path)
		covered[matched.method+" "+matched.path] = true
		a.spoil(rt)
	}
	// Further rules of single fields.
	model := "/api/v1/algorithm-models/" + id
	for _, tc := range []struct{ method, path, body, at string }{
		{post, "/api/v1/algorithm-models", `{"key":"k","name":"n","modelType":"oracle"}`, "modelType"},
		{post, "/api/v1/algorithm-models", `{"key":"k","name":"n","modelType":"scorecard","status":"sleeping"}`, "status"},
		{post, "/api/v1/algorithm-models", `{"key":"k","name":"n","modelType":"scorecard","predictors":[1]}`, "predictors[0]"},
		{post, "/api/v1/algorithm-models", `{"key":"k","name":"n","modelType":"scorecard","metricsHistory":[1]}`, "metricsHistory[0]"},
		{post, "/api/v1/algorithm-models", `{"key":"k","name":"n","modelType":"scorecard","config":{"a":{"b":1,"b":2}}}`, "config.a.b"},
		{post, "/api/v1/algorithm-models", `{"key":"k","name":"n","modelType":"scorecard","config":{"a":[1e999]}}`, "config.a[0]"},
		{put, model, `{"status":"sleeping"}`, "status"},
		{put, model, `{"evolutionConfig":{"autoEvolve":"yes"}}`, "evolutionConfig.autoEvolve"},
		{put, model, `{"evolutionConfig":{"targetTier":"oracle"}}`, "evolutionConfig.targetTier"},
		{put, model, `{"evolutionConfig":{"skipTiers":1}}`, "evolutionConfig.skipTiers"},
		{put, model, `{"evolutionConfig":{"thresholds":[]}}`, "evolutionConfig.thresholds"},
		{put, model, `{"evolutionConfig":{"thresholds":{"logisticSamples":-1}}}`, "evolutionConfig.thresholds.logisticSamples"},
		{put, model, `{"evolutionConfig":{"thresholds":{"bayesianSamples":1.5}}}`, "evolutionConfig.thresholds.bayesianSamples"},
		{put, model, `{"evolutionConfig":{"thresholds":{"gradientBoostedAuc":1.01}}}`, "evolutionConfig.thresholds.gradientBoostedAuc"},
		{post, "/api/v1/algorithm-models", `{"key":"k","name":"n","modelType":"scorecard","evolutionConfig":{"thresholds":{"bayesianAuc":"high"}}}`, "evolutionConfig.thresholds.bayesianAuc"},
		{post, model + "/restore", `{"version":1.5}`, "version"},
		{post, model + "/restore", `{"version":0}`, "version"},
		{post, model + "/restore", `{"version":-1}`, "version"},
		{post, model + "/score", `{"attributes":{"a":1e999}}`, "attributes.a"},
		{post, model + "/score", `{"attributes":{"a":{"b":[{}]}}}`, "attributes.a.b[0]"},
		{post, model + "/score-offer-set", `{"offers":[]}`, "offers"},
		{post, model + "/score-offer-set", `{"offers":[{"id":"a"},{"id":"a"}]}`, "offers[1].id"},
		{post, model + "/score-offer-set", `{"offers":[{"id":"a"},7]}`, "offers[1]"},
		{post, model + "/score-batch", `{"rows":[]}`, "rows"},
		{post, model + "/score-batch", `{"rows":[{},7]}`, "rows[1]"},
		{post, "/api/v1/respond", `{"customerId":"c","outcome":"click","direction":"sideways"}`, "direction"},
		{post, "/api/v1/respond", `{"customerId":"c","outcome":"click","timestamp":"yesterday"}`, "timestamp"},
		{post, "/api/v1/respond", `{"customerId":"c","outcome":"click","timestamp":"1969-01-01T00:00:00Z"}`, "timestamp"},
		{post, "/api/v1/respond", `{"customerId":"c","outcome":"click","timestamp":"1970-01-01T00:00:00Z"}`, "timestamp"},
		{post, "/api/v1/respond", `{"customerId":"c","outcome":"click","idempotencyKey":"a b"}`, "idempotencyKey"},
		{post, "/api/v1/respond", `{"customerId":"c","outcome":"click","conversionValue":1e400}`, "conversionValue"},
		{post, "/api/v1/respond/bulk", `{"outcomes":[]}`, "outcomes"},
		{post, "/api/v1/outcome-types", `{"key":"k","classification":"odd"}`, "classification"},
		{post, "/api/v1/outcome-types", `{"key":"k","classification":"neutral","category":"odd"}`, "category"},
		{post, "/api/v1/api-keys", `{"name":"n","role":"operator"}`, "role"},
		{post, "/api/v1/api-keys", `{"name":"n","role":"viewer","expiresAt":"2001-01-01T00:00:00Z"}`, "expiresAt"},
		{post, "/api/v1/tenants", `{"name":"n","id":"No Spaces"}`, "id"},
		{post, "/api/v1/experiments", `{"key":"k","name":"n","championModelId":"` + id + `"}`, "trafficSplit.championPct"},
		{post, "/api/v1/experiments", `{"key":"k","name":"n","championModelId":"` + id + `","trafficSplit":{"championPct":99.999},"challengers":[{"modelId":"y","trafficPct":0.001}]}`, "trafficSplit.championPct"},
		{post, "/api/v1/experiments", `{"key":"k","name":"n","championModelId":"` + id + `","challengers":[{"modelId":"` + id + `","trafficPct":20}]}`, "challengers[0].modelId"},
		{post, "/api/v1/experiments", `{"key":"k","name":"n","championModelId":"` + id + `","status":"paused","trafficSplit":{"championPct":101}}`, "trafficSplit.championPct"},
		{put, "/api/v1/experiments/" + experiment, `{"key":"other"}`, "key"},
		{put, "/api/v1/experiments/" + experiment, `{"status":"gone"}`, "status"},
		{put, "/api/v1/experiments/" + experiment, `{"promoteThreshold":1.5}`, "promoteThreshold"},
		{put, "/api/v1/experiments/" + experiment, `{"promoteAfterDays":-1}`, "promoteAfterDays"},
		{put, "/api/v1/experiments/" + experiment, `{"holdoutPercent":100.5}`, "holdoutPercent"},
		{post, "/api/v1/webhooks", `{"url":"https://hooks.example.com","eventTypes":["registry.*","nothing.*"]}`, "eventTypes[1]"},
		{post, "/api/v1/webhooks", `{"url":"https://hooks.example.com","eventTypes":["webhook.test"]}`, "eventTypes[0]"},
		{post, "/api/v1/webhooks", `{"url":"http://hooks.example.com"}`, "url"},
		{post, "/api/v1/webhooks", `{"url":"https://169.254.169.254/"}`, "url"},
		{post, "/api/v1/webhooks", `{"url":"https://a:b@hooks.example.com/"}`, "url"},
		{put, "/api/v1/webhooks/none", `{"url":"hooks.example.com"}`, "url"},
		{post, "/api/v1/webhooks/none/rotate-secret", `{"overlapSeconds":2592001}`, "overlapSeconds"},
		{get, "/api/v1/events?format=xml", "", "format"},
		{get, "/api/v1/events?format=json&types=registry.*,nothing", "", "types"},
		{get, "/api/v1/events?format=json&after=evt_1", "", "after"},
		{get, "/api/v1/events?format=json&limit=0", "", "limit"},
		{get, "/api/v1/experiments/" + experiment + "/assignment", "", "customerId"},
		{get, "/api/v1/experiments/" + experiment + "/assignment?customerId=", "", "customerId"},
	} {
		a.wantRefused(tc.method, tc.path, tc.body, tc.at, "rule")
	}
	if after := a.Server.engine.AppliedIndex(); after != before {
		t.Errorf("the log went from %d to %d: something refused was done in part", before, after)
	}
	for _, rt := range a.table {
		takesNone := strings.HasSuffix(rt.path, "reset-learning") || strings.HasSuffix(rt.path, "{id}/train") || strings.HasSuffix(rt.path, "snapshot") || strings.HasSuffix(rt.path, "digest")
		takesNone = takesNone || strings.HasSuffix(rt.path, "webhooks/{id}/test")
		takesNone = takesNone || strings.HasSuffix(rt.path, "/registry") // TestRegistryBodyIsChecked
		if name := rt.method + " " + rt.path; (rt.method == post || rt.method == put) && !takesNone && !isV2(rt.path) && !covered[name] {
			t.Errorf("%s takes a body that no test spoils", name)
		}
	}
}

// spoil sends the route's body with everything wrong that can be.
func (a *api) spoil(rt spoiled) {
	a.t.Helper()
	t := a.t
	for _, f := range rt.fields {
		for kind, value := range samples {
			if kind != f.kind && !(kind == "null" && f.nullable) {
				a.wantRefused(rt.method, rt.path, with(t, rt.good, f.path, value), f.path, kind+" for "+f.kind)
			}
		}
		if f.required {
			a.wantRefused(rt.method, rt.path, with(t, rt.good, f.path, ""), f.path, "missing")
			if f.kind == "string" {
				a.wantRefused(rt.method, rt.path, with(t, rt.good, f.path, `""`), f.path, "empty")
			}
		}
		if f.most > 0 {
			a.wantRefused(rt.method, rt.path, with(t, rt.good, f.path, tooLarge(f)), f.path, "too large")
		}
	}
	for _, body := range []string{`[]`, `"x"`, `7`, `null`, `{`, `{"a":1,}`, "{\"a\":\"\xff\"}", `{"a":NaN}`} {
		a.wantRefused(rt.method, rt.path, body, "", "not an object")
	}
	a.wantRefused(rt.method, rt.path+"?strict=true", with(t, rt.good, "unknown_field", "1"), "unknown_field", "unknown")
	a.wantRefused(rt.method, rt.path, `{"a":1,"a":2}`, "a", "twice")
	many := strings.Builder{}
	for i := range maxFields + 1 {
		fmt.Fprintf(&many, `,"u%d":1`, i)
	}
	a.wantRefused(rt.method, rt.path, "{"+many.String()[1:]+"}", "u64", "too many fields")
}

// The same for the registry, whose every request is counted in the log: each
// tenant has a share of them, so the requests go to many.
func TestRegistryBodyIsChecked(t *testing.T) {
	a := startAPI(t)
	const path = "/api/v1/models/model_1/registry"
	text := func(path string) field { return field{path: path, kind: "string", most: maxName, nullable: true} }
	number := func(path string) field { return field{path: path, kind: "number"} }
	a.tenants = new(int)
	a.spoil(spoiled{post, path, `{"status":"draft","rollbackThresholds":{},"metricsSnapshot":{}}`, []field{
		{path: "status", kind: "string", required: true}, text("actor"), {path: "bypassRollbackGuard", kind: "boolean"},
		{path: "metricsSnapshot", kind: "object", most: maxSnapshot}, number("metricsSnapshot.auc"), {path: "rollbackThresholds", kind: "object"},
		number("rollbackThresholds.maxAucDrop"), number("rollbackThresholds.maxPsi"), number("rollbackThresholds.maxErrorRate"),
	}})
	for _, tc := range []struct{ body, at string }{
		{`{"status":"boss"}`, "status"},
		{`{"status":"draft","metricsSnapshot":{"auc":1e999}}`, "metricsSnapshot.auc"},
		{`{"status":"draft","metricsSnapshot":{"psi":{"age":0.1}}}`, "metricsSnapshot.psi"},
		{`{"status":"draft","metricsSnapshot":{"auc":1,"auc":2}}`, "metricsSnapshot.auc"},
		{`{"status":"draft","rollbackThresholds":{"maxPsi":-1}}`, "rollbackThresholds.maxPsi"},
		{`{"status":"draft","rollbackThresholds":{"maxPsi":1e999}}`, "rollbackThresholds.maxPsi"},
	} {
		a.wantRefused(post, path, tc.body, tc.at, "rule")
	}
}

// tenantOf is the tenant to send a request to that is to be refused: acme, or
// where tenants are counted a new one for each 50 requests.
func (a *api) tenantOf() string {
	if a.tenants == nil {
		return "acme"
	}
	id := fmt.Sprint("many-", *a.tenants/50)
	if *a.tenants%50 == 0 {
		a.must(201, post, "/api/v1/tenants", operatorKey, fmt.Sprintf(`{"id":%q,"name":"n"}`, id))
	}
	*a.tenants++
	return id
}

// wantRefused wants a 400 with a problem at the path.
func (a *api) wantRefused(method, path, body, at, why string) {
	a.t.Helper()
	r := a.do(method, path, operatorKey, body, "X-Tenant-Id: "+a.tenantOf())
	if r.status != 400 {
		a.t.Errorf("%s %s with %.80s (%s): got %d %.300s, want 400", method, path, body, why, r.status, r.body)
		return
	}
	if isV2(path) {
		if _, message := r.failureV2(a.t); !strings.Contains(message, at) {
			a.t.Errorf("%s %s with %.80s (%s): got %q, want a problem at %s", method, path, body, why, message, at)
		}
		return
	}
	e := r.failure(a.t)
	if at == "" {
		return
	}
	for _, d := range e.Details {
		if d.Path == at || strings.HasPrefix(d.Path, at+".f") {
			return
		}
	}
	a.t.Errorf("%s %s with %.80s (%s): got %.300s, want a problem at %s", method, path, body, why, r.body, at)
}
