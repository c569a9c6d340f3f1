package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeEngine answers in the API's shapes and notes what it was asked.
type fakeEngine struct {
	*httptest.Server
	asked []string // method, path, key and tenant
}

const alertJSON = `{"id":"alert_1","state":"open","openedAt":"2026-01-20T10:00:00.000Z","closedAt":null,"modelId":"model_1","modelKey":"cards","rule":"auc_low","severity":"warning","since":"2026-01-19T00:00:00.000Z","value":0.52,
	"message":"the AUC is 0.520","goodWhen":"it is 0.55 or more"}`

const banditJSON = `{"allocation":{"served":500,"forced":0,"eligible":2,"entropy":0.08,"leader":"gold","leaderShare":0.99},"days":[],
	"arms":[{"offerId":"gold","served":495,"share":0.99,"rate":0.4,"lower":0.37,"upper":0.43,"evidence":1000,"probabilityBest":0.998}],
	"verdict":{"converged":true,"because":"best","offerId":"gold","probabilityBest":0.998,"rate":0.4,"lower":0.37,"upper":0.43,"expectedLoss":0.00001,"lossBound":0.002,"evidence":1000},
	"collapse":{"since":"2026-01-19T00:00:00.000Z","entropy":0.08,"offerId":"gold","share":0.99,"cause":"converged","message":"the evidence agrees"}}`

const modelJSON = `{"id":"model_1","key":"cards","name":"Cards","modelType":"bayesian","status":"active","version":3,"trainingSamples":1250,
	"config":{"calibrate":true},"learningConfig":{},"metrics":{"auc":0.7812,"logLoss":0.31,"evaluation":"holdout"},"registryStatus":"champion","family":"cards",
	"lastTrainedAt":"2026-03-14T06:00:00.000Z","createdAt":"2026-01-20T10:00:00.000Z","updatedAt":"2026-03-14T06:00:00.000Z","modelState":{"priors":{}},
	"versions":[{"version":3,"modelType":"bayesian","metrics":{"auc":0.7812},"trainingSamples":1250,"reason":"train","createdAt":"2026-03-14T06:00:00.000Z"}]}`

const tenantJSON = `{"id":"acme","name":"Acme Bank","createdAt":"2026-01-20T10:00:00.000Z"}`

const clusterJSON = `{"leader":"n1","term":3,"appliedIndex":70,"nodes":[
	{"id":"n1","address":"127.0.0.1:7081","role":"leader","appliedIndex":70,"lastContactMs":0,"healthy":true,"version":"v1"},
	{"id":"n2","address":"127.0.0.1:7082","role":"voter","appliedIndex":null,"lastContactMs":null,"healthy":false,"problem":"it does not answer: refused"}]}`

const familyJSON = `{"family":"cards","champion":{"modelId":"model_1","key":"cards","promotedAt":"2026-04-22T10:00:00.000Z"},
	"members":[{"modelId":"model_1","key":"cards","modelType":"bayesian","registryStatus":"champion"},{"modelId":"model_0","key":"old","modelType":"scorecard","registryStatus":"challenger"}],
	"history":[{"at":"2026-04-22T10:00:00.000Z","change":"transition","modelId":"model_1","modelKey":"cards","previousStatus":"challenger","newStatus":"champion","actor":"alice"}]}`

const experimentJSON = `{"id":"exp_1","key":"q2","name":"Q2","description":"","status":"active","championModelId":"model_1","trafficSplit":{"championPct":80},
	"challengers":[{"modelId":"model_2","trafficPct":20}],"holdoutPercent":5,"autoPromote":true,"promoteThreshold":0.02,"promoteAfterDays":14,"family":"cards",
	"startedAt":"2026-04-22T10:00:00.000Z","endedAt":null,"promotion":{"modelId":"model_2","at":"2026-05-22T10:00:00.000Z","promoted":false,"reason":"psi.age"}}`

const resultsJSON = `{"experimentId":"exp_1","status":"active","startedAt":"2026-04-22T10:00:00.000Z","variants":[
	{"variant":"__champion__","modelId":"model_1","samples":500,"positives":50,"rate":0.1,"ciLower":0.0767,"ciUpper":0.1294,"uplift":0,"relativeUplift":0,"pValue":1},
	{"variant":"next","modelId":"model_2","samples":400,"positives":60,"rate":0.15,"ciLower":0.1183,"ciUpper":0.1883,"uplift":0.05,"relativeUplift":0.5,"zScore":2.2756,"pValue":0.0229,"significant":true}],
	"srm":{"chiSquare":20.1,"pValue":0.0000073,"warning":true},"shadow":{"share":0.02,"dropped":0,"models":[{"variant":"next","modelId":"model_2","samples":90,"mean":0.2,"stdDev":0.1,"histogram":[90],"meanDifference":0.05,"meanAbsDifference":0.06,"psi":0.12}]}}`

