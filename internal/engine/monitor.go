package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/monitor"
)

// DefaultMonitorInterval is the time between two tellings of what a node learned
// of the scores that it served.
const DefaultMonitorInterval = time.Minute

// Monitoring is what a model did since it serves.
type Monitoring struct {
	ModelKey  string             `json:"modelKey"`
	ModelType decision.ModelType `json:"modelType"`
	monitor.Report
	Bandit *monitor.Bandit `json:"bandit"` // null: not a bandit
}

// MaxMonitorDays is how many days a report may have.
const MaxMonitorDays = monitor.KeptDays

// Monitoring reports on a model's last days, up to now.
func (e *Engine) Monitoring(tenant, id string, days int, now decision.Time) (Monitoring, error) {
	mr, err := e.machine.directory.model(tenant, id)
	if err != nil {
		return Monitoring{}, err
	}
	if days < 1 || days > MaxMonitorDays {
		return Monitoring{}, decision.Invalid("days", "want 1 to %d, got %d", MaxMonitorDays, days)
	}
	m := &mr.record.Load().Model
	life := e.machine.book.Life(tenant, id)
	r := Monitoring{ModelKey: m.Key, ModelType: m.ModelType, Report: life.Report(id, days, e.broken(mr, life, now), now)}
	if p := policyOf(mr); p != nil {
		r.Bandit = life.Bandit(p, now)
	}
	return r, nil
}

// Serve tells the monitoring of a score that the client was given, for an offer or
// for none. best is the place of the arm that a bandit chose of arms, −1 when it
// chose none. It does not allocate.
func (s *Scorer) Serve(decisionID, customerID, offerID string, at decision.Time, score float64, arms []learn.ArmScore, best int) {
	candidates := 1
	if best >= 0 {
		offerID, candidates = arms[best].OfferID, len(arms)
	}
	s.track.Serve(s.track.Subject(decisionID, customerID), at, offerID, score, 0)
	if s.bandit() {
		s.track.Choose(offerID, candidates, func(i int) string { return arms[i].OfferID })
	}
}

// ServeRanking is Serve for a ranking that RankOffers made; what a bandit chose is
// its first offer.
func (s *Scorer) ServeRanking(decisionID, customerID string, at decision.Time, offers []Offer, ranked []OfferScore) {
	s.track.ServeRanking(s.track.Subject(decisionID, customerID), at, len(ranked), func(rank int) (string, float64) {
		return offers[ranked[rank].Index].ID, ranked[rank].Score
	})
	if len(ranked) > 0 && s.bandit() {
		s.track.Choose(offers[ranked[0].Index].ID, len(offers), func(i int) string { return offers[i].ID })
	}
}

func (s *Scorer) bandit() bool {
	_, ok := s.published.View.(learn.ArmView)
	return ok
}

// track returns where the scores of a model are recorded; nil: nowhere.
func (m *machine) track(rec *catalogue.ModelRecord) *monitor.Track {
	if m.recorder == nil {
		return nil
	}
	return m.recorder.Track(rec.TenantID, rec.ID)
}

// follow counts an outcome for the model that it names, and joins it to the score
// that it followed, where this node served that.
func (m *machine) follow(ctx *entryContext, t *tenantRuntime, o *decision.Outcome) {
	if mr := t.models[o.ModelID]; mr != nil {
		if positive, _, ok := mr.spec.Label(o); ok {
			m.book.Respond(mr.tenantID, mr.id, decision.Time(o.At), ctx.at, positive)
		}
	}
	if m.recorder == nil {
		return
	}
	m.recorder.Join(t.ID, o, func(model string) (positive, ok bool) {
		mr := t.models[model]
		if mr == nil {
			return false, false
		}
		positive, _, ok = mr.spec.Label(o)
		return positive, ok
	})
}

// applyObserve adds what a node learned to what all know. What is about a model
// that is gone is dropped.
func applyObserve(m *machine, ctx *entryContext, _ string, c command.Observe) (nothing, error) {
	for i := range c.Deltas {
		d := &c.Deltas[i]
		if t := m.tenants[d.Tenant]; t == nil || t.models[d.Model] == nil {
			continue
		}
		if err := m.book.Add(d, ctx.at); err != nil {
			m.log.Error().Err(err).Str("model", d.Model).Msg("what a node learned of served scores is not in order and was dropped")
		}
	}
	return nothing{}, nil
}

