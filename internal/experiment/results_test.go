package experiment

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// close allows for the rounding of a few operations, and of erfc and exp, whose
// arguments' errors grow with them.
func closeTo(got, want, relative float64) bool {
	return math.Abs(got-want) <= relative*math.Abs(want)+1e-300
}

func TestComparisonsEqualTheReference(t *testing.T) {
	p := plan(t, "k", 0, 50_00, 50_00)
	for _, c := range readReference(t).Variants {
		r := p.Evaluate([]Count{{}, {Samples: c.BaseN, Positives: c.BaseX}, {Samples: c.N, Positives: c.X}}).Variants[1]
		if !closeTo(r.ZScore, c.Z, 1e-9) || !closeTo(r.PValue, c.P, 1e-8) {
			t.Errorf("%+v: z %v, p %v", c, r.ZScore, r.PValue)
		}
		if math.Abs(r.CILower-c.Lower) > 1e-12 || math.Abs(r.CIUpper-c.Upper) > 1e-12 {
			t.Errorf("%+v: interval %v to %v", c, r.CILower, r.CIUpper)
		}
	}
}

func TestChiSquareEqualsTheReference(t *testing.T) {
	ref := readReference(t)
	for _, c := range ref.Squares {
		if statistic, p := ChiSquare(c.Counts, c.Shares); !closeTo(statistic, c.Statistic, 1e-9) || !closeTo(p, c.P, 1e-9) {
			t.Errorf("ChiSquare(%d, %v) = %v, %v, want %v, %v", c.Counts, c.Shares, statistic, p, c.Statistic, c.P)
		}
	}
	for _, c := range ref.Tails {
		if got := chiSquareTail(c.X, c.DF); !closeTo(got, c.P, 1e-11) {
			t.Errorf("P(χ²(%d) > %g) = %v, want %v", c.DF, c.X, got, c.P)
		}
	}
}

func TestBonferroniEqualsTheReference(t *testing.T) {
	for _, c := range readReference(t).Experiments {
		shares := []Percent{}
		counts := []Count{{}, {Samples: c.N[0], Positives: c.X[0]}}
		left := whole - 50_00
		for i := 1; i < len(c.N); i++ {
			share := left / Percent(len(c.N)-i)
			left -= share
			shares = append(shares, share)
			counts = append(counts, Count{Samples: c.N[i], Positives: c.X[i]})
		}
		got := plan(t, "k", 0, 50_00, shares...).Evaluate(counts)
		for i, want := range c.Significant {
			if v := got.Variants[i+1]; v.Significant != want {
				t.Errorf("%+v: challenger %d of p = %v is significant: %v, want %v", c, i+1, v.PValue, v.Significant, want)
			}
		}
	}
}

// Hand calculations: 10 % against 13 % of 1000 each: p̂ = 0.115,
// z = 0.03/√(0.115·0.885·0.002) = 2.10274…
func TestResultsByHand(t *testing.T) {
	p := plan(t, "k", 10_00, 50_00, 50_00)
	got := p.Evaluate([]Count{
		{Assigned: 200, Samples: 50, Positives: 5}, {Assigned: 930, Samples: 1000, Positives: 100}, {Assigned: 870, Samples: 1000, Positives: 130},
	})
	v := got.Variants[2]
	if math.Abs(v.ZScore-0.03/math.Sqrt(0.115*0.885*0.002)) > 1e-12 || math.Abs(v.PValue-0.035488) > 1e-6 || !v.Significant || v.InsufficientData {
		t.Errorf("challenger %+v", v)
	}
	if math.Abs(v.Uplift-0.03) > 1e-15 || math.Abs(*v.RelativeUplift-0.3) > 1e-12 || v.Rate != 0.13 || v.Variant != "key-m1" || v.ModelID != "m1" {
		t.Errorf("challenger %+v", v)
	}
	if c := got.Variants[1]; c.Variant != Champion || c.Uplift != 0 || *c.RelativeUplift != 0 || c.ZScore != 0 || c.PValue != 1 || c.Significant {
		t.Errorf("champion %+v", c)
	}
	if h := got.Variants[0]; h.Variant != Holdout || !h.InsufficientData || h.Significant {
		t.Errorf("holdout %+v", h)
	}
	// Expected 200, 900, 900: χ² = 1 + 1 = 2, and P(χ²(2) > 2) = 1/e.
	if s := got.SRM; math.Abs(s.ChiSquare-2) > 1e-12 || math.Abs(s.PValue-math.Exp(-1)) > 1e-12 || s.Warning {
		t.Errorf("srm %+v", s)
	}
	encoded, err := json.Marshal(got.SRM)
	if want := `{"chiSquare":2,"pValue":0.36787944117144233,"warning":false}`; err != nil || string(encoded) != want {
		t.Errorf("srm %s, %v, want %s", encoded, err, want)
	}
}

