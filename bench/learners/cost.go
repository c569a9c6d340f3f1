package learners

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/praetor-engine/praetor/bench"
	"github.com/praetor-engine/praetor/internal/dataset"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// How internal/learn/boosted/testdata/latency.c measures, and so do we: the best
// of so many passes over so many rows, which is the cost without what else the
// machine was doing.
const (
	passes       = 60
	rowsPerPass  = 200
	largeColumns = 20
	largeRows    = 2000
)

// nanoseconds returns the cost of one score.
func nanoseconds(v learn.View, requests []learn.Request) float64 {
	best := math.Inf(1)
	var res learn.Result
	for pass := range passes {
		start := time.Now()
		for i := range rowsPerPass {
			v.Score(&requests[(pass*37+i)%len(requests)], &res)
		}
		best = min(best, float64(time.Since(start).Nanoseconds())/rowsPerPass)
	}
	return best
}

// allocations returns how many objects a score allocates.
func allocations(v learn.View, requests []learn.Request) float64 {
	const scores = 1000
	var before, after runtime.MemStats
	var res learn.Result
	v.Score(&requests[0], &res) // what is allocated once
	runtime.ReadMemStats(&before)
	for i := range scores {
		v.Score(&requests[i%len(requests)], &res)
	}
	runtime.ReadMemStats(&after)
	return math.Floor(float64(after.Mallocs-before.Mallocs) / scores) // as testing.AllocsPerRun does
}

// scorer is a model whose scores are timed.
type scorer struct {
	name, about string
	view        learn.View
	requests    []learn.Request
	cost        []float64
	theirs      []float64 // LightGBM's
	model       string    // by the name that LightGBM's program gives it
}

// cost measures what a score costs, and LightGBM's own call on the same models and
// rows.
func (m *measurement) cost(ctx context.Context) (*section, error) {
	scorers, err := m.forests()
	if err != nil {
		return nil, err
	}
	others, err := m.bankScorers(ctx)
	if err != nil {
		return nil, err
	}
	scorers = append(scorers, others...)
	for round := range m.Rounds {
		theirs, err := m.lightGBM(ctx)
		if err != nil {
			return nil, err
		}
		for _, s := range scorers {
			s.cost = append(s.cost, nanoseconds(s.view, s.requests))
			if s.model != "" {
				s.theirs = append(s.theirs, theirs[s.model])
			}
		}
		m.logf("  round %d of %d", round+1, m.Rounds)
	}
	s := &section{heads: []string{"type", "model", "ns a score", "allocations", "LightGBM's ns", "ours / LightGBM's"}}
	for _, sc := range scorers {
		lightGBM, ratio := "—", "—"
		if sc.model != "" {
			lightGBM = spread(bench.Summarize(sc.theirs), "%.0f")
			ratio = against(perRound(sc.cost, sc.theirs), 1)
		}
		s.add(sc.name, sc.about, spread(bench.Summarize(sc.cost), "%.0f"), fmt.Sprintf("%.0f", allocations(sc.view, sc.requests)), lightGBM, ratio)
	}
	return s, nil
}

// lightGBM runs the program that times LightGBM's single-row fast call.
func (m *measurement) lightGBM(ctx context.Context) (map[string]float64, error) {
	cmd := exec.CommandContext(ctx, m.cfg.Latency, m.cfg.Models)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.cfg.Latency, err)
	}
	return parseLatencies(string(out))
}

// parseLatencies reads lines such as "numbers-100x31     5093 ns/row".
func parseLatencies(out string) (map[string]float64, error) {
	costs := map[string]float64{}
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[2] != "ns/row" {
			return nil, fmt.Errorf("got the line %q, want a model and its ns/row", line)
		}
		ns, err := strconv.ParseFloat(fields[1], 64)
		if err != nil {
			return nil, fmt.Errorf("got the line %q: %w", line, err)
		}
		costs[fields[0]] = ns
	}
	return costs, nil
}

// forests are the models and rows that LightGBM's program has too.
func (m *measurement) forests() ([]*scorer, error) {
	requests, err := readLargeRows(filepath.Join(m.cfg.Models, "rows.f64"))
	if err != nil {
		return nil, err
	}
	var out []*scorer
	for _, model := range []string{"numbers-100x31", "numbers-500x31", "mixed-100x31", "mixed-500x31"} {
		text, err := os.ReadFile(filepath.Join(m.cfg.Models, model+".txt"))
		if err != nil {
			return nil, err
		}
		state, err := json.Marshal(map[string]string{"model": string(text)})
		if err != nil {
			return nil, err
		}
		view, err := viewOf(decision.GradientBoosted, "", state)
		if err != nil {
			return nil, err
		}
		if err := sameAsLightGBM(view, requests, filepath.Join(m.cfg.Models, model+".raw.f64")); err != nil {
			return nil, err
		}
		kind, size, _ := strings.Cut(model, "-")
		trees, leaves, _ := strings.Cut(size, "x")
		about := fmt.Sprintf("%s trees of %s leaves, %d numbers", trees, leaves, largeColumns)
		if kind == "mixed" {
			about += ", 3 of them categories"
		}
		out = append(out, &scorer{name: "gradient_boosted", about: about, view: view, requests: requests, model: model})
	}
	return out, nil
}

