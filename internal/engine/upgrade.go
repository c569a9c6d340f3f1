package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/praetor-engine/praetor/actors"
	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/evolve"
	"github.com/praetor-engine/praetor/internal/experiment"
)

// evolutionOf reads a model's evolutionConfig; what is wrong with it was refused
// when it was set.
func evolutionOf(m *catalogue.Model) evolve.Config {
	var p decision.Problems
	return evolve.ReadConfig(m.EvolutionConfig, &p)
}

// aucOf returns the AUC of a model's metrics, 0 where it is not known.
func aucOf(m *catalogue.Model) float64 {
	var metrics struct {
		AUC *float64 `json:"auc"`
	}
	if json.Unmarshal(m.Metrics, &metrics) != nil || metrics.AUC == nil {
		return 0
	}
	return *metrics.AUC
}

// upgradeTo returns the type that a model is upgraded to when asked: what its
// evolution goes to next, and past its target the next rung of the ladder.
func upgradeTo(m *catalogue.Model) (decision.ModelType, error) {
	config := evolutionOf(m)
	if next, ok := config.Next(m.ModelType); ok {
		return next, nil
	}
	if next, ok := evolve.Next(m.ModelType); ok {
		return next, nil
	}
	if slices.Contains(evolve.Tiers, m.ModelType) {
		return "", decision.Errorf(decision.KindBadRequest, "a model of type %s is at the top of the ladder and cannot be upgraded", m.ModelType)
	}
	ladder := make([]string, len(evolve.Tiers))
	for i, t := range evolve.Tiers {
		ladder[i] = string(t)
	}
	return "", decision.Errorf(decision.KindBadRequest, "a model of type %s cannot be upgraded, want one of %s", m.ModelType, strings.Join(ladder, ", "))
}

// Upgrade makes a model of the next type of another: with its predictors, target,
// family and what it learns from, as a draft that has learned nothing.
//
// With an experiment, one of the two is made beside it, as a draft: half of the
// customers for each.
func (e *Engine) Upgrade(ctx context.Context, w Write, id string, withExperiment bool) (Upgrade, Receipt, error) {
	old, err := e.Model(w.Principal.TenantID, id)
	if err != nil {
		return Upgrade{}, Receipt{}, err
	}
	to, err := upgradeTo(old)
	if err != nil {
		return Upgrade{}, Receipt{}, err
	}
	c := command.UpgradeModel{ID: id, To: to}
	if withExperiment {
		c.ExperimentID = newID("exp")
	}
	return e.upgrade(ctx, w, c)
}

// Upgrade is what an upgrade made.
type Upgrade struct {
	Upgraded   *catalogue.Model      `json:"upgraded"`
	Experiment *catalogue.Experiment `json:"experiment"` // null unless asked for
}

func (e *Engine) upgrade(ctx context.Context, w Write, c command.UpgradeModel) (Upgrade, Receipt, error) {
	if c.To == decision.GradientBoosted {
		if _, err := e.worker.Health(ctx); err != nil {
			return Upgrade{}, Receipt{}, err
		}
	}
	c.NewID = newID("model")
	return do[Upgrade](ctx, e, w.header(command.KindUpgradeModel), c)
}

// upgraded returns the fields of the model that a model is upgraded to. Its
// configuration is its type's own, so the new one has the defaults.
func upgraded(old *catalogue.Model, key string, to decision.ModelType) catalogue.ModelFields {
	f := old.Fields()
	return catalogue.ModelFields{
		Key: &key, ModelType: &to, Name: f.Name, Description: f.Description, TargetField: f.TargetField, TargetSchemaKey: f.TargetSchemaKey,
		Predictors: f.Predictors, LearningConfig: f.LearningConfig, OutcomeWeights: f.OutcomeWeights,
		InteractionFeatures: f.InteractionFeatures, EvolutionConfig: f.EvolutionConfig, Family: f.Family,
	}
}

// applyUpgradeModel decides again what the proposer decided: a model evolves by
// itself once, whoever leads.
func applyUpgradeModel(m *machine, ctx *entryContext, tenant string, c command.UpgradeModel) (Upgrade, error) {
	t, mr, err := m.runtime(tenant, c.ID)
	if err != nil {
		return Upgrade{}, err
	}
	old := mr.record.Load()
	if c.Auto {
		if to, ok := evolvesTo(old); !ok || to != c.To {
			return Upgrade{}, decision.Errorf(decision.KindConflict, "the model does not evolve to %s, or did already", c.To)
		}
	}
	f := upgraded(&old.Model, evolve.Key(old.Key, c.To, func(key string) bool { return m.catalogue.HasKey(tenant, key) }), c.To)
	if err := checkCreate(&f); err != nil {
		return Upgrade{}, err
	}
	spec, err := specOf(modelOf(&f))
	if err != nil {
		return Upgrade{}, err
	}
	if c.ExperimentID != "" {
		if err := m.catalogue.RoomForExperiment(tenant); err != nil {
			return Upgrade{}, err
		}
	}
	source, made, err := m.catalogue.UpgradeModel(tenant, c.ID, c.NewID, &f, c.Auto, ctx.at)
	if err != nil {
		return Upgrade{}, err
	}
	done := Upgrade{Upgraded: &made.Model}
	mr.record.Store(source)
	next := m.start(made, actors.Birth{ID: made.ID, Spec: spec, Index: ctx.index})
	m.directory.put(made.ID, next)
	m.keep(ctx, t, next, made.Version)
	if c.ExperimentID != "" {
		d := m.comparison(tenant, &old.Model, &made.Model)
		if done.Experiment, err = m.catalogue.CreateExperiment(tenant, c.ExperimentID, &d, ctx.at); err != nil {
			return Upgrade{}, &decision.Error{Kind: decision.KindInternal, Op: "engine.Apply", Msg: "the experiment could not be made", Err: err}
		}
		m.refreshExperiments()
	}
	return done, nil
}

