package catalogue

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/experiment"
)

// The bounds on a tenant's experiments.
const (
	MaxExperiments = 1000
	MaxActive      = 50  // each keeps up to 1 Mi customers of 16 bytes
	maxEarlier     = 100 // splits of 30 days that the check of the split knows; beyond, the oldest go
)

// Experiment is an experiment as the API shows it.
type Experiment struct {
	ID string `json:"id"`
	experiment.Definition
	// Family is that of the champion.
	Family    string        `json:"family"`
	StartedAt decision.Time `json:"startedAt"`
	EndedAt   decision.Time `json:"endedAt"`
	// EndReason says why a completed experiment is completed.
	EndReason string               `json:"endReason,omitempty"`
	Promotion *ExperimentPromotion `json:"promotion"`
	CreatedAt decision.Time        `json:"createdAt"`
	UpdatedAt decision.Time        `json:"updatedAt"`
}

// ExperimentPromotion is what became of a promotion that the experiment asked for
// by itself. One that was refused is not tried again before the experiment is
// changed.
type ExperimentPromotion struct {
	ModelID  string        `json:"modelId"`
	At       decision.Time `json:"at"`
	Promoted bool          `json:"promoted"`
	Reason   string        `json:"reason,omitempty"` // why it was refused
}

// Why an experiment is completed.
const (
	EndCompleted       = "completed"        // it was asked for
	EndPromoted        = "promoted"         // a challenger was promoted
	EndChampionChanged = "champion_changed" // its champion is not that of the family any more
	EndModelDeleted    = "model_deleted"    // one of its models is gone
)

// statusChanges has the statuses that an experiment may come to, by the one it
// has.
var statusChanges = map[experiment.Status][]experiment.Status{
	experiment.StatusDraft:     {experiment.StatusActive, experiment.StatusArchived},
	experiment.StatusActive:    {experiment.StatusPaused, experiment.StatusCompleted},
	experiment.StatusPaused:    {experiment.StatusActive, experiment.StatusCompleted},
	experiment.StatusCompleted: {experiment.StatusArchived},
	experiment.StatusArchived:  {},
}

// experimentRecord is an experiment with what the API does not show. Its pointers
// are to what is immutable, or atomic, but for the customers.
type experimentRecord struct {
	*Experiment
	tenantID string
	sequence uint64
	revision uint64 // of the split; another one is another plan
	crowned  bool   // its champion was that of the family
	keys     []string
	earlier  []formerSplit // oldest first
	tallies  []*tally      // of the plan's variants, in their order
	kept     *experiment.Kept
	unkept   uint64 // customers who moved because there was no room to keep them
	// Customers are those whom a node told it has served.
	customers *experiment.Customers
	plan      *experiment.Plan
}

// formerSplit is a split that another one has replaced.
type formerSplit struct {
	Definition experiment.Definition `json:"definition"`
	Keys       []string              `json:"keys"`
	Revision   uint64                `json:"revision"`
	EndedAt    decision.Time         `json:"endedAt"`
}

// tally counts the labelled outcomes of one variant. One goroutine adds, any
// reads.
type tally struct {
	variant            string
	samples, positives atomic.Uint64
}

// sticky is how long a customer keeps a variant, in milliseconds.
const sticky = decision.Time(experiment.StickyDays * 24 * 60 * 60 * 1000)

func (x *experimentRecord) running() bool {
	return x.Status == experiment.StatusActive || x.Status == experiment.StatusPaused
}

// Experiment returns a tenant's experiment.
func (c *Catalogue) Experiment(tenantID, id string) (*Experiment, error) {
	_, x, err := c.findExperiment(tenantID, id)
	if err != nil {
		return nil, err
	}
	return x.Experiment, nil
}

func (c *Catalogue) findExperiment(tenantID, id string) (*tenant, *experimentRecord, error) {
	t, err := c.tenant(tenantID)
	if err != nil {
		return nil, nil, err
	}
	x := t.experiments[id]
	if x == nil {
		return nil, nil, decision.Errorf(decision.KindNotFound, "experiment %q does not exist", id)
	}
	return t, x, nil
}

