package engine

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/event"
	"github.com/praetor-engine/praetor/internal/vault"
	"github.com/praetor-engine/praetor/internal/webhook"
)

// receiver is an endpoint that keeps what it takes.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	took   []string // ids, in their order
	types  []string
	bad    []string // whose signature is not right
	secret string
}

func newReceiver(t testing.TB) *receiver {
	r := &receiver{status: http.StatusNoContent}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		var e struct{ ID, Type string }
		if err != nil || json.Unmarshal(body, &e) != nil {
			t.Errorf("the body %s: %v", body, err)
		}
		id := req.Header.Get("webhook-id")
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.secret != "" && !verified(t, r.secret, req.Header, body) || e.ID != id {
			r.bad = append(r.bad, id)
		}
		if r.status < 300 {
			r.took, r.types = append(r.took, id), append(r.types, e.Type)
		}
		w.WriteHeader(r.status)
		_, _ = io.WriteString(w, strings.Repeat("ignored ", 1000))
	}))
	t.Cleanup(r.Close)
	return r
}

func verified(t testing.TB, secret string, h http.Header, body []byte) bool {
	s, err := webhook.ParseSecret(secret)
	if err != nil {
		t.Errorf("the secret: %v", err)
		return false
	}
	var seconds int64
	if _, err := fmt.Sscan(h.Get("webhook-timestamp"), &seconds); err != nil || time.Since(time.Unix(seconds, 0)).Abs() > time.Minute {
		return false
	}
	want := webhook.Sign([]webhook.Secret{s}, h.Get("webhook-id"), time.Unix(seconds, 0), body)
	return slices.Contains(strings.Fields(h.Get("webhook-signature")), want)
}

func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

// has waits until the receiver took something of all of the tenant's events behind
// an id, and nothing that is none; it returns how often it took one again.
func (r *receiver) has(n *node, after event.ID) (again int) {
	n.t.Helper()
	var want []string
	view := n.Events(n.tenant)
	rest, _ := view.After(after)
	for i := range rest {
		want = append(want, rest[i].ID.String())
	}
	var took []string
	until(n.t, n.ctx, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		took = slices.Clone(r.took)
		return len(want) == 0 || slices.Contains(took, want[len(want)-1])
	})
	again = len(took)
	slices.Sort(took)
	took = slices.Compact(took)
	again -= len(took)
	if !slices.Equal(took, want) {
		n.t.Errorf("the receiver took %d different events, want %d:\n%v\n%v", len(took), len(want), took, want)
	}
	if len(r.bad) > 0 {
		n.t.Errorf("the signatures of %v are not right", r.bad)
	}
	return again
}

// local permits endpoints on this machine.
func local(c *Config) { c.Endpoints.AllowHTTP, c.Endpoints.Allow = true, []string{"127.0.0.1"} }

func (n *node) webhook(r *receiver, types ...string) NewWebhook {
	n.t.Helper()
	url, filter := r.URL+"/hook", event.Filter(types)
	w, _, err := n.CreateWebhook(n.ctx, n.w(), webhook.Fields{URL: &url, EventTypes: &filter})
	if err != nil {
		n.t.Fatalf("CreateWebhook() = %v", err)
	}
	r.mu.Lock()
	r.secret = w.Secret
	r.mu.Unlock()
	return w
}

