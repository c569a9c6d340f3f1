package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
)

// answer is what the test's server says to one request.
type answer struct {
	status int
	header map[string]string
	body   string
}

// seen is what the test's server was asked.
type seen struct {
	method, uri string
	header      http.Header
	body        string
}

// serve answers the requests in turn, the last answer for ever, and returns a
// client of it and what it was asked.
func serve(t *testing.T, answers ...answer) (*Client, *[]seen) {
	t.Helper()
	var asked []seen
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		a := answers[min(len(asked), len(answers)-1)]
		asked = append(asked, seen{r.Method, r.RequestURI, r.Header, string(body)})
		w.Header().Set("Content-Type", "application/json")
		for k, v := range a.header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.body)
	}))
	t.Cleanup(server.Close)
	cfg := DefaultConfig(server.URL, "prk_test")
	cfg.MaxRetryWait = time.Millisecond
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, &asked
}

func TestNewRefusesBadURLs(t *testing.T) {
	for _, bad := range []string{"", "127.0.0.1:8080", "ftp://host", "http://", "http://a b"} {
		if _, err := New(DefaultConfig(bad, "")); err == nil {
			t.Errorf("%q was accepted, want an error", bad)
		}
	}
}

const modelJSON = `{"id":"model_1","key":"k","name":"n","description":"","modelType":"bayesian","status":"active","version":3,
	"trainingSamples":12500,"config":{},"targetField":null,"targetSchemaKey":null,"predictors":["age"],"metrics":{"auc":0.78},
	"metricsHistory":[{"version":3}],"learningConfig":{},"outcomeWeights":null,"interactionFeatures":null,"evolutionConfig":null,
	"registryStatus":"draft","family":"n","lastTrainedAt":null,"createdAt":"2026-01-20T10:00:00.000Z","updatedAt":"2026-01-20T10:00:00.000Z",
	"versions":[{"version":3,"modelType":"bayesian","metrics":{"auc":0.78},"trainingSamples":12500,"reason":"train","createdAt":"2026-01-20T10:00:00.000Z"}]}`

