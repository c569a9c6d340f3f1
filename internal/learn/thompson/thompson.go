// Package thompson is the learner thompson_bandit: a Beta–Bernoulli bandit that
// chooses by Thompson sampling.
//
// Every offer is an arm with a belief Beta(α, β) about its reward rate. A
// positive outcome of weight w adds w to α, a negative one to β. The score is a
// draw from the belief, so offers are shown with the probability that they are
// the best (W. R. Thompson, "On the likelihood that one unknown probability
// exceeds another", Biometrika 25, 1933; O. Chapelle and L. Li, "An empirical
// evaluation of Thompson sampling", NIPS 2011). An offer without an arm draws
// from the prior.
//
// With a discount γ per day below 1 old evidence fades: before an outcome of
// time t is added to an arm whose last one was at s, α becomes
// prior + (α − prior)·γ^(days from s to t), and β alike. An outcome that comes
// late, t < s, is itself faded by γ^(days from t to s). Either way an arm is its
// prior plus every outcome faded by its age, whatever their order. Evidence that
// has no time (bootstrap, reset, a state by hand) counts as of the arm's first
// outcome.
//
// An outcome costs O(1) and does not depend on the number of arms; learning is
// deterministic.
package thompson

import (
	"context"
	"encoding/json"
	"math"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/arms"
)

// arm is the learned state of one arm.
type arm struct {
	alpha, beta float64
	at          int64 // Unix milliseconds of the newest outcome; 0: no time, or no discount
}

type table = arms.Table[arm, posterior]

// Learner is the learned state of a model.
type Learner struct {
	config  config
	table   *table
	ignored uint64 // outcomes of offers beyond config.maxArms
	view    *view
}

var (
	_ learn.Learner     = (*Learner)(nil)
	_ learn.ArmResetter = (*Learner)(nil)
	_ learn.BeliefView  = (*view)(nil)
)

// New makes a learner from its configuration and, when not nil, a state in the
// API's shape (see StateJSON). Offers of config.bootstrap start with α = rate·weight
// and β = (1−rate)·weight unless the state has an arm for them. Its error lists
// every field that is not valid.
func New(spec learn.Spec, state json.RawMessage) (learn.Learner, error) {
	var problems decision.Problems
	l := newLearner(parseConfig(&spec, &problems))
	l.parseState(state, &problems)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	l.start()
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
	l.start()
	return l, nil
}

// Train measures how well the offers' rates predict their outcomes; the state
// stays as it is. A rate is the mean of the belief that the training rows make.
func Train(ctx context.Context, spec learn.Spec, src learn.Source, opts learn.TrainOptions) (learn.Trained, error) {
	var problems decision.Problems
	c := parseConfig(&spec, &problems)
	if err := problems.Err(); err != nil {
		return learn.Trained{}, err
	}
	return arms.Evaluate(ctx, src, opts, func(reward, pulls float64) float64 {
		return (c.priorAlpha + reward) / (c.priorAlpha + c.priorBeta + pulls)
	})
}

// newLearner makes a learner without arms.
func newLearner(c config) *Learner {
	t := arms.NewTable[arm, posterior]()
	v := &view{table: t, prior: newPosterior(c.priorAlpha, c.priorBeta), given: map[string]float64{}}
	if c.log2Discount == 0 {
		for _, s := range c.bootstrap {
			v.given[s.offerID] = s.weight
		}
	}
	return &Learner{config: c, table: t, view: v}
}

// start seeds the bootstrap offers that have no arm and shows all arms.
func (l *Learner) start() {
	for _, s := range l.config.bootstrap {
		if l.table.Find(s.offerID) == nil && l.table.Len() < l.config.maxArms {
			alpha, beta := l.config.shapes(s.rate, s.weight)
			l.add(s.offerID, arm{alpha: alpha, beta: beta})
		}
	}
	l.Publish()
}

func (l *Learner) add(offerID string, a arm) {
	c := l.table.Add(offerID)
	c.State = a
	l.table.Touch(c)
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
		c.State = arm{alpha: l.config.priorAlpha, beta: l.config.priorBeta}
	}
	weight := l.fade(&c.State, ex.At, ex.Weight)
	if ex.Positive {
		c.State.alpha = bounded(c.State.alpha + weight)
	} else {
		c.State.beta = bounded(c.State.beta + weight)
	}
	l.table.Touch(c)
}

// fade brings the arm and the weight of an outcome of the time at to the later
// of their two times. math.Exp2 and not math.Exp or math.Pow: on amd64 those use
// fused instructions where the processor has them, and replicas may differ in
// that.
func (l *Learner) fade(a *arm, at int64, weight float64) float64 {
	if l.config.log2Discount == 0 {
		return weight
	}
	const dayMillis = 24 * 60 * 60 * 1000
	if a.at == 0 {
		a.at = at
	}
	days := math.Abs(float64(at)-float64(a.at)) / dayMillis
	factor := math.Exp2(days * l.config.log2Discount)
	if at < a.at {
		return float64(weight * factor)
	}
	a.alpha = l.config.priorAlpha + float64((a.alpha-l.config.priorAlpha)*factor)
	a.beta = l.config.priorBeta + float64((a.beta-l.config.priorBeta)*factor)
	a.at = at
	return weight
}

// ResetArm replaces the arm's evidence by α = rate·mass and β = (1−rate)·mass,
// each at least 0.01, or by the prior when mass is 0.
func (l *Learner) ResetArm(offerID string, rate, mass float64) {
	c := l.table.Find(offerID)
	if c == nil {
		if offerID == "" || !(mass > 0) || l.table.Len() >= l.config.maxArms {
			return
		}
		c = l.table.Add(offerID)
	}
	alpha, beta := l.config.shapes(rate, mass)
	c.State = arm{alpha: alpha, beta: beta}
	l.table.Touch(c)
}

// Publish makes everything observed visible in the view it returns, which is
// always the same one. Cost: O(arms that changed).
func (l *Learner) Publish() learn.View {
	l.table.Publish(func(a *arm) *posterior { return newPosterior(a.alpha, a.beta) })
	return l.view
}