// sameAsLightGBM checks the raw scores: a wrong score may be as fast as it likes.
func sameAsLightGBM(v learn.View, requests []learn.Request, path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var res learn.Result
	for i := range requests {
		v.Score(&requests[i], &res)
		if want := math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:])); math.Abs(res.Raw-want) > 1e-12 {
			return fmt.Errorf("%s: row %d: got the raw score %v, want %v", path, i, res.Raw, want)
		}
	}
	return nil
}

func readLargeRows(path string) ([]learn.Request, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(b) < 8*largeRows*largeColumns {
		return nil, fmt.Errorf("%s: got %d bytes, want at least %d rows of %d numbers", path, len(b), largeRows, largeColumns)
	}
	out := make([]learn.Request, largeRows)
	for i := range out {
		var row decision.Row
		for k := range largeColumns {
			v := math.Float64frombits(binary.LittleEndian.Uint64(b[8*(i*largeColumns+k):]))
			if !math.IsNaN(v) {
				row = append(row, decision.Field{Name: fmt.Sprintf("Column_%d", k), Kind: decision.Number, Num: v})
			}
		}
		out[i].Row = row.Sort()
	}
	return out, nil
}

// cardConfig has eight rules for the bank's rows.
const cardConfig = `{"rules":[
 {"field":"age","operator":"gte","value":60,"points":12},{"field":"campaign","operator":"gt","value":3,"points":-8},
 {"field":"contact","operator":"eq","value":"cellular","points":6},{"field":"default","operator":"neq","value":"yes","points":2},
 {"field":"euribor3m","operator":"lt","value":2,"points":15},{"field":"job","operator":"in","value":["student","retired"],"points":9},
 {"field":"poutcome","operator":"eq","value":"success","points":20},{"field":"previous","operator":"gte","value":1,"points":5}]}`

// bankScorers are the other types: trained on the Bank Marketing data where that
// can be, bandits of eight arms, and neural_cf on its simulated tastes.
func (m *measurement) bankScorers(ctx context.Context) ([]*scorer, error) {
	data, err := openBank(m.cfg.Datasets)
	if err != nil {
		return nil, err
	}
	train, test := data.Split()
	requests := make([]learn.Request, len(test))
	for i, k := range test {
		requests[i].Row = data.Rows[k]
	}
	about := fmt.Sprintf("bank data, %d fields", len(data.Columns))
	card, err := viewOf(decision.Scorecard, cardConfig, nil)
	if err != nil {
		return nil, err
	}
	out := []*scorer{{name: string(decision.Scorecard), about: "bank data, 8 rules", view: card, requests: requests}}
	for _, kind := range []decision.ModelType{decision.Bayesian, decision.LogisticRegression, decision.OnlineLearner} {
		t, err := trainHere(ctx, kind, "", dataset.Source(data, train))
		if err != nil {
			return nil, err
		}
		out = append(out, &scorer{name: string(kind), about: about, view: t.view, requests: requests})
	}
	arms, err := armScorers()
	if err != nil {
		return nil, err
	}
	market := newTastes(marketSeed)
	t, err := trainHere(ctx, decision.NeuralCF, `{"epochs":1}`, market) // the passes do not change what a score costs
	if err != nil {
		return nil, err
	}
	pairs := make([]learn.Request, rowsPerPass)
	for i := range pairs {
		pairs[i] = learn.Request{CustomerID: market.examples[i].CustomerID, OfferID: market.examples[i].OfferID}
	}
	return append(append(out, arms...), &scorer{
		name: string(decision.NeuralCF), about: "16 + 16 → 32 → 1", view: t.view, requests: pairs,
	}), nil
}

func armScorers() ([]*scorer, error) {
	const arms = 8
	thompson, epsilon := map[string]any{}, map[string]any{}
	requests := make([]learn.Request, arms)
	for i := range arms {
		offer := fmt.Sprintf("offer-%d", i)
		thompson[offer] = map[string]any{"alpha": 3 + i, "beta": 40 - i}
		epsilon[offer] = map[string]any{"totalReward": 3 + i, "pulls": 43}
		requests[i] = learn.Request{OfferID: offer, Rand: rand.New(rand.NewPCG(marketSeed, uint64(i)))}
	}
	var out []*scorer
	for _, b := range []struct {
		kind decision.ModelType
		arms any
	}{{decision.ThompsonBandit, thompson}, {decision.EpsilonGreedy, epsilon}} {
		state, err := json.Marshal(map[string]any{"arms": b.arms})
		if err != nil {
			return nil, err
		}
		view, err := viewOf(b.kind, "", state)
		if err != nil {
			return nil, err
		}
		out = append(out, &scorer{name: string(b.kind), about: "one of 8 arms", view: view, requests: requests})
	}
	return out, nil
}
