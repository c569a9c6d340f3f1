package logged

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/decisionlog"
	"github.com/praetor-engine/praetor/internal/evaluate"
)

const at = decision.Time(1_760_000_000_000)

// choose is a decision for the first of three offers, i minutes after the start.
func choose(id string, i int, change ...func(*decisionlog.Decision)) []byte {
	d := &decisionlog.Decision{
		ID: id, Node: "n1", Route: decisionlog.RouteOfferSet, At: at + decision.Time(i)*60_000, ModelID: "model_1", ModelKey: "nbo",
		ModelType: decision.EpsilonGreedy, Version: 2, Family: "f", CustomerID: "c", SamplePct: 100,
		Features: decision.Row{{Name: "age", Kind: decision.Number, Num: 40}}, Propensity: 0.8,
	}
	for _, offer := range []string{"a", "b", "c"} {
		d.Candidates = append(d.Candidates, decisionlog.Candidate{OfferID: offer, Score: 0.5, Own: math.NaN(), Propensity: 0.1})
	}
	d.Candidates[0].Propensity = 0.8
	for _, f := range change {
		f(d)
	}
	return decisionlog.AppendDecision(nil, d)
}

// respond is an outcome, i minutes after the start.
func respond(n uint64, id, offer, kind string, class decision.Classification, i int) []byte {
	return decisionlog.AppendOutcome(nil, "n2", &decision.Outcome{
		ID: decision.InteractionID{Index: n}, DecisionID: id, OfferID: offer, CustomerID: "c", Type: kind, Class: class,
		At: int64(at) + int64(i)*60_000, ConversionValue: 30, HasValue: kind == "convert",
	})
}

func write(t *testing.T, lines ...[]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log.ndjson")
	if err := os.WriteFile(path, slices.Concat(lines...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, path string, o Options) (map[string]evaluate.Decision, *Log) {
	t.Helper()
	all, log, err := Load(t.Context(), []string{path}, o)
	if err != nil {
		t.Fatal(err)
	}
	byID := map[string]evaluate.Decision{}
	for i, d := range all {
		byID[d.ID] = d
		if i > 0 && all[i-1].At > d.At {
			t.Errorf("%s comes after a later one", d.ID)
		}
	}
	return byID, log
}

func TestOutcomesAreJoined(t *testing.T) {
	path := write(t,
		respond(1, "clicked", "a", "click", decision.Positive, 2), // comes before its decision
		choose("clicked", 1), choose("clicked", 1), // twice, as of a file that was being completed
		respond(1, "clicked", "a", "click", decision.Positive, 2),
		respond(2, "clicked", "a", "impression", decision.Neutral, 1),
		choose("dismissed", 2), respond(3, "dismissed", "", "dismiss", decision.Negative, 3),
		choose("silent", 3),
		choose("slate", 4), respond(4, "slate", "a", "impression", decision.Neutral, 5), respond(5, "slate", "b", "click", decision.Positive, 5),
		choose("overridden", 5), respond(6, "overridden", "c", "click", decision.Positive, 6),
		choose("unnamed", 6), respond(7, "unnamed", "elsewhere", "click", decision.Positive, 7),
		choose("late", 7), respond(8, "late", "a", "convert", decision.Positive, 7+90),
		choose("score", 8, func(d *decisionlog.Decision) { d.Choice = -1 }),
		respond(9, "absent", "a", "click", decision.Positive, 9),
		choose("other", 9, func(d *decisionlog.Decision) { d.ModelID, d.ModelKey, d.Family = "model_2", "other", "g" }),
	)
	all, log := load(t, path, Options{})
	for id, want := range map[string]float64{"clicked": 1, "dismissed": 0, "silent": 0, "slate": 0, "unnamed": 0, "late": 1, "other": 0} {
		if d, ok := all[id]; !ok || d.Reward != want {
			t.Errorf("%s: %v, reward %v, want %v", id, ok, d.Reward, want)
		}
	}
	want := Log{
		Read: log.Read, Decisions: 7, From: at + 60_000, To: at + 9*60_000, Models: log.Models,
		Outcomes: 5, Unmatched: 1, Rewarded: 2, Unanswered: 3, NoChoice: 1, Overridden: 1, Repeated: 1,
	}
	if fmt.Sprint(*log) != fmt.Sprint(want) {
		t.Errorf("log %+v, want %+v", *log, want)
	}
	if len(log.Models) != 2 || log.Models[0] != (Model{"model_1", "nbo", decision.EpsilonGreedy, 2, 7}) || log.Models[1].Key != "other" {
		t.Errorf("models %+v", log.Models)
	}
	d := all["clicked"]
	if d.Choice != 0 || d.Candidates[0].Propensity != 0.8 || d.Candidates[2].Propensity != 0.1 || d.Row[0].Num != 40 || d.CustomerID != "c" {
		t.Errorf("decision %+v", d)
	}

	if all, log := load(t, path, Options{Window: time.Hour, Answered: true}); all["late"].ID != "" || all["silent"].ID != "" || log.Unanswered != 4 || log.Decisions != 3 {
		t.Errorf("within an hour, answered alone: %+v", log)
	}
	rewards, err := ParseRewards(map[string]string{"click": "2", "convert": "value", "dismiss": "-1"})
	if err != nil {
		t.Fatal(err)
	}
	all, _ = load(t, path, Options{Rewards: rewards})
	for id, want := range map[string]float64{"clicked": 2, "dismissed": -1, "silent": 0, "late": 30} {
		if all[id].Reward != want {
			t.Errorf("%s: reward %v, want %v", id, all[id].Reward, want)
		}
	}
	for what, o := range map[string]Options{
		"a model by its id": {Model: "model_2"}, "by its key": {Model: "other"}, "a family": {Family: "g"}, "from then on": {Since: at + 9*60_000},
	} {
		if all, log := load(t, path, o); len(all) != 1 || all["other"].ID == "" || log.Decisions != 1 {
			t.Errorf("%s: %+v", what, log)
		}
	}
	if all, _ := load(t, path, Options{Until: at + 2*60_000}); len(all) != 1 || all["clicked"].ID == "" {
		t.Errorf("until the second: %v", all)
	}
	if _, log := load(t, path, Options{Mature: 92 * time.Minute}); log.Immature != 3 || log.Decisions != 4 {
		t.Errorf("92 minutes old: %+v", log)
	}
	if _, log := load(t, path, Options{Max: 2}); log.Decisions != 2 || log.Excess != 6 {
		t.Errorf("two at most: %+v", log)
	}
}

func TestWhatIsMissingIsTold(t *testing.T) {
	path := write(t, choose("bare", 1, func(d *decisionlog.Decision) { d.Features, d.Degraded = nil, true }),
		choose("unknown", 2, func(d *decisionlog.Decision) {
			d.Propensity = math.NaN()
			for i := range d.Candidates {
				d.Candidates[i].Propensity = math.NaN()
			}
		}))
	all, log := load(t, path, Options{})
	if log.Bare != 1 || log.Degraded != 1 || !math.IsNaN(all["unknown"].Candidates[0].Propensity) {
		t.Errorf("%+v, %+v", log, all["unknown"])
	}
	if _, _, err := Load(t.Context(), []string{filepath.Join(t.TempDir(), "absent")}, Options{}); err == nil {
		t.Error("a log that is not there was read")
	}
	for text, want := range map[string]string{"x": "x", "NaN": "NaN", "": `""`} {
		if _, err := ParseRewards(map[string]string{"click": text}); err == nil || !strings.Contains(err.Error(), "click") || !strings.Contains(err.Error(), want) {
			t.Errorf("a reward of %q: %v", text, err)
		}
	}
}
