// Package logged makes of logged records what package evaluate evaluates on: it
// joins outcomes to their decisions and gives each decision its reward.
//
// # What counts
//
// A decision counts once, by its id, if it has a choice: scores of single offers
// and of models that choose nothing have none. An outcome counts once, by its
// interactionId, for the decision it names, in the window after it.
//
// The reward is that of the choice: outcomes that name the chosen offer, or none,
// count; those of other candidates do not. Where outcomes name other candidates
// and none the choice, the client chose otherwise, with a probability that nobody
// knows: such a decision is left out, and counted as overridden.
//
// Of several outcomes the one with the greatest reward counts. Without a table of
// rewards a positive outcome is 1 and any other 0. A decision without an outcome
// that counts is worth 0, unless it is to be left out.
package logged

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/decisionlog"
	"github.com/praetor-engine/praetor/internal/evaluate"
)

// Options narrow what of a log is evaluated on. The zero value takes everything.
type Options struct {
	Model        string        // id or key of the model that decided
	Family       string        // of the model that decided
	Since, Until decision.Time // of the decisions; 0: no bound
	// Window is how long after its decision an outcome counts; 0: always.
	Window time.Duration
	// Mature is how much older than the newest record a decision must be.
	Mature time.Duration
	// Answered leaves out decisions without an outcome.
	Answered bool
	Rewards  Rewards
	// Max bounds the decisions in memory; 0: DefaultMax.
	Max int
}

// DefaultMax is about 2 GB of decisions among ten candidates.
const DefaultMax = 1_000_000

// Rewards say what outcomes are worth, by their type; those that are not listed
// are worth 0. nil: 1 for positive ones.
type Rewards map[string]Reward

// Reward is a number or the outcome's conversionValue.
type Reward struct {
	Value      float64
	Conversion bool
}

// conversionWord stands for the outcome's conversionValue.
const conversionWord = "value"

// ParseRewards reads rewards by their outcomes: a number each, or the word value.
func ParseRewards(texts map[string]string) (Rewards, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	rewards := Rewards{}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		text := texts[name]
		if text == conversionWord {
			rewards[name] = Reward{Conversion: true}
			continue
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("the reward of %s must be a number or %s, got %q", name, conversionWord, text)
		}
		rewards[name] = Reward{Value: v}
	}
	return rewards, nil
}

func (r Rewards) of(o *outcome) float64 {
	if r == nil {
		if o.positive {
			return 1
		}
		return 0
	}
	reward := r[o.kind]
	if reward.Conversion {
		return o.value
	}
	return reward.Value
}

// Log is what was read.
type Log struct {
	Read       decisionlog.Read `json:"read"`
	Decisions  int              `json:"decisions"` // to be evaluated on
	From       decision.Time    `json:"from"`      // of the first of them
	To         decision.Time    `json:"to"`        // of the last
	Models     []Model          `json:"models"`    // that decided, the most decisions first
	Outcomes   int              `json:"outcomes"`  // that counted
	Unmatched  int              `json:"unmatched"` // outcomes of decisions that are not there
	Rewarded   int              `json:"rewarded"`  // decisions with a reward other than 0
	Unanswered int              `json:"unanswered"`
	NoChoice   int              `json:"noChoice"`   // left out: nothing was chosen
	Overridden int              `json:"overridden"` // left out: the client chose otherwise
	Immature   int              `json:"immature"`   // left out: too young
	Repeated   int              `json:"repeated"`   // left out: the id was there already
	Excess     int              `json:"excess"`     // left out: beyond the bound
	Degraded   int              `json:"degraded"`   // decided without the model's endpoint
	Bare       int              `json:"bare"`       // logged without features, of those evaluated on
}

// Model is a model that decided, in one version.
type Model struct {
	ID        string             `json:"modelId"`
	Key       string             `json:"modelKey"`
	Type      decision.ModelType `json:"modelType"`
	Version   uint64             `json:"version"`
	Decisions int                `json:"decisions"`
}

// outcome is what is kept of an outcome.
type outcome struct {
	id, offer, kind string
	at              decision.Time
	positive        bool
	value           float64
}

// loader gathers records.
type loader struct {
	options   Options
	log       Log
	decisions []evaluate.Decision
	seen      map[string]struct{}
	outcomes  map[string][]outcome
	models    map[Model]int
	newest    decision.Time
}

// Load reads a log and returns the decisions with their rewards, in the order of
// their time.
func Load(ctx context.Context, paths []string, o Options) ([]evaluate.Decision, *Log, error) {
	o.Max = cmp.Or(o.Max, DefaultMax)
	l := &loader{options: o, seen: map[string]struct{}{}, outcomes: map[string][]outcome{}, models: map[Model]int{}}
	var err error
	if l.log.Read, err = decisionlog.ReadAll(ctx, paths, l.add); err != nil {
		return nil, nil, err
	}
	l.join()
	return l.decisions, &l.log, nil
}

