package engine

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"

	"github.com/praetor-engine/praetor/actors"
	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/decisionlog"
	"github.com/praetor-engine/praetor/internal/evidence"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/monitor"
)

// Scorer scores with one model as it was published when the Scorer was made.
type Scorer struct {
	model     *catalogue.Model
	published *actors.Published
	inputs    []string // the interaction features that are inputs of the model
	history   summaries
	endpoints *endpoints
	track     *monitor.Track
	logged    *logSetting // nil: decisions are not logged
	decisions *decisionlog.Log
	tenantID  string
	ordinal   uint32 // of the tenant

	// Variant and ExperimentID name what decided for the model, in an active
	// experiment of its family; else they are empty.
	Variant, ExperimentID string
	running               *experimentRuntime // to score by its other models too; nil: none

	// RequestID is told to the endpoint of a model that another system scores
	// for.
	RequestID string
}

// summaries is what scoring reads of the history.
type summaries interface {
	Summary(tenant uint32, customer, offer string) (decision.Summary, bool)
}

// Scorer finds a model that may be scored. It takes no lock and does not
// allocate.
func (e *Engine) Scorer(tenant, id string) (Scorer, error) {
	mr, err := e.machine.directory.model(tenant, id)
	if err != nil {
		return Scorer{}, err
	}
	return e.scorerOf(mr)
}

func (e *Engine) scorerOf(mr *modelRuntime) (Scorer, error) {
	rec := mr.record.Load()
	m := &rec.Model
	if !m.Status.Scores() {
		return Scorer{}, decision.Errorf(decision.KindConflict, "the model is %s; only draft and active models score", m.Status)
	}
	p := mr.handle.Published()
	if p.Fault != nil {
		return Scorer{}, p.Fault.Err()
	}
	return Scorer{
		model: m, published: p, inputs: p.Spec.InteractionInputs, history: e.machine.history,
		endpoints: e.endpoints, track: mr.track, tenantID: mr.tenantID, ordinal: mr.ordinal,
		logged: e.machine.directory.logged(rec), decisions: e.decisions,
	}, nil
}

// Model returns the scored model's metadata.
func (s *Scorer) Model() *catalogue.Model { return s.model }

// Score scores one row as of the time at. For a bandit without an offer it
// chooses the best arm: the arms' scores are appended to arms, and best is the
// chosen one's index, −1 when there is no arm yet and the score is a draw from
// the prior. ctx ends the call of a model's endpoint; no other model waits for
// anything.
func (s *Scorer) Score(ctx context.Context, req *learn.Request, at decision.Time, scratch *RankScratch, res *learn.Result, arms []learn.ArmScore) (_ []learn.ArmScore, best int) {
	res.Clear()
	bandit, ok := s.published.View.(learn.ArmView)
	if !ok {
		given := req.Row
		if len(s.inputs) > 0 && req.CustomerID != "" {
			if h, ok := s.history.Summary(s.ordinal, req.CustomerID, req.OfferID); ok {
				scratch.row = h.AppendFeatures(append(scratch.row[:0], req.Row...), s.inputs, int64(at)).Sort()
				req.Row = scratch.row
			}
		}
		if s.external() {
			s.ask(ctx, req, res)
		} else {
			s.published.View.Score(req, res)
		}
		req.Row = given
		s.adaptResult(req.OfferID, at, res)
		return arms, -1
	}
	explain := req.Explain
	req.Explain = false // a bandit is explained by its arms
	defer func() { req.Explain = explain }()
	if req.OfferID != "" {
		bandit.Score(req, res)
		if explain {
			arms = bandit.ScoreArms(nil, req.Rand, arms)
		}
		s.adaptResult(req.OfferID, at, res)
		return arms, -1
	}
	arms = bandit.ScoreArms(nil, req.Rand, arms)
	if len(arms) == 0 {
		bandit.Score(req, res)
		return arms, -1
	}
	for i := range arms {
		if arms[i].Score > arms[best].Score {
			best = i
		}
	}
	res.Score = arms[best].Score
	return arms, best
}

// adapts reports whether evidence changes the model's scores.
func (s *Scorer) adapts() bool { return s.published.Evidence.Mode() != evidence.Off }

