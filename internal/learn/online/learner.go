package online

import (
	"encoding/json"
	"math"
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// learner implements learn.Learner.
type learner struct {
	cfg    config
	inputs *encode.Inputs

	normalize   bool      // of this state
	from        optimizer // that the state was read from
	bias        *feature
	fields      []field // ascending by name
	features    int     // of all fields
	progressive progressive

	view   *view
	grown  bool       // fields were added since the view was made
	dirty  []*feature // to be published
	active []active   // of the outcome being learned
}

// active is a feature of the outcome being learned, with its x.
type active struct {
	*feature
	x float64
}

// progressive is the validation of every prediction before its outcome was
// learned.
type progressive struct {
	count  uint64
	weight float64 // of the outcomes
	loss   float64 // sum of weighted log-losses
}

// lossEpsilon bounds a log-loss, as learn.Measure does.
const lossEpsilon = 0x1p-52

func (p *progressive) add(score, weight float64, positive bool) {
	if !positive {
		score = 1 - score
	}
	p.count++
	p.weight = encode.Finite(p.weight + weight)
	p.loss = encode.Finite(p.loss - float64(weight*math.Log(max(score, lossEpsilon))))
}

func newLearner(spec learn.Spec, cfg config) *learner {
	return &learner{cfg: cfg, inputs: encode.NewInputs(&spec), normalize: cfg.normalize, bias: new(feature)}
}

// New makes a learner from the configuration and, when not nil, a state (see
// stateJSON). Its error names every field at fault under "config" and
// "modelState".
func New(spec learn.Spec, state json.RawMessage) (learn.Learner, error) {
	var p decision.Problems
	o := encode.ReadObject(state, "modelState", &p)
	normalized := o.Has("normalizer")
	imported := len(o.Object("weights").Keys()) > 0 && !normalized
	l := newLearner(spec, readConfig(spec.Config, imported, &p))
	l.readState(o)
	l.settle(normalized, &p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	return l, nil
}

// Load makes a learner from the configuration and a state that AppendState or
// Train wrote.
func Load(spec learn.Spec, state string) (learn.Learner, error) {
	var p decision.Problems
	l := newLearner(spec, config{})
	normalized, err := l.decode(state)
	if err != nil {
		return nil, err
	}
	l.cfg = readConfig(spec.Config, !normalized && l.features > 0, &p)
	l.settle(normalized, &p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	return l, nil
}

// settle brings a state that was read under the configuration: a state without
// features takes its mode, plain weights become weights of standardised numbers
// where it says so, and another optimizer starts from the weights.
func (l *learner) settle(normalized bool, p *decision.Problems) {
	l.normalize = l.cfg.normalize
	if normalized && !l.cfg.normalize && l.features > 0 {
		p.Addf("config.normalize", "got false, but the weights of modelState were learned on standardised numbers; want true, or reset-learning first")
	}
	l.grown = true
	l.each(func(f *feature, _ *field, _ string) {
		if l.from != l.cfg.optimizer {
			f.adopt(&l.cfg)
		}
		l.touch(f)
	})
}

// Observe implements learn.Learner: it takes in the numbers, predicts, and moves
// the weights of the row's features.
func (l *learner) Observe(ex *learn.Example) {
	weight := min(ex.Weight, largest)
	p := l.predict(ex.Row, weight)
	l.progressive.add(p, weight, ex.Positive)
	gradient := float64(weight * (p - ex.Label()))
	for _, a := range l.active {
		a.step(&l.cfg, encode.Finite(float64(gradient*a.x)))
		l.touch(a.feature)
	}
	l.bias.step(&l.cfg, gradient)
	l.touch(l.bias)
}

func (l *learner) touch(f *feature) {
	if !f.dirty {
		f.dirty = true
		l.dirty = append(l.dirty, f)
	}
}

// predict scores a row that is about to be learned: with its numbers in the
// moments and its new values among the features, which are left in active.
func (l *learner) predict(row decision.Row, weight float64) float64 {
	l.active = l.active[:0]
	z, at := l.bias.weight, 0
	var values decision.Row
	for len(row) > 0 {
		values, row = encode.Cut(row)
		var found bool
		if at, found = seek(l.fields, at, values[0].Name); !found {
			if !l.admits(&values[0]) {
				continue
			}
			l.fields = slices.Insert(l.fields, at, field{name: strings.Clone(values[0].Name), learns: true})
		}
		f := &l.fields[at]
		for i := range values {
			ft, x := l.take(f, &values[i], weight)
			if ft == nil {
				continue
			}
			z += encode.Finite(float64(ft.weight * x))
			if f.learns {
				l.active = append(l.active, active{ft, x})
			}
		}
	}
	return encode.Sigmoid(z)
}

// admits reports whether a value of a field that the model does not have starts
// one.
func (l *learner) admits(v *decision.Field) bool {
	_, isNumber := v.Numeric()
	return l.features < maxFeatures && v.Kind != decision.EmptySet && (l.normalize || isNumber) && l.inputs.Uses(v.Name)
}

// take returns the feature and the x of a value to be learned. The feature is
// added when it is new and there is room; nil when there is none.
func (l *learner) take(f *field, v *decision.Field, weight float64) (*feature, float64) {
	ft, x := f.find(v)
	if ft == nil {
		if ft, x = l.addFeature(f, v); ft == nil {
			return nil, 0
		}
	}
	if ft != f.number || !l.normalize {
		return ft, x
	}
	if f.learns {
		ft.add(x, weight)
	}
	return ft, standardise(x, ft.mean, ft.scale())
}

// addFeature adds the feature of a value that the field does not have yet.
func (l *learner) addFeature(f *field, v *decision.Field) (*feature, float64) {
	x, isNumber := v.Numeric()
	switch {
	case !f.learns || l.features >= maxFeatures || v.Kind == decision.EmptySet:
		return nil, 0
	case isNumber && f.number == nil && f.categories == nil:
		f.number = new(feature)
		l.features++
		l.grown = true
		return f.number, x
	case !l.normalize || f.number != nil || len(f.categories) >= maxCategories:
		return nil, 0
	}
	l.features++
	l.grown = true
	return f.addCategory(strings.Clone(v.Category())), 1
}
