package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testOperatorKey = "operator-key-of-the-tests"

// limit bounds every wait of these tests.
const limit = 30 * time.Second

func testConfig(dir string) Config {
	c := DefaultConfig(dir)
	c.Cluster.NodeID = "n1"
	c.Cluster.SnapshotInterval = 0
	c.OperatorKey = testOperatorKey
	c.Limits.MaxAnswerBytes = 64 << 20
	return c
}

func testLog(t testing.TB) zerolog.Logger {
	if testing.Verbose() {
		return zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel)
	}
	return zerolog.Nop()
}

// node is an engine with the tenant t1, and what tests ask of it.
type node struct {
	t testing.TB
	*Engine
	dir    string
	ctx    context.Context
	tenant string
	rng    *rand.Rand
	once   sync.Once
}

// start opens an engine in dir and waits until it is ready.
func start(t testing.TB, dir string, change ...func(*Config)) *node {
	t.Helper()
	n := open(t, dir, change...)
	until(t, n.ctx, func() bool { return n.Ready() == nil })
	return n
}

// open opens an engine in dir.
func open(t testing.TB, dir string, change ...func(*Config)) *node {
	t.Helper()
	config := testConfig(dir)
	for _, f := range change {
		f(&config)
	}
	e, err := Open(config, testLog(t))
	if err != nil {
		t.Fatalf("Open() = %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	n := &node{t: t, Engine: e, dir: dir, ctx: ctx, tenant: "t1", rng: rand.New(rand.NewPCG(1, 2))}
	t.Cleanup(func() { n.stop(); cancel() })
	return n
}

// fresh is a node of an empty directory with the tenant t1.
func fresh(t testing.TB, change ...func(*Config)) *node {
	t.Helper()
	n := start(t, filepath.Join(t.TempDir(), "data"), change...)
	n.newTenant("t1")
	return n
}

// until waits for a condition that nothing signals.
func until(t testing.TB, ctx context.Context, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the condition did not come true in time")
		}
	}
}

func (n *node) stop() {
	n.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if err := n.Close(ctx); err != nil {
			n.t.Errorf("Close() = %v", err)
		}
	})
}

// restart closes the node and opens its directory again.
func (n *node) restart(t testing.TB) *node {
	t.Helper()
	n.stop()
	return start(t, n.dir)
}

func (n *node) w() Write {
	return Write{Principal: Principal{TenantID: n.tenant, Role: decision.RoleAdmin, KeyID: "k", KeyName: "tests"}, RequestID: "r"}
}

// keyed is a write with an idempotency key.
func (n *node) keyed(key string, fingerprint uint64) Write {
	w := n.w()
	w.IdempotencyKey, w.Fingerprint = key, fingerprint
	return w
}

func (n *node) newTenant(id string) {
	n.t.Helper()
	if _, _, err := n.CreateTenant(n.ctx, Write{Principal: Principal{Role: decision.RoleOperator}}, id, "name of "+id); err != nil {
		n.t.Fatalf("CreateTenant() = %v", err)
	}
}

func text(s string) *string { return &s }

// fields are those of a model; pairs are field names and JSON.
func fields(t testing.TB, key string, kind decision.ModelType, pairs ...string) catalogue.ModelFields {
	t.Helper()
	return with(t, catalogue.ModelFields{Key: text(key), Name: text(key), ModelType: &kind}, pairs...)
}

func with(t testing.TB, f catalogue.ModelFields, pairs ...string) catalogue.ModelFields {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if err := json.Unmarshal([]byte(`{"`+pairs[i]+`":`+pairs[i+1]+`}`), &f); err != nil {
			t.Fatalf("field %s: %v", pairs[i], err)
		}
		if pairs[i] == "outcomeWeights" && pairs[i+1] == "null" {
			f.OutcomeWeights = json.RawMessage("null")
		}
	}
	return f
}

func (n *node) model(key string, kind decision.ModelType, pairs ...string) *catalogue.Model {
	n.t.Helper()
	m, _, err := n.CreateModel(n.ctx, n.w(), fields(n.t, key, kind, pairs...))
	if err != nil {
		n.t.Fatalf("CreateModel(%s) = %v", key, err)
	}
	return m
}

func (n *node) get(id string) *catalogue.Model {
	n.t.Helper()
	m, err := n.Model(n.tenant, id)
	if err != nil {
		n.t.Fatalf("Model() = %v", err)
	}
	return m
}

// number makes a row of one number.
func number(name string, v float64) decision.Row {
	return decision.Row{{Name: name, Num: v, Kind: decision.Number}}
}

