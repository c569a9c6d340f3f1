package engine

import (
	"context"
	"errors"
	"time"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/experiment"
)

// An experiment with autoPromote promotes by itself. The leader looks whether a
// challenger has won, and proposes what it found; the log decides: an experiment
// that was changed, ended, promoted or refused meanwhile lets it pass, so that two
// leaders after each other cannot promote twice. The promotion is the registry's
// own transition, with its guard and its share of the tenant's requests. What the
// guard refuses is noted in the experiment and tried again only after somebody
// changes it.

// promoteInterval is how often the leader looks for winners; the shortest
// promoteAfterDays that is not 0 is a day.
const promoteInterval = 10 * time.Second

func (e *Engine) promoteWinners(ctx context.Context) {
	every(ctx, promoteInterval, func(now time.Time) {
		if e.node.IsLeader() && e.Ready() == nil {
			e.lookForWinners(ctx, decision.TimeOf(now))
		}
	})
}

// lookForWinners proposes every promotion that is due at the time at.
func (e *Engine) lookForWinners(ctx context.Context, at decision.Time) {
	all := e.machine.directory.experiments.Load()
	if all == nil {
		return
	}
	for _, x := range all.byID {
		if !x.AutoPromote {
			continue
		}
		e.machine.mu.RLock()
		winner, results := e.machine.catalogue.Winner(x.TenantID, x.ID, at)
		e.machine.mu.RUnlock()
		if winner == nil {
			continue
		}
		log := e.log.Info().Str("tenant", x.TenantID).Str("experiment", x.Key).Str("model", winner.ModelID)
		if err := e.proposePromotion(ctx, x, winner, &results); err != nil {
			log.Err(err).Msg("the winner of an experiment was not promoted")
			continue
		}
		e.promotions.Add(1)
		log.Msg("the winner of an experiment was promoted")
	}
}

func (e *Engine) proposePromotion(ctx context.Context, x *experimentRuntime, winner *experiment.VariantResult, r *experiment.Results) error {
	metrics := map[string]float64{
		"experiment.samples": float64(winner.Samples), "experiment.rate": winner.Rate, "experiment.uplift": winner.Uplift,
		"experiment.pValue": winner.PValue,
	}
	for i := range r.Variants {
		if r.Variants[i].Variant == experiment.Champion {
			metrics["experiment.championRate"] = r.Variants[i].Rate
		}
	}
	h := &command.Header{Kind: command.KindPromoteChallenger, Tenant: x.TenantID, RequestID: newID("promote")}
	p, _, err := do[catalogue.ExperimentPromotion](ctx, e, h, command.PromoteChallenger{
		ID: x.ID, Revision: x.Revision, ModelID: winner.ModelID,
		Transition: catalogue.Transition{
			To: decision.RegistryChampion, Actor: "experiment " + x.Key, Metrics: metrics, Thresholds: catalogue.DefaultThresholds(),
		},
	})
	if err == nil && !p.Promoted {
		return errors.New(p.Reason)
	}
	return err
}

// applyPromoteChallenger asks the registry, once. Only where the tenant's requests
// to it are used up nothing is noted: the leader asks again.
func applyPromoteChallenger(m *machine, ctx *entryContext, h *command.Header, payload string) (any, error) {
	c, err := command.Decode[command.PromoteChallenger](payload)
	if err != nil {
		return nil, &decision.Error{Kind: decision.KindInternal, Op: "engine.Apply", Msg: "the command cannot be read", Err: err}
	}
	return m.audited(ctx, h, c, func() (any, error) { return m.promoteChallenger(ctx, h, &c) })
}

func (m *machine) promoteChallenger(ctx *entryContext, h *command.Header, c *command.PromoteChallenger) (catalogue.ExperimentPromotion, error) {
	if err := m.catalogue.MayPromote(h.Tenant, c.ID, c.Revision, c.ModelID); err != nil {
		return catalogue.ExperimentPromotion{}, err
	}
	transition, asked := *h, command.Transition{ID: c.ModelID, Transition: c.Transition}
	transition.Kind, ctx.promoting = command.KindTransition, c.ID
	_, err := m.audited(ctx, &transition, asked, func() (any, error) { return applyTransition(m, ctx, h.Tenant, asked) })
	ctx.promoting = ""
	if decision.KindOf(err) == decision.KindRateLimited {
		return catalogue.ExperimentPromotion{}, err
	}
	p := catalogue.ExperimentPromotion{ModelID: c.ModelID, At: ctx.at, Promoted: err == nil}
	if err != nil {
		p.Reason = err.Error()
		var refused *decision.Error
		if errors.As(err, &refused) {
			p.Reason = refused.Msg
		}
	}
	m.catalogue.NotePromotion(h.Tenant, c.ID, p)
	m.refreshExperiments()
	return p, nil
}