func applyDrifted(m *machine, ctx *entryContext, tenant string, c command.Drifted) (nothing, error) {
	if _, _, err := m.runtime(tenant, c.ID); err != nil {
		return nothing{}, err
	}
	m.book.Drifted(tenant, c.ID, c.Drifts, ctx.at)
	return nothing{}, nil
}

// teller tells the other nodes what this one learned of the scores that it
// served. What was told is told again until it is known to be in the log, which
// takes it once, by its key.
type teller struct {
	engine *Engine
	boot   string // tells this process from those before it
	told   int
	unsent []parcel
	lost   atomic.Uint64
}

// parcel is what one command brings.
type parcel struct {
	key    string
	deltas []monitor.Delta
}

// The bounds of what is told: deltas in a command, and parcels that wait for a
// quorum, hours of them.
const (
	deltasInParcel = 100
	maxParcels     = 1000
)

func newTeller(e *Engine) *teller { return &teller{engine: e, boot: newID("boot")} }

func (t *teller) run(ctx context.Context, interval time.Duration) {
	every(ctx, interval, func(now time.Time) { t.tell(ctx, decision.TimeOf(now)) })
}

// tell tells what was learned up to now.
func (t *teller) tell(ctx context.Context, now decision.Time) {
	r := t.engine.machine.recorder
	if r == nil {
		return
	}
	for part := range slices.Chunk(r.Take(now), deltasInParcel) {
		t.told++
		t.unsent = append(t.unsent, parcel{fmt.Sprintf("%s/%d", t.boot, t.told), part})
	}
	if over := len(t.unsent) - maxParcels; over > 0 {
		t.lost.Add(uint64(over))
		t.unsent = slices.Delete(t.unsent, 0, over)
	}
	for len(t.unsent) > 0 {
		p := &t.unsent[0]
		h := &command.Header{Kind: command.KindObserve, IdempotencyKey: p.key}
		if _, _, err := do[nothing](ctx, t.engine, h, command.Observe{Deltas: p.deltas}); err != nil {
			t.engine.log.Debug().Err(err).Int("waiting", len(t.unsent)).Msg("what this node learned of served scores waits to be told")
			return
		}
		t.unsent = slices.Delete(t.unsent, 0, 1)
	}
}

// driftsEvery is how old the drifts of a model's inputs may be, and driftsLook how
// often the leader looks for such.
const (
	driftsEvery = decision.Time(24 * time.Hour / time.Millisecond)
	driftsLook  = 10 * time.Minute
)

// measureDrifts measures the inputs of trained models once a day while this node
// leads.
func (e *Engine) measureDrifts(ctx context.Context) {
	every(ctx, driftsLook, func(now time.Time) { e.lookForDrifts(ctx, decision.TimeOf(now)) })
}

// lookForDrifts measures every trained model that got a response since it was last
// measured, a day ago or more.
func (e *Engine) lookForDrifts(ctx context.Context, now decision.Time) {
	all := e.machine.directory.models.Load()
	if all == nil {
		return
	}
	for id, mr := range *all {
		if ctx.Err() != nil || !e.node.IsLeader() || e.Ready() != nil {
			return
		}
		rec := mr.record.Load()
		life := e.machine.book.Life(mr.tenantID, id)
		if rec.LastTrainedAt == 0 || !rec.Status.Scores() || life == nil || now-life.DriftsAt < driftsEvery || life.LastResponse <= life.DriftsAt {
			continue
		}
		if err := e.measureDrift(ctx, mr); err != nil && ctx.Err() == nil {
			e.log.Warn().Err(err).Str("tenant", mr.tenantID).Str("model", id).Msg("the drift of a model's inputs could not be measured")
		}
	}
}

func (e *Engine) measureDrift(ctx context.Context, mr *modelRuntime) error {
	report, err := e.Predictors(ctx, mr.tenantID, mr.id, PredictorOptions{})
	if err != nil {
		return err
	}
	drifts := []monitor.Drift{}
	for i := range report.Predictors {
		if p := &report.Predictors[i]; p.PSI != nil {
			drifts = append(drifts, monitor.Drift{Field: p.Field, Member: p.Member, PSI: *p.PSI})
		}
	}
	slices.SortFunc(drifts, func(a, b monitor.Drift) int {
		return cmp.Or(cmp.Compare(b.PSI, a.PSI), strings.Compare(a.Field, b.Field), strings.Compare(a.Member, b.Member))
	})
	_, _, err = do[nothing](ctx, e, &command.Header{Kind: command.KindDrifted, Tenant: mr.tenantID},
		command.Drifted{ID: mr.id, Drifts: drifts[:min(len(drifts), monitor.MaxDrifts)]})
	return err
}
