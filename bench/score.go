package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/praetor-engine/praetor/internal/client"
	"github.com/praetor-engine/praetor/internal/simulator"
)

const (
	scoreConns    = 64
	scoreRequests = 1024
	// scoreOutcomes are what the models learn from before they are scored.
	scoreOutcomes = 10_000
	// scoreTarget is the project's, for the first row.
	scoreTarget = 0.7
	// openShare is the share of the engine's throughput at which the open loop
	// runs: busy, but not saturated.
	openShare = 0.5
)

// scoredModels are one model of each type that scores in memory. The first is
// the one that the target is about.
func scoredModels() []client.NewModel {
	return append([]client.NewModel{
		{Key: "logistic", Name: "Logistic", ModelType: "logistic_regression"},
		{Key: "scorecard", Name: "Scorecard", ModelType: "scorecard", Status: "active", Config: scorecard()},
		{Key: "epsilon", Name: "Epsilon", ModelType: "epsilon_greedy", Status: "active"},
	}, learners()...)
}

// scorecard has eight rules and bins, one for each attribute.
func scorecard() map[string]any {
	rule := func(field, operator string, value any, points float64) map[string]any {
		return map[string]any{"field": field, "operator": operator, "value": value, "points": points}
	}
	return map[string]any{
		"baseScore": 40,
		"rules": []any{
			rule("income", "gte", 60_000, 8), rule("tenure_months", "gt", 48, 5), rule("mortgage", "eq", true, -3),
			rule("digital", "eq", true, 6), rule("segment", "in", []string{"affluent", "family"}, 7), rule("region", "neq", "north", 1),
			rule("age", "gte", 30, 4),
		},
		"bins": []any{map[string]any{"field": "credit_score", "bins": []any{
			map[string]any{"max": 600, "points": -10}, map[string]any{"min": 600, "max": 720, "points": 2}, map[string]any{"min": 720, "points": 9},
		}}},
	}
}

// Score measures POST …/score against a bare server that answers a constant of
// the same size.
func (o *Options) Score(ctx context.Context, types []string) (_ *Report, err error) {
	dir, remove, err := o.workDir()
	if err != nil {
		return nil, err
	}
	defer remove()
	r := &Report{
		Name: "score: POST …/score against a bare fasthttp server",
		Method: fmt.Sprintf("closed loop, %d attributes, %d connections kept alive, each server in its own process, client on the same machine",
			attributes, scoreConns),
	}
	if r.Machine, err = Describe(dir); err != nil {
		return nil, err
	}
	e, err := o.StartEngine(ctx, filepath.Join(dir, "engine"), "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Stop()) }()
	models := scoredModels()
	ids, err := e.createAll(ctx, models)
	if err != nil {
		return nil, err
	}
	if err := e.teach(ctx, ids, models); err != nil {
		return nil, err
	}
	first := true
	for i, m := range models {
		if len(types) > 0 && !slices.Contains(types, m.ModelType) {
			continue
		}
		for _, explain := range []bool{true, false} {
			target := 0.0
			if i == 0 && explain {
				target = scoreTarget
			}
			if err := o.scoreRow(ctx, e, r, m.ModelType, ids[i], explain, target, first); err != nil {
				return nil, err
			}
			first = false
		}
	}
	return r, nil
}

// teach lets the models learn: outcomes for those that learn by themselves, a
// training for the others.
func (e *Engine) teach(ctx context.Context, ids []string, models []client.NewModel) error {
	w, err := newWorkload()
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(seed, 3))
	for done := 0; done < scoreOutcomes; done += BulkSize {
		batch := make([]client.Outcome, BulkSize)
		for i := range batch {
			batch[i] = w.outcome(rng, len(simulator.Offers()))
		}
		recorded, err := e.RespondBulk(ctx, batch)
		if err != nil {
			return fmt.Errorf("bench: teach: %w", err)
		}
		if recorded.Succeeded != BulkSize {
			return fmt.Errorf("bench: teach: got %d outcomes recorded, want %d", recorded.Succeeded, BulkSize)
		}
	}
	for i, m := range models {
		if m.ModelType != "logistic_regression" && m.ModelType != "bayesian" {
			continue
		}
		if _, err := e.Train(ctx, ids[i]); err != nil {
			return fmt.Errorf("bench: train %s: %w", m.Key, err)
		}
	}
	return nil
}