// outcome is what a customer did with an offer; a positive one has a greater x.
func outcome(kind, customer, offer string) OutcomeInput {
	x := 0.25
	if kind == "click" {
		x = 0.75
	}
	return OutcomeInput{Outcome: decision.Outcome{Type: kind, CustomerID: customer, OfferID: offer, Attributes: number("x", x)}}
}

func repeat(n int, o OutcomeInput) []OutcomeInput {
	all := make([]OutcomeInput, n)
	for i := range all {
		all[i] = o
	}
	return all
}

// mixed are n outcomes of both classes over a few customers and offers.
func mixed(n int) []OutcomeInput {
	all := make([]OutcomeInput, n)
	for i := range all {
		kind := []string{"click", "dismiss", "dismiss", "impression"}[i%4]
		all[i] = outcome(kind, fmt.Sprintf("c%d", i%7), fmt.Sprintf("o%d", i%3))
		all[i].Attributes = number("x", float64(i%11)/11+all[i].Attributes[0].Num)
	}
	return all
}

func now() decision.Time { return decision.TimeOf(time.Now()) }

// record records outcomes of which none may fail.
func (n *node) record(all ...OutcomeInput) []OutcomeResult {
	n.t.Helper()
	results, _, err := n.Respond(n.ctx, n.w(), now(), all, nil)
	if err != nil {
		n.t.Fatalf("Respond() = %v", err)
	}
	for i, r := range results {
		if r.Err != nil {
			n.t.Fatalf("outcome %d: %v", i, r.Err)
		}
	}
	return results
}

// score scores a row, for a bandit an offer.
func (n *node) score(id, offer string, row decision.Row) float64 {
	n.t.Helper()
	v, err := n.tryScore(id, offer, row)
	if err != nil {
		n.t.Fatalf("score: %v", err)
	}
	return v
}

func (n *node) tryScore(id, offer string, row decision.Row) (float64, error) {
	s, err := n.Scorer(n.tenant, id)
	if err != nil {
		return 0, err
	}
	var res learn.Result
	s.Score(n.ctx, &learn.Request{Row: row, OfferID: offer, CustomerID: "c0", Rand: n.rng}, now(), &RankScratch{}, &res, nil)
	return res.Score, nil
}

// state is the learned state in the API's shape.
func (n *node) state(id string) string {
	n.t.Helper()
	d, err := n.ModelDetail(n.ctx, n.tenant, id, true)
	if err != nil {
		n.t.Fatalf("ModelDetail() = %v", err)
	}
	return string(d.ModelState)
}

func (n *node) digest() Digest {
	n.t.Helper()
	d, err := n.Digest(n.ctx)
	if err != nil {
		n.t.Fatalf("Digest() = %v", err)
	}
	return d
}

func (n *node) train(id string) TrainResult {
	n.t.Helper()
	r, _, err := n.Train(n.ctx, n.w(), id)
	if err != nil {
		n.t.Fatalf("Train() = %v", err)
	}
	return r
}

func (n *node) count() int64 {
	n.t.Helper()
	l, err := n.Interactions(n.ctx, n.tenant, HistoryFilter{}, Page{Limit: 1})
	if err != nil {
		n.t.Fatalf("Interactions() = %v", err)
	}
	return l.Total
}

// wantError checks an error's kind and, when path is not empty, that it names
// the field.
func wantError(t testing.TB, what string, err error, kind decision.Kind, path string) {
	t.Helper()
	if err == nil || decision.KindOf(err) != kind {
		t.Errorf("%s = %v, want %v", what, err, kind)
		return
	}
	if path == "" {
		return
	}
	var e *decision.Error
	errors.As(err, &e)
	var paths []string
	for _, d := range e.Details {
		if d.Path == path {
			return
		}
		paths = append(paths, d.Path)
	}
	t.Errorf("%s names %s (%v), want %s", what, strings.Join(paths, ", "), err, path)
}

func wantEqual(t testing.TB, what string, got, want Digest) {
	t.Helper()
	g, _ := json.Marshal(got.Models)
	w, _ := json.Marshal(want.Models)
	if string(g) != string(w) {
		t.Errorf("%s: models %s, want %s", what, g, w)
	}
	g, _ = json.Marshal(got.Interactions)
	w, _ = json.Marshal(want.Interactions)
	if string(g) != string(w) {
		t.Errorf("%s: interactions %s, want %s", what, g, w)
	}
	if got.Monitoring != want.Monitoring {
		t.Errorf("%s: monitoring %s, want %s", what, got.Monitoring, want.Monitoring)
	}
	if got.Registry != want.Registry {
		t.Errorf("%s: registry and audit chains %s, want %s", what, got.Registry, want.Registry)
	}
}

// copyTree copies a directory as a crash would leave it.
func copyTree(t testing.TB, from string) (to string) {
	t.Helper()
	to = filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}
