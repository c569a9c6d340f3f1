package evaluate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/praetor-engine/praetor/internal/learn"
)

// Sample is one logged decision as the estimators see it.
type Sample struct {
	Reward     float64
	Propensity float64 // with which the log chose what it chose, in (0, 1]
	Target     float64 // with which the policy would have chosen it, in [0, 1]
	// Draw is uniform in [0, 1), of the decision alone: replay accepts by it.
	Draw float64
	// Predicted is the reward model's expectation of what was chosen, and Expected
	// that of the policy; of DR alone.
	Predicted, Expected float64
}

// Weight is the sample's importance weight.
func (s *Sample) Weight() float64 { return s.Target / s.Propensity }

// The names of the estimators.
const (
	Logged = "logged"
	Replay = "replay"
	IPS    = "ips"
	SNIPS  = "snips"
	DR     = "dr"
)

// Estimators lists them all, in the order of their tables.
var Estimators = []string{Logged, Replay, IPS, SNIPS, DR}

// Estimate is what one estimator says.
type Estimate struct {
	Estimator string `json:"estimator"`
	// Value and its intervals are nil where there is no estimate.
	Value     *float64  `json:"value"`
	StdErr    *float64  `json:"stdErr"`
	Interval  *Interval `json:"interval"`  // 95 %, by the influence function
	Bootstrap *Interval `json:"bootstrap"` // 95 %, percentiles
	N         int       `json:"n"`         // decisions used; of replay those accepted
	// EffectiveN is Kish's effective sample size, (Σw)²/Σw²: as many decisions of
	// the policy itself would tell as much.
	EffectiveN float64 `json:"effectiveN"`
	MaxWeight  float64 `json:"maxWeight"`
	Reason     string  `json:"reason,omitempty"` // why there is no estimate
}

// Interval is a range of values.
type Interval struct {
	Lower float64 `json:"lower"`
	Upper float64 `json:"upper"`
}

// z is the 97.5 % quantile of the normal distribution.
const z = 1.959963984540054

// ratio is an estimator as Σu/Σv.
type ratio struct {
	u, v []float64
}

func (r *ratio) value() float64 { return sum(r.u) / sum(r.v) }

// stdErr is the standard error of the value by its influence function.
func (r *ratio) stdErr(value float64) float64 {
	n := float64(len(r.u))
	scale, squares := sum(r.v)/n, 0.0
	for i := range r.u {
		psi := (r.u[i] - value*r.v[i]) / scale
		squares += psi * psi
	}
	return math.Sqrt(squares / (n * (n - 1)))
}

func sum(all []float64) (total float64) {
	for _, v := range all {
		total += v
	}
	return total
}

// ratioOf returns an estimator over samples.
func ratioOf(estimator string, samples []Sample) *ratio {
	r := &ratio{make([]float64, len(samples)), make([]float64, len(samples))}
	most := 0.0
	for i := range samples {
		most = max(most, samples[i].Weight())
	}
	for i := range samples {
		s := &samples[i]
		w := s.Weight()
		switch estimator {
		case Logged:
			r.u[i], r.v[i] = s.Reward, 1
		case Replay:
			if s.Draw*most < w {
				r.u[i], r.v[i] = s.Reward, 1
			}
		case IPS:
			r.u[i], r.v[i] = w*s.Reward, 1
		case SNIPS:
			r.u[i], r.v[i] = w*s.Reward, w
		case DR:
			r.u[i], r.v[i] = s.Expected+w*(s.Reward-s.Predicted), 1
		}
	}
	return r
}

// leastSamples is how many decisions an interval needs at least.
const leastSamples = 10

// Of returns what one of the Estimators says about samples.
func Of(estimator string, samples []Sample) Estimate {
	e := Estimate{Estimator: estimator, N: len(samples)}
	if !slices.Contains(Estimators, estimator) {
		e.Reason = fmt.Sprintf("there is no estimator %q", estimator)
		return e
	}
	r := ratioOf(estimator, samples)
	weights := r.v
	if estimator == IPS || estimator == DR {
		weights = ratioOf(SNIPS, samples).v
	}
	e.EffectiveN, e.MaxWeight = effective(weights)
	if estimator == Replay {
		e.N = int(sum(r.v))
	}
	switch {
	case e.N < leastSamples:
		e.Reason = fmt.Sprintf("%d decisions, want at least %d", e.N, leastSamples)
		return e
	case sum(r.v) == 0:
		e.Reason = "the policy would have chosen none of what was chosen"
		return e
	}
	value := r.value()
	stdErr := r.stdErr(value)
	e.Value, e.StdErr, e.Interval = &value, &stdErr, &Interval{value - z*stdErr, value + z*stdErr}
	if estimator == Replay && binary(samples) {
		e.Interval.Lower, e.Interval.Upper = learn.Wilson(sum(r.u), sum(r.v))
	}
	e.Bootstrap = bootstrap(r)
	return e
}

// effective returns Kish's effective sample size and the largest weight.
func effective(weights []float64) (n, most float64) {
	total, squares := 0.0, 0.0
	for _, w := range weights {
		total += w
		squares += w * w
		most = max(most, w)
	}
	if squares == 0 {
		return 0, 0
	}
	return total * total / squares, most
}

func binary(samples []Sample) bool {
	for i := range samples {
		if r := samples[i].Reward; r != 0 && r != 1 {
			return false
		}
	}
	return true
}

// The bootstrap: replicates, fewer where the samples are many, but never fewer
// than the least: percentiles of 200 replicates are known to about half a point of
// their level.
const (
	replicates      = 1000
	leastReplicates = 200
	bootstrapBudget = 100_000_000 // draws
	bootstrapSeed   = 1
)

// bootstrap returns the percentile interval of a ratio, resampling decisions.
func bootstrap(r *ratio) *Interval {
	n := len(r.u)
	rng := rand.New(rand.NewPCG(bootstrapSeed, uint64(n)))
	values := make([]float64, 0, replicates)
	for range min(replicates, max(leastReplicates, bootstrapBudget/n)) {
		u, v := 0.0, 0.0
		for range n {
			i := rng.IntN(n)
			u += r.u[i]
			v += r.v[i]
		}
		if v > 0 {
			values = append(values, u/v)
		}
	}
	if len(values) < leastReplicates/2 {
		return nil
	}
	slices.Sort(values)
	return &Interval{quantile(values, 0.025), quantile(values, 0.975)}
}

// quantile interpolates linearly between order statistics.
func quantile(sorted []float64, p float64) float64 {
	at := p * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}