// Experiments lists a tenant's experiments.
func (c *Catalogue) Experiments(tenantID string, after uint64, limit int) (items []*Experiment, sequences []uint64, total int, err error) {
	t, err := c.tenant(tenantID)
	if err != nil {
		return nil, nil, 0, err
	}
	items, sequences, total = page(t.experiments, after, limit, func(x *experimentRecord) (*Experiment, uint64) { return x.Experiment, x.sequence })
	return items, sequences, total, nil
}

// CreateExperiment makes an experiment, a draft or an active one.
func (c *Catalogue) CreateExperiment(tenantID, id string, d *experiment.Definition, at decision.Time) (*Experiment, error) {
	t, err := c.tenant(tenantID)
	if err != nil {
		return nil, err
	}
	switch {
	case t.experiments[id] != nil:
		return nil, decision.Errorf(decision.KindConflict, "experiment %q exists already", id)
	case t.experimentOf(d.Key) != nil:
		return nil, decision.Invalid("key", "an experiment with the key %q exists already", d.Key)
	case len(t.experiments) >= MaxExperiments:
		return nil, errNoRoom()
	case d.Status != experiment.StatusDraft && d.Status != experiment.StatusActive:
		return nil, decision.Invalid("status", "want draft or active for a new experiment, got %s", d.Status)
	}
	x := &experimentRecord{
		Experiment: &Experiment{ID: id, Definition: *d, CreatedAt: at, UpdatedAt: at},
		tenantID:   tenantID, revision: 1, kept: &experiment.Kept{}, customers: &experiment.Customers{},
	}
	if err := t.checkModels(d); err != nil {
		return nil, err
	}
	if d.Status == experiment.StatusActive {
		if err := t.begin(x, at); err != nil {
			return nil, err
		}
	}
	x.sequence = c.next()
	t.replan(x)
	if t.experiments == nil {
		t.experiments = map[string]*experimentRecord{}
	}
	t.experiments[id] = x
	t.listActive()
	return x.Experiment, nil
}

func errNoRoom() error {
	return decision.Errorf(decision.KindConflict, "there are %d experiments already, and there may be no more; delete some", MaxExperiments)
}

// RoomForExperiment is an error when a tenant may have no more experiments.
func (c *Catalogue) RoomForExperiment(tenantID string) error {
	if t, err := c.tenant(tenantID); err != nil {
		return err
	} else if len(t.experiments) >= MaxExperiments {
		return errNoRoom()
	}
	return nil
}

// HasExperiment reports whether a tenant has an experiment with the key.
func (c *Catalogue) HasExperiment(tenantID, key string) bool {
	t := c.tenants[tenantID]
	return t != nil && t.experimentOf(key) != nil
}

func (t *tenant) experimentOf(key string) *experimentRecord {
	for _, x := range t.experiments {
		if x.Key == key {
			return x
		}
	}
	return nil
}

// UpdateExperiment changes the given fields. From its start on an experiment
// keeps its champion, from its end on everything but its name, its description and
// its status.
func (c *Catalogue) UpdateExperiment(tenantID, id string, fields json.RawMessage, at decision.Time) (*Experiment, error) {
	t, x, err := c.findExperiment(tenantID, id)
	if err != nil {
		return nil, err
	}
	next, err := x.Definition.With(fields)
	if err != nil {
		return nil, err
	}
	if err := x.permits(&next); err != nil {
		return nil, err
	}
	same := x.Definition.SameSplit(&next)
	over := next.Status == experiment.StatusCompleted || next.Status == experiment.StatusArchived
	if !over || !same { // what is over may outlive its models
		if err := t.checkModels(&next); err != nil {
			return nil, err
		}
	}
	old, shown := x.Experiment, *x.Experiment
	shown.Definition, shown.UpdatedAt = next, at
	if shown.Promotion != nil && !shown.Promotion.Promoted {
		shown.Promotion = nil // it may be considered again
	}
	x.Experiment = &shown
	if next.Status != old.Status {
		switch {
		case next.Status == experiment.StatusActive:
			if err := t.begin(x, at); err != nil {
				x.Experiment = old
				return nil, err
			}
		case next.Status == experiment.StatusCompleted:
			shown.EndedAt, shown.EndReason = at, EndCompleted
		}
	}
	switch {
	case same:
	case old.Status == experiment.StatusDraft:
		t.replan(x)
	default:
		t.resplit(x, old, at)
	}
	t.listActive()
	return &shown, nil
}

