package engine

import (
	"testing"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/evidence"
)

// What was refused under a key stays refused, whatever has changed since: the
// first attempt may still be on its way into the log.
func TestRefusalsAreRemembered(t *testing.T) {
	n := fresh(t)
	name := "renamed"
	absent := "model_not_there"
	_, _, err := n.UpdateModel(n.ctx, n.keyed("u1", 1), absent, catalogue.ModelFields{Name: &name})
	wantError(t, "UpdateModel() of what is not there", err, decision.KindNotFound, "")

	m := n.model("m", decision.ThompsonBandit)
	reset := evidence.Body{OfferID: "o1", Action: evidence.ActionPause}
	_, _, err = n.Adapt(n.ctx, n.keyed("a1", 1), m.ID, reset)
	wantError(t, "Adapt() of an unknown offer", err, decision.KindNotFound, "")
	first := err.Error()
	n.record(in(3, "click", "o1", "cards")...)
	_, receipt, err := n.Adapt(n.ctx, n.keyed("a1", 1), m.ID, reset)
	if err == nil || err.Error() != first || !receipt.Replayed {
		t.Errorf("the same request again: %v, %+v, want the first answer %s", err, receipt, first)
	}
	n = n.restart(t)
	if _, _, err := n.Adapt(n.ctx, n.keyed("a1", 1), m.ID, reset); err == nil || err.Error() != first {
		t.Errorf("after a restart: %v, want the first answer %s", err, first)
	}
	if _, _, err := n.Adapt(n.ctx, n.keyed("a2", 1), m.ID, reset); err != nil {
		t.Errorf("with another key: %v", err)
	}
	key := "m"
	_, _, err = n.CreateModel(n.ctx, n.keyed("c1", 1), fields(t, key, decision.Scorecard))
	wantError(t, "CreateModel() with a key in use", err, decision.KindBadRequest, "key")
	if _, err := n.DeleteModel(n.ctx, n.w(), m.ID, false); err != nil {
		t.Fatal(err)
	}
	_, receipt, err = n.CreateModel(n.ctx, n.keyed("c1", 1), fields(t, key, decision.Scorecard))
	wantError(t, "CreateModel() again, the key is free now", err, decision.KindBadRequest, "key")
	if !receipt.Replayed {
		t.Errorf("receipt = %+v, want a first answer", receipt)
	}
	_, _, err = n.CreateModel(n.ctx, n.keyed("c1", 2), fields(t, key, decision.Scorecard))
	wantError(t, "another request under the key", err, decision.KindConflict, "")
}
