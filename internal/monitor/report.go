package monitor

import (
	"slices"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Figures are what is known of a model over some days.
type Figures struct {
	Responses uint64   `json:"responses"`
	Positives uint64   `json:"positives"`
	Rate      *float64 `json:"rate"`   // null without a response
	Served    uint64   `json:"served"` // scores
	// Of the scores that an outcome followed:
	Joined          uint64   `json:"joined"`
	JoinedPositives uint64   `json:"joinedPositives"`
	AUC             *float64 `json:"auc"` // null with one class alone
	LogLoss         *float64 `json:"logLoss"`
	// PSI is against the reference; null before it and with too few scores.
	PSI         *float64         `json:"psi"`
	Calibration []CalibrationBin `json:"calibration"`
}

// DayFigures are those of one day.
type DayFigures struct {
	Date Date `json:"date"`
	Figures
}

// ReferenceWindow says what later scores are compared with.
type ReferenceWindow struct {
	From   Date   `json:"from"`
	To     Date   `json:"to"`
	Scores uint64 `json:"scores"`
	// Complete tells that there are enough scores; until then there is no PSI.
	Complete bool `json:"complete"`
}

// Report is a model's monitoring.
type Report struct {
	ModelID        string           `json:"modelId"`
	From           Date             `json:"from"`
	To             Date             `json:"to"`
	LastResponseAt decision.Time    `json:"lastResponseAt"` // null: never
	Total          Figures          `json:"total"`
	Days           []DayFigures     `json:"days"` // newest first, those on which something happened
	Reference      *ReferenceWindow `json:"reference"`
	Predictors     []Drift          `json:"predictors"`
	PredictorsAt   decision.Time    `json:"predictorsAt"` // null: not measured since the last training
	Alerts         []Standing       `json:"alerts"`       // those that stand
}

// Report reports on the last days, today's included; live are the rules that the
// model breaks now.
func (l *Life) Report(model string, days int, live []Alert, now decision.Time) Report {
	today := DateOf(now)
	r := Report{
		ModelID: model, From: today - Date(days) + 1, To: today,
		Days: []DayFigures{}, Predictors: []Drift{}, Alerts: l.Current(live),
	}
	if l == nil {
		l = &Life{}
	}
	r.LastResponseAt, r.PredictorsAt = l.LastResponse, l.DriftsAt
	r.Predictors = append(r.Predictors, l.Drifts...)
	if n := l.Reference.Total(); n > 0 {
		r.Reference = &ReferenceWindow{l.ReferenceFrom, l.ReferenceTo, n, n >= MinReference}
	}
	r.Total = l.figures(l.sum(r.From, today+1), max(r.From, l.ReferenceTo+1), today+1)
	for _, d := range slices.Backward(l.Days) {
		if d.Date >= r.From && d.Date <= today+1 {
			r.Days = append(r.Days, DayFigures{d.Date, l.figures(d, d.Date, d.Date)})
		}
	}
	return r
}

// figures of the sum of days; the PSI is that of the days from one to another.
func (l *Life) figures(s *Day, psiFrom, psiTo Date) Figures {
	negatives, positives := &s.Joined[0], &s.Joined[1]
	f := Figures{
		Responses: s.Responses, Positives: s.Positives, Served: s.Scores.Total(),
		JoinedPositives: positives.Total(), Calibration: Calibration(positives, negatives),
	}
	f.Joined = f.JoinedPositives + negatives.Total()
	if s.Responses > 0 {
		f.Rate = ref(float64(s.Positives) / float64(s.Responses))
	}
	if auc, ok := AUC(positives, negatives); ok {
		f.AUC = &auc
	}
	if f.Joined > 0 {
		f.LogLoss = ref(s.LogLoss / float64(f.Joined))
	}
	if psi, ok := l.psi(psiFrom, psiTo); ok {
		f.PSI = &psi
	}
	return f
}

func ref(v float64) *float64 { return &v }
