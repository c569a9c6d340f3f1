package engine

import (
	"math/rand/v2"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/evidence"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/monitor"
)

// policyOf returns what a bandit would choose by what it last published; nil of a
// model that is none, or that faulted.
func policyOf(mr *modelRuntime) *monitor.Policy {
	p := mr.handle.Published()
	if p.Fault != nil {
		return nil
	}
	view, ok := p.View.(learn.BeliefView)
	if !ok {
		return nil
	}
	policy := &monitor.Policy{Known: view.Arms(), Belief: view.Belief, Adapted: p.Evidence.Mode() != evidence.Off}
	if mr.record.Load().ModelType == decision.EpsilonGreedy {
		policy.Epsilon = epsilonOf(view)
	}
	for _, s := range adaptationScopes {
		for _, id := range p.Evidence.Paused(s) {
			policy.Paused = append(policy.Paused, scopeName(s, id))
		}
	}
	return policy
}

// epsilonOf reads ε off the propensities of two arms, of which the worse is chosen
// with ε/2; nil with fewer.
func epsilonOf(view learn.ArmView) *float64 {
	known := view.Arms()
	if len(known) < 2 {
		return nil
	}
	two := view.ScoreArms(known[:2], rand.New(rand.NewPCG(1, 1)), nil) // what is drawn does not matter
	epsilon := 2 * min(two[0].Propensity, two[1].Propensity)
	return &epsilon
}