// permits tells what about a change does not go with the experiment's life.
func (x *experimentRecord) permits(next *experiment.Definition) error {
	if from, to := x.Status, next.Status; from != to && !slices.Contains(statusChanges[from], to) {
		return errStatus(from, to)
	}
	old := x.Definition
	if x.Status != experiment.StatusDraft && old.ChampionModelID != next.ChampionModelID {
		return decision.Errorf(decision.KindConflict, "championModelId: an experiment that has started keeps its champion, model %q", old.ChampionModelID)
	}
	if x.Status != experiment.StatusCompleted && x.Status != experiment.StatusArchived {
		return nil
	}
	same := old.SameSplit(next) && old.AutoPromote == next.AutoPromote &&
		old.PromoteThreshold == next.PromoteThreshold && old.PromoteAfterDays == next.PromoteAfterDays
	if !same {
		return decision.Errorf(decision.KindConflict, "an experiment that is %s keeps what it was; only its name, its description and its status may change", x.Status)
	}
	return nil
}

func errStatus(from, to experiment.Status) error {
	want := "no other"
	for i, s := range statusChanges[from] {
		if i == 0 {
			want = string(s)
		} else {
			want += " or " + string(s)
		}
	}
	message := fmt.Sprintf("want %s for an experiment that is %s, got %s", want, from, to)
	return &decision.Error{
		Kind: decision.KindBadRequest, Reason: ReasonInvalidTransition, Msg: "status: " + message,
		Details: []decision.Detail{{Path: "status", Message: message}},
	}
}

// checkModels names the models that are not there, and for one that promotes by
// itself those of another family: promoted there, they would take nobody's place.
func (t *tenant) checkModels(d *experiment.Definition) error {
	var p decision.Problems
	champion := t.models[d.ChampionModelID]
	if champion == nil {
		p.Addf("championModelId", "want the id of a model, got %q", d.ChampionModelID)
	}
	for i, c := range d.Challengers {
		path := fmt.Sprintf("challengers[%d].modelId", i)
		switch m := t.models[c.ModelID]; {
		case m == nil:
			p.Addf(path, "want the id of a model, got %q", c.ModelID)
		case champion != nil && d.AutoPromote && m.Family != champion.Family:
			p.Addf(path, "autoPromote wants challengers of the champion's family %q, got a model of %q", champion.Family, m.Family)
		}
	}
	return p.Err()
}

// begin makes an experiment with its new definition active: its family has no
// other active one, and no other champion.
func (t *tenant) begin(x *experimentRecord, at decision.Time) error {
	family := t.models[x.ChampionModelID].Family
	active := 0
	for _, other := range t.experiments {
		if other.Status != experiment.StatusActive || other.ID == x.ID {
			continue
		}
		if active++; other.Family == family {
			return decision.Errorf(decision.KindConflict, "family %q has an active experiment already: %q", family, other.ID)
		}
	}
	if active >= MaxActive {
		return decision.Errorf(decision.KindConflict, "there are %d active experiments already, and there may be no more", MaxActive)
	}
	champion := t.champion(family)
	if champion != "" && champion != x.ChampionModelID {
		return decision.Errorf(decision.KindConflict, "championModelId: the champion of family %q is model %q, got %q", family, champion, x.ChampionModelID)
	}
	x.Family, x.crowned = family, champion != ""
	if x.StartedAt == 0 {
		x.StartedAt = at
	}
	return nil
}

