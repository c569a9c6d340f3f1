// Package bayes scores with naive Bayes: the features are taken to be
// independent given the class, so that every field adds its own evidence.
//
//	z     = ln P(+)/P(−) + Σ ln P(x|+)/P(x|−)   over the fields of the row
//	score = 1/(1 + e^−(z/temperature + offset))
//	P(c)   = (n_c + α)/(n + 2α)
//	P(v|c) = (count(v, c) + α)/(n_c + α·|values|)
//
// Here n_c is, for a field's values, the weight of the rows of class c in which
// the field was there: a missing field says nothing, neither in the score nor in
// the counts. α is config.laplaceSmoothingAlpha.
//
// Fields. A number falls into a bin: bin i holds edge(i−1) ≤ x < edge(i), and
// |values| is the number of bins. A text, boolean or number of a field without
// edges is a category, |values| the number of categories seen. A value never seen
// has a count of 0 under the same denominator: the masses of the known values add
// up to 1 without it, and it weighs as little as a value can. An array of strings
// is a set: every member is an indicator of its own with |values| = 2, and only
// members that are present count, as a missing field does not. A value of another
// type than its field's is missing.
//
// Bounds. At most 1000 fields, config.maxCategories categories (or members) per
// field, 131 072 cells in all, 256 bytes for a name or category: what goes beyond
// is not learned, and is missing while learning and unseen while scoring.
//
// Cost. A score takes one walk over the row and a look-up and two additions for
// each known field, without a logarithm and without allocating. An outcome touches
// one count per field; publishing recomputes two logarithms for each count that
// was touched. The result depends only on the order of the outcomes, and on that
// only through the rounding of weights and the bounds above.
//
// Sources: Lewis, Naive (Bayes) at forty, ECML 1998; Laplace smoothing as in
// Manning, Raghavan, Schütze, Introduction to Information Retrieval, 2008, §13.2;
// calibration: see platt.go.
package bayes

import (
	"encoding/json"
	"math"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// Learner is the learned state of a bayesian model.
type Learner struct {
	model *model
	view  *view
}

// New makes a learner from its configuration and a state in the API's shape; nil
// is no knowledge at all. A state that gives likelihoods or priors without
// counts.fields scores exactly by them and cannot learn from single outcomes,
// since nothing says what they are worth against one more outcome: with
// learningConfig.autoLearn it is refused. Training and resetting replace it.
func New(spec learn.Spec, state json.RawMessage) (learn.Learner, error) {
	var problems decision.Problems
	cfg := readConfig(spec.Config, &problems)
	m := readState(newModel(cfg, encode.NewInputs(&spec)), state, &problems)
	m.checkAutoLearn(&spec, &problems)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return &Learner{model: m}, nil
}

func (m *model) checkAutoLearn(spec *learn.Spec, problems *decision.Problems) {
	if m.given && spec.AutoLearn {
		problems.Addf("modelState.counts.fields", "is missing: learningConfig.autoLearn adds every outcome to the counts")
	}
}

// Load makes a learner from its configuration and the binary form of its state,
// under the same rules as New.
func Load(spec learn.Spec, state string) (learn.Learner, error) {
	var problems decision.Problems
	cfg := readConfig(spec.Config, &problems)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	m := newModel(cfg, encode.NewInputs(&spec))
	if err := m.decode(state); err != nil {
		return nil, &decision.Error{Kind: decision.KindInternal, Op: "bayes.Load", Err: err}
	}
	m.checkAutoLearn(&spec, &problems)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return &Learner{model: m}, nil
}

// Observe adds one outcome to the counts. A state without counts stays as it is.
func (l *Learner) Observe(ex *learn.Example) { l.model.observe(ex) }

// Publish returns a view of everything observed so far. Counts that the view
// knows are brought up to date in place, each atomically; only a new field or
// category makes a new view.
func (l *Learner) Publish() learn.View {
	m := l.model
	switch {
	case l.view == nil || m.refresh():
		l.view = newView(m)
	case m.changed:
		l.view.update(m)
	}
	m.changed = false
	return l.view
}

// AppendState implements learn.Learner.
func (l *Learner) AppendState(dst []byte) []byte { return l.model.append(dst) }

// StateJSON returns priors, likelihoods, binEdges, counts and calibration.
func (l *Learner) StateJSON() (json.RawMessage, error) { return l.model.json() }

// confidence grows with the labelled outcomes seen and is full at 1000 of them,
// as the API's definition says.
func confidence(samples uint64) float64 { return min(1, math.Sqrt(float64(samples)/1000)) }
