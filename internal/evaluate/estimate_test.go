package evaluate

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
)

type referenceEstimate struct {
	Value, StdErr float64
	N             int
}

type reference struct {
	Simulated []struct {
		Name                                            string
		Reward, Propensity, Target, Predicted, Expected []float64
		Want                                            map[string]json.RawMessage
	}
	OpenBandit struct {
		Random, Bts referenceEstimate
		Want        map[string]json.RawMessage
	}
}

func readReference(t *testing.T) (ref reference) {
	t.Helper()
	raw, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &ref); err != nil {
		t.Fatal(err)
	}
	return ref
}

func number(t *testing.T, raw json.RawMessage) (v float64) {
	t.Helper()
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// equals compares an estimate with that of the reference to the rounding of sums.
func equals(t *testing.T, got Estimate, raw json.RawMessage) {
	t.Helper()
	var want referenceEstimate
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	if got.Value == nil {
		t.Errorf("%s: no value: %s", got.Estimator, got.Reason)
		return
	}
	if math.Abs(*got.Value-want.Value) > 1e-12*math.Abs(want.Value) {
		t.Errorf("%s = %.15g, want %.15g", got.Estimator, *got.Value, want.Value)
	}
	if want.StdErr > 0 && math.Abs(*got.StdErr-want.StdErr) > 1e-10*want.StdErr {
		t.Errorf("%s: standard error %.15g, want %.15g", got.Estimator, *got.StdErr, want.StdErr)
	}
	if want.N > 0 && got.N != want.N {
		t.Errorf("%s: %d decisions, want %d", got.Estimator, got.N, want.N)
	}
}

func TestEstimatesEqualThoseOfTheReference(t *testing.T) {
	for _, c := range readReference(t).Simulated {
		t.Run(c.Name, func(t *testing.T) {
			samples := make([]Sample, len(c.Reward))
			for i := range samples {
				samples[i] = Sample{
					Reward: c.Reward[i], Propensity: c.Propensity[i], Target: c.Target[i], Predicted: c.Predicted[i], Expected: c.Expected[i],
				}
			}
			for name, raw := range c.Want {
				switch name {
				case "effectiveN", "maxWeight":
					e := Of(SNIPS, samples)
					got := map[string]float64{"effectiveN": e.EffectiveN, "maxWeight": e.MaxWeight}[name]
					if want := number(t, raw); math.Abs(got-want) > 1e-12*want {
						t.Errorf("%s = %v, want %v", name, got, want)
					}
				default:
					equals(t, Of(name, samples), raw)
				}
			}
		})
	}
}

// A log of three decisions by hand: weights 2, 0 and 0.5.
func TestEstimatesByHand(t *testing.T) {
	samples := []Sample{
		{Reward: 1, Propensity: 0.25, Target: 0.5, Draw: 0.99, Predicted: 0.5, Expected: 0.4},
		{Reward: 1, Propensity: 0.5, Target: 0, Draw: 0, Predicted: 0.5, Expected: 0.4},
		{Reward: 0, Propensity: 1, Target: 0.5, Draw: 0.3, Predicted: 0.25, Expected: 0.2},
	}
	for name, want := range map[string]float64{
		Logged: 2.0 / 3, IPS: 2.0 / 3, SNIPS: 2 / 2.5,
		DR:     (0.4 + 2*0.5 + 0.4 + 0.2 - 0.5*0.25) / 3,
		Replay: 1, // the third is accepted below 0.25 only
	} {
		r := ratioOf(name, samples)
		if got := r.value(); math.Abs(got-want) > 1e-15 {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
}

func TestTooFewSamples(t *testing.T) {
	s := Sample{Reward: 1, Propensity: 0.5, Target: 0.5}
	for _, name := range Estimators {
		if e := Of(name, []Sample{s, s, s}); e.Value != nil || !strings.Contains(e.Reason, "at least 10") {
			t.Errorf("%s of three decisions = %+v, want a reason", name, e)
		}
		if e := Of(name, nil); e.Value != nil || e.Reason == "" {
			t.Errorf("%s of nothing = %+v, want a reason", name, e)
		}
	}
	var never []Sample
	for range 20 {
		never = append(never, Sample{Reward: 1, Propensity: 0.5})
	}
	if e := Of(SNIPS, never); e.Value != nil || e.Reason == "" {
		t.Errorf("snips of weights 0 = %+v, want a reason", e)
	}
	if e := Of("magic", never); e.Value != nil || !strings.Contains(e.Reason, "magic") {
		t.Errorf("an unknown estimator = %+v", e)
	}
}

func BenchmarkBootstrap(b *testing.B) {
	samples := make([]Sample, 10_000)
	for i := range samples {
		samples[i] = Sample{Reward: float64(i % 2), Propensity: 0.5, Target: float64(i%5) / 5}
	}
	b.ReportAllocs()
	for b.Loop() {
		Of(SNIPS, samples)
	}
}
