package history

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/praetor-engine/praetor/internal/decision"
)

// stateRef says where the state of a model's version is: what is in memory
// decides what exists, the disk may hold more.
type stateRef struct {
	version uint64
	id      decision.InteractionID // of the put: entry, and place among its puts
}

// putState notes a state and returns the one of the same version that it
// replaces.
func (t *tenant) putState(model string, ref stateRef) (replaced []stateRef) {
	replaced = t.deleteState(model, ref.version)
	t.statesMu.Lock()
	defer t.statesMu.Unlock()
	// Captures share the slices: they are replaced, never written.
	t.states[model] = append(slices.Clip(t.states[model]), ref)
	return replaced
}

func (t *tenant) deleteState(model string, version uint64) (deleted []stateRef) {
	t.statesMu.Lock()
	defer t.statesMu.Unlock()
	var kept []stateRef
	for _, ref := range t.states[model] {
		if ref.version == version {
			deleted = append(deleted, ref)
		} else {
			kept = append(kept, ref)
		}
	}
	if len(deleted) == 0 {
		return nil
	}
	if t.states[model] = kept; len(kept) == 0 {
		delete(t.states, model)
	}
	return deleted
}

func (t *tenant) deleteStates(model string) []stateRef {
	t.statesMu.Lock()
	defer t.statesMu.Unlock()
	refs := t.states[model]
	delete(t.states, model)
	return refs
}

func (t *tenant) state(model string, version uint64) (stateRef, bool) {
	t.statesMu.RLock()
	defer t.statesMu.RUnlock()
	for _, ref := range t.states[model] {
		if ref.version == version {
			return ref, true
		}
	}
	return stateRef{}, false
}

// State returns the encoded state of a model's version. An unknown one is
// KindNotFound.
func (s *Store) State(tenant uint32, model string, version uint64) ([]byte, error) {
	im, err := s.acquire()
	if err != nil {
		return nil, err
	}
	defer im.done()
	notFound := decision.Errorf(decision.KindNotFound, "version %d of model %s has no stored state", version, model)
	t := im.tenant(tenant)
	if t == nil {
		return nil, notFound
	}
	ref, ok := t.state(model, version)
	if !ok {
		return nil, notFound
	}
	value, closer, err := im.db.Get(appendStateKey(nil, t.space, model, ref))
	if errors.Is(err, pebble.ErrNotFound) {
		if now, ok := t.state(model, version); !ok || now != ref || im.tenant(tenant) != t {
			return nil, notFound // deleted or replaced in between
		}
	}
	if err != nil {
		return nil, &decision.Error{
			Kind: decision.KindInternal, Op: "history.State",
			Msg: fmt.Sprintf("the state of version %d of model %s cannot be read", version, model), Err: err,
		}
	}
	return append([]byte(nil), value...), closer.Close()
}

// StateVersions returns the versions of a model that have a state, in the order
// in which they were put.
func (s *Store) StateVersions(tenant uint32, model string) []uint64 {
	t := s.image.Load().tenant(tenant)
	if t == nil {
		return nil
	}
	t.statesMu.RLock()
	defer t.statesMu.RUnlock()
	out := make([]uint64, 0, len(t.states[model]))
	for _, ref := range t.states[model] {
		out = append(out, ref.version)
	}
	return out
}