// TestRequests holds every method to its route, its body and its answer.
func TestRequests(t *testing.T) {
	ctx := context.Background()
	noContent := answer{status: 204}
	tests := []struct {
		name   string
		answer answer
		call   func(*Client) (any, error)
		method string
		uri    string
		body   string // as JSON; empty: none
		check  func(t *testing.T, got any)
	}{
		{
			name: "create tenant", answer: answer{status: 201, body: `{"id":"acme","name":"Acme","createdAt":"2026-01-20T10:00:00.000Z"}`},
			call:   func(c *Client) (any, error) { return c.CreateTenant(ctx, "acme", "Acme") },
			method: "POST", uri: "/api/v1/tenants", body: `{"id":"acme","name":"Acme"}`,
			check: func(t *testing.T, got any) { equal(t, got.(Tenant).ID, "acme") },
		},
		{
			name: "delete tenant", answer: noContent,
			call:   func(c *Client) (any, error) { return nil, c.DeleteTenant(ctx, "a/b") },
			method: "DELETE", uri: "/api/v1/tenants/a%2Fb",
		},
		{
			name: "events", answer: answer{status: 200, body: `{"data":[{"id":"evt_1","type":"model.trained","tenantId":"acme","timestamp":"2026-01-20T10:00:00.000Z","data":{"a":1}}],"cursor":"evt_2","hasMore":true,"missed":true}`},
			call: func(c *Client) (any, error) {
				return c.Events(ctx, EventOptions{Types: []string{"model.*", "alert.opened"}, After: "evt_0", Limit: 7})
			},
			method: "GET", uri: "/api/v1/events?after=evt_0&format=json&limit=7&types=model.%2A%2Calert.opened",
			check: func(t *testing.T, got any) {
				p := got.(EventPage)
				equal(t, p.Data[0].Type+string(p.Data[0].Data)+p.Cursor, `model.trained{"a":1}evt_2`)
				equal(t, p.HasMore && p.Missed, true)
			},
		},
		{
			name: "create webhook", answer: answer{status: 201, body: `{"id":"wh_1","secret":"whsec_x","delivery":{"pending":2,"lastFailure":{"at":"2026-01-20T10:00:00.000Z","status":500}}}`},
			call: func(c *Client) (any, error) {
				return c.CreateWebhook(ctx, WebhookFields{URL: ptr("https://x"), EventTypes: []string{"alert.*"}})
			},
			method: "POST", uri: "/api/v1/webhooks", body: `{"url":"https://x","eventTypes":["alert.*"]}`,
			check: func(t *testing.T, got any) {
				w := got.(Webhook)
				equal(t, w.Secret, "whsec_x")
				equal(t, w.Delivery.LastFailure.Status, 500)
			},
		},
		{
			name: "update webhook", answer: answer{status: 200, body: `{"id":"wh_1","enabled":true}`},
			call:   func(c *Client) (any, error) { return c.UpdateWebhook(ctx, "wh/1", WebhookFields{Enabled: ptr(true)}) },
			method: "PUT", uri: "/api/v1/webhooks/wh%2F1", body: `{"enabled":true}`,
			check: func(t *testing.T, got any) { equal(t, got.(Webhook).Enabled, true) },
		},
		{
			name: "rotate webhook secret", answer: answer{status: 200, body: `{"secret":"whsec_y"}`},
			call:   func(c *Client) (any, error) { return c.RotateWebhookSecret(ctx, "wh_1", time.Hour) },
			method: "POST", uri: "/api/v1/webhooks/wh_1/rotate-secret", body: `{"overlapSeconds":3600}`,
			check: func(t *testing.T, got any) { equal(t, got.(Webhook).Secret, "whsec_y") },
		},
		{
			name: "test webhook", answer: answer{status: 200, body: `{"delivered":false,"status":500,"durationMs":5}`},
			call:   func(c *Client) (any, error) { return c.TestWebhook(ctx, "wh_1") },
			method: "POST", uri: "/api/v1/webhooks/wh_1/test",
			check: func(t *testing.T, got any) { equal(t, got.(WebhookTest), WebhookTest{Status: 500, DurationMs: 5}) },
		},
		{
			name: "delete webhook", answer: noContent,
			call:   func(c *Client) (any, error) { return nil, c.DeleteWebhook(ctx, "wh_1") },
			method: "DELETE", uri: "/api/v1/webhooks/wh_1",
		},
		{
			name: "create optimization", answer: answer{status: 201, body: `{"id":"o1","model_id":"m1","summary":null,"training_data_config":{"reward":{"name":"signup"}},"meta":{"request_id":"r"}}`},
			call: func(c *Client) (any, error) {
				return c.CreateOptimization(ctx, NewOptimization{Name: "n", ModelType: "mab", TrainingDataConfig: TrainingDataConfig{
					DesignFactors: []Factor{{"badge", "bool", []any{false, true}}}, Reward: RewardConfig{"signup", "bool"}, Attribution: AttributionConfig{"last_touch", 24}}})
			},
			method: "POST", uri: "/api/v2/optimizations",
			body: `{"name":"n","model_type":"mab","training_data_config":{"design_factors":[{"name":"badge","dtype":"bool","levels":[false,true]}],
				"reward":{"name":"signup","type":"bool"},"attribution":{"type":"last_touch","conversion_window_hours":24}},"holdout_percentage":0}`,
			check: func(t *testing.T, got any) { equal(t, got.(Optimization).TrainingDataConfig.Reward.Name, "signup") },
		},
		{
			name: "optimizations", answer: answer{status: 200, body: `{"optimizations":[{"id":"o1"}],"total":3}`},
			call: func(c *Client) (any, error) {
				return c.Optimizations(ctx, OptimizationsQuery{Limit: 1, Offset: 2, OrderBy: "lift", IncludeArchived: true})
			},
			method: "GET", uri: "/api/v2/optimizations?include_archived=true&limit=1&offset=2&order_by=lift",
			check: func(t *testing.T, got any) { equal(t, got.(OptimizationList).Total, 3) },
		},
		{
			name: "update optimization", answer: answer{status: 200, body: `{"id":"o1","status":"completed"}`},
			call: func(c *Client) (any, error) {
				status := "completed"
				return c.UpdateOptimization(ctx, "o1", OptimizationPatch{Status: &status})
			},
			method: "PATCH", uri: "/api/v2/optimizations/o1", body: `{"status":"completed"}`,
			check: func(t *testing.T, got any) { equal(t, got.(Optimization).Status, "completed") },
		},
		{
			name: "serve", answer: answer{status: 200, body: `{"variant":{"badge":true},"variant_number":2,"propensity":0.5}`},
			call: func(c *Client) (any, error) {
				return c.Serve(ctx, "o1", ServeRequest{AnonymousID: "v", Context: map[string]any{"device": "mobile"}, DryRun: true})
			},
			method: "POST", uri: "/api/v2/optimizations/o1/serve", body: `{"anonymous_id":"v","context":{"device":"mobile"},"dry_run":true}`,
			check: func(t *testing.T, got any) { equal(t, got.(Served).VariantNumber, 2) },
		},
		{
			name: "best variant", answer: answer{status: 200, body: `{"variant_number":2}`},
			call:   func(c *Client) (any, error) { return c.BestVariant(ctx, "o1", ServeRequest{AnonymousID: "v"}) },
			method: "POST", uri: "/api/v2/optimizations/best-variant", body: `{"optimization_id":"o1","anonymous_id":"v"}`,
			check: func(t *testing.T, got any) { equal(t, got.(Served).VariantNumber, 2) },
		},
		{
			name: "exposures", answer: answer{status: 207, body: `{"accepted":1,"duplicates":0,"rejected":[{"index":1,"code":"forbidden","message":"m"}]}`},
			call: func(c *Client) (any, error) {
				return c.RecordExposures(ctx, []Exposure{{AnonymousID: "v", OptimizationID: "o1", Variant: Combination{"badge": true}, IdempotencyKey: "k"}})
			},
			method: "POST", uri: "/api/v2/ingest/exposures", body: `{"events":[{"anonymous_id":"v","optimization_id":"o1","variant":{"badge":true},"idempotency_key":"k"}]}`,
			check: func(t *testing.T, got any) { equal(t, got.(Ingested).Rejected[0].Code, "forbidden") },
		},
		{
			name: "rewards", answer: answer{status: 200, body: `{"accepted":1}`},
			call: func(c *Client) (any, error) {
				return c.RecordRewards(ctx, []Reward{{AnonymousID: "v", Name: "signup"}})
			},
			method: "POST", uri: "/api/v2/ingest/rewards", body: `{"events":[{"anonymous_id":"v","name":"signup"}]}`,
			check: func(t *testing.T, got any) { equal(t, got.(Ingested).Accepted, 1) },
		},
		{
			name: "models of optimizations", answer: answer{status: 200, body: `{"models":[{"id":"m1","status":"trained"}]}`},
			call:   func(c *Client) (any, error) { return c.OptimizationModels(ctx) },
			method: "GET", uri: "/api/v2/models",
			check: func(t *testing.T, got any) { equal(t, got.([]OptimizationModel)[0].Status, "trained") },
		},
		{
			name: "train a model of an optimization", answer: answer{status: 200, body: `{"in_sample_metrics":{"historic_reward":0.24,"expected_reward":{"mean":0.31}}}`},
			call: func(c *Client) (any, error) {
				return c.TrainOptimizationModel(ctx, "m1", map[string]float64{"badge": 0.1})
			},
			method: "POST", uri: "/api/v2/models/m1/train", body: `{"bias":{"badge":0.1}}`,
			check: func(t *testing.T, got any) { equal(t, got.(TrainedModel).InSampleMetrics.ExpectedReward.Mean, 0.31) },
		},
		{
			name: "train it without a bias", answer: answer{status: 200, body: `{"status":"trained"}`},
			call:   func(c *Client) (any, error) { return c.TrainOptimizationModel(ctx, "m1", nil) },
			method: "POST", uri: "/api/v2/models/m1/train",
		},
		{
			name: "its state", answer: answer{status: 200, body: `{"variants":[{"number":1,"expected_reward":null}]}`},
			call:   func(c *Client) (any, error) { return c.OptimizationModelState(ctx, "m1") },
			method: "GET", uri: "/api/v2/models/m1/state",
			check: func(t *testing.T, got any) { equal(t, got.(OptimizationModelState).Variants[0].Number, 1) },
		},
		{
			name: "the model", answer: answer{status: 200, body: `{"id":"m1","optimization_id":"o1"}`},
			call:   func(c *Client) (any, error) { return c.OptimizationModel(ctx, "m1") },
			method: "GET", uri: "/api/v2/models/m1",
			check: func(t *testing.T, got any) { equal(t, got.(OptimizationModel).OptimizationID, "o1") },
		},
		{
			name: "delete it", answer: answer{status: 200, body: `{"id":"m1","status":"archived"}`},
			call:   func(c *Client) (any, error) { return nil, c.DeleteOptimizationModel(ctx, "m1") },
			method: "DELETE", uri: "/api/v2/models/m1",
		},
		{
			name: "a new one", answer: answer{status: 201, body: `{"id":"m2"}`},
			call:   func(c *Client) (any, error) { return c.CreateOptimizationModel(ctx, "o1") },
			method: "POST", uri: "/api/v2/optimizations/o1/models",
			check: func(t *testing.T, got any) { equal(t, got.(OptimizationModel).ID, "m2") },
		},
		{
			name: "results of an optimization", answer: answer{status: 200, body: `{"variants":[{"number":1,"rate":null}],"measured_lift":{"lift_percent":30}}`},
			call:   func(c *Client) (any, error) { return c.OptimizationResults(ctx, "o1") },
			method: "GET", uri: "/api/v2/optimizations/o1/results",
			check: func(t *testing.T, got any) { equal(t, *got.(OptimizationResults).Lift.Percent, 30.0) },
		},
		{
			name: "the optimization", answer: answer{status: 200, body: `{"id":"o1"}`},
			call:   func(c *Client) (any, error) { return c.Optimization(ctx, "o1") },
			method: "GET", uri: "/api/v2/optimizations/o1",
			check: func(t *testing.T, got any) { equal(t, got.(Optimization).ID, "o1") },
		},
		{
			name: "create experiment", answer: answer{status: 201, body: `{"id":"exp_1","status":"draft","trafficSplit":{"championPct":66.67}}`},
			call: func(c *Client) (any, error) {
				key, champion := "q2", "model_1"
				return c.CreateExperiment(ctx, ExperimentFields{Key: &key, Name: &key, ChampionModelID: &champion, TrafficSplit: &TrafficSplit{66.67}, Challengers: []Challenger{{"model_2", 33.33}}})
			},
			method: "POST", uri: "/api/v1/experiments",
			body:  `{"key":"q2","name":"q2","championModelId":"model_1","trafficSplit":{"championPct":66.67},"challengers":[{"modelId":"model_2","trafficPct":33.33}]}`,
			check: func(t *testing.T, got any) { equal(t, got.(Experiment).TrafficSplit.ChampionPct, 66.67) },
		},
		{
			name: "update experiment", answer: answer{status: 200, body: `{"id":"exp_1","status":"active"}`},
			call: func(c *Client) (any, error) {
				status := "active"
				return c.UpdateExperiment(ctx, "exp_1", ExperimentFields{Status: &status})
			},
			method: "PUT", uri: "/api/v1/experiments/exp_1", body: `{"status":"active"}`,
			check: func(t *testing.T, got any) { equal(t, got.(Experiment).Status, "active") },
		},
		{
			name: "delete experiment", answer: noContent,
			call:   func(c *Client) (any, error) { return nil, c.DeleteExperiment(ctx, "exp_1") },
			method: "DELETE", uri: "/api/v1/experiments/exp_1",
		},
		{
			name: "assignment", answer: answer{status: 200, body: `{"experimentId":"exp_1","customerId":"c 1","variant":"__champion__","modelId":"model_1","bucket":4711}`},
			call:   func(c *Client) (any, error) { return c.Assignment(ctx, "exp_1", "c 1") },
			method: "GET", uri: "/api/v1/experiments/exp_1/assignment?customerId=c+1",
			check: func(t *testing.T, got any) { equal(t, got.(Assignment).Bucket, 4711) },
		},
		{
			name: "results", answer: answer{status: 200, body: `{"variants":[{"variant":"next","samples":400,"relativeUplift":null}],"shadow":{"models":[]}}`},
			call:   func(c *Client) (any, error) { return c.ExperimentResults(ctx, "exp_1") },
			method: "GET", uri: "/api/v1/experiments/exp_1/results",
			check: func(t *testing.T, got any) { equal(t, got.(ExperimentResults).Variants[0].Samples, uint64(400)) },
		},
		{
			name: "create warehouse connection", answer: answer{status: 201, body: `{"id":"c1","provider":"postgres","config":{"host":"h"},"has_credentials":true,"created_at":"2026-04-22T10:00:00Z","meta":{}}`},
			call: func(c *Client) (any, error) {
				return c.CreateWarehouseConnection(ctx, NewWarehouseConnection{Provider: "postgres", Config: json.RawMessage(`{"host":"h"}`)})
			},
			method: "POST", uri: "/api/v2/warehouse/connections", body: `{"provider":"postgres","config":{"host":"h"}}`,
			check: func(t *testing.T, got any) { equal(t, got.(WarehouseConnection).HasCredentials, true) },
		},
		{
			name: "warehouse connections", answer: answer{status: 200, body: `{"connections":[{"id":"c1"}],"meta":{}}`},
			call:   func(c *Client) (any, error) { return c.WarehouseConnections(ctx) },
			method: "GET", uri: "/api/v2/warehouse/connections",
			check: func(t *testing.T, got any) { equal(t, got.([]WarehouseConnection)[0].ID, "c1") },
		},
		{
			name: "warehouse connection", answer: answer{status: 200, body: `{"id":"c1"}`},
			call:   func(c *Client) (any, error) { return c.WarehouseConnection(ctx, "c1") },
			method: "GET", uri: "/api/v2/warehouse/connections/c1",
			check: func(t *testing.T, got any) { equal(t, got.(WarehouseConnection).ID, "c1") },
		},
		{
			name: "test warehouse connection", answer: answer{status: 200, body: `{"ok":false,"error":{"code":"conflict","reason":"warehouse_query","message":"m"},"duration_ms":3}`},
			call:   func(c *Client) (any, error) { return c.TestWarehouseConnection(ctx, "c1") },
			method: "POST", uri: "/api/v2/warehouse/connections/c1/test",
			check: func(t *testing.T, got any) { equal(t, got.(ConnectionTest).Error.Reason, "warehouse_query") },
		},
		{
			name: "delete warehouse connection", answer: answer{status: 200, body: `{"id":"c1","status":"deleted"}`},
			call:   func(c *Client) (any, error) { return nil, c.DeleteWarehouseConnection(ctx, "c1") },
			method: "DELETE", uri: "/api/v2/warehouse/connections/c1",
		},
		{
			name: "create warehouse metric", answer: answer{status: 201, body: `{"id":"m1","kind":"reward"}`},
			call: func(c *Client) (any, error) {
				return c.CreateWarehouseMetric(ctx, WarehouseMetric{Name: "signup", SQL: "SELECT 1", ColumnMapping: ColumnMapping{AnonymousID: "v", Timestamp: "t"}})
			},
			method: "POST", uri: "/api/v2/warehouse/metrics", body: `{"name":"signup","sql":"SELECT 1","column_mapping":{"anonymous_id":"v","timestamp":"t"}}`,
			check: func(t *testing.T, got any) { equal(t, got.(WarehouseMetric).Kind, "reward") },
		},
		{
			name: "warehouse metrics", answer: answer{status: 200, body: `{"metrics":[{"id":"m1"}],"meta":{}}`},
			call:   func(c *Client) (any, error) { return c.WarehouseMetrics(ctx) },
			method: "GET", uri: "/api/v2/warehouse/metrics",
			check: func(t *testing.T, got any) { equal(t, got.([]WarehouseMetric)[0].ID, "m1") },
		},
		{
			name: "warehouse metric", answer: answer{status: 200, body: `{"id":"m1"}`},
			call:   func(c *Client) (any, error) { return c.WarehouseMetric(ctx, "m1") },
			method: "GET", uri: "/api/v2/warehouse/metrics/m1",
			check: func(t *testing.T, got any) { equal(t, got.(WarehouseMetric).ID, "m1") },
		},
		{
			name: "delete warehouse metric", answer: answer{status: 200, body: `{"id":"m1","status":"deleted"}`},
			call:   func(c *Client) (any, error) { return nil, c.DeleteWarehouseMetric(ctx, "m1") },
			method: "DELETE", uri: "/api/v2/warehouse/metrics/m1",
		},
		{
			name: "create key", answer: answer{status: 201, body: `{"id":"key_1","name":"ci","role":"editor","prefix":"prk_ab","key":"prk_abc","createdAt":"2026-01-20T10:00:00.000Z","expiresAt":null}`},
			call:   func(c *Client) (any, error) { return c.CreateKey(ctx, NewKey{Name: "ci", Role: "editor"}) },
			method: "POST", uri: "/api/v1/api-keys", body: `{"name":"ci","role":"editor"}`,
			check: func(t *testing.T, got any) {
				equal(t, got.(Key).Secret, "prk_abc")
				equal(t, got.(Key).ExpiresAt, (*time.Time)(nil))
			},
		},
		{
			name: "upgrade", answer: answer{status: 201, body: `{"upgraded":{"id":"m2","key":"m-bayesian"},"experiment":null}`},
			call:   func(c *Client) (any, error) { return c.Upgrade(ctx, "m", false) },
			method: "POST", uri: "/api/v1/algorithm-models/m/upgrade", body: `{}`,
			check: func(t *testing.T, got any) {
				equal(t, got.(Upgraded).Model.Key, "m-bayesian")
				equal(t, got.(Upgraded).Experiment, (*Experiment)(nil))
			},
		},
		{
			name: "upgrade with an experiment", answer: answer{status: 201, body: `{"upgraded":{"id":"m2"},"experiment":{"id":"exp_1","status":"draft"}}`},
			call:   func(c *Client) (any, error) { return c.Upgrade(ctx, "m", true) },
			method: "POST", uri: "/api/v1/algorithm-models/m/upgrade", body: `{"createExperiment":true}`,
			check: func(t *testing.T, got any) { equal(t, got.(Upgraded).Experiment.ID, "exp_1") },
		},
		{
			name: "evolution", answer: answer{status: 200, body: `{"modelId":"m","progress":{"nextTier":"bayesian","progressPct":83,"details":{"aucRequired":0.8}},"timeline":[{"version":2,"reason":"train"}],"upgradedTo":"m2"}`},
			call:   func(c *Client) (any, error) { return c.Evolution(ctx, "m") },
			method: "GET", uri: "/api/v1/algorithm-models/m/evolution-history",
			check: func(t *testing.T, got any) {
				e := got.(Evolution)
				equal(t, e.Progress.ProgressPct, 83)
				equal(t, e.Progress.Details.AUCRequired, 0.8)
				equal(t, e.Timeline[0].Reason, "train")
				equal(t, *e.UpgradedTo, "m2")
			},
		},
		{
			name: "audit logs", answer: answer{status: 200, body: `{"logs":[{"id":"aud_7","action":"transition","before":null,"after":{"a":1}}],"total":9,"page":2,"limit":1}`},
			call: func(c *Client) (any, error) {
				return c.AuditLogs(ctx, AuditOptions{EntityID: "m", Action: "transition", Page: 2, Limit: 1})
			},
			method: "GET", uri: "/api/v1/audit-logs?action=transition&entityId=m&limit=1&page=2",
			check: func(t *testing.T, got any) {
				equal(t, got.(AuditPage).Logs[0].ID, "aud_7")
				equal(t, got.(AuditPage).Total, int64(9))
			},
		},
		{
			name: "verify audit", answer: answer{status: 200, body: `{"intact":false,"verified":3,"brokenAtId":"aud_4"}`},
			call:   func(c *Client) (any, error) { return c.VerifyAudit(ctx) },
			method: "GET", uri: "/api/v1/audit-logs/verify",
			check: func(t *testing.T, got any) {
				equal(t, got.(AuditVerification), AuditVerification{Verified: 3, BrokenAtID: "aud_4"})
			},
		},
		{
			name: "export audit", answer: answer{status: 200, body: "{}\n"},
			call: func(c *Client) (any, error) {
				var b strings.Builder
				err := c.ExportAudit(ctx, "ndjson", &b)
				return b.String(), err
			},
			method: "GET", uri: "/api/v1/audit-logs/export?format=ndjson",
			check: func(t *testing.T, got any) { equal(t, got.(string), "{}\n") },
		},
		{
			name: "transition", answer: answer{status: 200, body: `{"modelId":"m","previousStatus":"challenger","newStatus":"champion","demotedChampionId":"old","rollbackGuardBreaches":[{"signal":"auc","value":0.1,"threshold":0.05}]}`},
			call: func(c *Client) (any, error) {
				drop := 0.2
				return c.Transition(ctx, "m", Transition{
					Status: "champion", Actor: "alice", MetricsSnapshot: map[string]float64{"auc": 0.7}, BypassRollbackGuard: true,
					RollbackThresholds: &GuardThresholds{MaxAUCDrop: &drop},
				})
			},
			method: "POST", uri: "/api/v1/models/m/registry",
			body: `{"status":"champion","actor":"alice","metricsSnapshot":{"auc":0.7},"bypassRollbackGuard":true,"rollbackThresholds":{"maxAucDrop":0.2}}`,
			check: func(t *testing.T, got any) {
				equal(t, got, Standing{ModelID: "m", PreviousStatus: "challenger", NewStatus: "champion", DemotedChampionID: "old", Breaches: []GuardBreach{{"auc", 0.1, 0.05}}})
			},
		},
		{
			name: "registry", answer: answer{status: 200, body: `{"modelId":"m","registry":{"status":"draft","family":"f","promotedAt":null,"promotedBy":null,"metricsAtPromotion":null}}`},
			call:   func(c *Client) (any, error) { return c.Registry(ctx, "m") },
			method: "GET", uri: "/api/v1/models/m/registry",
			check: func(t *testing.T, got any) { equal(t, got.(RegistryEntry).Registry.Family, "f") },
		},
		{
			name: "families", answer: answer{status: 200, body: `{"data":[{"family":"f","champion":null,"members":[]}],"pagination":{"total":1,"hasMore":false,"limit":50,"cursor":null}}`},
			call:   func(c *Client) (any, error) { return c.Families(ctx, ListOptions{}) },
			method: "GET", uri: "/api/v1/families",
			check: func(t *testing.T, got any) { equal(t, got.(Page[Family]).Data[0].Family, "f") },
		},
		{
			name: "family", answer: answer{status: 200, body: `{"family":"a b","champion":{"modelId":"m"},"members":[{"modelId":"m"}],"history":[{"change":"transition"}]}`},
			call:   func(c *Client) (any, error) { return c.Family(ctx, "a b") },
			method: "GET", uri: "/api/v1/families/a%20b",
			check: func(t *testing.T, got any) {
				equal(t, got.(Family).Champion.ModelID, "m")
				equal(t, got.(Family).History[0].Change, "transition")
			},
		},
		{
			name: "score by the family", answer: answer{status: 200, body: `{"modelId":"m","score":0.5}`},
			call: func(c *Client) (any, error) {
				return c.ScoreFamily(ctx, "f", ScoreRequest{CustomerID: "c", SkipExplanations: true})
			},
			method: "POST", uri: "/api/v1/families/f/score?explain=false", body: `{"customerId":"c"}`,
			check: func(t *testing.T, got any) { equal(t, got, ScoreResult{ModelID: "m", Score: 0.5}) },
		},
		{
			name: "rank by the family", answer: answer{status: 200, body: `{"modelId":"m","count":1,"scores":[{"offerId":"o","score":0.5}]}`},
			call: func(c *Client) (any, error) {
				return c.ScoreFamilyOfferSet(ctx, "f", OfferSet{Offers: []Offer{{ID: "o"}}})
			},
			method: "POST", uri: "/api/v1/families/f/score-offer-set", body: `{"offers":[{"id":"o","attributes":null}]}`,
			check: func(t *testing.T, got any) { equal(t, got.(Ranking).ModelID, "m") },
		},
		{
			name: "revoke key", answer: noContent,
			call:   func(c *Client) (any, error) { return nil, c.RevokeKey(ctx, "key_1") },
			method: "DELETE", uri: "/api/v1/api-keys/key_1",
		},
		{
			name: "create model", answer: answer{status: 201, body: modelJSON},
			call: func(c *Client) (any, error) {
				return c.CreateModel(ctx, NewModel{Key: "k", Name: "n", ModelType: "bayesian", Config: map[string]any{"calibrate": true}})
			},
			method: "POST", uri: "/api/v1/algorithm-models", body: `{"key":"k","name":"n","modelType":"bayesian","config":{"calibrate":true}}`,
			check: func(t *testing.T, got any) {
				m := got.(Model)
				auc, ok := m.Metrics.Number("auc")
				equal(t, auc, 0.78)
				equal(t, ok, true)
				equal(t, m.Versions[0].Reason, "train")
				equal(t, m.LastTrainedAt, (*time.Time)(nil))
			},
		},
		{
			name: "list models", answer: answer{status: 200, body: `{"data":[` + modelJSON + `],"pagination":{"total":5,"hasMore":true,"limit":1,"cursor":"c1"}}`},
			call:   func(c *Client) (any, error) { return c.Models(ctx, ListOptions{Limit: 1, Cursor: "c0"}) },
			method: "GET", uri: "/api/v1/algorithm-models?cursor=c0&limit=1",
			check: func(t *testing.T, got any) {
				equal(t, got.(Page[Model]).Pagination, Pagination{Total: 5, HasMore: true, Limit: 1, Cursor: "c1"})
			},
		},
		{
			name: "model", answer: answer{status: 200, body: modelJSON},
			call:   func(c *Client) (any, error) { return c.Model(ctx, "model_1") },
			method: "GET", uri: "/api/v1/algorithm-models/model_1",
		},
		{
			name: "model with state", answer: answer{status: 200, body: `{"id":"model_1","modelState":{"arms":{}}}`},
			call:   func(c *Client) (any, error) { return c.ModelWithState(ctx, "model_1") },
			method: "GET", uri: "/api/v1/algorithm-models/model_1?include=modelState",
			check: func(t *testing.T, got any) { equal(t, string(got.(Model).ModelState), `{"arms":{}}`) },
		},
		{
			name: "update model", answer: answer{status: 200, body: modelJSON},
			call:   func(c *Client) (any, error) { return c.UpdateModel(ctx, "model_1", map[string]any{"status": "paused"}) },
			method: "PUT", uri: "/api/v1/algorithm-models/model_1", body: `{"status":"paused"}`,
		},
		{
			name: "delete model", answer: noContent,
			call:   func(c *Client) (any, error) { return nil, c.DeleteModel(ctx, "model_1") },
			method: "DELETE", uri: "/api/v1/algorithm-models/model_1",
		},
		{
			name: "train", answer: answer{status: 200, body: modelJSON},
			call:   func(c *Client) (any, error) { return c.Train(ctx, "model_1") },
			method: "POST", uri: "/api/v1/algorithm-models/model_1/train", body: `{}`,
		},
		{
			name: "start training", answer: answer{status: 202, body: `{"jobId":"job_1","status":"queued","progress":0}`},
			call:   func(c *Client) (any, error) { return c.StartTraining(ctx, "model_1") },
			method: "POST", uri: "/api/v1/algorithm-models/model_1/train?async=true", body: `{}`,
			check: func(t *testing.T, got any) { equal(t, got.(Job).ID, "job_1") },
		},
		{
			name: "cancel job", answer: noContent,
			call:   func(c *Client) (any, error) { return nil, c.CancelJob(ctx, "job_1") },
			method: "DELETE", uri: "/api/v1/jobs/job_1",
		},
		{
			name: "score", answer: answer{status: 200, body: `{"score":0.73,"confidence":0.5,"explanations":[{"field":"age","contribution":0.4}]}`},
			call: func(c *Client) (any, error) {
				return c.Score(ctx, "model_1", ScoreRequest{Attributes: map[string]any{"age": 38}, SkipExplanations: true})
			},
			method: "POST", uri: "/api/v1/algorithm-models/model_1/score?explain=false", body: `{"attributes":{"age":38}}`,
			check: func(t *testing.T, got any) {
				r := got.(ScoreResult)
				equal(t, r.Score, 0.73)
				equal(t, *r.Confidence, 0.5)
				equal(t, r.Explanations, []Explanation{{Field: "age", Contribution: 0.4}})
			},
		},
		{
			name: "score offer set", answer: answer{status: 200, body: `{"modelId":"model_1","count":1,"scores":[{"offerId":"o1","offerName":"O","score":0.87,"interactionFeatures":{"impressions":5,"positiveRate":0.6}}]}`},
			call: func(c *Client) (any, error) {
				return c.ScoreOfferSet(ctx, "model_1", OfferSet{CustomerID: "c", Offers: []Offer{{ID: "o1", Name: "O", Attributes: map[string]any{"fee": 0}}}})
			},
			method: "POST", uri: "/api/v1/algorithm-models/model_1/score-offer-set",
			body: `{"customerId":"c","offers":[{"id":"o1","name":"O","attributes":{"fee":0}}]}`,
			check: func(t *testing.T, got any) {
				equal(t, got.(Ranking).Scores[0].InteractionFeatures, &InteractionFeatures{Impressions: 5, PositiveRate: 0.6})
			},
		},
		{
			name: "score batch", answer: answer{status: 200, body: `{"modelId":"m","count":2,"results":[{"index":0,"score":0.2},{"index":1,"score":0,"error":{"code":"BAD_REQUEST","message":"no"}}]}`},
			call: func(c *Client) (any, error) {
				return c.ScoreBatch(ctx, "m", []BatchRow{{CustomerID: "c", Attributes: map[string]any{"age": 1}}, {Attributes: map[string]any{}}})
			},
			method: "POST", uri: "/api/v1/algorithm-models/m/score-batch", body: `{"rows":[{"customerId":"c","attributes":{"age":1}},{"attributes":{}}]}`,
			check: func(t *testing.T, got any) {
				equal(t, got.(BatchResult).Results[1].Error, &RowError{Code: "BAD_REQUEST", Message: "no"})
			},
		},
		{
			name: "respond", answer: answer{status: 201, body: `{"interactionId":"int_1","customerId":"c","outcome":"accept","classification":"positive","status":"recorded","timestamp":"2026-01-20T10:00:00.000Z"}`},
			call: func(c *Client) (any, error) {
				return c.Respond(ctx, Outcome{CustomerID: "c", Outcome: "accept", OfferID: "o1"})
			},
			method: "POST", uri: "/api/v1/respond", body: `{"customerId":"c","outcome":"accept","offerId":"o1"}`,
			check: func(t *testing.T, got any) { equal(t, got.(Recorded).Classification, "positive") },
		},
		{
			name: "respond bulk", answer: answer{status: 200, body: `{"processed":2,"succeeded":0,"failed":2,"duplicates":0,"errors":[{"index":0,"error":"no such outcome"},{"index":1,"error":{"code":"CONFLICT","message":"used"}}]}`},
			call: func(c *Client) (any, error) {
				return c.RespondBulk(ctx, []Outcome{{CustomerID: "c", Outcome: "a"}, {CustomerID: "c", Outcome: "b"}})
			},
			method: "POST", uri: "/api/v1/respond/bulk", body: `{"outcomes":[{"customerId":"c","outcome":"a"},{"customerId":"c","outcome":"b"}]}`,
			check: func(t *testing.T, got any) {
				equal(t, got.(BulkRecorded).Errors, []BulkError{{Index: 0, Message: "no such outcome"}, {Index: 1, Code: "CONFLICT", Message: "used"}})
			},
		},
		{
			name: "respond bulk, all failed", answer: answer{status: 422, body: `{"processed":1,"succeeded":0,"failed":1,"duplicates":0,"errors":[{"index":0,"error":"bad"}]}`},
			call:   func(c *Client) (any, error) { return c.RespondBulk(ctx, []Outcome{{CustomerID: "c", Outcome: "a"}}) },
			method: "POST", uri: "/api/v1/respond/bulk", body: `{"outcomes":[{"customerId":"c","outcome":"a"}]}`,
			check: func(t *testing.T, got any) { equal(t, got.(BulkRecorded).Failed, 1) },
		},
		{
			name: "ready", answer: answer{status: 200, body: `{"status":"ready"}`},
			call:   func(c *Client) (any, error) { return nil, c.Ready(ctx) },
			method: "GET", uri: "/readyz",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, asked := serve(t, tt.answer)
			got, err := tt.call(c)
			if err != nil {
				t.Fatal(err)
			}
			r := (*asked)[0]
			equal(t, r.method, tt.method)
			equal(t, r.uri, tt.uri)
			equal(t, r.header.Get("Authorization"), "Bearer prk_test")
			sameJSON(t, r.body, tt.body)
			if tt.body != "" {
				equal(t, r.header.Get("Content-Type"), "application/json")
			}
			if tt.check != nil {
				tt.check(t, got)
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }

func equal(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func sameJSON(t *testing.T, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	var g, w any
	if err := errors.Join(json.Unmarshal([]byte(got), &g), json.Unmarshal([]byte(want), &w)); err != nil {
		t.Errorf("body: got %s, want %s", got, want)
		return
	}
	equal(t, g, w)
}

func TestOptionsBecomeHeaders(t *testing.T) {
	c, asked := serve(t, answer{status: 200, header: map[string]string{"X-Applied-Index": "42"}, body: "{}"})
	var index uint64
	if _, err := c.Model(context.Background(), "m", IdempotencyKey("k"), MinIndex(41), AppliedIndex(&index)); err != nil {
		t.Fatal(err)
	}
	h := (*asked)[0].header
	equal(t, h.Get("Idempotency-Key"), "k")
	equal(t, h.Get("X-Min-Index"), "41")
	equal(t, index, uint64(42))
}

func TestTenantHeaderAndBasePath(t *testing.T) {
	var uri, tenant string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		uri, tenant = r.RequestURI, r.Header.Get("X-Tenant-Id")
	}))
	defer server.Close()
	cfg := DefaultConfig(server.URL+"/praetor/", "operator")
	cfg.Tenant = "acme"
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Keys(context.Background(), ListOptions{}); err != nil {
		t.Fatal(err)
	}
	equal(t, uri, "/praetor/api/v1/api-keys")
	equal(t, tenant, "acme")
}

func TestErrorEnvelope(t *testing.T) {
	c, _ := serve(t, answer{status: 400, body: `{"error":{"code":"BAD_REQUEST","message":"2 fields are not valid","status":400,"requestId":"r1","reason":"why",
		"details":[{"path":"key","message":"must be 1 to 255 characters"},{"path":"name","message":"is missing"}]}}`})
	_, err := c.CreateModel(context.Background(), NewModel{})
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %T, want *Error", err)
	}
	equal(t, e.Status, 400)
	equal(t, e.Code, "BAD_REQUEST")
	equal(t, e.Reason, "why")
	equal(t, e.RequestID, "r1")
	equal(t, e.Details, []Detail{{Path: "key", Message: "must be 1 to 255 characters"}, {Path: "name", Message: "is missing"}})
	equal(t, e.Error(), "POST /api/v1/algorithm-models: 400 BAD_REQUEST: 2 fields are not valid; key: must be 1 to 255 characters; name: is missing (request r1)")
}