const webhookJSON = `{"id":"wh_1","url":"https://hooks.example.com","description":"","eventTypes":["registry.*"],"enabled":true,"secretRotatedAt":"2026-01-20T10:00:00.000Z",
	"previousSecretUntil":null,"createdAt":"2026-01-20T10:00:00.000Z","updatedAt":"2026-01-20T10:00:00.000Z","delivery":{"through":"evt_1","pending":2,"delivered":7,"missed":0,
	"consecutiveFailures":3,"failingSince":"2026-01-21T10:00:00.000Z","nextAttemptAt":"2026-01-21T10:30:00.000Z","lastSuccessAt":"2026-01-21T09:00:00.000Z",
	"lastFailure":{"at":"2026-01-21T10:05:00.000Z","status":503}}}`

const eventStream = "retry: 1\n: heartbeat\nid: evt_0\n\nid: evt_3\nevent: reset\ndata: {\"after\":\"evt_0\",\"through\":\"evt_3\"}\n\nid: evt_4\nevent: model.trained\n" +
	`data: {"id":"evt_4","type":"model.trained","tenantId":"acme","timestamp":"2026-04-22T10:00:00.000Z","data":{"modelKey":"cards","version":3,"metrics":{"auc":0.7},"trainingSamples":60}}` + "\n\n: bye\n\n"

const keyJSON = `{"id":"key_1","name":"ci","role":"editor","prefix":"prk_ab","createdAt":"2026-01-20T10:00:00.000Z","expiresAt":null}`

const optimizationJSON = `{"id":"o1","name":"page","status":"live","model_type":"cmab","training_data_config":{"design_factors":[{"name":"badge","dtype":"bool","levels":[false,true]}],
	"context_factors":[{"name":"returning","dtype":"bool","levels":[false,true]}],"reward":{"name":"signup","type":"bool"},"attribution":{"type":"last_touch","conversion_window_hours":24}},
	"holdout_percentage":10,"excluded_combinations":[],"auto_train":null,"public_serve":false,"model_id":"m1","model_status":"trained",
	"summary":{"variants_count":2,"lift":30.04,"confidence":0.9996,"exposures":11000},"created_at":"2026-01-20T10:00:00Z","updated_at":"2026-01-20T10:00:00Z","meta":{"request_id":"r","organization_id":"acme"}}`

const optimizationResultsJSON = `{"optimization_id":"o1","model_id":"m1","model_status":"trained","variants":[
	{"number":1,"variant":{"badge":false},"exposures":1000,"conversions":200,"rate":0.2,"weight":0.1,"prob_best":0.11,"expected_reward_mean":0.2,"expected_reward_lo":0.19,"expected_reward_hi":0.21},
	{"number":2,"variant":{"badge":true},"exposures":0,"conversions":0,"rate":null,"weight":0.8,"prob_best":0.89,"expected_reward_mean":null,"expected_reward_lo":null,"expected_reward_hi":null}],
	"factor_importance":{"badge":1},"measured_lift":{"lift_percent":30,"se":8.5,"ci_lower":13.3,"ci_upper":46.7,"p_value":0.0004,"holdout_users":1000,"treated_users":10000},"immature_exposures":7,"meta":{"request_id":"r","organization_id":"acme"}}`

func page(item string) string {
	return fmt.Sprintf(`{"data":[%s],"pagination":{"total":1,"hasMore":false,"limit":100,"cursor":null}}`, item)
}

const decisionLogJSON = `{"enabled":true,"samplePct":12.5,"format":"parquet","features":false,"updatedAt":"2026-03-14T06:00:00.000Z","source":"model"}`

const (
	warehouseJSON       = `{"id":"c1","provider":"postgres","config":{"host":"db"},"has_credentials":true,"created_at":"2026-04-22T10:00:00Z","meta":{}}`
	warehouseMetricJSON = `{"id":"m1","name":"signup","kind":"reward","optimization_id":null,"sql":"SELECT 1","column_mapping":{"anonymous_id":"v","timestamp":"t"},"created_at":"2026-04-22T10:00:00Z"}`
)

