package engine

import (
	"context"
	"math/rand/v2"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// methods lists what *Engine offers to httpapi while the bodies are being
// written; it goes when they are there.
type methods interface {
	// Authenticate finds the principal of a raw key; ok is false for an unknown,
	// expired or revoked one. No allocation, constant-time comparison.
	Authenticate(raw []byte) (p Principal, ok bool)
	// TenantExists backs the operator's X-Tenant-Id.
	TenantExists(id string) bool

	// Ready is nil when the node has restored, caught up and knows a leader.
	Ready() error
	Stale() bool          // no leader known: scores come from the last state
	AppliedIndex() uint64 // everything up to here is visible to reads
	WaitApplied(ctx context.Context, index uint64) error
	Barrier(ctx context.Context) error // for consistency=strong
	ClusterStatus() ClusterStatus
	TakeSnapshot(ctx context.Context) error

	CreateTenant(ctx context.Context, w Write, id, name string) (catalogue.Tenant, Receipt, error) // id may be empty
	Tenants(page Page) (List[catalogue.Tenant], error)
	DeleteTenant(ctx context.Context, w Write, id string) (Receipt, error)

	CreateKey(ctx context.Context, w Write, name, role string, expiresAt decision.Time) (NewKey, Receipt, error)
	Keys(tenant string, page Page) (List[catalogue.Key], error)
	RevokeKey(ctx context.Context, w Write, id string) (Receipt, error)

	OutcomeTypes(tenant string, page Page) (List[catalogue.OutcomeType], error)
	CreateOutcomeType(ctx context.Context, w Write, t catalogue.OutcomeType) (catalogue.OutcomeType, Receipt, error)
	UpdateOutcomeType(ctx context.Context, w Write, key string, t catalogue.OutcomeType) (catalogue.OutcomeType, Receipt, error) // empty fields stay
	DeleteOutcomeType(ctx context.Context, w Write, key string) (Receipt, error)

	Models(tenant string, page Page) (List[*catalogue.Model], error)
	Model(tenant, id string) (*catalogue.Model, error)
	ModelDetail(ctx context.Context, tenant, id string, withState bool) (ModelDetail, error)
	// The engine validates the fields; paths are the JSON names.
	CreateModel(ctx context.Context, w Write, f catalogue.ModelFields) (*catalogue.Model, Receipt, error)
	UpdateModel(ctx context.Context, w Write, id string, f catalogue.ModelFields) (*catalogue.Model, Receipt, error)
	DeleteModel(ctx context.Context, w Write, id string, force bool) (Receipt, error)
	ResetLearning(ctx context.Context, w Write, id string) (*catalogue.Model, Receipt, error)
	RestoreVersion(ctx context.Context, w Write, id string, version uint64) (*catalogue.Model, Receipt, error)

	Train(ctx context.Context, w Write, id string) (TrainResult, Receipt, error) // fewer than 50: Unprocessable with Reason insufficient_data
	StartTraining(ctx context.Context, w Write, id string) (Job, error)
	Job(tenant, id string) (Job, error)
	Jobs(tenant string, page Page) (List[Job], error)
	CancelJob(tenant, id string) (Job, error)

	// Scorer finds a model that may be scored: 404 unknown, 409 paused or
	// archived, 500/503 faulted. Hot: no allocation.
	Scorer(tenant, id string) (Scorer, error)

	// Respond records outcomes in order, each by itself: an invalid one is an
	// error in its result. A non-nil error means that nothing is known to be
	// recorded (its kind says whether it may have been). results has the
	// length of outcomes and is appended to dst. now is the receive time.
	Respond(ctx context.Context, w Write, now decision.Time, outcomes []OutcomeInput, dst []OutcomeResult) ([]OutcomeResult, Receipt, error)
	Interactions(ctx context.Context, tenant string, f HistoryFilter, page Page) (List[decision.Outcome], error)
	Summaries(tenant, customer string) ([]OfferSummary, error)

	Registry(tenant, id string) (*catalogue.Model, catalogue.RegistryEntry, error)
}

// scorerMethods lists what a Scorer value offers.
type scorerMethods interface {
	Model() *catalogue.Model
	// Score scores one row; req.Rand is set by the caller. For a bandit without
	// req.OfferID it chooses the best arm: the arms' scores are appended to
	// arms (also when explaining), the chosen one's index is best (−1 if none).
	Score(req *learn.Request, at decision.Time, scratch *RankScratch, res *learn.Result, arms []learn.ArmScore) (armsOut []learn.ArmScore, best int)
	// RankOffers scores the offers for one customer, sorted by score
	// descending, ties in request order. base is the merged row of customer and
	// context. The result is appended to dst; scratch is reused memory.
	RankOffers(customerID string, base decision.Row, offers []Offer, at decision.Time, rng *rand.Rand, scratch *RankScratch, dst []OfferScore) []OfferScore
}
