package engine

import (
	"cmp"
	"context"
	"encoding/base32"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"path/filepath"

	"github.com/rs/zerolog"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/decisionlog"
	"github.com/praetor-engine/praetor/internal/learn"
)

// Which decisions are logged is replicated; what is logged is each node's own:
// the decisions that it served, and the outcomes that it acknowledged.

// decisionLog is how this node logs decisions.
func (c *Config) decisionLog(log zerolog.Logger) decisionlog.Options {
	o := c.Decisions
	o.Dir = cmp.Or(o.Dir, filepath.Join(c.Cluster.DataDir, "decisions"))
	o.Node, o.Log = cmp.Or(o.Node, c.Cluster.NodeID), log
	return o
}

// DecisionLogState is what is logged of a model or a family.
type DecisionLogState struct {
	catalogue.DecisionLog
	Source string `json:"source"` // model or family, whose setting it is; default: nobody's
}

// The sources of settings.
const (
	sourceModel   = "model"
	sourceFamily  = "family"
	sourceDefault = "default"
)

// DecisionLog returns what is logged of a model, or of a family's models without a
// setting of their own.
func (e *Engine) DecisionLog(tenant string, of catalogue.DecisionLogOf) (DecisionLogState, error) {
	e.machine.mu.RLock()
	defer e.machine.mu.RUnlock()
	return decisionLogState(e.machine.catalogue, tenant, of)
}

func decisionLogState(c *catalogue.Catalogue, tenant string, of catalogue.DecisionLogOf) (DecisionLogState, error) {
	setting, ok, err := c.DecisionLog(tenant, of)
	if err != nil {
		return DecisionLogState{}, err
	}
	source := sourceModel
	if of.Family != "" {
		source = sourceFamily
	}
	if ok {
		return DecisionLogState{setting, source}, nil
	}
	if of.Family == "" {
		rec, err := c.Model(tenant, of.ModelID)
		if err != nil {
			return DecisionLogState{}, err
		}
		return decisionLogState(c, tenant, catalogue.DecisionLogOf{Family: rec.Family})
	}
	return DecisionLogState{DefaultDecisionLog(), sourceDefault}, nil
}

// DefaultDecisionLog is what holds where nothing was set: nothing is logged.
func DefaultDecisionLog() catalogue.DecisionLog {
	return catalogue.DecisionLog{SamplePct: 100, Format: string(decisionlog.NDJSON), Features: true}
}

// SetDecisionLog changes what is logged of a model or a family; nil takes its
// setting away.
func (e *Engine) SetDecisionLog(ctx context.Context, w Write, of catalogue.DecisionLogOf, setting *catalogue.DecisionLog) (DecisionLogState, Receipt, error) {
	if err := checkDecisionLog(setting); err != nil {
		return DecisionLogState{}, Receipt{}, err
	}
	return do[DecisionLogState](ctx, e, w.header(command.KindSetDecisionLog), command.SetDecisionLog{Of: of, Setting: setting})
}

func checkDecisionLog(s *catalogue.DecisionLog) error {
	if s == nil {
		return nil
	}
	var p decision.Problems
	if !(s.SamplePct >= 0 && s.SamplePct <= 100) || s.SamplePct*100 != math.Round(s.SamplePct*100) {
		p.Addf("samplePct", "must be a percentage from 0 to 100 with at most two decimals, got %v", s.SamplePct)
	}
	if !decisionlog.Format(s.Format).Valid() {
		p.Addf("format", "must be %s or %s, got %.40q", decisionlog.NDJSON, decisionlog.Parquet, s.Format)
	}
	return p.Err()
}

func applySetDecisionLog(m *machine, ctx *entryContext, tenant string, c command.SetDecisionLog) (DecisionLogState, error) {
	if err := checkDecisionLog(c.Setting); err != nil {
		return DecisionLogState{}, err
	}
	if err := m.catalogue.SetDecisionLog(tenant, c.Of, c.Setting, ctx.at); err != nil {
		return DecisionLogState{}, err
	}
	m.refreshDecisionLogs()
	return decisionLogState(m.catalogue, tenant, c.Of)
}

func viewDecisionLog(m *machine, tenant, id string) (string, any) {
	var name string
	var shown any
	m.catalogue.EachDecisionLog(func(t string, of catalogue.DecisionLogOf, setting catalogue.DecisionLog) {
		if t == tenant && of.String() == id {
			name, shown = id, struct {
				catalogue.DecisionLog
				UpdatedAt *struct{} `json:"updatedAt,omitempty"`
			}{DecisionLog: setting}
		}
	})
	return name, shown
}