// DeleteExperiment removes an experiment that is not active.
func (c *Catalogue) DeleteExperiment(tenantID, id string) error {
	t, x, err := c.findExperiment(tenantID, id)
	if err != nil {
		return err
	}
	if x.Status == experiment.StatusActive {
		return decision.Errorf(decision.KindConflict, "experiment %q is active; pause or complete it first", id)
	}
	delete(t.experiments, id)
	return nil
}

// replan makes the plan of a split that nobody was assigned by.
func (t *tenant) replan(x *experimentRecord) {
	x.Family = t.models[x.ChampionModelID].Family
	x.keys = nil
	for _, c := range x.Challengers {
		x.keys = append(x.keys, t.models[c.ModelID].Key)
	}
	x.prepare()
}

// prepare makes the plan and gives each of its variants a tally: the one that the
// variant has, or a new one.
func (x *experimentRecord) prepare() {
	x.plan = planOf(&x.Definition, x.keys).WithKept(x.kept)
	tallies := make([]*tally, len(x.plan.Variants))
	for i := range tallies {
		name := x.plan.Variants[i].Name
		if had := slices.IndexFunc(x.tallies, func(t *tally) bool { return t.variant == name }); had >= 0 {
			tallies[i] = x.tallies[had]
		} else {
			tallies[i] = &tally{variant: name}
		}
	}
	x.tallies = tallies
}

func planOf(d *experiment.Definition, keys []string) *experiment.Plan {
	return experiment.NewPlan(d, func(modelID string) string {
		return keys[slices.IndexFunc(d.Challengers, func(c experiment.Challenger) bool { return c.ModelID == modelID })]
	})
}

func (f *formerSplit) plan() *experiment.Plan { return planOf(&f.Definition, f.Keys) }

// resplit goes on with another split: customers who were assigned under the old
// one keep their variants. Cost: O(customers).
func (t *tenant) resplit(x *experimentRecord, old *Experiment, at decision.Time) {
	from := x.plan
	former := formerSplit{Definition: old.Definition, Keys: x.keys, Revision: x.revision, EndedAt: at}
	x.earlier = append(slices.DeleteFunc(slices.Clone(x.earlier), func(f formerSplit) bool { return f.EndedAt+sticky <= at }), former)
	x.earlier = last(x.earlier, maxEarlier)
	x.revision++
	t.replan(x)
	if x.customers.Len() > 0 {
		x.keep(experiment.Carry(from, x.plan, x.customers.Moved(from, x.plan), int64(at)), at)
	}
}

// keep lets customers keep their variants.
func (x *experimentRecord) keep(keeps []experiment.Keep, at decision.Time) {
	if len(keeps) == 0 {
		return
	}
	kept, dropped := x.kept.With(keeps, int64(at))
	x.kept, x.unkept = kept, x.unkept+uint64(dropped)
	x.plan = x.plan.WithKept(kept)
}

// AssignCustomers notes that a node assigned customers, given by their hashes, by
// a revision of the split. Those of an earlier one keep what they got there. An
// experiment that does not run any more ignores them.
func (c *Catalogue) AssignCustomers(tenantID, id string, revision uint64, hashes []uint64, at decision.Time) {
	_, x, err := c.findExperiment(tenantID, id)
	if err != nil || !x.running() {
		return
	}
	fresh := hashes[:0:0]
	for _, h := range hashes {
		if x.customers.Add(h) {
			fresh = append(fresh, h)
		}
	}
	i := slices.IndexFunc(x.earlier, func(f formerSplit) bool { return f.Revision == revision })
	if i >= 0 && len(fresh) > 0 {
		x.keep(experiment.Carry(x.earlier[i].plan(), x.plan, fresh, int64(at)), at)
	}
}

// Unassigned returns which of the customers are not known as assigned, and how many
// of them there is room for.
func (c *Catalogue) Unassigned(tenantID, id string, hashes []uint64) (fresh []uint64, room int) {
	_, x, err := c.findExperiment(tenantID, id)
	if err != nil || !x.running() {
		return nil, 0
	}
	return slices.DeleteFunc(hashes, x.customers.Has), experiment.MaxKept - x.customers.Len()
}

