package monitor

import (
	"fmt"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/predictors"
)

// Severity says how soon somebody should look.
type Severity string

// The severities.
const (
	Info     Severity = "info" // good news, to act on
	Warning  Severity = "warning"
	Critical Severity = "critical"
)

// The names of the rules.
const (
	RuleNoResponses   = "no_responses"
	RuleResponsesDrop = "responses_drop"
	RuleOneClass      = "one_class"
	RuleAUC           = "auc_low"
	RuleScorePSI      = "score_psi"
	RulePredictorPSI  = "predictor_psi"
	RuleCollapsed     = "bandit_collapsed"
	RuleConverged     = "bandit_converged"
)

// Rule says what is looked at, and when it is good.
type Rule struct {
	Name      string   `json:"rule"`
	Severity  Severity `json:"severity"`
	Threshold float64  `json:"threshold"`
	GoodWhen  string   `json:"goodWhen"`
	LookWhen  string   `json:"needsAttentionWhen"`
}

// Alert is a rule that a model breaks.
type Alert struct {
	ModelID string `json:"modelId"`
	Rule
	Field  string `json:"field,omitempty"` // of a predictor
	Member string `json:"member,omitempty"`
	// Since is the first day of the unbroken run of days, up to now, on which the
	// rule was broken.
	Since   decision.Time `json:"since"`
	Value   float64       `json:"value"`
	Message string        `json:"message"`
}

// The bounds of the rules.
const (
	silentDays      = 2    // without a response
	usedDays        = 14   // a model is in use that served or got a response in these
	weekDays        = 7    // what the rules about rates look back
	leastResponses  = 100  // in a week, to say something of its responses
	leastClass      = 50   // joined positives, and negatives, to judge an AUC
	lowAUC          = 0.55 // with 50 of each its standard error at 0.5 is 0.058 (Hanley and McNeil, Radiology 143, 1982)
	responsesDrop   = 0.2
	driftsGoodFor   = 3 // days
	alertsPerInputs = 20
)

// Rules are all rules, in the order in which alerts are listed.
var Rules = []Rule{
	{RuleNoResponses, Critical, silentDays, "outcomes come in every day", "no outcome came in for 2 days though the model is in use"},
	{RuleOneClass, Critical, leastResponses, "the outcomes of a week are positive and negative ones", "at least 100 outcomes of a week are all positive or all negative"},
	{RuleAUC, Warning, lowAUC, "the AUC of the served scores over a week is 0.55 or more", "the AUC over a week is below 0.55, with 50 positive and 50 negative outcomes: the scores hardly tell them apart"},
	{RuleScorePSI, Warning, predictors.PSISignificant, "the PSI of a day's scores against the reference is at most 0.25", "the PSI of a day's scores is above 0.25: they have shifted since the model was trained"},
	{RuleResponsesDrop, Warning, responsesDrop, "a week has more than 80 % of the responses of the week before", "a week has 20 % fewer responses than the week before, or fewer still"},
	{RulePredictorPSI, Warning, predictors.PSISignificant, "the PSI of every predictor is at most 0.25", "the PSI of a predictor is above 0.25: its values have shifted since the model was trained"},
	{RuleCollapsed, Warning, leastEntropy, "a bandit's choices are spread over its arms: their entropy is 0.2 or more of the greatest there could be", "the entropy of a day's choices is below 0.2 though the evidence has not settled which arm is best"},
	{RuleConverged, Info, surelyBest, "a bandit goes on learning which arm is best", "one arm is the best with a probability of 0.95, or choosing it loses at most 0.5 % of its rate: the test is over"},
}

func rule(name string) Rule {
	for _, r := range Rules {
		if r.Name == name {
			return r
		}
	}
	return Rule{Name: name} // of another build
}

