package monitor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/thompson"
)

// Policy is what a bandit would choose by now, and what else has a say in it.
type Policy struct {
	// Known is how many arms the model has, and Belief what it holds of one.
	Known  []string
	Belief func(offerID string) learn.Belief
	// Epsilon is how much an ε-greedy bandit explores; nil for others.
	Epsilon *float64
	// Adapted: evidence ranks offers in place of the bandit's draws.
	Adapted bool
	// Paused are the scopes that learn nothing, such as offer "a".
	Paused []string
}

// Bandit is the health of a model that chooses among arms.
type Bandit struct {
	Allocation Allocation      `json:"allocation"` // of the week
	Days       []DayAllocation `json:"days"`       // newest first
	Arms       []Arm           `json:"arms"`       // the most served first
	Verdict    *Verdict        `json:"verdict"`    // null with fewer than two arms
	Collapse   *Collapse       `json:"collapse"`   // null: the allocation has not collapsed
}

// Arm is one of a bandit's arms over the week.
type Arm struct {
	OfferID string  `json:"offerId"`
	Served  uint64  `json:"served"`
	Share   float64 `json:"share"`
	// Rate is the mean of what the model holds of the arm's rate, with the central
	// 95 % interval; Evidence the weight of the outcomes that it comes from.
	Rate     float64 `json:"rate"`
	Lower    float64 `json:"lower"`
	Upper    float64 `json:"upper"`
	Evidence float64 `json:"evidence"`
	// ProbabilityBest is that of the arm's rate being the greatest.
	ProbabilityBest float64 `json:"probabilityBest"`
}

// Verdict says whether the evidence has settled which arm is best.
type Verdict struct {
	Converged bool   `json:"converged"`
	Because   string `json:"because"` // one of the four below
	// OfferID is the arm with the greatest mean rate.
	OfferID         string  `json:"offerId"`
	ProbabilityBest float64 `json:"probabilityBest"`
	// Rate is the arm's, with its central 95 % interval.
	Rate  float64 `json:"rate"`
	Lower float64 `json:"lower"`
	Upper float64 `json:"upper"`
	// ExpectedLoss is what of the rate is lost, on average over what is believed, by
	// choosing this arm alone from now on; LossBound is what may be.
	ExpectedLoss float64 `json:"expectedLoss"`
	LossBound    float64 `json:"lossBound"`
	Evidence     float64 `json:"evidence"` // the arm's
}

// The reasons of a verdict.
const (
	BecauseBest         = "best"            // one arm is the best with a probability of 0.95
	BecauseLittleToLose = "little_to_lose"  // choosing the leader loses no more than the bound
	BecauseUndecided    = "undecided"       // neither
	BecauseEvidence     = "little_evidence" // the leader has fewer than 100 outcomes
)

// The bounds of a verdict: Scott's on the probability, and one on the expected loss
// as Stucchio ends a test with, half a percent of the rate (see thompson.Compare for
// both).
const (
	surelyBest    = 0.95
	lossShare     = 0.005
	leastEvidence = 100
)

// Collapse says that nearly all decisions fall on one arm, and why that may be.
type Collapse struct {
	Since   decision.Time `json:"since"`
	Entropy float64       `json:"entropy"`
	OfferID string        `json:"offerId"`
	Share   float64       `json:"share"`
	Cause   string        `json:"cause"`
	Message string        `json:"message"`
}

// The likely causes of a collapse, in the order in which they are looked for.
const (
	CauseOneRequested = "one_offer_requested"
	CauseAdapted      = "adapted"
	CauseReset        = "reset"
	CausePaused       = "paused"
	CausePrior        = "prior"
	CauseConverged    = "converged"
	CauseEpsilon      = "epsilon"
	CauseUnexplained  = "unexplained"
)

// shownArms bounds the arms of a report.
const shownArms = 50

