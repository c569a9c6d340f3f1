package evaluate

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// Report is what a log says about a policy.
type Report struct {
	// Decisions were given; Evaluated had a known propensity.
	Decisions int `json:"decisions"`
	Evaluated int `json:"evaluated"`
	// Agreement is the mean probability with which the policy chooses what the log
	// chose.
	Agreement float64 `json:"agreement"`
	// Unsupported is the share of the policy's probability that lies on candidates
	// which the log never chooses.
	Unsupported float64 `json:"unsupported"`
	// MeanWeight is near 1 where the propensities are right.
	MeanWeight      float64    `json:"meanWeight"`
	LeastPropensity float64    `json:"leastPropensity"`
	Estimates       []Estimate `json:"estimates"`
	Warnings        []string   `json:"warnings"`
}

// never is the propensity below which a candidate counts as never chosen, a tenth
// of the documented error of a computed one.
const never = 1e-8

// The bounds from which on the report warns, or there is no estimate.
const (
	mostUnsupported = 0.01
	smallPropensity = 0.001
	leastEffective  = 100
	fewDecisions    = 100
	weightStdErrs   = 4 // of the mean weight from 1
)

// Run evaluates a policy on logged decisions by some of the Estimators.
func Run(ctx context.Context, decisions []Decision, p Policy, estimators []string) (Report, error) {
	r := Report{Decisions: len(decisions), Warnings: []string{}, Estimates: []Estimate{}}
	kept := slices.DeleteFunc(slices.Clone(decisions), func(d Decision) bool {
		propensity := d.Candidates[d.Choice].Propensity
		return !(propensity > never && propensity <= 1+never)
	})
	samples, chances, err := r.sample(ctx, kept, p)
	if err != nil {
		return r, err
	}
	if slices.Contains(estimators, DR) && r.supported() && len(kept) >= leastSamples {
		models, err := fitRewards(ctx, kept)
		if err != nil {
			return r, fmt.Errorf("evaluate: the reward model: %w", err)
		}
		for i := range kept {
			models.complete(&samples[i], &kept[i], chances[i])
		}
	}
	for _, name := range estimators {
		r.Estimates = append(r.Estimates, r.estimate(name, samples))
	}
	r.warn(samples)
	return r, nil
}

// sample makes the samples, and returns with what probability the policy chooses
// each candidate.
func (r *Report) sample(ctx context.Context, decisions []Decision, p Policy) (samples []Sample, chances [][]float64, err error) {
	samples, chances = make([]Sample, len(decisions)), make([][]float64, len(decisions))
	weights := 0.0
	r.Evaluated, r.LeastPropensity = len(decisions), 1
	for i := range decisions {
		if i&1023 == 0 && ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		d := &decisions[i]
		chances[i] = p.Choose(d, make([]float64, 0, len(d.Candidates)))
		samples[i] = Sample{
			Reward: d.Reward, Propensity: min(d.Candidates[d.Choice].Propensity, 1), Target: chances[i][d.Choice],
			Draw: float64(hash(d.ID)>>11) / (1 << 53),
		}
		r.Agreement += samples[i].Target
		r.Unsupported += unsupported(d, chances[i])
		r.LeastPropensity = min(r.LeastPropensity, samples[i].Propensity)
		weights += samples[i].Weight()
	}
	if n := float64(len(decisions)); n > 0 {
		r.Agreement, r.Unsupported, r.MeanWeight = r.Agreement/n, r.Unsupported/n, weights/n
	}
	return samples, chances, nil
}

// unsupported is the policy's probability on candidates that the log never
// chooses. Where the log chose with probability 1 it chooses no other; other
// propensities that are not known are taken as more than 0.
func unsupported(d *Decision, chances []float64) (share float64) {
	certain := d.Candidates[d.Choice].Propensity >= 1-never
	for i := range chances {
		propensity := d.Candidates[i].Propensity
		if i != d.Choice && (certain || propensity <= never) {
			share += chances[i]
		}
	}
	return share
}

func (r *Report) supported() bool { return r.Unsupported <= mostUnsupported }

func (r *Report) estimate(name string, samples []Sample) Estimate {
	if name != Logged && !r.supported() {
		return Estimate{Estimator: name, N: len(samples), Reason: fmt.Sprintf(
			"no support: %.1f %% of what the policy would choose the log never chooses", 100*r.Unsupported)}
	}
	return Of(name, samples)
}

// complete gives a sample what DR needs.
func (m *rewardModels) complete(s *Sample, d *Decision, chances []float64) {
	s.Predicted = m.predict(d, d.Choice)
	for i, chance := range chances {
		switch {
		case chance == 0:
		case i == d.Choice:
			s.Expected += chance * s.Predicted
		default:
			s.Expected += chance * m.predict(d, i)
		}
	}
}

// warn says what a reader of the figures should know.
func (r *Report) warn(samples []Sample) {
	warn := func(format string, args ...any) { r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...)) }
	if missing := r.Decisions - r.Evaluated; missing > 0 {
		warn("%d of %d decisions have no propensity and are left out", missing, r.Decisions)
	}
	if r.Evaluated == 0 {
		return
	}
	if r.Evaluated < fewDecisions {
		warn("%d decisions are few: the intervals are rough", r.Evaluated)
	}
	if !slices.ContainsFunc(samples, func(s Sample) bool { return s.Reward != 0 }) {
		warn("no decision has a reward: were its outcomes sent with the decisionId?")
	}
	switch {
	case r.LeastPropensity >= 1-never:
		warn("the log never randomises (every propensity is 1): it can be evaluated against itself alone")
	case !r.supported():
	case r.Unsupported > 0:
		warn("%.2g %% of what the policy would choose the log never chooses: the estimates leave it out", 100*r.Unsupported)
	}
	if n := count(samples, func(s *Sample) bool { return s.Propensity < smallPropensity }); n > 0 {
		warn("%d decisions have a propensity below %v, the least %.2g: single decisions may carry the estimate", n, smallPropensity, r.LeastPropensity)
	}
	if !r.supported() {
		return
	}
	weights := ratioOf(SNIPS, samples).v
	n, _ := effective(weights)
	if n < leastEffective {
		warn("the effective sample is %.0f decisions: the intervals are rough", n)
	}
	mean := ratio{u: weights, v: slices.Repeat([]float64{1}, len(weights))}
	if off := math.Abs(r.MeanWeight - 1); len(weights) > 1 && off > weightStdErrs*mean.stdErr(r.MeanWeight)+1e-6 {
		warn("the mean weight is %.3f and should be 1: the propensities do not fit the log, or the policy chooses what the log does not", r.MeanWeight)
	}
}

func count(samples []Sample, f func(*Sample) bool) (n int) {
	for i := range samples {
		if f(&samples[i]) {
			n++
		}
	}
	return n
}