func TestForeignErrors(t *testing.T) {
	tests := []struct{ name, body, message string }{
		{"page", "<html>\n  bad   gateway</html>", "<html> bad gateway</html>"},
		{"empty", "", "Bad Gateway"},
		{"long", strings.Repeat("x", 500), strings.Repeat("x", maxForeignMessage) + "…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := serve(t, answer{status: 502, body: tt.body})
			_, err := c.Model(context.Background(), "m")
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want *Error", err)
			}
			equal(t, e.Message, tt.message)
			equal(t, e.Code, "")
		})
	}
}

func TestRetries(t *testing.T) {
	ctx := context.Background()
	ok := answer{status: 200, body: "{}"}
	busy := answer{status: 503, header: map[string]string{"Retry-After": "1"}, body: `{"error":{"code":"UNAVAILABLE","message":"no leader"}}`}
	mute := answer{status: 503, body: `{"error":{"code":"UNAVAILABLE","message":"no leader"}}`}
	lost := answer{status: 504, body: `{"error":{"code":"INDETERMINATE","message":"leadership was lost"}}`}
	proxy := answer{status: 504, body: `gateway time-out`}
	respond := func(key string) func(*Client) error {
		return func(c *Client) error {
			_, err := c.Respond(ctx, Outcome{CustomerID: "c", Outcome: "accept", IdempotencyKey: key})
			return err
		}
	}
	bulk := func(keys ...string) func(*Client) error {
		return func(c *Client) error {
			var outcomes []Outcome
			for _, k := range keys {
				outcomes = append(outcomes, Outcome{CustomerID: "c", Outcome: "accept", IdempotencyKey: k})
			}
			_, err := c.RespondBulk(ctx, outcomes)
			return err
		}
	}
	create := func(opts ...Option) func(*Client) error {
		return func(c *Client) error {
			_, err := c.CreateModel(ctx, NewModel{Key: "k"}, opts...)
			return err
		}
	}
	score := func(c *Client) error { _, err := c.Score(ctx, "m", ScoreRequest{}); return err }
	tests := []struct {
		name    string
		call    func(*Client) error
		answers []answer
		asked   int
		failed  bool
	}{
		{"score, 503 twice", score, []answer{busy, busy, ok}, 3, false},
		{"score, 503 for ever", score, []answer{busy}, 4, true},
		{"score, 503 without Retry-After", score, []answer{mute, ok}, 1, true},
		{"respond with a key, 503", respond("k"), []answer{busy, ok}, 2, false},
		{"respond with a key, indeterminate", respond("k"), []answer{lost, ok}, 2, false},
		{"respond with a key, a proxy's 504", respond("k"), []answer{proxy, ok}, 1, true},
		{"respond without a key, 503", respond(""), []answer{busy, ok}, 1, true},
		{"respond without a key, indeterminate", respond(""), []answer{lost, ok}, 1, true},
		{"bulk with keys", bulk("a", "b"), []answer{lost, ok}, 2, false},
		{"bulk with one key missing", bulk("a", ""), []answer{lost, ok}, 1, true},
		{"create without a key", create(), []answer{busy, ok}, 1, true},
		{"create with a key", create(IdempotencyKey("k")), []answer{busy, ok}, 2, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, asked := serve(t, tt.answers...)
			err := tt.call(c)
			if (err != nil) != tt.failed {
				t.Errorf("got error %v, want one: %v", err, tt.failed)
			}
			equal(t, len(*asked), tt.asked)
			for _, r := range (*asked)[1:] {
				equal(t, r.body, (*asked)[0].body)
				equal(t, r.header.Get("Idempotency-Key"), (*asked)[0].header.Get("Idempotency-Key"))
			}
		})
	}
}

