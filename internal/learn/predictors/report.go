package predictors

import "github.com/praetor-engine/praetor/internal/decision"

// Report is what Measure found out.
type Report struct {
	SampleCount  int           `json:"sampleCount"` // training rows
	Positives    int           `json:"positives"`   // of them
	PositiveRate float64       `json:"positiveRate"`
	TrainedAt    decision.Time `json:"trainedAt"` // null: never
	Window       Window        `json:"window"`    // of the recent rows
	RecentCount  int           `json:"recentCount"`
	// Truncated tells that there are more predictors than the report may hold.
	Truncated bool `json:"truncated"`
	// Predictors have the greatest AUC first, equal ones by field and member.
	Predictors []Predictor `json:"predictors"`
}

// Window is a time from one instant, exclusive, to another, inclusive.
type Window struct {
	From decision.Time `json:"from"`
	To   decision.Time `json:"to"`
}

// Kind says how the values of a predictor fall into bins.
type Kind string

// The kinds of predictors.
const (
	Number   Kind = "number"
	Category Kind = "category"
	Boolean  Kind = "boolean"
	Member   Kind = "member"  // of a set: whether it is in it
	Set      Kind = "set"     // of nothing but empty sets
	Unknown  Kind = "unknown" // listed, and in no row
)

// Predictor is what the rows say about one input.
type Predictor struct {
	Field  string  `json:"field"`
	Member string  `json:"member,omitempty"` // when Kind is Member
	Kind   Kind    `json:"kind"`
	AUC    float64 `json:"auc"`
	// RankAUC is for numbers: above 0.5 high values go with positive outcomes.
	RankAUC     *float64 `json:"rankAuc,omitempty"`
	Samples     int      `json:"samples"` // training rows that have a value
	MissingRate float64  `json:"missingRate"`
	// PSI is nil when the model was never trained or a window has too few rows.
	PSI        *float64 `json:"psi"`
	Importance *float64 `json:"importance,omitempty"` // as configured
	// Bins are in the order of the values: ranges ascending, categories by name;
	// then "other" and "missing", which are left out when no row is in them.
	Bins []Bin `json:"bins"`
}

// The thresholds of the population stability index in use since Lewis, An
// Introduction to Credit Scoring, 1994.
const (
	PSIModerate    = 0.1
	PSISignificant = 0.25
)

// BinKind tells a category named "missing" from what is missing.
type BinKind string

// The kinds of bins.
const (
	Range   BinKind = "range" // of numbers
	Value   BinKind = "value" // a category, or a boolean
	Other   BinKind = "other" // every other category
	Missing BinKind = "missing"
)

// Bin is a part of the rows by the value of one predictor.
type Bin struct {
	Kind BinKind `json:"kind"`
	// Name is the value, or for a range "[30, 50)", "< 30", ">= 50" or "any".
	Name string `json:"name"`
	// From, inclusive, and To, exclusive, are the ends of a range; nil is open.
	From       *float64 `json:"from,omitempty"`
	To         *float64 `json:"to,omitempty"`
	Samples    int      `json:"samples"`    // training rows
	Positives  int      `json:"positives"`  // of them
	Propensity float64  `json:"propensity"` // smoothed: the m-estimate
	Share      float64  `json:"share"`      // of the training rows
	Recent     int      `json:"recent"`     // recent rows
	// RecentShare is of the recent rows, nil when there are none.
	RecentShare *float64 `json:"recentShare"`
}
