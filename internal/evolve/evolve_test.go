package evolve

import (
	"encoding/json"
	"errors"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/praetor-engine/praetor/internal/decision"
)

func mustRead(t *testing.T, raw string) Config {
	t.Helper()
	var p decision.Problems
	c := ReadConfig(json.RawMessage(raw), &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNext(t *testing.T) {
	for _, c := range []struct {
		config string
		from   decision.ModelType
		want   decision.ModelType // empty: none
	}{
		{`{}`, decision.Scorecard, decision.Bayesian},
		{`{}`, decision.Bayesian, decision.LogisticRegression},
		{`{}`, decision.LogisticRegression, decision.GradientBoosted},
		{`{}`, decision.GradientBoosted, ""},
		{`{}`, decision.ThompsonBandit, ""},
		{`{"targetTier":"logistic_regression"}`, decision.Bayesian, decision.LogisticRegression},
		{`{"targetTier":"logistic_regression"}`, decision.LogisticRegression, ""},
		{`{"targetTier":"bayesian"}`, decision.GradientBoosted, ""},
		{`{"targetTier":"scorecard"}`, decision.Scorecard, ""},
		{`{"skipTiers":true}`, decision.Scorecard, decision.GradientBoosted},
		{`{"skipTiers":true,"targetTier":"logistic_regression"}`, decision.Scorecard, decision.LogisticRegression},
		{`{"skipTiers":true,"targetTier":"logistic_regression"}`, decision.GradientBoosted, ""},
	} {
		config := mustRead(t, c.config)
		if got, ok := config.Next(c.from); got != c.want || ok != (c.want != "") {
			t.Errorf("%s: after %s comes %q, %v, want %q", c.config, c.from, got, ok, c.want)
		}
	}
	for i, tier := range Tiers[:3] {
		if got, ok := Next(tier); !ok || got != Tiers[i+1] {
			t.Errorf("Next(%s) = %s, %v", tier, got, ok)
		}
	}
	for _, tier := range []decision.ModelType{decision.GradientBoosted, decision.EpsilonGreedy, ""} {
		if got, ok := Next(tier); ok {
			t.Errorf("Next(%q) = %s, want none", tier, got)
		}
	}
}

func TestProgress(t *testing.T) {
	for _, c := range []struct {
		name, config string
		from         decision.ModelType
		samples      int
		auc          float64
		percent      int
		ready        bool
	}{
		// The documented example: (0.68 + 0.975)/2 = 0.8275.
		{"documented", `{"skipTiers":true,"thresholds":{"gradientBoostedSamples":20000,"gradientBoostedAuc":0.8}}`, decision.Bayesian, 13600, 0.78, 83, false},
		{"defaults, none", `{}`, decision.Scorecard, 0, 0, 50, false},
		{"defaults, some", `{}`, decision.Scorecard, 30, 0, 65, false},
		{"defaults, all", `{}`, decision.Scorecard, 100, 0, 100, true},
		{"next rung only", `{}`, decision.Bayesian, 999, 0.7, 100, false}, // 99.95 rounds up
		{"too many count as enough", `{"thresholds":{"logisticAuc":0.8}}`, decision.Bayesian, 9_000_000, 0.4, 75, false},
		{"auc above", `{"thresholds":{"logisticAuc":0.8}}`, decision.Bayesian, 500, 0.99, 75, false},
		{"both at the bound", `{"thresholds":{"logisticAuc":0.8}}`, decision.Bayesian, 1000, 0.8, 100, true},
		{"nothing required", `{"thresholds":{"bayesianSamples":0}}`, decision.Scorecard, 0, 0, 100, true},
		{"a half rounds up", `{"thresholds":{"bayesianSamples":200}}`, decision.Scorecard, 1, 0, 50, false}, // 50.25
		{"exactly a half", `{"thresholds":{"bayesianSamples":100}}`, decision.Scorecard, 1, 0, 51, false},   // 50.5
	} {
		config := mustRead(t, c.config)
		got := config.Progress(c.from, c.samples, c.auc)
		if got == nil || got.ProgressPct != c.percent || got.Ready != c.ready {
			t.Errorf("%s: %+v, want %d %%, ready: %v", c.name, got, c.percent, c.ready)
		}
	}
	config := mustRead(t, `{}`)
	if got := config.Progress(decision.GradientBoosted, 1, 1); got != nil {
		t.Errorf("at the top: %+v, want none", got)
	}
}

// Exact rational arithmetic gives the same percentage for samples, whatever the
// requirement.
func TestProgressAgainstRationals(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		need, have := 1+rng.IntN(30_000), rng.IntN(40_000)
		c := DefaultConfig()
		c.Requirements[1] = Requirement{Samples: need}
		share := big.NewRat(int64(min(need, have)), int64(need))
		exact := new(big.Rat).Add(share, big.NewRat(1, 1))
		exact.Mul(exact, big.NewRat(50, 1)).Add(exact, big.NewRat(1, 2)) // + ½, to be rounded down
		want := new(big.Int).Quo(exact.Num(), exact.Denom()).Int64()
		if got := c.Progress(decision.Scorecard, have, 0).ProgressPct; int64(got) != want {
			t.Fatalf("%d of %d samples: %d %%, want %d", have, need, got, want)
		}
	}
}

func TestProgressJSON(t *testing.T) {
	c := mustRead(t, `{"skipTiers":true,"thresholds":{"gradientBoostedSamples":20000,"gradientBoostedAuc":0.8}}`)
	got, err := json.Marshal(c.Progress(decision.Bayesian, 13600, 0.78))
	want := `{"nextTier":"gradient_boosted","progressPct":83,"readyToEvolve":false,"details":{"samplesRequired":20000,"samplesActual":13600,"aucRequired":0.8,"aucActual":0.78}}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func TestDecide(t *testing.T) {
	ready := Model{Type: decision.Bayesian, Samples: 1000, AUC: 0.6}
	for _, c := range []struct {
		name, config string
		change       func(*Model)
		want         decision.ModelType
	}{
		{"ready", `{"autoEvolve":true}`, nil, decision.LogisticRegression},
		{"not asked for", `{}`, nil, ""},
		{"done already", `{"autoEvolve":true}`, func(m *Model) { m.Evolved = true }, ""},
		{"too few samples", `{"autoEvolve":true}`, func(m *Model) { m.Samples = 999 }, ""},
		{"too low an AUC", `{"autoEvolve":true,"thresholds":{"logisticAuc":0.61}}`, nil, ""},
		{"at the target", `{"autoEvolve":true,"targetTier":"bayesian"}`, nil, ""},
		{"skipping, not ready", `{"autoEvolve":true,"skipTiers":true}`, nil, ""},
		{"skipping, ready", `{"autoEvolve":true,"skipTiers":true}`, func(m *Model) { m.Samples = 5000 }, decision.GradientBoosted},
	} {
		m, config := ready, mustRead(t, c.config)
		if c.change != nil {
			c.change(&m)
		}
		if got, ok := config.Decide(m); got != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q, %v, want %q", c.name, got, ok, c.want)
		}
	}
}

func TestReadConfigNamesProblems(t *testing.T) {
	var p decision.Problems
	got := ReadConfig(json.RawMessage(`{"autoEvolve":1,"skipTiers":"x","targetTier":"neural_cf","thresholds":{"bayesianSamples":-1,"logisticSamples":1.5,"gradientBoostedAuc":1.1}}`), &p)
	var e *decision.Error
	if !errors.As(p.Err(), &e) || e.Kind != decision.KindBadRequest {
		t.Fatalf("got %v, want a bad request", p.Err())
	}
	var paths []string
	for _, d := range e.Details {
		paths = append(paths, strings.TrimPrefix(d.Path, "evolutionConfig."))
	}
	want := "autoEvolve skipTiers targetTier thresholds.bayesianSamples thresholds.logisticSamples thresholds.gradientBoostedAuc"
	if strings.Join(paths, " ") != want || got != DefaultConfig() {
		t.Errorf("problems at %q, want %q; config %+v, want the defaults", paths, want, got)
	}
}

func TestKey(t *testing.T) {
	taken := map[string]bool{}
	for _, want := range []string{"card-bayesian", "card-bayesian-2", "card-bayesian-3"} {
		got := Key("card", decision.Bayesian, func(k string) bool { return taken[k] })
		if got != want {
			t.Errorf("Key() = %q, want %q", got, want)
		}
		taken[got] = true
	}
	for n := 230; n <= 256; n++ {
		got := Key(strings.Repeat("é", n/2), decision.GradientBoosted, func(k string) bool { return !strings.HasSuffix(k, "-12") })
		if len(got) > maxKey || !utf8.ValidString(got) || !strings.HasSuffix(got, "é-gradient_boosted-12") {
			t.Errorf("Key() = %q of %d bytes", got, len(got))
		}
	}
}
