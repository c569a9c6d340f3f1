package httpapi

import (
	"bufio"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/engine"
)

// hotModels are the bodies of a model of each type that scores in memory.
var hotModels = []struct{ name, body string }{
	{"scorecard", fmt.Sprintf(scorecardBody, "s")},
	{"bayesian", `{"key":"b","name":"b","modelType":"bayesian"}`},
	{"logistic_regression", fmt.Sprintf(logisticBody, "l")},
	{"thompson_bandit", fmt.Sprintf(banditBody, "t")},
	{"epsilon_greedy", `{"key":"e","name":"e","modelType":"epsilon_greedy"}`},
	{"online_learner", `{"key":"o","name":"o","modelType":"online_learner"}`},
}

// From the body to the answer, a score allocates nothing: not in decoding, not
// in scoring, not in encoding.
func TestScoreAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector pools drop what they hold at random")
	}
	a := startAPI(t)
	rq := a.requests.New().(*request)
	rq.server, rq.route = a.Server, &route{}
	rq.principal = engine.Principal{TenantID: "acme"}
	rq.query.Parse("explain=false")
	body := []byte(scoreExample)
	for _, m := range hotModels {
		id := a.create(m.body)
		a.outcomes(20)
		rq.params[0] = id
		run := func() {
			rq.body, rq.out = body, rq.out[:0]
			if err := a.scoreModel(rq); err != nil {
				t.Fatal(err)
			}
			rq.score.trim()
		}
		run()
		if n := testing.AllocsPerRun(200, run); n != 0 {
			t.Errorf("a score of a %s: got %v allocations, want 0", m.name, n)
		}
	}
	// By the family the same, and the champion is named.
	id := a.create(fmt.Sprintf(scorecardBody, "champion"))
	a.stand(id, "challenger")
	a.stand(id, "champion")
	rq.params[0] = "Card"
	a.wantFamilyAllocs(t, rq, "by the family")
	x := a.experiment(fmt.Sprintf(`{"key":"x","name":"x","status":"active","championModelId":%q,"trafficSplit":{"championPct":100}}`, id))
	a.wantFamilyAllocs(t, rq, "in an experiment")
	rq.params[0] = x
	rq.query.Parse("customerId=c1")
	run := func() {
		rq.out = rq.out[:0]
		if err := a.assignment(rq); err != nil {
			t.Fatal(err)
		}
	}
	run()
	if n := testing.AllocsPerRun(200, run); n != 0 {
		t.Errorf("an assignment: got %v allocations, want 0", n)
	}
}

// wantFamilyAllocs wants no allocation of the family's routes for a customer who
// was there before.
func (a *api) wantFamilyAllocs(t *testing.T, rq *request, what string) {
	t.Helper()
	for name, tc := range map[string]struct {
		body   string
		handle handler
	}{"score": {scoreExample, a.scoreFamily}, "ranking": {`{"customerId":"c1","offers":[{"id":"o1"},{"id":"o2","name":"Two"}]}`, a.rankForFamily}} {
		body := []byte(tc.body)
		run := func() {
			rq.body, rq.out = body, rq.out[:0]
			if err := tc.handle(rq); err != nil {
				t.Fatal(err)
			}
			rq.score.trim()
		}
		run()
		if n := testing.AllocsPerRun(200, run); n != 0 {
			t.Errorf("a %s %s: got %v allocations, want 0", name, what, n)
		}
	}
}

// What this package does for a ranking: read the offers, write their order.
func TestOfferSetAllocs(t *testing.T) {
	body := []byte(`{"customerId":"c1","customerAttributes":{"income":1,"age":3},"offers":[{"id":"o1","attributes":{"fee":1}},{"id":"o2","name":"Two"},{"id":"o3"}]}`)
	ranked := []engine.OfferScore{
		{Index: 2, Score: 0.75, HasHistory: true, History: decision.Summary{Impressions: 2, Positives: 1, LastContactAt: 1_700_000_000_000}},
		{Index: 0, Score: 0.5, HasPropensity: true, Propensity: 0.25}, {Index: 1},
	}
	model := &catalogue.Model{ID: "model_1", Key: "k", ModelType: decision.LogisticRegression}
	rq := &request{}
	run := func() {
		rq.body = body
		customer, _, err := rq.offerSetBody()
		if err != nil {
			t.Fatal(err)
		}
		rq.score.ranked = ranked
		rq.out = appendRanking(rq.out[:0], model, customer, &rq.score)
		rq.score.trim()
	}
	run()
	if n := testing.AllocsPerRun(200, run); n != 0 {
		t.Errorf("got %v allocations to decode and answer a ranking, want 0", n)
	}
}