// scoreRow compares one kind of request; open: also in an open loop.
func (o *Options) scoreRow(ctx context.Context, e *Engine, r *Report, modelType, id string, explain bool, target float64, open bool) (err error) {
	name, path := modelType, "/api/v1/algorithm-models/"+id+"/score"
	if !explain {
		name, path = name+", explain=false", path+"?explain=false"
	}
	requests, err := scoreBodies(path, e.Key)
	if err != nil {
		return err
	}
	answer, err := medianAnswer(e.Addr, requests)
	if err != nil {
		return err
	}
	bare, addr, err := o.startBare(ctx, answer)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.Stop()) }()
	if err := sameAnswer(addr, requests[0], answer); err != nil {
		return err
	}
	load := Load{Addr: e.Addr, Requests: requests, Conns: scoreConns, Units: oneUnit}
	bareLoad := load
	bareLoad.Addr = addr
	v := &variant{name: name, load: &load, pid: e.Pid(), engine: e}
	b := &variant{name: fmt.Sprintf("bare, %d bytes", len(answer.Body)), load: &bareLoad, pid: bare.Pid()}
	if err := o.alternate(ctx, v, b); err != nil {
		return err
	}
	r.Rows = append(r.Rows, v.row("requests"), b.row("requests"))
	r.Ratios = append(r.Ratios, ratio(v, b, target))
	if !open {
		return nil
	}
	r.Open, err = o.openLoops(ctx, Summarize(v.rates).Median*openShare, v, b)
	return err
}

// openLoops puts the variants in turn under requests at a fixed rate.
func (o *Options) openLoops(ctx context.Context, rate float64, variants ...*variant) ([]Open, error) {
	latencies := make([]*hdrhistogram.Histogram, len(variants))
	for i := range latencies {
		latencies[i] = newHistogram()
	}
	for round := range o.Rounds {
		for i, v := range variants {
			run, err := v.load.Open(ctx, rate, o.Duration)
			if err != nil {
				return nil, fmt.Errorf("%s: open loop: %w", v.name, err)
			}
			latencies[i].Merge(run.Latency)
			o.logf("  open loop, round %d of %d: %s: %+v", round+1, o.Rounds, v.name, latencyOf(run.Latency))
		}
	}
	out := make([]Open, len(variants))
	for i, v := range variants {
		out[i] = Open{Variant: v.name, Rate: rate, Latency: latencyOf(latencies[i])}
	}
	return out, nil
}

func scoreBodies(path, key string) ([][]byte, error) {
	w, err := newWorkload()
	if err != nil {
		return nil, err
	}
	out := make([][]byte, scoreRequests)
	for i := range out {
		_, row := w.visitor()
		b, err := json.Marshal(client.ScoreRequest{Attributes: row})
		if err != nil {
			return nil, fmt.Errorf("bench: %w", err)
		}
		out[i] = PrepareRequest(path, key, b)
	}
	return out, nil
}

// medianAnswer asks for every score once and returns the answer whose size is
// the one in the middle.
func medianAnswer(addr string, requests [][]byte) (*BareAnswer, error) {
	c, err := Dial(addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	type sized struct{ size, request int }
	var sizes []sized
	for i, q := range requests {
		status, body, err := c.Do(q)
		if err != nil {
			return nil, err
		}
		if status != http.StatusOK {
			return nil, errStatus(status, body)
		}
		sizes = append(sizes, sized{len(body), i})
	}
	slices.SortFunc(sizes, func(a, b sized) int { return a.size - b.size })
	return answerTo(addr, requests[sizes[len(sizes)/2].request])
}

// bareHeaders are the headers that a bare server gives; an engine's answer with
// others could not be compared with it.
var bareHeaders = []string{"Content-Length", "Content-Type", "Date", "Server", "X-Applied-Index", "X-Request-Id"}

// answerTo sends a prepared request and takes the answer apart.
func answerTo(addr string, request []byte) (*BareAnswer, error) {
	c, err := Dial(addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	if _, err := c.conn.Write(request); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	res, err := readResponse(c.conn)
	if err != nil {
		return nil, err
	}
	for name := range res.header {
		if !slices.Contains(bareHeaders, name) {
			return nil, fmt.Errorf("bench: got an answer with the header %s, want only %s", name, strings.Join(bareHeaders, ", "))
		}
	}
	return &BareAnswer{
		Server: res.header.Get("Server"), ContentType: res.header.Get("Content-Type"),
		RequestID: res.header.Get("X-Request-Id"), AppliedIndex: res.header.Get("X-Applied-Index"), Body: res.body,
	}, nil
}

// sameAnswer checks that a server gives the answer, header for header.
func sameAnswer(addr string, request []byte, want *BareAnswer) error {
	got, err := answerTo(addr, request)
	if err != nil {
		return err
	}
	if *got != *want {
		return fmt.Errorf("bench: the bare server answers %+v, want %+v", got, want)
	}
	return nil
}

type response struct {
	header http.Header
	body   string
}

func readResponse(conn io.Reader) (response, error) {
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return response{}, fmt.Errorf("bench: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return response{}, fmt.Errorf("bench: %w", err)
	}
	header := res.Header
	header.Set("Content-Length", fmt.Sprint(len(b)))
	return response{header, string(b)}, nil
}
