package regret

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/factorial"
	"github.com/praetor-engine/praetor/internal/factorial/posterior"
	"github.com/praetor-engine/praetor/internal/learn"
)

func TestTruths(t *testing.T) {
	s, err := newSpace()
	if err != nil {
		t.Fatal(err)
	}
	for k := range kinds {
		a, again := newTruth(s, &kinds[k], 3), newTruth(s, &kinds[k], 3)
		var spread, additive float64
		for c := range contexts {
			for v, z := range a.from[c] {
				if z != again.from[c][v] || a.to[c][v] != again.to[c][v] {
					t.Fatalf("%s: the same seed gives another truth", kinds[k].name)
				}
				spread += math.Abs(z - a.from[0][v])
				// Without pairs two levels add up.
				l := s.Levels(v)
				first, second := int(l[0])*s.Stride(0), int(l[1])*s.Stride(1)
				additive += math.Abs(a.from[c][first+second] - a.from[c][first] - a.from[c][second] + a.from[c][0])
			}
			if a.from[c][factorial.Baseline] != intercept {
				t.Errorf("%s: the baseline has %v", kinds[k].name, a.from[c][0])
			}
		}
		if (spread > 1e-9) != (kinds[k].inside > 0) || (additive > 1e-9) != (kinds[k].pair > 0) {
			t.Errorf("%s: differs by context %v, by pairs %v", kinds[k].name, spread, additive)
		}
		if moved := a.from[1][7] != a.to[1][7]; moved != kinds[k].drifting {
			t.Errorf("%s: moves: %v", kinds[k].name, moved)
		}
	}
	p := make([]float64, s.Variants())
	tr := newTruth(s, &kinds[strong], 1)
	best := tr.chances(2, 0.5, p)
	for v := range p {
		if p[v] > best || p[v] != learn.Sigmoid((tr.from[2][v]+tr.to[2][v])/2) {
			t.Errorf("variant %d has the chance %v, the best %v", v, p[v], best)
		}
	}
}

// What a policy serves is as frequent as it says.
func TestPoliciesTellTheirChances(t *testing.T) {
	s, err := newSpace()
	if err != nil {
		t.Fatal(err)
	}
	c := newCounts(s)
	for i := range 5000 {
		c.add(i%s.Variants(), uint64(i%contexts), i%7 == 0)
	}
	for i, p := range newPolicies(s, 256) {
		if err := p.learn(t.Context(), c.observed(), 1); err != nil {
			t.Fatal(err)
		}
		const n = 20_000
		seen := make([]float64, s.Variants())
		for visitor := range n {
			seen[p.serve(1, fmt.Sprint(visitor))]++
		}
		sum := 0.0
		for v := range seen {
			want := p.chance(1, v)
			sum += want
			if got := seen[v] / n; math.Abs(got-want) > 5*math.Sqrt(want*(1-want)/n)+1e-9 {
				t.Errorf("%s: variant %d served %v, want %v", policyNames[i], v, got, want)
			}
		}
		if math.Abs(sum-1) > 1e-12 {
			t.Errorf("%s: the chances add up to %v", policyNames[i], sum)
		}
	}
}

// What the documentation says holds on a small simulation too: the same seeds always
// give the same figures.
func TestMeasure(t *testing.T) {
	if testing.Short() {
		t.Skip("trains some hundred models")
	}
	folder := t.TempDir()
	c := Config{Rounds: 2, Visitors: 1500, Equal: 2, Draws: 256, Docs: filepath.Join(folder, "page.md"), Plot: filepath.Join(folder, "plot.svg")}
	if err := os.WriteFile(c.Docs, []byte("before\n"+beginMark+"old\n"+endMark+"\nafter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := newSpace()
	if err != nil {
		t.Fatal(err)
	}
	curves, err := playRounds(t.Context(), s, &kinds[strong], &c)
	if err != nil {
		t.Fatal(err)
	}
	r := &outcome{curves: [][][][]float64{curves, curves, curves, curves}} // only this truth is played
	for round := range c.Rounds {
		uniform, mab, cmab := r.regrets(strong, uniformPolicy)[round], r.regrets(strong, mabPolicy)[round], r.regrets(strong, cmabPolicy)[round]
		if !(cmab < 0.35*uniform && cmab < mab) {
			t.Errorf("round %d: regret %.0f of cmab, %.0f of mab, %.0f of uniform", round, cmab, mab, uniform)
		}
	}
	e, err := playEqual(t.Context(), posterior.MAB, &c)
	if err != nil {
		t.Fatal(err)
	}
	r.equal = map[string]*equal{"mab": e, "cmab": e}
	var out bytes.Buffer
	if err := r.write(&c, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "The replay was skipped") {
		t.Error("nothing says that the replay was skipped")
	}
	page, err := os.ReadFile(c.Docs)
	if want := "before\n" + beginMark + out.String() + endMark + "\nafter\n"; err != nil || string(page) != want {
		t.Errorf("%v, page %s, want %s", err, page, want)
	}
	f, err := os.Open(c.Plot)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for d := xml.NewDecoder(f); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the plot is not XML: %v", err)
		}
	}
}