// decisionLogs are the settings in this process, immutable and replaced whole.
type decisionLogs struct {
	models   map[string]*logSetting
	families map[familyKey]*logSetting
	outcomes map[string]*logSetting // by tenant: the widest
}

// logSetting is one setting; that of what is not logged says so, as it hides its
// family's.
type logSetting struct {
	enabled, features bool
	percent           float64
	format            decisionlog.Format
}

// refreshDecisionLogs publishes the settings as the catalogue has them.
func (m *machine) refreshDecisionLogs() {
	next := &decisionLogs{models: map[string]*logSetting{}, families: map[familyKey]*logSetting{}, outcomes: map[string]*logSetting{}}
	m.catalogue.EachDecisionLog(func(tenant string, of catalogue.DecisionLogOf, d catalogue.DecisionLog) {
		s := &logSetting{d.Enabled, d.Features, d.SamplePct, decisionlog.Format(d.Format)}
		if of.Family != "" {
			next.families[familyKey{tenant, of.Family}] = s
		} else {
			next.models[of.ModelID] = s
		}
		if d.Enabled {
			next.widen(tenant, s)
		}
	})
	if len(next.outcomes) == 0 {
		next = nil
	}
	m.directory.decisionLogs.Store(next)
}

// widen lets a tenant's outcomes be logged where the decisions of a setting are. An
// outcome need not name its model, so that all settings share one sample, the
// largest, in lines where any has lines.
func (l *decisionLogs) widen(tenant string, s *logSetting) {
	all := l.outcomes[tenant]
	if all == nil {
		all = &logSetting{format: decisionlog.Parquet}
		l.outcomes[tenant] = all
	}
	all.percent = max(all.percent, s.percent)
	if s.format == decisionlog.NDJSON {
		all.format = decisionlog.NDJSON
	}
}

// logged returns how the decisions of a model are logged, nil when they are not.
// It takes no lock and does not allocate.
func (d *directory) logged(rec *catalogue.ModelRecord) *logSetting {
	all := d.decisionLogs.Load()
	if all == nil {
		return nil
	}
	s := all.models[rec.ID]
	if s == nil {
		s = all.families[familyKey{rec.TenantID, rec.Family}]
	}
	if s == nil || !s.enabled {
		return nil
	}
	return s
}

// Logs reports whether decisions of the model are logged. They are to have an id
// then, whether they are in the sample or not.
func (s *Scorer) Logs() bool { return s.logged != nil }

// decisionPrefix starts the ids that the engine gives decisions.
const decisionPrefix = "dec_"

// decisionEncoding is Crockford's base 32 in lower case.
var decisionEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// AppendDecisionID appends a new decision's id: 80 random bits, so that of a
// million million decisions two are the same with a probability below one half.
func AppendDecisionID(dst []byte, rng *rand.Rand) []byte {
	var raw [16]byte
	binary.LittleEndian.PutUint64(raw[:], rng.Uint64())
	binary.LittleEndian.PutUint64(raw[8:], rng.Uint64())
	return decisionEncoding.AppendEncode(append(dst, decisionPrefix...), raw[:10])
}

// The routes by which LogScore is told that a score was asked for.
const (
	RouteScore = decisionlog.RouteScore
	RouteBatch = decisionlog.RouteBatch
)

// keepRecord bounds the memory that is kept for the next record.
const keepRecord = 64 << 10

// LogScore logs what Score answered: for a bandit that chose among its arms a
// decision with its choice, else a score alone. It waits for nothing and in the
// steady state allocates nothing.
func (s *Scorer) LogScore(route, decisionID string, at decision.Time, req *learn.Request, res *learn.Result, arms []learn.ArmScore, best int, scratch *RankScratch) {
	if s.logged == nil || !decisionlog.Sampled(decisionID, s.logged.percent) {
		return
	}
	d := s.beginRecord(route, decisionID, req.CustomerID, at, req.Row, scratch)
	d.Choice, d.Propensity, d.Degraded = best, math.NaN(), res.Degraded
	if best >= 0 {
		d.Propensity = arms[best].Propensity
		for i := range arms {
			d.Candidates = append(d.Candidates, decisionlog.Candidate{OfferID: arms[i].OfferID, Score: arms[i].Score, Own: math.NaN(), Propensity: arms[i].Propensity})
		}
	} else {
		c := decisionlog.Candidate{OfferID: req.OfferID, Score: res.Score, Own: math.NaN(), Propensity: math.NaN()}
		if res.Source != "" {
			c.Own = res.Own
		}
		d.Candidates = append(d.Candidates, c)
	}
	s.endRecord(scratch)
}

