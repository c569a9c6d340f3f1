package engine

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/endpoint"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/external"
	"github.com/praetor-engine/praetor/internal/learn/types"
)

// endpoints asks the endpoints of models of type external_endpoint. It is the
// one thing that a score may wait for, and only a score of such a model does.
type endpoints struct {
	client   *endpoint.Client
	scorer   *endpoint.Scorer
	log      zerolog.Logger
	asked    atomic.Uint64 // queries
	degraded atomic.Uint64 // of these, answered with a fallback for at least one score
}

// An endpoint that is down fails every score of its model: of these failures so
// many are logged in a period, the rest is in the metric.
const (
	failuresLogged = 5
	failurePeriod  = 10 * time.Second
)

func newEndpoints(o endpoint.Options, log zerolog.Logger) (*endpoints, error) {
	client, err := endpoint.NewClient(o)
	if err != nil {
		return nil, err
	}
	return &endpoints{
		client: client, scorer: endpoint.NewScorer(client),
		log: log.Sample(&zerolog.BurstSampler{Burst: failuresLogged, Period: failurePeriod}),
	}, nil
}

// score asks the endpoint of a published model.
func (x *endpoints) score(ctx context.Context, view learn.View, q *endpoint.Query) endpoint.Answer {
	a := x.scorer.Score(ctx, view.(*external.Learner).Config(), q)
	x.asked.Add(1)
	if a.Degraded {
		x.degraded.Add(1)
		x.log.Warn().Err(a.Err).Str("tenant", q.TenantID).Str("model", q.ModelID).Str("requestId", q.RequestID).
			Msg("an endpoint gave no score; the answer has the model's fallback")
	}
	return a
}

// external reports whether another system gives the model's scores.
func (s *Scorer) external() bool { return s.model.ModelType == decision.ExternalEndpoint }

func (s *Scorer) query(customerID string, row decision.Row) endpoint.Query {
	return endpoint.Query{
		TenantID: s.tenantID, ModelID: s.model.ID, RequestID: s.RequestID, CustomerID: customerID, Attributes: row,
	}
}

// ask has the model's endpoint score one row.
func (s *Scorer) ask(ctx context.Context, req *learn.Request, res *learn.Result) {
	q := s.query(req.CustomerID, req.Row)
	if req.OfferID != "" {
		q.Candidates = []endpoint.Candidate{{ID: req.OfferID}}
	}
	a := s.endpoints.score(ctx, s.published.View, &q)
	res.Score, res.Degraded = a.Scores[0].Value, a.Scores[0].Degraded
}

// askOffers has the model's endpoint score the offers in one call. The rows of
// interaction features are new: the call keeps them all at a time.
func (s *Scorer) askOffers(ctx context.Context, customerID string, base decision.Row, offers []Offer, at decision.Time, ranked []OfferScore) {
	q := s.query(customerID, base)
	q.Candidates = make([]endpoint.Candidate, len(offers))
	for i := range offers {
		row := offers[i].Attributes
		if ranked[i].HasHistory && len(s.inputs) > 0 {
			row = ranked[i].History.AppendFeatures(slices.Clone(row), s.inputs, int64(at)).Sort()
		}
		q.Candidates[i] = endpoint.Candidate{ID: offers[i].ID, Name: offers[i].Name, Attributes: row}
	}
	for i, score := range s.endpoints.score(ctx, s.published.View, &q).Scores {
		ranked[i].Score, ranked[i].Degraded = score.Value, score.Degraded
	}
}

// checkEndpoint holds the configuration of a model against this server's rules
// of outbound calls, which replicas need not agree on: it is for whoever
// proposes, not for apply.
func (e *Engine) checkEndpoint(m *catalogue.Model) error {
	if m.ModelType != decision.ExternalEndpoint {
		return nil
	}
	return e.endpoints.scorer.Check(m.Config)
}

// Shown returns the model as it may be shown: without the secrets of its
// configuration.
func Shown(m *catalogue.Model) catalogue.Model {
	shown := *m
	if t, ok := types.Of(m.ModelType); ok && t.Redact != nil {
		shown.Config = t.Redact(m.Config)
	}
	return shown
}

// keepSecrets puts the stored secrets where an update has their placeholders.
func keepSecrets(old *catalogue.Model, f *catalogue.ModelFields) error {
	t, ok := types.Of(old.ModelType)
	if !ok || t.KeepSecrets == nil || f.Config == nil {
		return nil
	}
	config, err := t.KeepSecrets(old.Config, f.Config)
	if err == nil {
		f.Config = config
	}
	return err
}
