// Package evolve says when a model has outgrown its type and what comes next.
//
// The ladder is scorecard → bayesian → logistic_regression → gradient_boosted.
// Every rung but the first has two requirements, labelled samples and an AUC; a
// requirement of 0 counts as met. The progress towards a rung is
//
//	100 · (min(1, samples/required) + min(1, auc/required)) / 2
//
// rounded to a whole number, halves away from 0. Because it is rounded, 100 does
// not mean ready: ready is a model that meets both requirements.
package evolve

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// Tiers is the ladder, lowest first.
var Tiers = []decision.ModelType{
	decision.Scorecard, decision.Bayesian, decision.LogisticRegression, decision.GradientBoosted,
}

// Next returns the rung above a model type; ok is false at the top and for types
// that are not on the ladder.
func Next(t decision.ModelType) (next decision.ModelType, ok bool) {
	i := slices.Index(Tiers, t)
	if i < 0 || i+1 == len(Tiers) {
		return "", false
	}
	return Tiers[i+1], true
}

// Requirement is what a model needs for one rung.
type Requirement struct {
	Samples int
	AUC     float64
}

// Config is a model's evolutionConfig.
type Config struct {
	AutoEvolve bool
	Target     decision.ModelType
	// SkipTiers goes to the target at once instead of rung by rung.
	SkipTiers    bool
	Requirements [4]Requirement // by rung; the first is unused
}

// DefaultConfig asks for samples only and evolves nothing by itself.
func DefaultConfig() Config {
	return Config{
		Target:       decision.GradientBoosted,
		Requirements: [4]Requirement{1: {Samples: 100}, 2: {Samples: 1000}, 3: {Samples: 5000}},
	}
}

// prefixes are the names of the rungs in thresholds.
var prefixes = [...]string{1: "bayesian", 2: "logistic", 3: "gradientBoosted"}

// maxSamples bounds a requirement: more than a history can hold.
const maxSamples = 1_000_000_000_000

// ReadConfig reads an evolutionConfig, null and absent members being the
// defaults, and notes what is wrong.
func ReadConfig(evolutionConfig json.RawMessage, problems *decision.Problems) Config {
	o := encode.ReadObject(evolutionConfig, "evolutionConfig", problems)
	c := DefaultConfig()
	c.AutoEvolve = o.Bool("autoEvolve", c.AutoEvolve)
	c.SkipTiers = o.Bool("skipTiers", c.SkipTiers)
	c.Target = decision.ModelType(o.Choice("targetTier", string(c.Target), tierNames()...))
	thresholds := o.Object("thresholds")
	for i := 1; i < len(Tiers); i++ {
		r := &c.Requirements[i]
		r.Samples = int(thresholds.Int(prefixes[i]+"Samples", int64(r.Samples), 0, maxSamples))
		r.AUC = thresholds.Float(prefixes[i]+"Auc", r.AUC, 0, 1)
	}
	return c
}

func tierNames() []string {
	names := make([]string, len(Tiers))
	for i, t := range Tiers {
		names[i] = string(t)
	}
	return names
}

// Next returns the rung that a model of the type evolves to: the next one, or the
// target where tiers are skipped. ok is false from the target on and for types
// that are not on the ladder.
func (c *Config) Next(t decision.ModelType) (next decision.ModelType, ok bool) {
	at, target := slices.Index(Tiers, t), slices.Index(Tiers, c.Target)
	switch {
	case at < 0 || at >= target:
		return "", false
	case c.SkipTiers:
		return c.Target, true
	}
	return Tiers[at+1], true
}

// Details are the figures behind a progress.
type Details struct {
	SamplesRequired int     `json:"samplesRequired"`
	SamplesActual   int     `json:"samplesActual"`
	AUCRequired     float64 `json:"aucRequired"`
	AUCActual       float64 `json:"aucActual"`
}

// Progress is how far a model is from its next rung, as the API shows it.
type Progress struct {
	NextTier    decision.ModelType `json:"nextTier"`
	ProgressPct int                `json:"progressPct"`
	Ready       bool               `json:"readyToEvolve"`
	Details     Details            `json:"details"`
}

// Progress returns how far a model of the type is, with the labelled samples of
// its last training and its AUC, 0 where it is not known. It is nil for a model
// that has no rung to go to.
func (c *Config) Progress(t decision.ModelType, samples int, auc float64) *Progress {
	next, ok := c.Next(t)
	if !ok {
		return nil
	}
	need := c.Requirements[slices.Index(Tiers, next)]
	share := (part(float64(samples), float64(need.Samples)) + part(auc, need.AUC)) / 2
	return &Progress{
		NextTier: next, ProgressPct: int(math.Round(100 * share)), Ready: samples >= need.Samples && auc >= need.AUC,
		Details: Details{SamplesRequired: need.Samples, SamplesActual: samples, AUCRequired: need.AUC, AUCActual: auc},
	}
}

func part(actual, required float64) float64 {
	if required == 0 {
		return 1
	}
	return min(1, actual/required)
}

// Model is what the decision to evolve by itself depends on.
type Model struct {
	Type    decision.ModelType
	Samples int
	AUC     float64 // 0 where it is not known
	// Evolved tells that an upgrade of this model was made already.
	Evolved bool
}

// Decide returns what to upgrade the model to after a training; ok is false when
// nothing is to be done. The new model enters the registry as a challenger: it
// never takes the champion's place by itself.
func (c *Config) Decide(m Model) (next decision.ModelType, ok bool) {
	if !c.AutoEvolve || m.Evolved {
		return "", false
	}
	p := c.Progress(m.Type, m.Samples, m.AUC)
	if p == nil || !p.Ready {
		return "", false
	}
	return p.NextTier, true
}

// maxKey is the longest key of a model.
const maxKey = 255

// Key returns the key of the model that a model is upgraded to, {key}-{type},
// with -2, -3 and so on behind it until it is not taken. A key that would be too
// long is shortened in front.
func Key(key string, to decision.ModelType, taken func(string) bool) string {
	for n := 1; ; n++ {
		suffix := "-" + string(to)
		if n > 1 {
			suffix += "-" + strconv.Itoa(n)
		}
		stem := strings.ToValidUTF8(key[:min(len(key), maxKey-len(suffix))], "")
		if k := stem + suffix; !taken(k) {
			return k
		}
	}
}
