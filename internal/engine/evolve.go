package engine

import (
	"context"
	"time"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/evolve"
)

// A model whose evolutionConfig says autoEvolve, and that meets after a training
// what the next rung of the ladder requires, is upgraded by the leader, once. The
// model that this makes is trained and registered as a challenger; to promote it
// is for people or experiments. Each step is derived from the replicated state, so
// a new leader goes on where the one before it ended.

// TriggerEvolution is what a job was started by when a model evolved.
const TriggerEvolution = "evolution"

// evolveInterval is how often the leader looks for models that were changed.
const evolveInterval = time.Second

// evolveRetry is the time after which a step that failed is tried again: a
// worker that is away, a training without enough outcomes.
const evolveRetry = 10 * time.Minute

// evolvesTo returns what a model evolves to by itself now.
func evolvesTo(rec *catalogue.ModelRecord) (decision.ModelType, bool) {
	if rec.LastTrainedAt == 0 || rec.Status != decision.StatusActive || rec.RegistryStatus == decision.RegistryArchived {
		return "", false
	}
	config := evolutionOf(&rec.Model)
	return config.Decide(evolve.Model{
		Type: rec.ModelType, Samples: rec.TrainingSamples, AUC: aucOf(&rec.Model), Evolved: rec.Lineage.To != "",
	})
}

// unregistered reports whether evolution made a model that nobody has given a
// standing yet.
func unregistered(rec *catalogue.ModelRecord) bool {
	return rec.Lineage.Auto && rec.RegistryStatus == decision.RegistryDraft && rec.Promotion.At == 0 &&
		(rec.Status == decision.StatusDraft || rec.Status == decision.StatusActive)
}

// evolver takes the steps that are due while this node leads.
type evolver struct {
	engine *Engine
	seen   map[string]*catalogue.ModelRecord // as they were looked at last
	again  map[string]time.Time              // when to look once more, changed or not
}

func newEvolver(e *Engine) *evolver {
	return &evolver{engine: e, seen: map[string]*catalogue.ModelRecord{}, again: map[string]time.Time{}}
}

// run looks for models that are due until ctx ends.
func (v *evolver) run(ctx context.Context) {
	every(ctx, evolveInterval, func(now time.Time) { v.look(ctx, now) })
}

// look takes one step with every model that was changed since the last look.
func (v *evolver) look(ctx context.Context, now time.Time) {
	e := v.engine
	models := e.machine.directory.models.Load()
	if models == nil || !e.node.IsLeader() || e.Ready() != nil {
		clear(v.seen)
		clear(v.again)
		return
	}
	for id := range v.seen {
		if (*models)[id] == nil {
			delete(v.seen, id)
			delete(v.again, id)
		}
	}
	for id, mr := range *models {
		rec := mr.record.Load()
		if again, ok := v.again[id]; v.seen[id] == rec && (!ok || now.Before(again)) {
			continue
		}
		v.seen[id] = rec
		delete(v.again, id)
		if err := v.step(ctx, rec, now); err != nil && ctx.Err() == nil {
			v.again[id] = now.Add(evolveRetry)
			e.log.Info().Err(err).Str("tenant", rec.TenantID).Str("model", id).Msg("a model cannot evolve yet; it is tried again later")
		}
	}
}

// step does what is next for a model: the upgrade, the training of what it made,
// the registration of that.
func (v *evolver) step(ctx context.Context, rec *catalogue.ModelRecord, now time.Time) error {
	e := v.engine
	w := Write{Principal: Principal{TenantID: rec.TenantID, KeyName: TriggerEvolution, Role: decision.RoleAdmin}, RequestID: newID("evolution")}
	if unregistered(rec) {
		if rec.LastTrainedAt != 0 {
			_, _, err := e.Transition(ctx, w, rec.ID, Transition{To: decision.RegistryChallenger})
			return err
		}
		v.again[rec.ID] = now.Add(evolveRetry) // should the training fail
		_, err := e.submit(ctx, w, rec.ID, TriggerEvolution)
		return err
	}
	to, ok := evolvesTo(rec)
	if !ok {
		return nil
	}
	m, _, err := e.upgrade(ctx, w, command.UpgradeModel{ID: rec.ID, To: to, Auto: true})
	if err != nil {
		return err
	}
	e.log.Info().Str("tenant", rec.TenantID).Str("model", rec.ID).Str("upgraded", m.Upgraded.ID).Str("type", string(to)).Msg("a model evolved")
	return nil
}
