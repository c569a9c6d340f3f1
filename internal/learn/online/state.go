package online

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// stateJSON is the API's modelState. A state with a normalizer is that of a
// normalised model: its weights are of standardised numbers.
type stateJSON struct {
	Bias       float64                `json:"bias"`
	Weights    map[string]float64     `json:"weights"`
	Normalizer map[string]momentsJSON `json:"normalizer,omitzero"`
	Optimizer  *optimizerJSON         `json:"optimizer,omitempty"`
	Validation progressiveJSON        `json:"progressive"`
}

// momentsJSON has a number's running mean, the sum of squared deviations from it
// (m2 / weight is the variance) and the weight of the values seen.
type momentsJSON struct {
	Mean   float64 `json:"mean"`
	M2     float64 `json:"m2"`
	Weight float64 `json:"weight"`
}

// optimizerJSON is what adagrad and ftrl remember, by the keys of the weights.
type optimizerJSON struct {
	Type     string              `json:"type"`
	Bias     sumsJSON            `json:"bias"`
	Features map[string]sumsJSON `json:"features"`
}

// sumsJSON has the names of the FTRL-Proximal paper: n is the sum of squared
// gradients, z the sum of gradients less rate changes times the weight.
type sumsJSON struct {
	N float64 `json:"n"`
	Z float64 `json:"z,omitempty"`
}

// progressiveJSON has the validation of every prediction before its outcome was
// learned: Loss is the weighted sum of the log-losses, LogLoss their mean, which
// is not read.
type progressiveJSON struct {
	Count   uint64  `json:"count"`
	Weight  float64 `json:"weight"`
	Loss    float64 `json:"loss"`
	LogLoss float64 `json:"logLoss"`
}

// StateJSON implements learn.Learner.
func (l *learner) StateJSON() (json.RawMessage, error) {
	p := &l.progressive
	s := stateJSON{Weights: make(map[string]float64), Validation: progressiveJSON{Count: p.count, Weight: p.weight, Loss: p.loss}}
	if p.weight > 0 {
		s.Validation.LogLoss = encode.Finite(p.loss / p.weight)
	}
	if l.normalize {
		s.Normalizer = make(map[string]momentsJSON)
	}
	if l.cfg.optimizer != sgd {
		s.Optimizer = &optimizerJSON{Type: optimizerNames[l.cfg.optimizer], Features: make(map[string]sumsJSON)}
	}
	l.each(func(f *feature, in *field, category string) {
		if in == nil {
			s.Bias = f.weight
			if s.Optimizer != nil {
				s.Optimizer.Bias = sumsJSON{f.n, f.z}
			}
			return
		}
		key := in.name
		if f != in.number {
			key = encode.Key(in.name, category)
		} else if l.normalize {
			s.Normalizer[key] = momentsJSON{f.mean, f.m2, f.seen}
		}
		s.Weights[key] = f.weight
		if s.Optimizer != nil {
			s.Optimizer.Features[key] = sumsJSON{f.n, f.z}
		}
	})
	raw, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("online state: %w", err)
	}
	return raw, nil
}

// readState reads a stateJSON; only its own keys count.
func (l *learner) readState(o encode.Object) {
	im := importer{l: l, fields: make(map[string]*field)}
	l.bias.weight = o.Number("bias", 0)
	for key, w := range o.Numbers("weights") {
		im.feature(key).weight = w
	}
	im.readMoments(o.Object("normalizer"))
	im.readOptimizer(o.Object("optimizer"))
	p := o.Object("progressive")
	l.progressive = progressive{
		count:  uint64(p.Int("count", 0, 0, 1<<53-1)),
		weight: p.Float("weight", 0, 0, math.MaxFloat64),
		loss:   p.Float("loss", 0, 0, math.MaxFloat64),
	}
	for _, f := range im.fields {
		l.fields = append(l.fields, *f)
	}
	slices.SortFunc(l.fields, func(a, b field) int { return strings.Compare(a.name, b.name) })
}

// importer collects features by their keys, in any order.
type importer struct {
	l      *learner
	fields map[string]*field
}

// feature returns the feature of a key, which it adds where needed.
func (im *importer) feature(key string) *feature {
	name, value, isCategory := encode.SplitKey(key)
	f := im.fields[name]
	if f == nil {
		f = &field{name: name, learns: im.l.inputs.Uses(name)}
		im.fields[name] = f
	}
	if isCategory {
		if ft := f.categories[value]; ft != nil {
			return ft
		}
		im.l.features++
		return f.addCategory(value)
	}
	if f.number == nil {
		im.l.features++
		f.number = new(feature)
	}
	return f.number
}

// readMoments reads the normalizer. A category has no moments: its key is
// ignored.
func (im *importer) readMoments(o encode.Object) {
	for _, key := range o.Keys() {
		if _, _, isCategory := encode.SplitKey(key); isCategory {
			continue
		}
		m := o.Object(key)
		im.feature(key).moments = moments{
			mean: m.Float("mean", 0, -largest, largest),
			m2:   m.Float("m2", 0, 0, math.MaxFloat64),
			seen: m.Float("weight", 0, 0, math.MaxFloat64),
		}
	}
}

// readOptimizer reads what the optimizer remembers of features that have a
// weight. Where ftrl has nothing, it starts from the weight.
func (im *importer) readOptimizer(o encode.Object) {
	from := o.Choice("type", optimizerNames[sgd], optimizerNames[:]...)
	im.l.bias.readSums(o.Object("bias"))
	sums := o.Object("features")
	for _, key := range sums.Keys() {
		im.feature(key).readSums(sums.Object(key))
	}
	im.l.from = parseOptimizer(from)
}

func (f *feature) readSums(o encode.Object) {
	f.n, f.z = o.Float("n", 0, 0, math.MaxFloat64), o.Number("z", 0)
}