func TestContextEndsTheWait(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(503)
		cancel()
	}))
	defer server.Close()
	cfg := DefaultConfig(server.URL, "")
	cfg.MaxRetryWait = time.Hour
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Model(ctx, "m"); err == nil {
		t.Error("got no error from a call whose context ended")
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	c, asked := serve(t, answer{status: 302, header: map[string]string{"Location": "/elsewhere"}})
	_, err := c.Model(context.Background(), "m")
	var e *Error
	if !errors.As(err, &e) || e.Status != 302 {
		t.Errorf("got %v, want an error with status 302", err)
	}
	equal(t, len(*asked), 1)
}

func TestAllWalksThePages(t *testing.T) {
	page := func(id string, more bool, cursor string) answer {
		return answer{status: 200, body: fmt.Sprintf(`{"data":[{"id":%q}],"pagination":{"hasMore":%v,"cursor":%s}}`, id, more, cursor)}
	}
	c, asked := serve(t, page("a", true, `"c1"`), page("b", true, `"c2"`), page("c", false, "null"))
	var ids []string
	for m, err := range c.AllModels(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, m.ID)
	}
	equal(t, ids, []string{"a", "b", "c"})
	equal(t, (*asked)[2].uri, "/api/v1/algorithm-models?cursor=c2&limit=100")
}

