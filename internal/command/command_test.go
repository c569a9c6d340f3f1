package command

import (
	"reflect"
	"testing"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/wire"
)

// A transition comes out of the log as it went in, with who asked for it.
func TestTransitionRoundTrip(t *testing.T) {
	header := Header{Kind: KindTransition, Tenant: "acme", RequestID: "r", KeyID: "k", IdempotencyKey: "i", Fingerprint: 42}
	for _, want := range []Transition{
		{Invalid: true},
		{ID: "m", Transition: catalogue.Transition{To: decision.RegistryDraft, Actor: "alice"}},
		{ID: "m", Transition: catalogue.Transition{
			To: decision.RegistryChampion, Actor: "alice@example.com", BypassGuard: true,
			Metrics:    map[string]float64{"auc": 0.79, "psi.age": 0.1 + 0.2, "errorRate": 5e-324},
			Thresholds: catalogue.DefaultThresholds(),
		}},
	} {
		b, err := Encode(&header, want)
		if err != nil {
			t.Fatal(err)
		}
		r := wire.NewReader(string(b))
		if got := ReadHeader(&r); got != header {
			t.Errorf("ReadHeader() = %+v, want %+v", got, header)
		}
		got, err := Decode[Transition](r.Rest())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Decode() = %+v, %v, want %+v", got, err, want)
		}
	}
}

// The numbers and the names are in logs: a change of them needs a new kind, not
// a new expectation here.
func TestTransitionBytesAreStable(t *testing.T) {
	b, err := Encode(&Header{Kind: KindTransition, Tenant: "t"}, Transition{ID: "m", Transition: catalogue.Transition{
		To: decision.RegistryChampion, Actor: "a", Metrics: map[string]float64{"auc": 0.5}, BypassGuard: true, Thresholds: catalogue.DefaultThresholds(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	const want = "\x12\x01t\x00\x00\x00" + `{"id":"m","transition":{"to":"champion","actor":"a","metrics":{"auc":0.5},"bypassGuard":true,` +
		`"thresholds":{"maxAucDrop":0.05,"maxPsi":0.25,"maxErrorRate":0.02}}}`
	if string(b) != want {
		t.Errorf("Encode() = %q, want %q", b, want)
	}
}
