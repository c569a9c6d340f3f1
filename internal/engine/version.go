package engine

import (
	"context"
	"fmt"

	"github.com/praetor-engine/praetor/actors"
	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/history"
)

// A version's state is kept on disk from the moment the version begins; a reset
// replaces it by the state just before the reset. All of this runs on the apply
// goroutine.

func (m *machine) runtime(tenant, id string) (*tenantRuntime, *modelRuntime, error) {
	if _, err := m.catalogue.Model(tenant, id); err != nil {
		return nil, nil, err
	}
	t := m.tenants[tenant]
	return t, t.models[id], nil
}

// keep stores the present state under the version. It waits for the actor: what
// it stores belongs to this entry. A faulted model has no state to keep.
func (m *machine) keep(ctx *entryContext, t *tenantRuntime, mr *modelRuntime, version uint64) {
	if c := <-mr.handle.Capture(); c.Fault == nil {
		ctx.batch.PutState(t.Ordinal, mr.id, version, c.State)
	}
}

// keepUnkept stores the present state when its version, the first of a model's
// life, has no entry yet.
func (m *machine) keepUnkept(ctx *entryContext, t *tenantRuntime, mr *modelRuntime, old *catalogue.ModelRecord) {
	if !old.HasVersion(old.Version) {
		m.keep(ctx, t, mr, old.Version)
	}
}

// kept reads a version's state. A version without one (its model was faulted
// when it began) is an error, the same on every node; a storage error halts.
func (m *machine) kept(t *tenantRuntime, id string, version uint64) ([]byte, error) {
	state, err := m.history.State(t.Ordinal, id, version)
	if decision.KindOf(err) == decision.KindNotFound {
		return nil, decision.Errorf(decision.KindNotFound, "algorithm model %q has no state of a version %d to restore", id, version)
	}
	if err != nil {
		m.halt(err, "cannot read version %d of model %s", version, id)
	}
	return state, nil
}

// dropOldVersions drops the states of versions that left the model's history.
func (m *machine) dropOldVersions(ctx *entryContext, t *tenantRuntime, old, rec *catalogue.ModelRecord) {
	for _, v := range old.Versions {
		if rec.HasVersion(v.Version) {
			return // oldest first
		}
		ctx.batch.DeleteState(t.Ordinal, rec.ID, v.Version)
	}
}

// since replays what a model must still observe after a training that read the
// history up to the log index through: what later entries recorded, and what
// this one recorded before this place. The latter comes from memory: the actor
// must not wait for this entry's commit while this entry may wait for the actor
// (see keep). What the entry records after this place reaches the actor as usual.
func (m *machine) since(ctx *entryContext, t *tenantRuntime, through uint64) actors.Replay {
	view, err := m.history.OpenScan(t.Ordinal, through, ctx.index-1)
	if err != nil {
		m.halt(err, "cannot open the history of tenant %d after log index %d", t.Ordinal, through)
	}
	return &replay{machine: m, view: view, own: t.batch}
}

// replay is what since returns. Its view is of the moment of the entry, so that
// every node replays the same whatever is dropped before the actor gets there.
type replay struct {
	machine *machine
	view    *history.ScanView
	own     []decision.Outcome
}

// Each implements actors.Replay.
func (r *replay) Each(f func(*decision.Outcome)) error {
	err := r.view.Each(context.Background(), func(o *decision.Outcome) error {
		f(o)
		return nil
	})
	if err != nil {
		r.machine.halt(err, "cannot replay the history")
	}
	for i := range r.own {
		f(&r.own[i])
	}
	return nil
}

// Close implements actors.Replay.
func (r *replay) Close() {
	if err := r.view.Close(); err != nil {
		r.machine.halt(err, "cannot read the history")
	}
}

// halt ends the process. A replica that cannot store or read what the log says
// must not go on as if it had: a restart reads everything again from the last
// good snapshot and the log. It never returns, also on a goroutine that
// recovers from panics.
func (m *machine) halt(err error, format string, args ...any) {
	m.log.Error().Err(err).Msgf("storage failed, stopping: "+format, args...)
	go panic(fmt.Sprintf("praetor: storage failed: "+format+": %v", append(args, err)...))
	select {}
}