// Bandit reports on the health of a bandit.
func (l *Life) Bandit(p *Policy, now decision.Time) *Bandit {
	if l == nil {
		l = &Life{}
	}
	today := DateOf(now)
	week := l.arms(today-weekDays+1, today+1)
	c, places := p.compare(week)
	b := &Bandit{
		Allocation: allocate(week, l.eligible(today, len(p.Known))), Days: []DayAllocation{}, Arms: []Arm{},
		Verdict: p.verdict(c),
	}
	for _, d := range slices.Backward(l.Days) {
		if len(d.Arms) > 0 && d.Date > today-ArmDays {
			b.Days = append(b.Days, DayAllocation{d.Date, l.allocation(d.Date, len(p.Known))})
		}
	}
	for _, n := range mostServed(week, shownArms) {
		if n.OfferID == "" {
			continue
		}
		a := Arm{OfferID: n.OfferID, Served: n.served()}
		if b.Allocation.Served > 0 {
			a.Share = float64(a.Served) / float64(b.Allocation.Served)
		}
		s := &c.Arms[places[n.OfferID]]
		a.Rate, a.Lower, a.Upper, a.ProbabilityBest = s.Mean, s.Lower, s.Upper, s.Propensity
		a.Evidence = evidence(p.Belief(n.OfferID))
		b.Arms = append(b.Arms, a)
	}
	b.Collapse = l.collapse(p, b.Verdict, today, now)
	return b
}

// compare compares the arms that could be served in the week or, without any, those
// that the model knows.
func (p *Policy) compare(week []ArmCount) (c thompson.Comparison, places map[string]int) {
	names := make([]string, 0, len(week))
	for i := range week {
		if week[i].OfferID != "" {
			names = append(names, week[i].OfferID)
		}
	}
	if len(names) < 2 {
		names = append(names, p.Known[:min(len(p.Known), MaxArms)]...)
		slices.Sort(names)
		names = slices.Compact(names)
	}
	beliefs := make([]learn.Belief, len(names))
	places = make(map[string]int, len(names))
	for i, name := range names {
		beliefs[i], places[name] = p.Belief(name), i
	}
	return thompson.Compare(beliefs), places
}

// evidence is the weight of the outcomes in a belief.
func evidence(b learn.Belief) float64 { return max(b.Alpha+b.Beta-b.Given, 0) }

// verdict judges a comparison.
func (p *Policy) verdict(c thompson.Comparison) *Verdict {
	if len(c.Arms) < 2 {
		return nil
	}
	a := &c.Arms[c.Leader]
	v := &Verdict{
		OfferID: a.OfferID, ProbabilityBest: a.Propensity, Rate: a.Mean, Lower: a.Lower, Upper: a.Upper,
		ExpectedLoss: c.Loss, LossBound: lossShare * a.Mean, Evidence: evidence(p.Belief(a.OfferID)),
	}
	switch {
	case v.Evidence < leastEvidence:
		v.Because = BecauseEvidence
	case v.ProbabilityBest >= surelyBest:
		v.Because = BecauseBest
	case v.ExpectedLoss <= v.LossBound:
		v.Because = BecauseLittleToLose
	default:
		v.Because = BecauseUndecided
	}
	v.Converged = v.Because == BecauseBest || v.Because == BecauseLittleToLose
	return v
}

// collapse says why the allocation has collapsed; nil when it has not.
func (l *Life) collapse(p *Policy, v *Verdict, today Date, now decision.Time) *Collapse {
	a, broken := l.collapsed(today, len(p.Known))
	if !broken {
		return nil
	}
	since := today
	for since > today-ArmDays {
		if _, before := l.collapsed(since-1, len(p.Known)); !before {
			break
		}
		since--
	}
	c := &Collapse{Since: since.Start(), Entropy: *a.Entropy, OfferID: a.Leader, Share: a.LeaderShare}
	c.Cause, c.Message = l.cause(p, v, &a, now)
	return c
}

// The bounds of the causes.
const (
	forcedShare    = 0.5  // of the decisions
	littleEpsilon  = 0.05 // explores less than a decision in twenty
	heavyShare     = 0.5  // of a belief, that no outcome made
	heavyMass      = 20   // pseudo-outcomes that weigh
	recentlyResets = weekDays
)

