package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/praetor-engine/praetor/internal/attribution"
	"github.com/praetor-engine/praetor/internal/factorial"
	"github.com/praetor-engine/praetor/internal/factorial/posterior"
	"github.com/praetor-engine/praetor/internal/optimization"
)

// FactorialPlan says how much is observed.
type FactorialPlan struct {
	Observations int `default:"10000000" placeholder:"N" help:"Exposures to record before the last training (${default})."`
}

// Validate names what is wrong.
func (p *FactorialPlan) Validate() error {
	if p.Observations < 1000 {
		return fmt.Errorf("observations: got %d, want at least 1000", p.Observations)
	}
	return nil
}

const (
	// factorialTarget is the project's, for the last training, in seconds.
	factorialTarget = 5
	factorialDays   = 30
	dayMillis       = 24 * 3600 * 1000
)

// grid is an optimization of 100 variants and 12 contexts, unknown ones included.
func grid() *optimization.Definition {
	levels := func(prefix string, n int) (all []factorial.Value) {
		for i := range n {
			all = append(all, factorial.StringOf(fmt.Sprint(prefix, i)))
		}
		return all
	}
	factor := func(name string, n int) factorial.Factor {
		return factorial.Factor{Name: name, Type: factorial.String, Levels: levels(name, n)}
	}
	return &optimization.Definition{
		Name: "grid", ModelType: optimization.CMAB,
		TrainingDataConfig: optimization.TrainingDataConfig{
			DesignFactors:  []factorial.Factor{factor("a", 5), factor("b", 5), factor("c", 4)},
			ContextFactors: []factorial.Factor{factor("device", 2), factor("daypart", 3)},
			Reward:         optimization.Reward{Name: "signup", Type: optimization.BoolReward},
			Attribution:    optimization.Attribution{Type: attribution.LastTouch, ConversionWindowHours: 24},
		},
	}
}

// Factorial measures how fast the embedded store of an optimization takes exposures
// and rewards one by one, and how long a training from it takes as they become more.
func (o *Options) Factorial(ctx context.Context, p FactorialPlan) (_ *Report, err error) {
	r := &Report{Name: "factorial: observations recorded one by one, and trainings from them"}
	if r.Machine, err = Describe(os.TempDir()); err != nil {
		return nil, err
	}
	definition := grid()
	plan, err := definition.Plan()
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	r.Method = fmt.Sprintf("in one process; %d variants × %d contexts, cmab with %d parameters, %d draws, a reward for every tenth exposure, window 24 h, %d days of visitors with one exposure each",
		plan.Space.Variants(), plan.Space.Cells(), factorial.Parameters(plan.Space.Design, plan.Space.Context), posterior.DefaultDraws, factorialDays)
	learned, rng := optimization.NewLearned("grid", plan), rand.New(rand.NewPCG(seed, 9))
	start, recording := int64(1_700_000_000_000), time.Duration(0)
	marks := []int{p.Observations / 100, p.Observations / 10, p.Observations}
	for n := 0; len(marks) > 0; {
		from := time.Now()
		for ; n < marks[0]; n++ {
			now := start + int64(n)*factorialDays*dayMillis/int64(p.Observations)
			recordOne(learned, plan, rng, n, now)
		}
		recording += time.Since(from)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		now := start + int64(n)*factorialDays*dayMillis/int64(p.Observations)
		seconds, err := o.trainings(ctx, learned, plan, now)
		if err != nil {
			return nil, err
		}
		figure := Figure{Name: fmt.Sprintf("training after %d exposures", n), Unit: "s", Value: Summarize(seconds)}
		if marks = marks[1:]; len(marks) == 0 {
			figure.AtMost = factorialTarget
		}
		r.Figures = append(r.Figures, figure)
		o.logf("  %d exposures recorded in %v, trained in %.2f s", n, recording.Round(time.Millisecond), figure.Value.Median)
	}
	rate := float64(p.Observations) / recording.Seconds()
	v := learned.Publish()
	r.Figures = append(r.Figures, Figure{Name: "exposures recorded, each with a tenth of a reward", Unit: "1/s", Value: Summarize([]float64{rate})})
	r.Notes = append(r.Notes, fmt.Sprintf("%d exposures recorded, %d events dropped, %d remembered at the end, %d bytes of state", v.Seen, v.Dropped, v.Events, len(learned.Append(nil))))
	if v.Dropped > 0 {
		r.Faults = append(r.Faults, fmt.Sprintf("%d events were dropped for want of room", v.Dropped))
	}
	return r, nil
}

// recordOne records the n-th visitor's exposure, and for one in ten its reward.
func recordOne(l *optimization.Learned, plan *optimization.Plan, rng *rand.Rand, n int, now int64) {
	e := optimization.Event{Visitor: fmt.Sprintf("visitor-%012x", n)}
	e.Exposure = attribution.Exposure{At: now, Cell: rng.Uint64N(plan.Space.Cells()), Variant: uint16(rng.IntN(plan.Space.Variants()))}
	e.Binds, e.Propensity = true, 0.01
	l.Record(&e, now)
	if rng.IntN(10) == 0 {
		l.Record(&optimization.Event{Visitor: e.Visitor, IsReward: true, Reward: attribution.Reward{At: now, Value: 1_000_000}}, now)
	}
}

// trainings returns how many seconds each of some trainings took, from the table to
// the installed state.
func (o *Options) trainings(ctx context.Context, l *optimization.Learned, plan *optimization.Plan, now int64) (seconds []float64, err error) {
	for round := range o.Rounds {
		from := time.Now()
		table, _ := l.Mark(now)
		trained, err := posterior.Train(ctx, plan.Space, plan.Model, plan.Reward, table.Observed(), posterior.Options{Seed: uint64(round)})
		if err != nil {
			return nil, fmt.Errorf("bench: %w", err)
		}
		if err := l.Install(string(trained.Append(nil)), optimization.ArmsOf(table)); err != nil {
			return nil, err
		}
		seconds = append(seconds, time.Since(from).Seconds())
	}
	return seconds, nil
}