func newFake(t *testing.T) *fakeEngine {
	f := &fakeEngine{}
	answers := map[string]struct {
		status int
		body   string
	}{
		"GET /api/v1/tenants":                         {200, page(tenantJSON)},
		"POST /api/v1/tenants":                        {201, tenantJSON},
		"DELETE /api/v1/tenants/acme":                 {204, ""},
		"GET /api/v1/api-keys":                        {200, page(keyJSON)},
		"POST /api/v1/api-keys":                       {201, strings.Replace(keyJSON, `"prefix"`, `"key":"prk_secret","prefix"`, 1)},
		"DELETE /api/v1/api-keys/key_1":               {204, ""},
		"GET /api/v1/algorithm-models":                {200, page(modelJSON)},
		"GET /api/v1/algorithm-models/model_1":        {200, modelJSON},
		"POST /api/v1/algorithm-models/model_1/train": {202, `{"jobId":"job_1","modelId":"model_1","status":"queued"}`},
		"GET /api/v1/cluster":                         {200, clusterJSON},
		"POST /api/v1/cluster/join":                   {200, clusterJSON},
		"POST /api/v1/cluster/remove":                 {200, clusterJSON},
		"POST /api/v1/cluster/transfer":               {200, clusterJSON},
		"GET /api/v1/jobs/job_1":                      {200, `{"jobId":"job_1","modelId":"model_1","status":"succeeded","progress":1,"version":4,"metrics":{"auc":0.8}}`},
		"GET /api/v1/algorithm-models/model_1/export": {200, `{"format":"praetor"}`},
		"GET /api/v1/algorithm-models/model_1/monitoring": {200, `{"modelId":"model_1","modelKey":"cards","total":{"responses":300,"rate":0.1,"served":5000,"joined":200,"auc":0.71},
			"days":[{"date":"2026-01-20","responses":300,"rate":0.1}],"alerts":[` + alertJSON + `],"bandit":` + banditJSON + `}`},
		"GET /api/v1/algorithm-models/model_1/decision-log":    {200, decisionLogJSON},
		"PUT /api/v1/algorithm-models/model_1/decision-log":    {200, decisionLogJSON},
		"DELETE /api/v1/algorithm-models/model_1/decision-log": {204, ""},
		"GET /api/v1/families/cards/decision-log":              {200, `{"enabled":false,"samplePct":100,"format":"ndjson","features":true,"updatedAt":null,"source":"default"}`},
		"GET /api/v1/alerts":                                   {200, page(alertJSON)},
		"POST /api/v1/algorithm-models/import":                 {201, modelJSON},
		"POST /api/v2/optimizations":                           {201, optimizationJSON},
		"GET /api/v2/optimizations":                            {200, `{"optimizations":[` + optimizationJSON + `],"total":1}`},
		"GET /api/v2/optimizations/o1":                         {200, optimizationJSON},
		"PATCH /api/v2/optimizations/o1":                       {200, strings.Replace(optimizationJSON, "live", "completed", 1)},
		"POST /api/v2/optimizations/o1/serve":                  {200, `{"optimization_id":"o1","model_id":"m1","variant":{"badge":true},"variant_number":2,"is_holdout":false,"propensity":0.8125}`},
		"GET /api/v2/optimizations/o1/results":                 {200, optimizationResultsJSON},
		"POST /api/v2/models/m1/train":                         {200, `{"model_id":"m1","status":"trained","in_sample_metrics":{"historic_reward":0.24,"expected_reward":{"mean":0.31,"ci_lower":0.27,"ci_upper":0.35}}}`},
		"POST /api/v1/models/model_1/registry": {200, `{"modelId":"model_1","previousStatus":"challenger","newStatus":"champion","demotedChampionId":"model_0",
			"rollbackGuardBreaches":[{"signal":"auc","value":0.1,"threshold":0.05}]}`},
		"POST /api/v1/algorithm-models/model_1/upgrade": {201, `{"upgraded":` + strings.ReplaceAll(modelJSON, "bayesian", "logistic_regression") + `,"experiment":null}`},
		"POST /api/v1/algorithm-models/model_2/upgrade": {201, `{"upgraded":` + strings.ReplaceAll(modelJSON, "bayesian", "logistic_regression") + `,"experiment":` + experimentJSON + `}`},
		"GET /api/v1/audit-logs": {200, `{"logs":[{"id":"aud_7","action":"transition","entityType":"algorithmModel","entityId":"model_1","entityName":"Cards",
			"before":{"registryStatus":"challenger"},"after":{"registryStatus":"champion"},"actor":"alice","keyId":"key_1","tenantId":"acme","requestId":"r","timestamp":"2026-04-22T10:00:00.000Z",
			"prevHash":"00","integrityHash":"01"}],"total":7,"page":1,"limit":50}`},
		"GET /api/v1/events":                           {200, eventStream},
		"GET /api/v1/webhooks":                         {200, page(webhookJSON)},
		"POST /api/v1/webhooks":                        {201, strings.Replace(webhookJSON, `{"id"`, `{"secret":"whsec_abc","id"`, 1)},
		"GET /api/v1/webhooks/wh_1":                    {200, webhookJSON},
		"PUT /api/v1/webhooks/wh_1":                    {200, strings.Replace(webhookJSON, `"enabled":true`, `"enabled":false,"disabledReason":"request"`, 1)},
		"DELETE /api/v1/webhooks/wh_1":                 {204, ""},
		"POST /api/v1/webhooks/wh_1/rotate-secret":     {200, strings.Replace(webhookJSON, `{"id"`, `{"secret":"whsec_def","id"`, 1)},
		"POST /api/v1/webhooks/wh_1/test":              {200, `{"delivered":true,"status":204,"durationMs":12}`},
		"POST /api/v1/webhooks/wh_2/test":              {200, `{"delivered":false,"reason":"endpoint_timeout","durationMs":15000}`},
		"GET /api/v1/audit-logs/verify":                {200, `{"intact":true,"verified":7}`},
		"GET /api/v1/audit-logs/export":                {200, `{"id":"aud_1"}`},
		"GET /api/v1/families":                         {200, page(familyJSON)},
		"GET /api/v1/families/cards":                   {200, familyJSON},
		"GET /api/v1/experiments":                      {200, page(experimentJSON)},
		"GET /api/v1/experiments/exp_1":                {200, experimentJSON},
		"POST /api/v1/experiments":                     {201, experimentJSON},
		"PUT /api/v1/experiments/exp_1":                {200, experimentJSON},
		"GET /api/v1/experiments/exp_1/results":        {200, resultsJSON},
		"GET /api/v2/warehouse/connections":            {200, `{"connections":[` + warehouseJSON + `],"meta":{}}`},
		"POST /api/v2/warehouse/connections":           {201, warehouseJSON},
		"POST /api/v2/warehouse/connections/c1/test":   {200, `{"connection_id":"c1","ok":true,"error":null,"duration_ms":12}`},
		"DELETE /api/v2/warehouse/connections/c1":      {200, `{"id":"c1","status":"deleted"}`},
		"GET /api/v2/warehouse/metrics":                {200, `{"metrics":[` + warehouseMetricJSON + `],"meta":{}}`},
		"POST /api/v2/warehouse/metrics":               {201, warehouseMetricJSON},
		"DELETE /api/v2/warehouse/metrics/m1":          {200, `{"id":"m1","status":"deleted"}`},
		"GET /api/v1/algorithm-models/model_2":         {200, strings.ReplaceAll(modelJSON, "model_1", "model_2")},
		"POST /api/v1/algorithm-models/model_2/train":  {202, `{"jobId":"job_2","modelId":"model_2","status":"queued"}`},
		"GET /api/v1/jobs/job_2":                       {200, `{"jobId":"job_2","status":"failed","error":{"code":"unprocessable","message":"all negative"}}`},
		"GET /api/v1/algorithm-models/model_forbidden": {401, `{"error":{"code":"UNAUTHORIZED","message":"the key is not known","status":401}}`},
	}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route := r.Method + " " + r.URL.Path
		f.asked = append(f.asked, fmt.Sprint(route, " ", r.Header.Get("Authorization"), " ", r.Header.Get("X-Tenant-Id")))
		a, ok := answers[route]
		if !ok {
			a.status, a.body = 404, `{"error":{"code":"NOT_FOUND","message":"no such model","status":404}}`
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(a.status)
		_, _ = w.Write([]byte(a.body))
	}))
	t.Cleanup(f.Close)
	return f
}