func TestRespondAllocs(t *testing.T) {
	body := []byte(`{"customerId":"c1","offerId":"o1","outcome":"click","channelId":"web","conversionValue":1.5,"attributes":{"income":95000,"segment":"Gold"},"context":{"hour":9}}`)
	rq := &request{}
	var in engine.OutcomeInput
	var res engine.OutcomeResult
	run := func() {
		rq.body = body
		if err := rq.beginBody(); err != nil {
			t.Fatal(err)
		}
		rq.outcome(&in)
		rq.out = appendRecorded(rq.out[:0], &in, &res)
	}
	run()
	if n := testing.AllocsPerRun(200, run); n != 0 {
		t.Errorf("got %v allocations to decode and answer an outcome, want 0", n)
	}
}

// client is the least client that can measure a server: one connection, one
// prepared request.
type client struct {
	conn    net.Conn
	reader  *bufio.Reader
	request []byte
	resp    fasthttp.Response
}

func newClient(b *testing.B, addr, request string) *client {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	return &client{conn: conn, reader: bufio.NewReader(conn), request: []byte(request)}
}

func (c *client) do(b *testing.B) {
	if _, err := c.conn.Write(c.request); err != nil {
		b.Fatal(err)
	}
	if err := c.resp.Read(c.reader); err != nil {
		b.Fatal(err)
	}
	if c.resp.StatusCode() != 200 {
		b.Fatalf("got %d %s", c.resp.StatusCode(), c.resp.Body())
	}
}

// BenchmarkHTTPScore compares POST …/score with a bare fasthttp server that
// answers a constant of the same size, over loopback TCP, 16 connections.
func BenchmarkHTTPScore(b *testing.B) {
	a := startAPI(b)
	id := a.create(fmt.Sprintf(logisticBody, "l"))
	request := fmt.Sprintf("POST /api/v1/algorithm-models/%s/score?explain=false HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		id, a.viewer, len(scoreExample), scoreExample)
	answer := []byte("{\"score\":0.9295671456574563}\n")
	bare := &fasthttp.Server{Name: serverName, Handler: func(ctx *fasthttp.RequestCtx) {
		ctx.SetContentType(mediaJSON)
		ctx.SetBody(answer)
	}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = bare.Serve(ln) }()
	defer func() { _ = bare.Shutdown() }()
	a.stand(id, "challenger")
	a.stand(id, "champion")
	byFamily := strings.Replace(request, "/api/v1/algorithm-models/"+id, "/api/v1/families/Logistic", 1)
	for _, s := range []struct{ name, addr, request string }{
		{"bare", ln.Addr().String(), request}, {"praetor", a.addr, request}, {"praetor-family", a.addr, byFamily},
	} {
		b.Run("server="+s.name, func(b *testing.B) {
			request := s.request
			b.ReportAllocs()
			b.SetParallelism(max(16/runtime.GOMAXPROCS(0), 1))
			b.RunParallel(func(pb *testing.PB) {
				c := newClient(b, s.addr, request)
				defer c.conn.Close()
				for pb.Next() {
					c.do(b)
				}
			})
		})
	}
}

func BenchmarkDecodeOfferSet(b *testing.B) {
	body := []byte(`{"customerId":"CUST001","customerAttributes":` + scoreExample[len(`{"attributes":`):len(scoreExample)-len(`,"customerId":"CUST001"}`)] + `,"offers":[`)
	for i := range 20 {
		if i > 0 {
			body = append(body, ',')
		}
		body = fmt.Appendf(body, `{"id":"offer_%03d","name":"Offer %d","attributes":{"fee":%d,"category":"cards","rate":%d.5}}`, i, i, i, i)
	}
	body = append(body, "]}"...)
	s, err := newServer(DefaultConfig(), &fakeGate{}, zerolog.Nop(), prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	rq := s.requests.New().(*request)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		rq.body = body
		if _, _, err := rq.offerSetBody(); err != nil {
			b.Fatal(err)
		}
		rq.score.trim()
	}
}
