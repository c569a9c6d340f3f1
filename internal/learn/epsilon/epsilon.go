// Package epsilon is the learner epsilon_greedy: a bandit that mostly takes the
// offer with the best observed rate and explores with probability ε.
//
// Every offer is an arm {totalReward, pulls}. An outcome of weight w is w pulls,
// with the reward w when positive and 0 when negative, so that totalReward/pulls
// is the weighted rate of positives. A decision explores with probability
//
//	ε_t = ε / (1 + decayRate·totalPulls)
//
// where totalPulls counts like pulls, over all arms: exploring, every offer's
// score is a uniform draw in [0, 1); otherwise it is totalReward/pulls, 1 for an
// offer never pulled. The greatest score is taken, of equal ones the first (R. S.
// Sutton and A. G. Barto, "Reinforcement Learning", 2nd ed., sections 2.2, 2.6).
//
// An outcome costs O(1) and does not depend on the number of arms; learning is
// deterministic.
package epsilon

import (
	"context"
	"encoding/json"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/arms"
)

// arm is the learned state of one arm; published as it is.
type arm struct {
	totalReward, pulls float64 // 0 ≤ totalReward ≤ pulls
}

// score is what exploiting scores the arm.
func (a *arm) score() float64 {
	if a.pulls == 0 {
		return 1
	}
	return a.totalReward / a.pulls
}

type table = arms.Table[arm, arm]

// Learner is the learned state of a model.
type Learner struct {
	config     config
	own        schedule // of the state; wins over the configuration's
	table      *table
	totalPulls float64
	ignored    uint64 // outcomes of offers beyond config.maxArms
	view       *view
}

var (
	_ learn.Learner     = (*Learner)(nil)
	_ learn.ArmResetter = (*Learner)(nil)
	_ learn.BeliefView  = (*view)(nil)
)

// New makes a learner from its configuration {epsilon 0.1, decayRate 0, maxArms
// 10000} and, when not nil, a state in the API's shape (see StateJSON). Its error
// lists every field that is not valid.
func New(spec learn.Spec, state json.RawMessage) (learn.Learner, error) {
	var problems decision.Problems
	l := newLearner(parseConfig(&spec, &problems))
	l.parseState(state, &problems)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	l.Publish()
	return l, nil
}

// Load makes a learner from its configuration and a state that AppendState
// wrote.
func Load(spec learn.Spec, state string) (learn.Learner, error) {
	var problems decision.Problems
	l := newLearner(parseConfig(&spec, &problems))
	if err := problems.Err(); err != nil {
		return nil, err
	}
	if err := l.readState(state); err != nil {
		return nil, err
	}
	l.Publish()
	return l, nil
}

// Train measures how well the offers' rates predict their outcomes; the state
// stays as it is.
func Train(ctx context.Context, spec learn.Spec, src learn.Source, opts learn.TrainOptions) (learn.Trained, error) {
	var problems decision.Problems
	parseConfig(&spec, &problems)
	if err := problems.Err(); err != nil {
		return learn.Trained{}, err
	}
	return arms.Evaluate(ctx, src, opts, func(reward, pulls float64) float64 {
		a := arm{totalReward: reward, pulls: pulls}
		return a.score()
	})
}

// newLearner makes a learner without arms.
func newLearner(c config) *Learner {
	t := arms.NewTable[arm, arm]()
	return &Learner{config: c, table: t, view: &view{table: t}}
}

// epsilon returns ε_t.
func (l *Learner) epsilon() float64 {
	s := l.config.schedule
	if l.own.hasEpsilon {
		s.epsilon = l.own.epsilon
	}
	if l.own.hasDecay {
		s.decayRate = l.own.decayRate
	}
	return s.epsilon / (1 + float64(s.decayRate*l.totalPulls))
}

// Observe learns from an outcome that names its offer. Outcomes of new offers
// beyond config.maxArms are counted and otherwise ignored.
func (l *Learner) Observe(ex *learn.Example) {
	if ex.OfferID == "" {
		return
	}
	c := l.table.Find(ex.OfferID)
	if c == nil {
		if l.table.Len() >= l.config.maxArms {
			l.ignored++
			return
		}
		c = l.table.Add(ex.OfferID)
	}
	// At the bound an arm stands still, so that the reward never passes the pulls.
	if weight := min(ex.Weight, arms.MaxMass-c.State.pulls); weight > 0 {
		c.State.pulls += weight
		if ex.Positive {
			c.State.totalReward += weight
		}
	}
	l.totalPulls = min(l.totalPulls+ex.Weight, maxTotal)
	l.table.Touch(c)
}

// ResetArm replaces the arm's evidence by mass pulls with the reward rate·mass.
// The exploration schedule goes on: totalPulls stays.
func (l *Learner) ResetArm(offerID string, rate, mass float64) {
	mass, rate = min(max(mass, 0), arms.MaxMass), min(max(rate, 0), 1)
	c := l.table.Find(offerID)
	if c == nil {
		if offerID == "" || mass == 0 || l.table.Len() >= l.config.maxArms {
			return
		}
		c = l.table.Add(offerID)
	}
	c.State = arm{totalReward: float64(rate * mass), pulls: mass}
	l.table.Touch(c)
}

// Publish makes everything observed visible in the view it returns, which is
// always the same one. Cost: O(arms that changed).
func (l *Learner) Publish() learn.View {
	l.table.Publish(func(a *arm) *arm { published := *a; return &published })
	l.view.setEpsilon(l.epsilon())
	return l.view
}
