package predictors

import (
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// Options say what is measured. A number that is 0 has its default.
type Options struct {
	// Spec says which fields are inputs of the model, and brings the importance
	// of a predictor that was configured with one; nil is every attribute.
	Spec *learn.Spec
	// TrainedAt is when the model was last trained, 0 when never.
	TrainedAt decision.Time
	// Now ends the window of the recent rows.
	Now decision.Time
	// Bins is how many bins a number has, at most, beside "missing".
	Bins int
	// Categories is how many values of a category have a bin, and how many
	// members of a set are a predictor, at most.
	Categories int
	// MaxPredictors bounds the fields that are measured, the listed ones first
	// and then in the order in which the rows show them, and the predictors in
	// the report, those with the greatest AUC.
	MaxPredictors int
}

// The defaults of the options.
const (
	DefaultBins          = 10  // as training bins them for naive Bayes
	DefaultCategories    = 20  // what a reader takes in
	DefaultMaxPredictors = 500 // as many as a model can list
)

// The greatest values of the options.
const (
	MostBins       = 50
	MostCategories = 100
	MostPredictors = 1000
)

// RecentWindow is how far back the recent rows go.
const RecentWindow = 24 * time.Hour

func (o Options) resolve() (Options, error) {
	if o.Spec == nil {
		o.Spec = &learn.Spec{}
	}
	var p decision.Problems
	within := func(path string, v *int, def, low, high int) {
		if *v == 0 {
			*v = def
		}
		if *v < low || *v > high {
			p.Addf(path, "got %d, want an integer from %d to %d", *v, low, high)
		}
	}
	within("bins", &o.Bins, DefaultBins, 2, MostBins)
	within("categories", &o.Categories, DefaultCategories, 1, MostCategories)
	within("maxPredictors", &o.MaxPredictors, DefaultMaxPredictors, 1, MostPredictors)
	return o, p.Err()
}