// Alerts returns the rules that a model breaks at a time. It is a function of the
// life and the time alone, so every node that has applied the same log gives the
// same alerts.
func (l *Life) Alerts(model string, now decision.Time) []Alert {
	if l == nil {
		return nil
	}
	all := []Alert{}
	today := DateOf(now)
	add := func(name string, value float64, since decision.Time, format string, args ...any) *Alert {
		all = append(all, Alert{ModelID: model, Rule: rule(name), Since: since, Value: value, Message: fmt.Sprintf(format, args...)})
		return &all[len(all)-1]
	}
	if days, silent := l.silence(now); silent {
		since := max(l.LastResponse, l.Since) + silentDays*decision.Time(millisecondsADay)
		add(RuleNoResponses, days, since, "no outcome for %.1f days", days)
	}
	for _, c := range []struct {
		name   string
		breaks func(*Life, Date) (value float64, broken bool)
		format string
	}{
		{RuleOneClass, (*Life).oneClass, "all %.0f outcomes of the last 7 days are of one class"},
		{RuleAUC, (*Life).aucLow, "the AUC of the served scores is %.3f over the last 7 days"},
		{RuleScorePSI, (*Life).scoresShifted, "the PSI of the served scores is %.3f"},
		{RuleResponsesDrop, (*Life).responsesDropped, "responses changed by −%.0f %% on the week before"},
	} {
		value, broken := c.breaks(l, today)
		if !broken {
			continue
		}
		since := today
		for since > today-KeptDays {
			if _, before := c.breaks(l, since-1); !before {
				break
			}
			since--
		}
		shown := value
		if c.name == RuleResponsesDrop {
			shown = 100 * value
		}
		add(c.name, value, since.Start(), c.format, shown)
	}
	if now-l.DriftsAt <= driftsGoodFor*decision.Time(millisecondsADay) {
		for i := range l.Drifts[:min(len(l.Drifts), alertsPerInputs)] {
			d := &l.Drifts[i]
			if d.PSI > predictors.PSISignificant {
				name := d.Field
				if d.Member != "" {
					name += " " + d.Member
				}
				a := add(RulePredictorPSI, d.PSI, l.DriftsAt, "the PSI of predictor %q is %.3f", name, d.PSI)
				a.Field, a.Member = d.Field, d.Member
			}
		}
	}
	return all
}

// sum adds the days from one to another, both included.
func (l *Life) sum(from, to Date) *Day {
	s := &Day{Date: from}
	for _, d := range l.Days {
		if d.Date >= from && d.Date <= to {
			s.add(d)
		}
	}
	return s
}

// silence returns how many days ago the last response came, and whether that is
// too long for a model in use.
func (l *Life) silence(now decision.Time) (days float64, silent bool) {
	days = float64(now-max(l.LastResponse, l.Since)) / float64(millisecondsADay)
	if days < silentDays {
		return days, false
	}
	used := l.sum(DateOf(now)-usedDays+1, DateOf(now))
	return days, used.Responses > 0 || used.Scores.Total() > 0
}

func (l *Life) oneClass(date Date) (responses float64, broken bool) {
	s := l.sum(date-weekDays+1, date)
	return float64(s.Responses), s.Responses >= leastResponses && (s.Positives == 0 || s.Positives == s.Responses)
}

func (l *Life) aucLow(date Date) (auc float64, broken bool) {
	s := l.sum(date-weekDays+1, date)
	auc, ok := AUC(&s.Joined[1], &s.Joined[0])
	return auc, ok && s.Joined[0].Total() >= leastClass && s.Joined[1].Total() >= leastClass && auc < lowAUC
}

// scoresShifted judges a day by itself or, while it has too few scores, by the day
// before.
func (l *Life) scoresShifted(date Date) (psi float64, broken bool) {
	psi, ok := l.psi(date, date)
	if !ok {
		psi, ok = l.psi(date-1, date-1)
	}
	return psi, ok && psi > predictors.PSISignificant
}

// psi compares the scores of days after the reference with it.
func (l *Life) psi(from, to Date) (psi float64, ok bool) {
	if from <= l.ReferenceTo || l.Reference.Total() < MinReference {
		return 0, false
	}
	s := l.sum(from, to)
	return PSI(&l.Reference, &s.Scores)
}

// responsesDropped compares the seven days before the date with the seven before
// these: the date's own day is not over.
func (l *Life) responsesDropped(date Date) (drop float64, broken bool) {
	if DateOf(l.Since) > date-2*weekDays {
		return 0, false // the first week is not whole
	}
	week := l.sum(date-weekDays, date-1).Responses
	before := l.sum(date-2*weekDays, date-weekDays-1).Responses
	if before < leastResponses {
		return 0, false
	}
	drop = 1 - float64(week)/float64(before)
	return drop, drop >= responsesDrop
}