func TestNothingToCompare(t *testing.T) {
	p := plan(t, "k", 0, 50_00, 50_00)
	for _, counts := range [][]Count{
		{{}, {}, {}},
		{{}, {Samples: 500}, {Samples: 500}},
		{{}, {Samples: 500, Positives: 500}, {Samples: 500, Positives: 500}},
		{{}, {Samples: 500, Positives: 5}, {}},
	} {
		got := p.Evaluate(counts)
		if len(got.Variants) != 2 {
			t.Fatalf("%d variants, want 2: there is no holdout", len(got.Variants))
		}
		if v := got.Variants[1]; v.ZScore != 0 || v.PValue != 1 || v.Significant {
			t.Errorf("%+v: %+v, want no difference", counts, v)
		}
		if got.SRM != (SRM{PValue: 1}) {
			t.Errorf("srm %+v, want none", got.SRM)
		}
		if _, err := json.Marshal(got); err != nil {
			t.Error(err)
		}
	}
	got := p.Evaluate([]Count{{}, {Samples: 500}, {Samples: 99, Positives: 50}}).Variants[1]
	if got.RelativeUplift != nil || got.Significant || !got.InsufficientData {
		t.Errorf("%+v, want no relative uplift over nothing and too few data", got)
	}
}

func TestSRM(t *testing.T) {
	p := plan(t, "k", 0, 80_00, 20_00)
	for _, c := range []struct {
		counts  []Count
		warning bool
	}{
		{[]Count{{}, {Assigned: 8000}, {Assigned: 2000}}, false},
		{[]Count{{}, {Assigned: 8100}, {Assigned: 1900}}, false}, // χ² 6.25, p 0.012
		{[]Count{{}, {Assigned: 8140}, {Assigned: 1860}}, true},  // χ² 12.25, p 0.0005
		{[]Count{{Assigned: 1}, {Assigned: 8000}, {Assigned: 2000}}, true},
	} {
		if got := p.Evaluate(c.counts).SRM; got.Warning != c.warning {
			t.Errorf("%+v: %+v, want a warning: %v", c.counts, got, c.warning)
		}
	}
}

// The check of the split keeps quiet over a change of it with customers who keep
// their variants, and still finds a variant that loses customers.
func TestSRMOverAChange(t *testing.T) {
	before, after := plan(t, "k", 0, 80_00, 20_00), plan(t, "k", 0, 50_00, 50_00)
	seen := new(Seen)
	for i := range 30_000 {
		seen.Add(before.Assign(fmt.Sprint("C", i), 0).Hash)
	}
	kept, _ := new(Kept).With(Carry(before, after, seen.Hashes(), change), change)
	after = after.After(before).WithKept(kept)
	rng := rand.New(rand.NewPCG(4, 4))
	for _, lose := range []float64{0, 0.1} {
		counts := make([]Count, 3)
		for i := range 40_000 { // of whom 10 000 are new
			a := after.Assign(fmt.Sprint("C", i), change+1)
			lost := a.Variant.Name == "key-m1" && rng.Float64() < lose
			if a.Settled && !lost {
				for j := range after.Variants {
					if a.Variant == &after.Variants[j] {
						counts[j].Assigned++
					}
				}
			}
		}
		if got := after.Evaluate(counts).SRM; got.Warning != (lose > 0) {
			t.Errorf("%.0f %% lost: %+v of %+v", 100*lose, got, counts)
		}
	}
}