// A log whose truth is known: item 3 is clicked in one of two, all others in one of
// twenty.
func TestReplayEstimatesThePolicyValue(t *testing.T) {
	s, err := factorial.New(factorial.Definition{Design: factors("item", items), Context: factors("position", positions)})
	if err != nil {
		t.Fatal(err)
	}
	var rows []shown
	for i := range 20_000 {
		item := int(factorial.DrawKey("log", fmt.Sprint(i)) % items)
		rate := 0.05
		if item == 3 {
			rate = 0.5
		}
		rows = append(rows, shown{item, uint64(i % positions), float64(factorial.DrawKey("click", fmt.Sprint(i))>>11)/(1<<53) < rate, 1.0 / items})
	}
	only := &greedy{space: s, best: 3}
	fixed := fixedPolicy{only}
	e, err := replay(t.Context(), s, fixed, rows)
	if err != nil {
		t.Fatal(err)
	}
	want := epsilon*(0.05*33+0.5)/items + (1-epsilon)*0.5
	if in := e.snips.Interval; !(in.Lower < want && want < in.Upper && in.Upper-in.Lower < 0.15) {
		t.Errorf("inverse propensities: %v %v, want %v", *e.snips.Value, *in, want)
	}
	if in := e.replay.Interval; !(in.Lower < want && want < in.Upper) || math.Abs(float64(e.replay.N)-20_000.0/items) > 5*math.Sqrt(20_000.0/items) {
		t.Errorf("replay: %v %v of %v rows, want %v", *e.replay.Value, *in, e.replay.N, want)
	}
}

// fixedPolicy never learns.
type fixedPolicy struct{ policy }

func (fixedPolicy) learn(_ context.Context, _ []factorial.Observed, _ uint64) error { return nil }

func TestParseLog(t *testing.T) {
	rows, err := parseLog(strings.NewReader("x,item_id,position,click,propensity_score\n0,5,1,1,0.25\n1,33,3,0,1\n"))
	if err != nil || len(rows) != 2 || rows[0] != (shown{5, 0, true, 0.25}) || rows[1] != (shown{33, 2, false, 1}) {
		t.Errorf("got %+v, %v", rows, err)
	}
	for _, bad := range []string{"", "item_id,position,click\n", "item_id,position,click,propensity_score\n34,1,0,0.1\n", "item_id,position,click,propensity_score\n3,0,0,0.1\n", "item_id,position,click,propensity_score\n3,1,0,0\n", "item_id,position,click,propensity_score\nx,1,0,0.1\n"} {
		if _, err := parseLog(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// The Open Bandit log itself; PRAETOR_DATASETS names its folder.
func TestReplayOfTheOpenBanditData(t *testing.T) {
	folder := os.Getenv("PRAETOR_DATASETS")
	if folder == "" {
		t.Skip("PRAETOR_DATASETS is not set; it names the folder of " + logFile)
	}
	rows, err := readLog(filepath.Join(folder, logFile))
	if err != nil {
		t.Fatal(err)
	}
	s, err := factorial.New(factorial.Definition{Design: factors("item", items), Context: factors("position", positions)})
	if err != nil {
		t.Fatal(err)
	}
	// The uniform policy is the log's own: its value is the mean of all clicks.
	e, err := replay(t.Context(), s, newPolicies(s, 256)[uniformPolicy], rows)
	if err != nil || len(rows) != 10_000 || math.Abs(*e.snips.Value-46.0/10_000) > 1e-12 || math.Abs(e.snips.EffectiveN-10_000) > 1e-6 {
		t.Errorf("%d rows, %+v, %v, want 10000 rows and 0.0046", len(rows), e.snips, err)
	}
}

func TestValidate(t *testing.T) {
	c := Config{}
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "rounds") || !strings.Contains(err.Error(), "visitors") || !strings.Contains(err.Error(), "equal") {
		t.Errorf("got %v, want all problems", err)
	}
}

func TestIntervalOf(t *testing.T) {
	// Mean 2, standard deviation 1, t(2, 97.5 %) = 4.302653.
	got := intervalOf([]float64{1, 2, 3})
	if half := 4.302652729911275 / math.Sqrt(3); math.Abs(got.mean-2) > 1e-12 || math.Abs(got.upper-2-half) > 1e-9 || math.Abs(2-got.lower-half) > 1e-9 {
		t.Errorf("got %+v, want 2 ± %v", got, half)
	}
}

func TestQuotients(t *testing.T) {
	// Final regrets of two rounds: 1 of 2, 3 of 10.
	r := &outcome{curves: [][][][]float64{{{{1}, {3}}, {{2}, {10}}}}}
	if got := r.relative(0, 0, 1).mean; math.Abs(got-40) > 1e-9 {
		t.Errorf("mean of quotients %v, want 40", got)
	}
	// 4/12; deviations of a − b/3 from 0 are ±1/3, over the mean of 6.
	got := r.pooled(0, 0, 1)
	if half := 12.706204736174698 * 100 / 18; math.Abs(got.mean-100.0/3) > 1e-9 || math.Abs(got.upper-got.mean-half) > 1e-6 {
		t.Errorf("pooled %+v, want 33.3 ± %v", got, half)
	}
}