// Every event reaches the endpoint, whichever nodes lead, in order but for what is
// sent again.
func TestDeliveryOverLeaders(t *testing.T) {
	nodes := trio(t, local)
	r := newReceiver(t)
	m := nodes[0].points("m", "f", 1)
	w := nodes[1].webhook(r)
	begin := w.Delivery.Through
	stand := func(n *node, to decision.RegistryStatus) {
		t.Helper()
		if _, _, err := n.Transition(n.ctx, n.w(), m.ID, Transition{To: to, BypassGuard: true}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 6 {
		lead, others := leader(t, nodes)
		for _, to := range []decision.RegistryStatus{decision.RegistryChallenger, decision.RegistryChampion, decision.RegistryArchived, decision.RegistryDraft} {
			stand(nodes[i%3], to)
		}
		if err := lead.TransferLeadership(lead.ctx, others[0].config.Cluster.NodeID); err != nil {
			t.Fatal(err)
		}
		until(t, lead.ctx, others[0].node.IsLeader)
	}
	if err := nodes[0].Barrier(nodes[0].ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d events were sent again over 6 leaders", r.has(nodes[0], begin))
	// The mark is the same on every node in the end.
	for _, n := range nodes {
		until(t, n.ctx, func() bool {
			got, err := n.Webhook("t1", w.ID)
			return err == nil && got.Delivery.Pending == 0 && got.Delivery.Through == nodes[0].head()
		})
	}
	for i, n := range nodes {
		if a, b := n.digest().Registry, nodes[0].digest().Registry; a != b {
			// A report may have come between the two.
			until(t, n.ctx, func() bool { return n.digest().Registry == nodes[0].digest().Registry })
			t.Logf("node %d: digests were %s and %s", i, a, b)
		}
	}
}

// A stop in order leaves nothing to be sent again; what was made while the
// endpoint, or the node, was down is sent afterwards; a replay of the log knows it
// all.
func TestDeliveryOverRestarts(t *testing.T) {
	n := fresh(t, local)
	r := newReceiver(t)
	w := n.webhook(r)
	n.points("a", "f", 1)
	n.points("b", "f", 1)
	if again := r.has(n, w.Delivery.Through); again != 0 {
		t.Errorf("%d messages came twice", again)
	}
	delivered := func(want uint64) {
		t.Helper()
		until(t, n.ctx, func() bool { got, err := n.Webhook("t1", w.ID); return err == nil && got.Delivery.Delivered == want })
	}
	delivered(2)
	n.stop()
	n = start(t, n.dir, local)
	n.snapshot()
	r.answer(http.StatusServiceUnavailable)
	n.points("c", "f", 1)
	until(t, n.ctx, func() bool {
		got, err := n.Webhook("t1", w.ID)
		return err == nil && got.Delivery.ConsecutiveFailures > 0 && got.Delivery.LastFailure.Status == 503 && got.Delivery.Pending == 1
	})
	n.stop()
	n = start(t, n.dir, local)
	r.answer(http.StatusOK)
	// It rests; a change has it tried at once.
	description := "d"
	if _, _, err := n.UpdateWebhook(n.ctx, n.w(), w.ID, webhook.Fields{Description: &description}); err != nil {
		t.Fatal(err)
	}
	if again := r.has(n, w.Delivery.Through); again != 0 {
		t.Errorf("%d messages came twice", again)
	}
	delivered(3)
	want := n.digest()
	n.stop()
	got, err := Replay(t.Context(), n.dir, testLog(t))
	if err != nil || got.Registry != want.Registry {
		t.Errorf("a replay has the registry %s, %v, want %s", got.Registry, err, want.Registry)
	}
}

// While an endpoint answers 410, or somebody turns it off, it gets nothing; that
// it was is in the audit log, and an event to the others.
func TestAWebhookIsDisabled(t *testing.T) {
	n := fresh(t, local)
	gone, other := newReceiver(t), newReceiver(t)
	gone.answer(http.StatusGone)
	w := n.webhook(gone)
	n.webhook(other, "webhook.*")
	n.points("a", "f", 1)
	until(t, n.ctx, func() bool { got, err := n.Webhook("t1", w.ID); return err == nil && !got.Enabled })
	got, _ := n.Webhook("t1", w.ID)
	if got.DisabledReason != webhook.DisabledGone {
		t.Errorf("it is disabled as %s", got.DisabledReason)
	}
	until(t, n.ctx, func() bool { other.mu.Lock(); defer other.mu.Unlock(); return len(other.types) == 1 })
	if other.types[0] != event.WebhookDisabled {
		t.Errorf("the other one got %v", other.types)
	}
	page, err := n.AuditLogs(n.ctx, "t1", AuditFilter{EntityType: "webhook", EntityID: w.ID}, 1, 10)
	if err != nil || len(page.Logs) != 2 || page.Logs[0].Action != "disable" || page.Logs[0].Actor != "system" {
		t.Errorf("the audit log has %+v, %v", page.Logs, err)
	}
	if s := n.Stats(); s.Webhooks != 1 || s.WebhookFailed != 1 || s.Events == 0 {
		t.Errorf("Stats() = %+v", s)
	}
}

// The secret is in no entry of the audit log, no event, no answer but the first,
// and not in the digest's or the catalogue's text.
func TestSecretsStayInside(t *testing.T) {
	n := fresh(t, local)
	r := newReceiver(t)
	w := n.webhook(r)
	first := w.Secret
	rotated, _, err := n.RotateWebhookSecret(n.ctx, n.keyed("rotate", 1), w.ID, time.Hour)
	if err != nil || rotated.Secret == first || rotated.PreviousSecretUntil == 0 {
		t.Fatalf("RotateWebhookSecret() = %v", err)
	}
	again, receipt, err := n.RotateWebhookSecret(n.ctx, n.keyed("rotate", 1), w.ID, time.Hour)
	if err != nil || !receipt.Replayed || again.Secret != rotated.Secret {
		t.Errorf("the same request again: %+v, %v", receipt, err)
	}
	// Both sign.
	n.points("a", "f", 1)
	r.has(n, w.Delivery.Through) // verifies by the first
	page, err := n.AuditLogs(n.ctx, "t1", AuditFilter{}, 1, 100)
	if err != nil {
		t.Fatal(err)
	}
	list, err := n.Webhooks("t1", Page{Limit: 10})
	if err != nil || list.Total != 1 {
		t.Fatalf("Webhooks() = %+v, %v", list, err)
	}
	one, err := n.Webhook("t1", w.ID)
	if err != nil {
		t.Fatal(err)
	}
	for what, v := range map[string]any{"audit": page, "list": list, "one": one, "events": n.payloads("t1"), "answers": n.encoded()} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{first, rotated.Secret} {
			if strings.Contains(string(b), secret[len("whsec_"):]) {
				t.Errorf("%s shows a secret: %s", what, b)
			}
		}
	}
}

// With keys for credentials the replicated state has secrets sealed; a node that
// has not the key cannot sign, and says so.
func TestSecretsAreSealed(t *testing.T) {
	n := fresh(t, local, func(c *Config) { c.Credentials = testKeys(t, vault.Generate()) })
	r := newReceiver(t)
	w := n.webhook(r)
	n.points("a", "f", 1)
	r.has(n, w.Delivery.Through) // verifies
	n.stop()
	stored, err := n.machine.webhooks.Capture().Encode()
	if err != nil || strings.Contains(string(stored), w.Secret[len("whsec_"):]) || !strings.Contains(string(stored), `"sealed":"vault:`) {
		t.Errorf("stored is %s, %v", stored, err)
	}
	n = start(t, n.dir, local)
	if test, err := n.TestWebhook(n.ctx, "t1", w.ID); err != nil || test.Delivered || test.Reason != "secret" {
		t.Errorf("TestWebhook() without the key = %+v, %v", test, err)
	}
	// A new secret is stored as this node can.
	rotated, _, err := n.RotateWebhookSecret(n.ctx, n.w(), w.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	r.secret = rotated.Secret
	r.mu.Unlock()
	if test, err := n.TestWebhook(n.ctx, "t1", w.ID); err != nil || !test.Delivered {
		t.Errorf("TestWebhook() with a new secret = %+v, %v", test, err)
	}
}

func TestWebhooksAreTheTenants(t *testing.T) {
	n := fresh(t, local)
	n.newTenant("t2")
	r := newReceiver(t)
	w := n.webhook(r)
	n.tenant = "t2"
	n.points("theirs", "f", 1)
	if list, err := n.Webhooks("t2", Page{Limit: 10}); err != nil || list.Total != 0 {
		t.Errorf("another tenant sees %+v, %v", list, err)
	}
	_, err := n.Webhook("t2", w.ID)
	wantError(t, "Webhook()", err, decision.KindNotFound, "")
	_, _, err = n.UpdateWebhook(n.ctx, n.w(), w.ID, webhook.Fields{})
	wantError(t, "UpdateWebhook()", err, decision.KindNotFound, "")
	_, _, err = n.RotateWebhookSecret(n.ctx, n.w(), w.ID, 0)
	wantError(t, "RotateWebhookSecret()", err, decision.KindNotFound, "")
	_, err = n.DeleteWebhook(n.ctx, n.w(), w.ID)
	wantError(t, "DeleteWebhook()", err, decision.KindNotFound, "")
	_, err = n.TestWebhook(n.ctx, "t2", w.ID)
	wantError(t, "TestWebhook()", err, decision.KindNotFound, "")
	n.tenant = "t1"
	n.points("ours", "f", 1)
	r.has(n, w.Delivery.Through)
	// A test is sent from where it was asked for, signed, and changes nothing.
	index := n.AppliedIndex()
	test, err := n.TestWebhook(n.ctx, "t1", w.ID)
	if err != nil || !test.Delivered || test.Status != 204 || r.types[len(r.types)-1] != event.Test || len(r.bad) > 0 {
		t.Errorf("TestWebhook() = %+v, %v, got %v", test, err, r.types)
	}
	r.answer(500)
	if test, err = n.TestWebhook(n.ctx, "t1", w.ID); err != nil || test.Delivered || test.Status != 500 {
		t.Errorf("TestWebhook() of one that fails = %+v, %v", test, err)
	}
	if got, _ := n.Webhook("t1", w.ID); got.Delivery.ConsecutiveFailures != 0 {
		t.Errorf("a test counts: %+v", got.Delivery)
	}
	must1(n.DeleteWebhook(n.ctx, n.w(), w.ID))
	must1(n.DeleteTenant(n.ctx, Write{}, "t2"))
	_ = index
}

// Addresses that may not be called are refused when a webhook is made, and when it
// is called.
func TestWebhooksObeyTheRulesOfOutboundCalls(t *testing.T) {
	n := fresh(t)
	for _, bad := range []string{
		"http://example.com/", "https://127.0.0.1/", "https://localhost/", "https://10.1.2.3/", "https://169.254.169.254/latest", "https://[::1]/",
		"https://user:pass@example.com/", "https://example.com:22/", "ftp://example.com", "example.com", "",
	} {
		_, _, err := n.CreateWebhook(n.ctx, n.w(), webhook.Fields{URL: &bad})
		wantError(t, "CreateWebhook("+bad+")", err, decision.KindBadRequest, "url")
	}
	url := "https://localtest.invalid/"
	w, _, err := n.CreateWebhook(n.ctx, n.w(), webhook.Fields{URL: &url})
	if err != nil {
		t.Fatal(err)
	}
	if test, err := n.TestWebhook(n.ctx, "t1", w.ID); err != nil || test.Delivered || test.Status != 0 || test.Reason == "" {
		t.Errorf("TestWebhook() of a name that is none = %+v, %v", test, err)
	}
	types := event.Filter{"registry.*", "model.*", "nothing.*", "webhook.test"}
	_, _, err = n.CreateWebhook(n.ctx, n.w(), webhook.Fields{URL: &url, EventTypes: &types})
	wantError(t, "CreateWebhook() with an unknown type", err, decision.KindBadRequest, "eventTypes[2]")
}