// comparison defines the experiment of a model and what it was upgraded to. Its
// name and key tell which they are and are cut where they would be too long.
func (m *machine) comparison(tenant string, old, made *catalogue.Model) experiment.Definition {
	d := experiment.Between(old.ID, made.ID)
	suffix := fmt.Sprintf(": Champion vs %s Upgrade", tierNames[made.ModelType])
	d.Name = shortened(old.Name, maxNameLength-utf8.RuneCountInString(suffix)) + suffix
	key := shortened(made.Key, maxNameLength-10)
	d.Key = key
	for n := 2; m.catalogue.HasExperiment(tenant, d.Key); n++ {
		d.Key = fmt.Sprintf("%s-%d", key, n)
	}
	return d
}

// tierNames are the rungs of the ladder for people.
var tierNames = map[decision.ModelType]string{
	decision.Bayesian: "Bayesian", decision.LogisticRegression: "Logistic Regression", decision.GradientBoosted: "Gradient Boosted",
}

// shortened returns at most the first characters of a text.
func shortened(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most])
	}
	return s
}

// Evolution is where a model stands on the ladder.
type Evolution struct {
	ModelID   string             `json:"modelId"`
	ModelKey  string             `json:"modelKey"`
	ModelType decision.ModelType `json:"currentModelType"`
	Config    EvolutionConfig    `json:"evolutionConfig"`
	Progress  *evolve.Progress   `json:"progress"` // null where there is nothing to go to
	Timeline  []EvolutionVersion `json:"timeline"` // newest first
	From      *string            `json:"upgradedFrom"`
	To        *string            `json:"upgradedTo"`
}

// EvolutionConfig is a model's evolutionConfig with its defaults.
type EvolutionConfig struct {
	AutoEvolve  bool               `json:"autoEvolve"`
	CurrentTier decision.ModelType `json:"currentTier"`
	TargetTier  decision.ModelType `json:"targetTier"`
	SkipTiers   bool               `json:"skipTiers"`
	Thresholds  EvolutionLimits    `json:"thresholds"`
}

// EvolutionLimits are what the rungs of the ladder require; 0 is nothing.
type EvolutionLimits struct {
	BayesianSamples        int     `json:"bayesianSamples"`
	BayesianAUC            float64 `json:"bayesianAuc"`
	LogisticSamples        int     `json:"logisticSamples"`
	LogisticAUC            float64 `json:"logisticAuc"`
	GradientBoostedSamples int     `json:"gradientBoostedSamples"`
	GradientBoostedAUC     float64 `json:"gradientBoostedAuc"`
}

// EvolutionVersion is a version in a model's timeline.
type EvolutionVersion struct {
	Version         uint64             `json:"version"`
	ModelType       decision.ModelType `json:"modelType"`
	Metrics         json.RawMessage    `json:"metrics"`
	TrainingSamples int                `json:"trainingSamples"`
	Reason          string             `json:"reason"`
	CreatedAt       decision.Time      `json:"createdAt"`
}

// Evolution returns where a model stands on the ladder.
func (e *Engine) Evolution(tenant, id string) (Evolution, error) {
	mr, err := e.machine.directory.model(tenant, id)
	if err != nil {
		return Evolution{}, err
	}
	rec := mr.record.Load()
	config := evolutionOf(&rec.Model)
	r := config.Requirements
	out := Evolution{
		ModelID: rec.ID, ModelKey: rec.Key, ModelType: rec.ModelType,
		Config: EvolutionConfig{
			AutoEvolve: config.AutoEvolve, CurrentTier: rec.ModelType, TargetTier: config.Target, SkipTiers: config.SkipTiers,
			Thresholds: EvolutionLimits{r[1].Samples, r[1].AUC, r[2].Samples, r[2].AUC, r[3].Samples, r[3].AUC},
		},
		Progress: config.Progress(rec.ModelType, rec.TrainingSamples, aucOf(&rec.Model)),
		Timeline: []EvolutionVersion{}, From: textOrNil(rec.Lineage.From), To: textOrNil(rec.Lineage.To),
	}
	for _, v := range slices.Backward(rec.Versions) {
		out.Timeline = append(out.Timeline, EvolutionVersion(v))
	}
	return out, nil
}

func textOrNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