// cause looks for what most likely made an allocation collapse: first what somebody
// did, then what was learned.
func (l *Life) cause(p *Policy, v *Verdict, a *Allocation, now decision.Time) (cause, message string) {
	if float64(a.Forced) > forcedShare*float64(a.Served) {
		return CauseOneRequested, fmt.Sprintf("%.0f %% of the requests name one offer or have no other: the bandit has nothing to choose", 100*float64(a.Forced)/float64(a.Served))
	}
	if p.Adapted {
		return CauseAdapted, "adaptive learning ranks the offers in place of the bandit's draws"
	}
	if r, ok := l.recentReset(now); ok {
		return CauseReset, fmt.Sprintf("%s was reset on %s", r.Scope, DateOf(r.At))
	}
	if len(p.Paused) > 0 {
		return CausePaused, fmt.Sprintf("%s learns nothing while it is paused", strings.Join(p.Paused[:min(len(p.Paused), 5)], ", "))
	}
	if b, ok := p.heavy(l.arms(DateOf(now)-weekDays+1, DateOf(now)), a.Leader); ok {
		return CausePrior, fmt.Sprintf("%.0f %% of what is believed of offer %q was given and not observed: its prior or bootstrap weighs as much as %.0f outcomes", 100*b.Given/(b.Alpha+b.Beta), b.OfferID, b.Given)
	}
	if v != nil && v.Converged {
		return CauseConverged, fmt.Sprintf("the evidence agrees: offer %q is the best with a probability of %.3f", v.OfferID, v.ProbabilityBest)
	}
	if p.Epsilon != nil && *p.Epsilon < littleEpsilon {
		return CauseEpsilon, fmt.Sprintf("ε is down to %.4f: one decision in %.0f explores", *p.Epsilon, 1/max(*p.Epsilon, 1e-6))
	}
	return CauseUnexplained, "no cause was found: look at the arms' evidence"
}

func (l *Life) recentReset(now decision.Time) (Reset, bool) {
	if len(l.Resets) == 0 {
		return Reset{}, false
	}
	r := l.Resets[len(l.Resets)-1]
	return r, now-r.At < recentlyResets*decision.Time(millisecondsADay)
}

// heavy returns the belief that what was given weighs most in: the leader's, where it
// is believed to be good, or that of another arm, which is not tried for it.
func (p *Policy) heavy(week []ArmCount, leader string) (heaviest learn.Belief, ok bool) {
	for i := range week {
		b := p.Belief(week[i].OfferID)
		share := b.Given / (b.Alpha + b.Beta)
		if week[i].OfferID == "" || b.Given < heavyMass || share < heavyShare {
			continue
		}
		if !ok || b.OfferID == leader || (heaviest.OfferID != leader && b.Given > heaviest.Given) {
			heaviest, ok = b, true
		}
	}
	return heaviest, ok
}

// BanditAlerts returns the rules that a bandit breaks: those of all models, but for
// the two that its draws break in good health, as they tell apart no more than the
// arms differ and shift as it learns; a collapse, unless the evidence is its cause;
// and that the evidence has settled which arm is best.
func (l *Life) BanditAlerts(model string, p *Policy, now decision.Time) []Alert {
	all := slices.DeleteFunc(l.Alerts(model, now), func(a Alert) bool { return a.Name == RuleAUC || a.Name == RuleScorePSI })
	b := l.Bandit(p, now)
	if c := b.Collapse; c != nil && c.Cause != CauseConverged {
		all = append(all, Alert{
			ModelID: model, Rule: rule(RuleCollapsed), Since: c.Since, Value: c.Entropy,
			Message: fmt.Sprintf("%.0f %% of the decisions fall on offer %q; likely cause: %s", 100*c.Share, c.OfferID, c.Message),
		})
	}
	if v := b.Verdict; v != nil && v.Converged && b.Allocation.Served > 0 {
		message := fmt.Sprintf("offer %q is the best with a probability of %.3f, at a rate of %.4f (%.4f to %.4f)", v.OfferID, v.ProbabilityBest, v.Rate, v.Lower, v.Upper)
		if v.Because == BecauseLittleToLose {
			message = fmt.Sprintf("there is little to lose: choosing offer %q alone costs %.6f of a rate of %.4f, on average over what is believed", v.OfferID, v.ExpectedLoss, v.Rate)
		}
		all = append(all, Alert{ModelID: model, Rule: rule(RuleConverged), Since: DateOf(now).Start(), Value: v.ProbabilityBest, Message: message})
	}
	return all
}