func TestPromote(t *testing.T) {
	p := plan(t, "k", 0, 40_00, 30_00, 30_00)
	better := []Count{{}, {Samples: 10_000, Positives: 1000}, {Samples: 10_000, Positives: 1200}, {Samples: 10_000, Positives: 1300}}
	definition := Definition{
		Status: StatusActive, ChampionModelID: "m0", AutoPromote: true, PromoteThreshold: 0.02, PromoteAfterDays: 14,
		Challengers: []Challenger{{"m1", 30_00}, {"m2", 30_00}},
	}
	const start = 1000 * dayMillis
	for _, c := range []struct {
		name   string
		counts []Count
		change func(*Definition, *Standing)
		auc    map[string]float64
		want   string
	}{
		{"the best of two", better, nil, nil, "m2"},
		{"known to be worse in AUC", better, nil, map[string]float64{"m0": 0.8, "m2": 0.81}, "m1"},
		{"exactly the threshold", better, nil, map[string]float64{"m0": 0.8, "m2": 0.82}, "m2"},
		{"no AUC of the champion", better, nil, map[string]float64{"m1": 0.1, "m2": 0.1}, "m2"},
		{"all below the threshold", better, nil, map[string]float64{"m0": 0.8, "m1": 0.8, "m2": 0.8}, ""},
		{"not asked for", better, func(d *Definition, _ *Standing) { d.AutoPromote = false }, nil, ""},
		{"paused", better, func(d *Definition, _ *Standing) { d.Status = StatusPaused }, nil, ""},
		{"too early", better, func(_ *Definition, s *Standing) { s.Now-- }, nil, ""},
		{"never started", better, func(_ *Definition, s *Standing) { s.StartedAt = 0 }, nil, ""},
		{"too few data", []Count{{}, {Samples: 10_000, Positives: 1000}, {Samples: 99, Positives: 60}, {}}, nil, nil, ""},
		{"significant, 4.9 % better", []Count{{}, {Samples: 1e6, Positives: 100_000}, {Samples: 1e6, Positives: 104_900}, {}}, nil, nil, ""},
		{"significant, 5 % better", []Count{{}, {Samples: 1e6, Positives: 100_000}, {Samples: 1e6, Positives: 105_000}, {}}, nil, nil, "m1"},
		{"not significant", []Count{{}, {Samples: 200, Positives: 20}, {Samples: 200, Positives: 25}, {}}, nil, nil, ""},
		{"significantly worse", []Count{{}, {Samples: 10_000, Positives: 1000}, {Samples: 10_000, Positives: 500}, {}}, nil, nil, ""},
		{"better than nothing", []Count{{}, {Samples: 1000}, {Samples: 1000, Positives: 50}, {}}, nil, nil, "m1"},
		{"of equal ones the first", []Count{{}, better[1], better[2], better[2]}, nil, nil, "m1"},
	} {
		d := definition
		s := Standing{StartedAt: start, Now: start + 14*dayMillis, AUC: func(id string) (float64, bool) { v, ok := c.auc[id]; return v, ok }}
		if c.change != nil {
			c.change(&d, &s)
		}
		results, got := p.Evaluate(c.counts), ""
		if v := d.Promote(&results, s); v != nil {
			got = v.ModelID
		}
		if got != c.want {
			t.Errorf("%s: %q is promoted, want %q", c.name, got, c.want)
		}
	}
}