// add takes one record.
func (l *loader) add(r *decisionlog.Record) error {
	l.newest = max(l.newest, r.At)
	if r.Type == decisionlog.TypeOutcome {
		o := outcome{id: r.InteractionID, offer: r.OfferID, kind: r.Outcome, at: r.At, positive: r.Classification == decision.Positive.String()}
		if r.ConversionValue != nil {
			o.value = *r.ConversionValue
		}
		all := l.outcomes[r.DecisionID]
		if o.id == "" || !slices.ContainsFunc(all, func(have outcome) bool { return have.id == o.id }) {
			l.outcomes[r.DecisionID] = append(all, o)
		}
		return nil
	}
	if l.wanted(r) {
		l.decide(r)
	}
	return nil
}

// wanted reports whether the options admit a decision.
func (l *loader) wanted(r *decisionlog.Record) bool {
	o := &l.options
	switch {
	case o.Model != "" && r.ModelID != o.Model && r.ModelKey != o.Model,
		o.Family != "" && r.Family != o.Family,
		r.At < o.Since,
		o.Until != 0 && r.At >= o.Until:
		return false
	}
	return true
}

func (l *loader) decide(r *decisionlog.Record) {
	if _, again := l.seen[r.DecisionID]; again {
		l.log.Repeated++
		return
	}
	l.seen[r.DecisionID] = struct{}{}
	choice := r.Chosen()
	switch {
	case choice < 0:
		l.log.NoChoice++
		return
	case len(l.decisions) == l.options.Max:
		l.log.Excess++
		return
	}
	d := evaluate.Decision{ID: r.DecisionID, At: int64(r.At), CustomerID: r.CustomerID, Row: decision.Row(r.Features), Choice: choice}
	bare := len(r.Features) == 0
	for i := range r.Candidates {
		c := &r.Candidates[i]
		propensity := math.NaN()
		if c.Propensity != nil {
			propensity = *c.Propensity
		}
		bare = bare && len(c.Features) == 0
		d.Candidates = append(d.Candidates, evaluate.Candidate{OfferID: c.OfferID, Row: decision.Row(c.Features), History: c.History.Summary(), Propensity: propensity})
	}
	if r.Propensity != nil {
		d.Candidates[choice].Propensity = *r.Propensity
	}
	if bare {
		l.log.Bare++
	}
	if r.Degraded {
		l.log.Degraded++
	}
	l.models[Model{ID: r.ModelID, Key: r.ModelKey, Type: r.ModelType, Version: r.ModelVersion}]++
	l.decisions = append(l.decisions, d)
}

// join gives the decisions their rewards and leaves out those that have none to be
// judged by.
func (l *loader) join() {
	kept := l.decisions[:0]
	for i := range l.decisions {
		d := &l.decisions[i]
		if l.reward(d) {
			kept = append(kept, *d)
		}
	}
	l.decisions = kept
	for id, all := range l.outcomes {
		if _, ok := l.seen[id]; !ok {
			l.log.Unmatched += len(all)
		}
	}
	slices.SortStableFunc(l.decisions, func(a, b evaluate.Decision) int {
		return cmp.Or(cmp.Compare(a.At, b.At), strings.Compare(a.ID, b.ID))
	})
	l.log.Decisions = len(l.decisions)
	if n := len(l.decisions); n > 0 {
		l.log.From, l.log.To = decision.Time(l.decisions[0].At), decision.Time(l.decisions[n-1].At)
	}
	l.log.Models = []Model{}
	for m, n := range l.models {
		m.Decisions = n
		l.log.Models = append(l.log.Models, m)
	}
	slices.SortFunc(l.log.Models, func(a, b Model) int {
		return cmp.Or(cmp.Compare(b.Decisions, a.Decisions), strings.Compare(a.ID, b.ID), cmp.Compare(a.Version, b.Version))
	})
}

// reward fills in a decision's reward and reports whether it is kept.
func (l *loader) reward(d *evaluate.Decision) bool {
	o := &l.options
	if o.Mature > 0 && decision.Time(d.At)+decision.Time(o.Mature.Milliseconds()) > l.newest {
		l.log.Immature++
		return false
	}
	chosen, counted, other := d.Candidates[d.Choice].OfferID, 0, 0
	best := math.Inf(-1)
	for i := range l.outcomes[d.ID] {
		x := &l.outcomes[d.ID][i]
		if o.Window > 0 && x.at > decision.Time(d.At)+decision.Time(o.Window.Milliseconds()) {
			continue
		}
		switch {
		case x.offer == chosen || x.offer == "":
			counted++
			best = max(best, o.Rewards.of(x))
		case slices.ContainsFunc(d.Candidates, func(c evaluate.Candidate) bool { return c.OfferID == x.offer }):
			other++
		}
	}
	switch {
	case counted == 0 && other > 0:
		l.log.Overridden++
		return false
	case counted == 0:
		l.log.Unanswered++
		if o.Answered {
			return false
		}
	default:
		l.log.Outcomes += counted
		d.Reward = best
	}
	if d.Reward != 0 {
		l.log.Rewarded++
	}
	return true
}
