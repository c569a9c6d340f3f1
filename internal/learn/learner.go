package learn

import (
	"encoding/json"
	"math/rand/v2"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Learner is the learned state of one model. One goroutine owns it: none of its
// methods may run at the same time as another one, but every View that Publish
// returned may be used by any goroutine at any time, also while the learner
// goes on learning.
type Learner interface {
	// Observe learns from one outcome, at most O(features) work. A learner that
	// learns only by training ignores it.
	Observe(ex *Example)
	// Publish returns a view of everything observed so far. It is called after
	// every batch of outcomes, so it must be cheap: when nothing changed since
	// the last call it returns the same view and does not allocate.
	Publish() View
	// AppendState appends the state's binary form: versioned, canonical (equal
	// states give equal bytes), without the configuration.
	AppendState(dst []byte) []byte
	// StateJSON returns the state in the shape of the API's modelState, nil when
	// the model type keeps none.
	StateJSON() (json.RawMessage, error)
}

// View scores. It is immutable, or atomic per arm or count: a reader never sees
// half an update. Score does not allocate in the steady state unless an
// explanation is asked for.
type View interface {
	// Score scores one row. It overwrites res but reuses the memory of
	// res.Explanations.
	Score(req *Request, res *Result)
}

// ArmView is the view of a bandit, which chooses among offers.
type ArmView interface {
	View
	// Arms returns the known arms' offer ids in ascending order; not to be
	// changed by the caller.
	Arms() []string
	// ScoreArms scores the offers (all known arms when offers is nil), in their
	// order, into out, whose memory it reuses: one joint draw, as one decision
	// needs it. Propensity is the probability with which that offer would be
	// the best of these.
	ScoreArms(offers []string, rng *rand.Rand, out []ArmScore) []ArmScore
	// DrawArms is ScoreArms without what costs most: Propensity is 0, and Lower
	// and Upper may be.
	DrawArms(offers []string, rng *rand.Rand, out []ArmScore) []ArmScore
}

// BeliefView is an ArmView that tells what it holds of its arms.
type BeliefView interface {
	ArmView
	// Belief returns what is held of an offer, its prior when it has no arm.
	Belief(offerID string) Belief
}

// Belief is what is held of an arm's reward rate: Beta(Alpha, Beta).
type Belief struct {
	OfferID     string
	Alpha, Beta float64
	// Given is the part of Alpha + Beta that no outcome made: a prior, or what the
	// configuration starts the arm with.
	Given float64
}

// ArmResetter is a learner with an arm per offer. Like Observe it belongs to
// the goroutine that owns the learner.
type ArmResetter interface {
	// ResetArm replaces what was learned of one offer by mass pseudo-outcomes at
	// the rate, in [0, 1]; a mass of 0 leaves no evidence at all.
	ResetArm(offerID string, rate, mass float64)
}

// ArmScore is one offer's part in one decision of a bandit.
type ArmScore struct {
	OfferID      string
	Score        float64 // the draw
	Mean         float64 // expected reward
	Lower, Upper float64 // central 95 % interval of the expected reward
	Propensity   float64
}

// Request is what is scored.
type Request struct {
	Row        decision.Row // sorted by name
	CustomerID string
	OfferID    string
	Rand       *rand.Rand // a generator of the calling goroutine; bandits draw from it
	Explain    bool
}

// Result is a score with its parts.
type Result struct {
	Score         float64 // in [0, 1]
	Confidence    float64 // in [0, 1]; bayesian
	Raw           float64 // points of a scorecard, margin of a tree ensemble
	Baseline      float64 // what the explanations start from
	HasConfidence bool
	HasRaw        bool
	HasBaseline   bool
	Degraded      bool // a fallback: what gives the score did not answer
	// Source says what a score is made of that evidence adapted, and Own is the
	// model's own score then; empty: the score is the model's own.
	Source       string
	Own          float64
	Explanations []Explanation
}

// Clear empties the result for the next score and keeps its memory.
func (r *Result) Clear() { *r = Result{Explanations: r.Explanations[:0]} }

// Explanation is one part of a score: a rule or bin of a scorecard with its
// points, or a field with its contribution to the log-odds. With Baseline the
// values of all parts add up to what the score is made of: a scorecard's points
// before they are bounded, a tree ensemble's margin, else the log-odds. A bandit
// is explained by its arms instead (ArmScore).
type Explanation struct {
	Name    string  // the rule, bin or field
	Value   float64 // points (when Rule) or contribution
	Rule    bool    // a scorecard's rule or bin
	Matched bool    // when Rule: whether it applied
}

// Example is one labelled outcome, as a learner sees it. It is valid only
// during the call it is passed to: its strings may alias a buffer.
type Example struct {
	ID         decision.InteractionID
	Row        decision.Row
	CustomerID string
	OfferID    string
	CategoryID string
	ChannelID  string
	At         int64 // Unix milliseconds
	Positive   bool
	Weight     float64 // > 0
}

// Label returns 1 for a positive example, else 0.
func (e *Example) Label() float64 {
	if e.Positive {
		return 1
	}
	return 0
}

// HeldOut reports whether the example belongs to the fifth of the rows that
// training keeps for its metrics.
func (e *Example) HeldOut() bool { return e.ID.Hash()%5 == 0 }