// adapt returns the score of an offer as its outcomes have it, and what it is
// made of.
func (s *Scorer) adapt(offerID string, score float64, at decision.Time) (float64, string) {
	a := s.published.Evidence.Score(&evidence.Query{OfferID: offerID, Score: score, Scored: true, At: int64(at)})
	if a.Source == evidence.SourceModel {
		return score, ""
	}
	return a.Score, string(a.Source)
}

func (s *Scorer) adaptResult(offerID string, at decision.Time, res *learn.Result) {
	if offerID == "" || !s.adapts() {
		return
	}
	res.Own = res.Score
	res.Score, res.Source = s.adapt(offerID, res.Own, at)
}

// adaptOffer adapts one offer of a ranking. The propensity of a bandit's draw is
// not that of a rank that evidence makes.
func (s *Scorer) adaptOffer(offer *Offer, at decision.Time, o *OfferScore) {
	o.Own = o.Score
	if o.Score, o.Source = s.adapt(offer.ID, o.Own, at); o.Source != "" {
		o.Propensity, o.HasPropensity = 0, false
	}
}

// RankScratch is the reusable memory of Score and RankOffers.
type RankScratch struct {
	row  decision.Row
	ids  []string
	arms []learn.ArmScore
	req  learn.Request
	res  learn.Result

	decision decisionlog.Decision
	record   []byte
}

// RankOffers scores the offers for one customer and sorts them by score, ties
// in the order of the request. base is the merged row of customer and context;
// an offer's attributes win over it. The result is appended to dst. ctx is as for
// Score.
func (s *Scorer) RankOffers(ctx context.Context, customerID string, base decision.Row, offers []Offer, at decision.Time, rng *rand.Rand, scratch *RankScratch, dst []OfferScore) []OfferScore {
	from := len(dst)
	for i := range offers {
		o := OfferScore{Index: i}
		if customerID != "" {
			o.History, o.HasHistory = s.history.Summary(s.ordinal, customerID, offers[i].ID)
		}
		dst = append(dst, o)
	}
	ranked := dst[from:]
	bandit, isBandit := s.published.View.(learn.ArmView)
	switch {
	case isBandit:
		drawOffers(bandit, offers, rng, scratch, ranked)
	case s.external():
		s.askOffers(ctx, customerID, base, offers, at, ranked)
	default:
		for i := range ranked {
			s.scoreOffer(customerID, base, &offers[i], at, rng, scratch, &ranked[i])
		}
	}
	if s.adapts() {
		for i := range ranked {
			s.adaptOffer(&offers[i], at, &ranked[i])
		}
	}
	slices.SortStableFunc(ranked, func(a, b OfferScore) int { return cmp.Compare(b.Score, a.Score) })
	return dst
}

// drawOffers scores the offers by one joint draw of a bandit.
func drawOffers(bandit learn.ArmView, offers []Offer, rng *rand.Rand, scratch *RankScratch, ranked []OfferScore) {
	scratch.ids = scratch.ids[:0]
	for i := range offers {
		scratch.ids = append(scratch.ids, offers[i].ID)
	}
	scratch.arms = bandit.ScoreArms(scratch.ids, rng, scratch.arms)
	for i := range ranked {
		ranked[i].Score, ranked[i].Propensity, ranked[i].HasPropensity = scratch.arms[i].Score, scratch.arms[i].Propensity, true
	}
}

func (s *Scorer) scoreOffer(customerID string, base decision.Row, offer *Offer, at decision.Time, rng *rand.Rand, scratch *RankScratch, score *OfferScore) {
	scratch.row = decision.AppendMerged(scratch.row[:0], base, offer.Attributes)
	if score.HasHistory && len(s.inputs) > 0 {
		scratch.row = score.History.AppendFeatures(scratch.row, s.inputs, int64(at)).Sort()
	}
	scratch.res.Clear()
	scratch.req = learn.Request{Row: scratch.row, CustomerID: customerID, OfferID: offer.ID, Rand: rng}
	s.published.View.Score(&scratch.req, &scratch.res)
	score.Score = scratch.res.Score
}