func TestAllEndsWithTheError(t *testing.T) {
	c, _ := serve(t, answer{status: 401, body: `{"error":{"code":"UNAUTHORIZED","message":"no key"}}`})
	var last error
	n := 0
	for _, err := range c.AllTenants(context.Background()) {
		last = err
		n++
	}
	if last == nil || n != 1 {
		t.Errorf("got %d items and error %v, want one error", n, last)
	}
}

func TestWaitJob(t *testing.T) {
	c, asked := serve(t,
		answer{status: 200, body: `{"jobId":"j","status":"running","progress":0.5}`},
		answer{status: 200, body: `{"jobId":"j","status":"failed","progress":0.5,"error":{"code":"unprocessable","message":"one class"}}`})
	var progress []float64
	job, err := c.WaitJob(context.Background(), "j", time.Millisecond, func(j Job) { progress = append(progress, j.Progress) })
	if err != nil {
		t.Fatal(err)
	}
	equal(t, job.Error, &JobError{Code: "unprocessable", Message: "one class"})
	equal(t, progress, []float64{0.5, 0.5})
	equal(t, len(*asked), 2)
}

func TestConnectionsAreKept(t *testing.T) {
	remote := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		remote[r.RemoteAddr] = true
		if len(remote) == 1 {
			w.WriteHeader(404) // an error's body is read to the end too
		}
		_, _ = io.WriteString(w, `{"score":0.5}`)
	}))
	defer server.Close()
	c, err := New(DefaultConfig(server.URL, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 20 {
		_, _ = c.Score(context.Background(), "m", ScoreRequest{})
	}
	equal(t, len(remote), 1)
}

func FuzzBulkError(f *testing.F) {
	for _, s := range []string{`{"index":1,"error":"x"}`, `{"index":1,"error":{"code":"A","message":"b"}}`, `{"index":1}`, `[]`, `{"error":[]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var e BulkError
		_ = json.Unmarshal(b, &e)
	})
}
