package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/praetor-engine/praetor/actors"
	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/history"
)

// A version's state is kept on disk from the moment the version begins; a reset
// replaces it by the state just before the reset. The functions here run on
// the apply goroutine, what they return runs on the actor's.

func (m *machine) runtime(tenant, id string) (*tenantRuntime, *modelRuntime, error) {
	if _, err := m.catalogue.Model(tenant, id); err != nil {
		return nil, nil, err
	}
	t := m.tenants[tenant]
	return t, t.models[id], nil
}

// keep stores the state, as it will be when the actor gets there, under the
// version.
func (m *machine) keep(ctx *entryContext, t *tenantRuntime, mr *modelRuntime, version uint64) {
	mr.handle.Send(&actors.Keep{Index: ctx.index, Save: m.saver(t, mr.id, version), Pending: ctx.pending})
}

// keepUnkept stores the present state when its version, the first of a model's
// life, has no entry yet.
func (m *machine) keepUnkept(ctx *entryContext, t *tenantRuntime, mr *modelRuntime, old *catalogue.ModelRecord) {
	if !old.HasVersion(old.Version) {
		m.keep(ctx, t, mr, old.Version)
	}
}

// saver stores a state under a version.
func (m *machine) saver(t *tenantRuntime, id string, version uint64) func(state []byte) {
	return func(state []byte) {
		if err := m.history.PutState(t.Ordinal, id, version, state); err != nil {
			m.halt(err, "cannot store version %d of model %s", version, id)
		}
	}
}

// loader reads a version's state. A version without one (its model was faulted
// when it began) is an error, the same on every node; a storage error halts.
func (m *machine) loader(t *tenantRuntime, id string, version uint64) func() ([]byte, error) {
	return func() ([]byte, error) {
		state, err := m.history.State(t.Ordinal, id, version)
		if errors.Is(err, history.ErrNotFound) {
			return nil, fmt.Errorf("version %d has no state", version)
		}
		if err != nil {
			m.halt(err, "cannot read version %d of model %s", version, id)
		}
		return state, nil
	}
}

// dropOldVersions drops the states of versions that left the model's history.
func (m *machine) dropOldVersions(t *tenantRuntime, old, rec *catalogue.ModelRecord) {
	for _, v := range old.Versions {
		if rec.HasVersion(v.Version) {
			return // oldest first
		}
		if err := m.history.DeleteState(t.Ordinal, rec.ID, v.Version); err != nil {
			m.halt(err, "cannot delete version %d of model %s", v.Version, rec.ID)
		}
	}
}

// since replays what a model must still observe after a training that read the
// history up to the log index through: the later outcomes up to this place in
// this entry. What the entry records after this place reaches the actor as
// usual.
func (m *machine) since(ctx *entryContext, ordinal uint32, through uint64) actors.Replay {
	end := decision.InteractionID{Index: ctx.index, Seq: ctx.recorded}
	return func(f func(*decision.Outcome)) error {
		<-ctx.committed
		err := m.history.ScanRange(context.Background(), ordinal, through, ctx.index, func(o *decision.Outcome) error {
			if o.ID.Less(end) {
				f(o)
			}
			return nil
		})
		if err != nil {
			m.halt(err, "cannot replay the history of tenant %d after log index %d", ordinal, through)
		}
		return nil
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