// CountOutcome counts a labelled outcome for every active experiment that it
// belongs to.
func (c *Catalogue) CountOutcome(tenantID string, o *decision.Outcome) {
	t := c.tenants[tenantID]
	if t == nil || o.Class == decision.Neutral {
		return
	}
	for _, x := range t.active {
		x.count(o)
	}
}

func (x *experimentRecord) count(o *decision.Outcome) {
	if decision.Time(o.At) < x.StartedAt {
		return
	}
	i := x.variantOf(o)
	if i < 0 {
		return
	}
	x.tallies[i].samples.Add(1)
	if o.Class == decision.Positive {
		x.tallies[i].positives.Add(1)
	}
}

// variantOf returns the place of the variant that an outcome belongs to, −1 for
// none: the one whose model made the decision, where the outcome names it, else
// the one that its customer has. The holdout shares its model with the champion,
// and is told from it by the customer.
func (x *experimentRecord) variantOf(o *decision.Outcome) int {
	const holdout, champion = 0, 1
	if o.ModelID != "" && o.ModelID != x.ChampionModelID {
		return slices.IndexFunc(x.plan.Variants, func(v experiment.Variant) bool { return v.ModelID == o.ModelID })
	}
	i := x.plan.Assign(o.CustomerID, o.At).Index
	if o.ModelID != "" && i != holdout {
		return champion
	}
	return i
}

// Results evaluates an experiment as of the time at.
func (c *Catalogue) Results(tenantID, id string, at decision.Time) (*Experiment, experiment.Results, error) {
	_, x, err := c.findExperiment(tenantID, id)
	if err != nil {
		return nil, experiment.Results{}, err
	}
	return x.Experiment, x.results(at), nil
}

func (x *experimentRecord) results(at decision.Time) experiment.Results {
	var earlier []*experiment.Plan
	for i := range x.earlier {
		if x.earlier[i].EndedAt+sticky > at {
			earlier = append(earlier, x.earlier[i].plan())
		}
	}
	plan := x.plan.After(earlier...)
	counts := make([]experiment.Count, len(plan.Variants))
	for i, n := range plan.Assigned(x.customers) {
		counts[i] = experiment.Count{Assigned: n, Samples: x.tallies[i].samples.Load(), Positives: x.tallies[i].positives.Load()}
	}
	return plan.Evaluate(counts)
}

// Winner returns the challenger that an active experiment is to promote by itself
// as of the time at, nil when there is none. A promotion that was refused is not
// asked for again.
func (c *Catalogue) Winner(tenantID, id string, at decision.Time) (*experiment.VariantResult, experiment.Results) {
	t, x, err := c.findExperiment(tenantID, id)
	if err != nil || !x.AutoPromote || x.Promotion != nil {
		return nil, experiment.Results{}
	}
	r := x.results(at)
	return x.Promote(&r, experiment.Standing{StartedAt: int64(x.StartedAt), Now: int64(at), AUC: func(modelID string) (float64, bool) {
		m := t.models[modelID]
		if m == nil {
			return 0, false
		}
		v, ok := numbers(m.Metrics)[signalAUC]
		return v, ok
	}}), r
}

// MayPromote is an error unless the experiment is active, as it was when a winner
// was found, and has not promoted or been refused before.
func (c *Catalogue) MayPromote(tenantID, id string, revision uint64, modelID string) error {
	_, x, err := c.findExperiment(tenantID, id)
	if err != nil {
		return err
	}
	if x.Status != experiment.StatusActive || !x.AutoPromote || x.revision != revision || x.Promotion != nil || !x.Uses(modelID) {
		return decision.Errorf(decision.KindConflict, "the experiment was changed meanwhile")
	}
	return nil
}

// NotePromotion notes what became of a promotion; one that succeeded has ended
// the experiment.
func (c *Catalogue) NotePromotion(tenantID, id string, p ExperimentPromotion) {
	_, x, err := c.findExperiment(tenantID, id)
	if err != nil {
		return
	}
	shown := *x.Experiment
	shown.Promotion, shown.UpdatedAt = &p, p.At
	if p.Promoted && shown.Status == experiment.StatusCompleted {
		shown.EndReason = EndPromoted
	}
	x.Experiment = &shown
}