// clearEnvironment keeps the variables of whoever runs the tests out of them.
func clearEnvironment(t *testing.T) {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "PRAETOR_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
}

func TestCommands(t *testing.T) {
	clearEnvironment(t)
	f := newFake(t)
	t.Setenv("PRAETOR_URL", f.URL)
	t.Setenv("PRAETOR_KEY", "prk_test")
	t.Setenv(operatorKeyVariable, "secret-of-the-operator")
	const tenantKey, operatorKey = "Bearer prk_test ", "Bearer secret-of-the-operator "
	tests := []struct {
		args  string
		asked []string
		want  []string // parts of the output
	}{
		{"tenants create Acme", []string{"POST /api/v1/tenants " + operatorKey}, []string{"created tenant acme", "praetor keys create admin --role admin --tenant acme"}},
		{"tenants list", []string{"GET /api/v1/tenants " + operatorKey}, []string{"ID    NAME       CREATED", "acme  Acme Bank  2026-01-20 10:00"}},
		{"tenants delete acme --yes", []string{"DELETE /api/v1/tenants/acme " + operatorKey}, []string{"deleted tenant acme"}},
		{"keys create ci --role editor", []string{"POST /api/v1/api-keys " + tenantKey}, []string{"prk_secret", "expires never"}},
		{"keys create ci --role editor --tenant acme", []string{"POST /api/v1/api-keys " + operatorKey + "acme"}, []string{"prk_secret"}},
		{"keys list", []string{"GET /api/v1/api-keys " + tenantKey}, []string{"key_1  ci    editor  prk_ab       2026-01-20 10:00  never"}},
		{"keys revoke key_1", []string{"DELETE /api/v1/api-keys/key_1 " + tenantKey}, []string{"revoked key key_1"}},
		{"keys list --json", []string{"GET /api/v1/api-keys " + tenantKey}, []string{`"role": "editor"`}},
		{"models list", []string{"GET /api/v1/algorithm-models " + tenantKey}, []string{"model_1  cards  bayesian  active  3        0.7812"}},
		{
			"models show model_1", []string{"GET /api/v1/algorithm-models/model_1 " + tenantKey},
			[]string{"registry     champion in the family cards", `config       {"calibrate":true}`, "metrics      auc 0.7812  logLoss 0.3100  (holdout)", "3        train   1250"},
		},
		{
			"models show cards --json",
			[]string{"GET /api/v1/algorithm-models/cards " + tenantKey, "GET /api/v1/algorithm-models " + tenantKey, "GET /api/v1/algorithm-models/model_1 " + tenantKey},
			[]string{`"id": "model_1"`},
		},
		{
			"models train model_1",
			[]string{"GET /api/v1/algorithm-models/model_1 " + tenantKey, "POST /api/v1/algorithm-models/model_1/train " + tenantKey, "GET /api/v1/jobs/job_1 " + tenantKey},
			[]string{"succeeded", "version      4", "auc 0.8000"},
		},
		{
			"models train model_1 --detach",
			[]string{"GET /api/v1/algorithm-models/model_1 " + tenantKey, "POST /api/v1/algorithm-models/model_1/train " + tenantKey},
			[]string{"job          job_1", "queued"},
		},
		{
			"models monitor model_1",
			[]string{"GET /api/v1/algorithm-models/model_1 " + tenantKey, "GET /api/v1/algorithm-models/model_1/monitoring " + tenantKey},
			[]string{"2026-01-20  300        0.1000  0       0       –", "all         300        0.1000  5000    200     0.7100", "warning since 2026-01-19: the AUC is 0.520\n  good when it is 0.55 or more",
				"entropy of the week's decisions: 0.0800 over 2 arms\nconverged (best): gold leads with a rate of 0.4000 (0.3700 to 0.4300)",
				"collapsed since 2026-01-19: 99 % of the decisions fall on gold (converged)", "gold  495     0.9900  0.4000  0.3700 to 0.4300  0.9980"},
		},
		{
			"models log model_1", []string{"GET /api/v1/algorithm-models/model_1 " + tenantKey, "GET /api/v1/algorithm-models/model_1/decision-log " + tenantKey},
			[]string{"decisions    12.5 % are logged, as parquet, without features", "set          the model's own, of 2026-03-14 06:00"},
		},
		{
			"models log model_1 --on --sample 12.5 --format parquet --no-features",
			[]string{
				"GET /api/v1/algorithm-models/model_1 " + tenantKey, "PUT /api/v1/algorithm-models/model_1/decision-log " + tenantKey,
				"GET /api/v1/algorithm-models/model_1/decision-log " + tenantKey,
			},
			[]string{"12.5 %"},
		},
		{
			"models log model_1 --unset --json",
			[]string{
				"GET /api/v1/algorithm-models/model_1 " + tenantKey, "DELETE /api/v1/algorithm-models/model_1/decision-log " + tenantKey,
				"GET /api/v1/algorithm-models/model_1/decision-log " + tenantKey,
			},
			[]string{`"samplePct": 12.5`},
		},
		{"families log cards", []string{"GET /api/v1/families/cards/decision-log " + tenantKey}, []string{"decisions    not logged", "set          never"}},
		{"alerts", []string{"GET /api/v1/alerts " + tenantKey}, []string{"model_1  cards  warning   auc_low  2026-01-19  the AUC is 0.520"}},
		{
			"models export model_1",
			[]string{"GET /api/v1/algorithm-models/model_1 " + tenantKey, "GET /api/v1/algorithm-models/model_1/export " + tenantKey},
			[]string{`{"format":"praetor"}`},
		},
		{
			"models promote cards --actor alice --metric auc=0.79 --metric psi.age=0.1 --bypass-guard",
			[]string{"GET /api/v1/algorithm-models/cards " + tenantKey, "GET /api/v1/algorithm-models " + tenantKey, "GET /api/v1/algorithm-models/model_1 " + tenantKey, "POST /api/v1/models/model_1/registry " + tenantKey},
			[]string{"cards of the family cards was challenger and is champion", "model_0 was champion and is challenger", "the rollback guard was bypassed: auc is 0.1, over 0.05"},
		},
		{
			"models promote model_1 --to archived --json",
			[]string{"GET /api/v1/algorithm-models/model_1 " + tenantKey, "POST /api/v1/models/model_1/registry " + tenantKey},
			[]string{`"newStatus": "champion"`},
		},
		{"families list", []string{"GET /api/v1/families " + tenantKey}, []string{"FAMILY  CHAMPION  SINCE             MEMBERS", "cards   cards     2026-04-22 10:00  2"}},
		{
			"families show cards", []string{"GET /api/v1/families/cards " + tenantKey},
			[]string{"champion     cards", "model_0  old    scorecard  challenger", "2026-04-22 10:00  cards  challenger  champion  transition  alice"},
		},
		{"experiments list", []string{"GET /api/v1/experiments " + tenantKey}, []string{"exp_1  q2   cards   active  2026-04-22 10:00  1"}},
		{
			"experiments show q2", []string{"GET /api/v1/experiments/q2 " + tenantKey, "GET /api/v1/experiments " + tenantKey},
			[]string{"promotes     after 14 days", "promotion    model_2 was refused at 2026-05-22 10:00: psi.age", "holdout     model_1  5 % of all", "challenger  model_2  20 %"},
		},
		{
			"experiments results exp_1", []string{"GET /api/v1/experiments/exp_1 " + tenantKey, "GET /api/v1/experiments/exp_1/results " + tenantKey},
			[]string{"next          400      60         0.1500  0.1183–0.1883  +50.0 %  0.0229  significant", "NOT as it should be", "next     90        0.2000  0.1000  +0.0500     0.0600    0.1200"},
		},
		{
			"experiments create q2 --champion model_1 --challenger model_2=20 --holdout 5 --start",
			[]string{"GET /api/v1/algorithm-models/model_1 " + tenantKey, "GET /api/v1/algorithm-models/model_2 " + tenantKey, "POST /api/v1/experiments " + tenantKey},
			[]string{"key          q2", "challenger  model_2  20 %"},
		},
		{"experiments start exp_1", []string{"GET /api/v1/experiments/exp_1 " + tenantKey, "PUT /api/v1/experiments/exp_1 " + tenantKey}, []string{"key          q2"}},
		{"experiments pause exp_1 --json", []string{"GET /api/v1/experiments/exp_1 " + tenantKey, "PUT /api/v1/experiments/exp_1 " + tenantKey}, []string{`"id": "exp_1"`}},
		{"experiments complete exp_1", []string{"GET /api/v1/experiments/exp_1 " + tenantKey, "PUT /api/v1/experiments/exp_1 " + tenantKey}, []string{"key          q2"}},
		{"experiments results exp_1 --json", []string{"GET /api/v1/experiments/exp_1 " + tenantKey, "GET /api/v1/experiments/exp_1/results " + tenantKey}, []string{`"chiSquare": 20.1`}},
		{"warehouse show", []string{"GET /api/v2/warehouse/connections " + tenantKey}, []string{"provider     postgres", "credentials  stored, sealed", `"host": "db"`}},
		{
			"warehouse connect postgres --config testdata/warehouse.json",
			[]string{"POST /api/v2/warehouse/connections " + tenantKey, "POST /api/v2/warehouse/connections/c1/test " + tenantKey}, []string{"it works, in 12ms"},
		},
		{"warehouse test", []string{"GET /api/v2/warehouse/connections " + tenantKey, "POST /api/v2/warehouse/connections/c1/test " + tenantKey}, []string{"it works, in 12ms"}},
		{"warehouse disconnect", []string{"GET /api/v2/warehouse/connections " + tenantKey, "DELETE /api/v2/warehouse/connections/c1 " + tenantKey}, []string{"deleted connection c1 (postgres)"}},
		{"warehouse metrics list", []string{"GET /api/v2/warehouse/metrics " + tenantKey}, []string{"m1  signup  reward  all           2026-04-22 10:00"}},
		{
			"warehouse metrics create signup --sql testdata/signups.sql --map anonymous_id=visitor --map timestamp=at",
			[]string{"POST /api/v2/warehouse/metrics " + tenantKey}, []string{"created the reward metric m1 (signup)"},
		},
		{"warehouse metrics delete signup", []string{"GET /api/v2/warehouse/metrics " + tenantKey, "DELETE /api/v2/warehouse/metrics/m1 " + tenantKey}, []string{"deleted the metric m1 (signup)"}},
		{
			"audit list --action transition", []string{"GET /api/v1/audit-logs " + tenantKey},
			[]string{"aud_7  2026-04-22 10:00:00  alice  transition  algorithmModel  model_1  Cards", "1 of 7 entries, page 1"},
		},
		{"audit list --json --tenant acme", []string{"GET /api/v1/audit-logs " + operatorKey + "acme"}, []string{`"registryStatus"`}},
		{"audit list --key= --page 2", []string{"GET /api/v1/audit-logs " + operatorKey}, []string{"aud_7"}},
		{
			"models upgrade model_1", []string{"GET /api/v1/algorithm-models/model_1 " + tenantKey, "POST /api/v1/algorithm-models/model_1/upgrade " + tenantKey},
			[]string{"logistic_regression"},
		},
		{
			"models upgrade model_2 --experiment", []string{"GET /api/v1/algorithm-models/model_2 " + tenantKey, "POST /api/v1/algorithm-models/model_2/upgrade " + tenantKey},
			[]string{"logistic_regression", "experiment   q2, a draft"},
		},
		{"optimizations create testdata/optimization.json", []string{"POST /api/v2/optimizations " + tenantKey}, []string{"created optimization o1 (page) with the model m1"}},
		{"optimizations list", []string{"GET /api/v2/optimizations " + tenantKey}, []string{"o1  page  cmab  live    trained  11000      +30.0 %  0.9996"}},
		{
			"optimizations serve page v-1 --context returning=true",
			[]string{"GET /api/v2/optimizations/page " + tenantKey, "GET /api/v2/optimizations " + tenantKey, "POST /api/v2/optimizations/o1/serve " + tenantKey},
			[]string{"variant 2 with propensity 0.8125: badge=true"},
		},
		{
			"optimizations train o1 --bias badge=0.1", []string{"GET /api/v2/optimizations/o1 " + tenantKey, "POST /api/v2/models/m1/train " + tenantKey},
			[]string{"model m1 is trained: historic reward 0.2400, expected 0.3100 (0.2700–0.3500)"},
		},
		{
			"optimizations results o1", []string{"GET /api/v2/optimizations/o1 " + tenantKey, "GET /api/v2/optimizations/o1/results " + tenantKey},
			[]string{"2       badge=true   0          0            –       0.8000  –", "1       badge=false  1000       200          0.2000  0.1000  0.2000 (0.1900–0.2100)", "lift         +30.0 % (+13.3 % to +46.7 %), p 0.0004; 10000 treated visitors, 1000 held out", "immature     7 exposures"},
		},
		{"optimizations results o1 --json", []string{"GET /api/v2/optimizations/o1 " + tenantKey, "GET /api/v2/optimizations/o1/results " + tenantKey}, []string{`"treated_users": 10000`}},
		{"optimizations status o1 completed", []string{"GET /api/v2/optimizations/o1 " + tenantKey, "PATCH /api/v2/optimizations/o1 " + tenantKey}, []string{"page is completed"}},
		{"audit verify", []string{"GET /api/v1/audit-logs/verify " + tenantKey}, []string{"intact: 7 entries"}},
		{"audit export --format csv", []string{"GET /api/v1/audit-logs/export " + tenantKey}, []string{`{"id":"aud_1"}`}},
		{"models import testdata/model.json --model-key cards", []string{"POST /api/v1/algorithm-models/import " + tenantKey}, []string{"key          cards"}},
		{
			"cluster status", []string{"GET /api/v1/cluster " + operatorKey},
			[]string{"term 3, led by n1", "n1    127.0.0.1:7081  leader  70       0s                v1     healthy", "n2    127.0.0.1:7082  voter   –        –                        it does not answer: refused"},
		},
		{"cluster join n4 127.0.0.1:7084 --nonvoter", []string{"POST /api/v1/cluster/join " + operatorKey}, []string{"led by n1"}},
		{"cluster remove n4", []string{"POST /api/v1/cluster/remove " + operatorKey}, []string{"led by n1"}},
		{"cluster transfer --json", []string{"POST /api/v1/cluster/transfer " + operatorKey}, []string{`"leader": "n1"`}},
		{
			"events tail -n 2", []string{"GET /api/v1/events " + tenantKey},
			[]string{"events before this are not kept any more", "2026-04-22 10:00:00  model.trained                  modelKey=cards version=3 trainingSamples=60\n"},
		},
		{"events tail -n 4 --types model.*", []string{"GET /api/v1/events " + tenantKey, "GET /api/v1/events " + tenantKey}, []string{"model.trained"}}, // it is opened again
		{"webhooks list", []string{"GET /api/v1/webhooks " + tenantKey}, []string{"wh_1  https://hooks.example.com  registry.*  failing: HTTP 503  7          2        2026-01-21 09:00"}},
		{"webhooks show wh_1", []string{"GET /api/v1/webhooks/wh_1 " + tenantKey}, []string{"failing since  2026-01-21 10:00, 3 times; again at 2026-01-21 10:30"}},
		{"webhooks create https://hooks.example.com --types registry.*", []string{"POST /api/v1/webhooks " + tenantKey}, []string{"secret         whsec_abc   (shown this once)"}},
		{"webhooks disable wh_1", []string{"PUT /api/v1/webhooks/wh_1 " + tenantKey}, []string{"state          disabled"}},
		{"webhooks enable wh_1 --json", []string{"PUT /api/v1/webhooks/wh_1 " + tenantKey}, []string{`"disabledReason": "request"`}},
		{"webhooks rotate wh_1 --overlap 1h", []string{"POST /api/v1/webhooks/wh_1/rotate-secret " + tenantKey}, []string{"whsec_def"}},
		{"webhooks test wh_1", []string{"POST /api/v1/webhooks/wh_1/test " + tenantKey}, []string{"delivered in 12 ms: status 204"}},
		{"webhooks delete wh_1", []string{"DELETE /api/v1/webhooks/wh_1 " + tenantKey}, []string{"deleted webhook wh_1"}},
		{"version", nil, []string{"praetor ", "go1."}},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			f.asked = nil
			var out, errs bytes.Buffer
			if code := run(context.Background(), strings.Fields(tt.args), &environment{out: &out, err: &errs}); code != exitOK {
				t.Fatalf("got exit code %d: %s", code, errs.String())
			}
			for _, want := range tt.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("got output\n%s\nwant %q in it", out.String(), want)
				}
			}
			if got, want := strings.Join(f.asked, "\n"), strings.Join(tt.asked, "\n"); strings.ReplaceAll(got, " \n", "\n") != strings.ReplaceAll(want, " \n", "\n") {
				t.Errorf("asked\n%s\nwant\n%s", got, want)
			}
			if strings.Contains(tt.args, "--json") && !json.Valid(out.Bytes()) {
				t.Errorf("the output is not JSON: %s", out.String())
			}
		})
	}
}