// LogRanking logs what RankOffers answered: the first is the choice.
func (s *Scorer) LogRanking(decisionID, customerID string, at decision.Time, base decision.Row, offers []Offer, ranked []OfferScore, scratch *RankScratch) {
	if s.logged == nil || !decisionlog.Sampled(decisionID, s.logged.percent) {
		return
	}
	d := s.beginRecord(decisionlog.RouteOfferSet, decisionID, customerID, at, base, scratch)
	for range offers {
		d.Candidates = append(d.Candidates, decisionlog.Candidate{})
	}
	_, bandit := s.published.View.(learn.ArmView)
	known := true // the propensities; evidence makes of a bandit's draws another order
	for i := range ranked {
		r := &ranked[i]
		known = known && (r.HasPropensity || !bandit)
		d.Degraded = d.Degraded || r.Degraded
		c := &d.Candidates[r.Index]
		*c = decisionlog.Candidate{OfferID: offers[r.Index].ID, Score: r.Score, Own: math.NaN(), Propensity: r.Propensity}
		if r.Source != "" {
			c.Own = r.Own
		}
		if s.logged.features {
			c.Features = offers[r.Index].Attributes
			if r.HasHistory {
				c.History = r.History
			}
		}
	}
	d.Choice = ranked[0].Index
	for i := range d.Candidates {
		switch {
		case !known:
			d.Candidates[i].Propensity = math.NaN()
		case bandit:
		case i == d.Choice:
			d.Candidates[i].Propensity = 1
		default:
			d.Candidates[i].Propensity = 0
		}
	}
	d.Propensity = d.Candidates[d.Choice].Propensity
	s.endRecord(scratch)
}

// beginRecord fills in what all records have.
func (s *Scorer) beginRecord(route, decisionID, customerID string, at decision.Time, row decision.Row, scratch *RankScratch) *decisionlog.Decision {
	d := &scratch.decision
	m := s.model
	*d = decisionlog.Decision{
		ID: decisionID, Node: s.decisions.Node(), Route: route, At: at, ModelID: m.ID, ModelKey: m.Key, ModelType: m.ModelType,
		Version: m.Version, Family: m.Family, Variant: s.Variant, ExperimentID: s.ExperimentID, CustomerID: customerID,
		SamplePct: s.logged.percent, Candidates: d.Candidates[:0],
	}
	if s.logged.features {
		d.Features = row
	}
	return d
}

// endRecord hands the record over. What it was made of belongs to the request.
func (s *Scorer) endRecord(scratch *RankScratch) {
	d := &scratch.decision
	scratch.record = decisionlog.AppendDecision(scratch.record[:0], d)
	s.decisions.Append(s.tenantID, s.logged.format, scratch.record)
	clear(d.Candidates)
	*d = decisionlog.Decision{Candidates: d.Candidates[:0]}
	if cap(scratch.record) > keepRecord {
		scratch.record, d.Candidates = nil, nil
	}
}

// logOutcomes logs the outcomes that name a decision in the sample. One that is a
// duplicate is logged again: the attempt before may have been acknowledged by
// nobody. Readers know it by its interactionId.
func (e *Engine) logOutcomes(tenant string, outcomes []OutcomeInput, results []OutcomeResult) {
	all := e.machine.directory.decisionLogs.Load()
	if all == nil || all.outcomes[tenant] == nil {
		return
	}
	setting := all.outcomes[tenant]
	var record []byte
	for i := range outcomes {
		r := &results[i]
		if r.Err != nil || outcomes[i].DecisionID == "" || !decisionlog.Sampled(outcomes[i].DecisionID, setting.percent) {
			continue
		}
		o := outcomes[i].Outcome
		o.ID, o.Class, o.At = r.ID, r.Classification, int64(r.At)
		record = decisionlog.AppendOutcome(record[:0], e.decisions.Node(), &o)
		e.decisions.Append(tenant, setting.format, record)
	}
}