// UsedBy returns the id of a running experiment that a model takes part in, empty
// when there is none: of several the oldest.
func (c *Catalogue) UsedBy(tenantID, modelID string) string {
	t := c.tenants[tenantID]
	if t == nil {
		return ""
	}
	var first *experimentRecord
	for _, x := range t.experiments {
		if x.running() && x.Uses(modelID) && (first == nil || x.sequence < first.sequence) {
			first = x
		}
	}
	if first == nil {
		return ""
	}
	return first.ID
}

// RunningExperiments returns the ids of a tenant's running experiments, in order.
func (c *Catalogue) RunningExperiments(tenantID string) (ids []string) {
	if t := c.tenants[tenantID]; t != nil {
		for id, x := range t.experiments {
			if x.running() {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// SettleExperiments completes the running experiments that cannot go on after
// what became of the tenant's models: one is gone, or the champion is not the
// family's any more.
func (c *Catalogue) SettleExperiments(tenantID string, at decision.Time) {
	t := c.tenants[tenantID]
	if t == nil {
		return
	}
	for _, x := range t.experiments {
		if !x.running() {
			continue
		}
		if reason := t.ends(x); reason != "" {
			shown := *x.Experiment
			shown.Status, shown.EndedAt, shown.EndReason, shown.UpdatedAt = experiment.StatusCompleted, at, reason, at
			x.Experiment = &shown
		}
	}
	t.listActive()
}

// ends returns why a running experiment must end, empty when it may go on.
func (t *tenant) ends(x *experimentRecord) string {
	if t.lacks(&x.Definition) {
		return EndModelDeleted
	}
	m := t.models[x.ChampionModelID]
	champion := t.champion(x.Family)
	if m.Family != x.Family || champion != m.ID && (champion != "" || x.crowned) {
		return EndChampionChanged
	}
	x.crowned = champion != ""
	return ""
}

// lacks reports whether a model of the experiment is not there.
func (t *tenant) lacks(d *experiment.Definition) bool {
	return t.models[d.ChampionModelID] == nil ||
		slices.ContainsFunc(d.Challengers, func(c experiment.Challenger) bool { return t.models[c.ModelID] == nil })
}

// listActive lists the active experiments, for outcomes and for scores.
func (t *tenant) listActive() {
	t.active = nil
	for _, x := range t.experiments {
		if x.Status == experiment.StatusActive {
			t.active = append(t.active, x)
		}
	}
	slices.SortFunc(t.active, func(a, b *experimentRecord) int { return cmp.Compare(a.sequence, b.sequence) })
}

// ActiveExperiment is what scoring needs of an active experiment. It is
// immutable.
type ActiveExperiment struct {
	*Experiment
	TenantID string
	Revision uint64 // of the split
	Plan     *experiment.Plan
}

// EachActive calls f with every active experiment.
func (c *Catalogue) EachActive(f func(ActiveExperiment)) {
	for _, t := range c.tenants {
		for _, x := range t.active {
			f(ActiveExperiment{x.Experiment, x.tenantID, x.revision, x.plan})
		}
	}
}

// ExperimentTotals are figures of all experiments.
type ExperimentTotals struct {
	Active    int
	Customers int    // assigned in running experiments
	Dropped   uint64 // customers for whom there was no room
	Kept      int    // who keep a variant of an earlier split
}

// ExperimentTotals returns the present figures.
func (c *Catalogue) ExperimentTotals() (s ExperimentTotals) {
	for _, t := range c.tenants {
		s.Active += len(t.active)
		for x := range maps.Values(t.experiments) {
			if x.running() {
				s.Customers += x.customers.Len()
				s.Dropped += x.customers.Dropped() + x.unkept
				s.Kept += x.kept.Len()
			}
		}
	}
	return s
}
