package types

import (
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/bayes"
	"github.com/praetor-engine/praetor/internal/learn/boosted"
	"github.com/praetor-engine/praetor/internal/learn/epsilon"
	"github.com/praetor-engine/praetor/internal/learn/external"
	"github.com/praetor-engine/praetor/internal/learn/logistic"
	"github.com/praetor-engine/praetor/internal/learn/neuralcf"
	"github.com/praetor-engine/praetor/internal/learn/online"
	"github.com/praetor-engine/praetor/internal/learn/scorecard"
	"github.com/praetor-engine/praetor/internal/learn/thompson"
)

// table has one entry per model type.
var table = map[decision.ModelType]*Type{
	decision.Scorecard: {
		New: scorecard.New, Load: scorecard.Load, Train: scorecard.Train, Stateless: true,
	},
	decision.Bayesian: {
		New: bayes.New, Load: bayes.Load, Train: bayes.Train, AutoLearns: true,
	},
	decision.LogisticRegression: {
		New: logistic.New, Load: logistic.Load, Train: logistic.Train,
	},
	// The trees are grown by the ML worker: package engine.
	decision.GradientBoosted: {
		New: boosted.New, Load: boosted.Load,
	},
	decision.ThompsonBandit: {
		New: thompson.New, Load: thompson.Load, Train: thompson.Train, AlwaysLearns: true,
	},
	decision.EpsilonGreedy: {
		New: epsilon.New, Load: epsilon.Load, Train: epsilon.Train, AlwaysLearns: true,
	},
	decision.NeuralCF: {
		New: neuralcf.New, Load: neuralcf.Load, Train: neuralcf.Train,
	},
	decision.OnlineLearner: {
		New: online.New, Load: online.Load, Train: online.Train, AlwaysLearns: true,
	},
	// The endpoint is asked by package engine: learners do no I/O.
	decision.ExternalEndpoint: {
		New: external.New, Load: external.Load, Stateless: true,
		Redact: external.Redact, KeepSecrets: external.KeepSecrets,
	},
}
