package optimization

import (
	"math"
	"slices"
	"unicode/utf8"

	"github.com/praetor-engine/praetor/internal/attribution"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/factorial"
	"github.com/praetor-engine/praetor/internal/factorial/posterior"
)

// The types of models.
const (
	MAB  = "mab"
	CMAB = "cmab"
)

// The types of rewards.
const (
	BoolReward    = "bool"
	NumericReward = "numeric"
)

// The limits of a definition.
const (
	maxName     = 255 // characters
	MaxHoldout  = 90  // percent
	maxEvery    = 1_000_000_000
	maxEveryMin = 60 * 24 * 30
)

// Definition is what a client defines of an optimization; its JSON is the API's.
type Definition struct {
	Name               string                  `json:"name"`
	ModelType          string                  `json:"model_type"`
	TrainingDataConfig TrainingDataConfig      `json:"training_data_config"`
	HoldoutPercentage  float64                 `json:"holdout_percentage"`
	Excluded           []factorial.Combination `json:"excluded_combinations"`
	AutoTrain          *AutoTrain              `json:"auto_train"`
	PublicServe        bool                    `json:"public_serve"`
}

// TrainingDataConfig says what is learned from.
type TrainingDataConfig struct {
	DesignFactors  []factorial.Factor `json:"design_factors"`
	ContextFactors []factorial.Factor `json:"context_factors"`
	Reward         Reward             `json:"reward"`
	Attribution    Attribution        `json:"attribution"`
}

// Reward says what is to be had.
type Reward struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// Attribution says which exposure a reward is credited to.
type Attribution struct {
	Type                  string `json:"type"`
	ConversionWindowHours int    `json:"conversion_window_hours"`
}

// AutoTrain says when a model is trained without being asked to: after so many
// exposures, or so many minutes, whichever comes first.
type AutoTrain struct {
	EveryObservations uint64 `json:"every_observations,omitempty"`
	EveryMinutes      uint64 `json:"every_minutes,omitempty"`
}

// Plan is a valid definition made ready to serve and to learn from. It is immutable.
type Plan struct {
	Space  *factorial.Space
	Rules  attribution.Rules
	Model  posterior.Model
	Reward posterior.Reward

	fragments [][]string // by design factor and level: "name":level
}

// Plan checks the definition. Its error is a bad request that names every field at
// fault.
func (d *Definition) Plan() (*Plan, error) {
	var p decision.Problems
	checkName(&p, d.Name)
	c := &d.TrainingDataConfig
	plan := &Plan{Model: posterior.MAB, Reward: posterior.Bool}
	switch d.ModelType {
	case MAB:
	case CMAB:
		plan.Model = posterior.CMAB
	default:
		p.Addf("model_type", "must be %q or %q, got %.60q", MAB, CMAB, d.ModelType)
	}
	if n := utf8.RuneCountInString(c.Reward.Name); n < 1 || n > maxName {
		p.Addf("training_data_config.reward.name", "must be 1 to %d characters, got %d", maxName, n)
	}
	switch c.Reward.Type {
	case BoolReward:
	case NumericReward:
		plan.Reward = posterior.Numeric
	default:
		p.Addf("training_data_config.reward.type", "must be %q or %q, got %.60q", BoolReward, NumericReward, c.Reward.Type)
	}
	var err error
	plan.Rules, err = attribution.NewRules(c.Attribution.Type, c.Attribution.ConversionWindowHours, c.Reward.Type == NumericReward)
	p.AddError("training_data_config.attribution", err)
	checkHoldout(&p, d.HoldoutPercentage)
	d.AutoTrain.check(&p)
	plan.Space, err = factorial.New(factorial.Definition{
		Design: c.DesignFactors, Context: c.ContextFactors, Excluded: d.Excluded, PairModel: d.ModelType == CMAB,
	})
	p.AddError("training_data_config", err)
	if err := p.Err(); err != nil {
		return nil, err
	}
	plan.render()
	return plan, nil
}

func checkName(p *decision.Problems, name string) {
	if n := utf8.RuneCountInString(name); n < 1 || n > maxName {
		p.Addf("name", "must be 1 to %d characters, got %d", maxName, n)
	}
}

func checkHoldout(p *decision.Problems, percent float64) {
	if !(percent >= 0 && percent <= MaxHoldout) {
		p.Addf("holdout_percentage", "must be 0 to %d, got %v", MaxHoldout, percent)
	}
}

func (a *AutoTrain) check(p *decision.Problems) {
	if a == nil {
		return
	}
	if a.EveryObservations == 0 && a.EveryMinutes == 0 {
		p.Addf("auto_train", "must have every_observations or every_minutes")
	}
	if a.EveryObservations > maxEvery {
		p.Addf("auto_train.every_observations", "must be 1 to %d, got %d", maxEvery, a.EveryObservations)
	}
	if a.EveryMinutes > maxEveryMin {
		p.Addf("auto_train.every_minutes", "must be 1 to %d, got %d", maxEveryMin, a.EveryMinutes)
	}
}

// render makes the pieces that a variant's JSON consists of.
func (p *Plan) render() {
	for i := range p.Space.Design {
		f := &p.Space.Design[i]
		name, _ := factorial.StringOf(f.Name).MarshalJSON() // a string has a form
		var levels []string
		for _, l := range f.Levels {
			value, _ := l.MarshalJSON()
			levels = append(levels, string(name)+":"+string(value))
		}
		p.fragments = append(p.fragments, levels)
	}
}

// AppendVariant appends a variant as the object of its levels by their factors.
func (p *Plan) AppendVariant(dst []byte, variant int) []byte {
	for f, l := range p.Space.Levels(variant) {
		if f == 0 {
			dst = append(dst, '{')
		} else {
			dst = append(dst, ',')
		}
		dst = append(dst, p.fragments[f][l]...)
	}
	return append(dst, '}')
}

// Patch changes an optimization; what is nil stays.
type Patch struct {
	Name              *string    `json:"name,omitempty"`
	Status            *Status    `json:"status,omitempty"`
	HoldoutPercentage *float64   `json:"holdout_percentage,omitempty"`
	PublicServe       *bool      `json:"public_serve,omitempty"`
	AutoTrain         *AutoTrain `json:"auto_train,omitempty"`
	NoAutoTrain       bool       `json:"no_auto_train,omitempty"` // takes it away
}

// Check names every field at fault.
func (c *Patch) Check() error {
	var p decision.Problems
	if c.Name != nil {
		checkName(&p, *c.Name)
	}
	if c.Status != nil && !slices.Contains(Statuses, *c.Status) {
		p.Addf("status", "must be %q, %q or %q, got %.60q", Live, Completed, Archived, *c.Status)
	}
	if c.HoldoutPercentage != nil {
		checkHoldout(&p, *c.HoldoutPercentage)
	}
	c.AutoTrain.check(&p)
	return p.Err()
}

// apply changes a copy.
func (c *Patch) apply(o *Optimization) {
	set(&o.Name, c.Name)
	set(&o.Status, c.Status)
	set(&o.HoldoutPercentage, c.HoldoutPercentage)
	set(&o.PublicServe, c.PublicServe)
	if c.AutoTrain != nil || c.NoAutoTrain {
		o.AutoTrain = c.AutoTrain
	}
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// Confidence is how sure a lift is: one less p; nil where that is not known.
func Confidence(l *factorial.Lift) *float64 {
	if !l.Tested || math.IsNaN(l.P) {
		return nil
	}
	c := 1 - l.P
	return &c
}