// An export goes into an import by a pipe.
func TestImportFromStandardInput(t *testing.T) {
	clearEnvironment(t)
	f := newFake(t)
	file, err := os.Open("testdata/model.json")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	stdin := os.Stdin
	defer func() { os.Stdin = stdin }()
	os.Stdin = file
	var out, errs bytes.Buffer
	args := []string{"models", "import", "-", "--url", f.URL, "--key", "prk_test"}
	if code := run(context.Background(), args, &environment{out: &out, err: &errs}); code != exitOK || !strings.Contains(out.String(), "key          cards") {
		t.Fatalf("got exit code %d: %s%s", code, out.String(), errs.String())
	}
}

func TestOperatorKeyFile(t *testing.T) {
	clearEnvironment(t)
	f := newFake(t)
	path := filepath.Join(t.TempDir(), "operator.key")
	if err := os.WriteFile(path, []byte("from-a-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := run(context.Background(), []string{"tenants", "list", "--url", f.URL, "--operator-key-file", path}, &environment{out: &out, err: &errs}); code != exitOK {
		t.Fatalf("got exit code %d: %s", code, errs.String())
	}
	if got, want := f.asked[0], "GET /api/v1/tenants Bearer from-a-file "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// An administrator of a tenant may see the cluster.
func TestClusterStatusWithATenantsKey(t *testing.T) {
	clearEnvironment(t)
	f := newFake(t)
	var out, errs bytes.Buffer
	if code := run(context.Background(), []string{"cluster", "status", "--url", f.URL, "--key", "prk_test"}, &environment{out: &out, err: &errs}); code != exitOK || !strings.Contains(out.String(), "led by n1") {
		t.Fatalf("got exit code %d: %s%s", code, out.String(), errs.String())
	}
	if got, want := f.asked[0], "GET /api/v1/cluster Bearer prk_test "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFailures(t *testing.T) {
	clearEnvironment(t)
	f := newFake(t)
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	unreachable := httptest.NewServer(nil)
	unreachable.Close()
	at := " --url " + f.URL + " --key prk_test"
	tests := []struct {
		args string
		code int
		want string
	}{
		{"", exitUsage, "expected one of"},
		{"models log model_1 --sample 5" + at, exitFailed, "go with --on or --off"},
		{"modls list", exitUsage, "did you mean"},
		{"keys create x --role boss" + at, exitUsage, "must be one of"},
		{"keys create x --role viewer --expires-in=-1h" + at, exitFailed, "want a time from now"},
		{"models list --url " + f.URL, exitFailed, "a key is needed"},
		{"models list --url nowhere --key k", exitFailed, "want one like http://127.0.0.1:8080"},
		{"models list --key k --url " + unreachable.URL, exitFailed, "praetor serve --dev starts one"},
		{"models show model_9" + at, exitFailed, `no model has the id or the key "model_9"`},
		{"models show model_forbidden" + at, exitFailed, "--key or PRAETOR_KEY"},
		{"models train model_2" + at, exitFailed, "training cards: all negative"},
		{"tenants list --url " + f.URL, exitFailed, operatorKeyVariable},
		{"tenants list --operator-key-file " + empty, exitFailed, "is empty"},
		{"tenants list --operator-key-file /does/not/exist", exitFailed, "no such file"},
		{"tenants delete acme", exitFailed, "--yes"},
		{"demo --visitors 7" + at, exitFailed, "got 7"},
		{"demo --url " + f.URL, exitFailed, "PRAETOR_KEY"},
		{"demo --csv x.csv" + at, exitFailed, "--label"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := run(context.Background(), strings.Fields(tt.args), &environment{out: &out, err: &errs})
			if code != tt.code {
				t.Errorf("got exit code %d, want %d", code, tt.code)
			}
			if !strings.Contains(errs.String(), tt.want) {
				t.Errorf("got %q, want %q in it", errs.String(), tt.want)
			}
			if out.Len() > 0 {
				t.Errorf("got output %q of a command that failed", out.String())
			}
		})
	}
}

func TestDemoStartsTheEngineItIsGiven(t *testing.T) {
	clearEnvironment(t)
	broken := errors.New("no room on the disk")
	env := &environment{out: &bytes.Buffer{}, err: &bytes.Buffer{}, start: func(context.Context) (string, string, func() error, error) {
		return "", "", nil, broken
	}}
	if code := run(context.Background(), []string{"demo"}, env); code != exitFailed {
		t.Errorf("got exit code %d, want %d", code, exitFailed)
	}
	if got := env.err.(*bytes.Buffer).String(); !strings.Contains(got, "starting an engine: no room on the disk") {
		t.Errorf("got %q, want the reason", got)
	}
}

// TestMainIsSmall holds what main may be: wiring that fits on a screen.
func TestMainIsSmall(t *testing.T) {
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if got, most := bytes.Count(source, []byte("\n")), 60; got > most {
		t.Errorf("main.go has %d lines, want at most %d", got, most)
	}
}
