package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/event"
)

// world is a log with its events and webhooks, the same for all nodes of a test,
// and the endpoints.
type world struct {
	t      testing.TB
	mu     sync.Mutex
	events *event.Store
	set    *Set
	index  uint64
	lost   bool // reports fail
	leader *node
	calls  []call
	answer func(c *call) Answer
	under  map[string]int // messages under way, by URL
}

// call is a message as an endpoint got it.
type call struct {
	Message
	from *node
	url  string
	n    int // of the attempts for the same message to the same endpoint
	typ  string
}

func newWorld(t testing.TB) *world {
	return &world{t: t, events: event.NewStore(), set: NewSet(), index: 10, under: map[string]int{}, answer: func(*call) Answer { return Answer{Status: 204} }}
}

// node is one node of the world.
type node struct {
	*world
	*Deliverer
	stop func()
}

// run starts a node's deliverer.
func (w *world) run() *node { return w.runEvery(pollInterval) }

// runEvery starts one that looks at times only, for tests over days.
func (w *world) runEvery(poll time.Duration) *node {
	n := &node{world: w}
	n.Deliverer = NewDeliverer(n, zerolog.Nop())
	n.poll = poll
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); n.Run(ctx) }()
	n.stop = func() { cancel(); <-done }
	return n
}

func (w *world) lead(n *node) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leader = n
}

func (n *node) Leading() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.leader == n
}

func (n *node) Webhooks() []*Record {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.set.All()
}

func (n *node) Events(tenant string) event.View {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.events.View(tenant)
}

func (n *node) Report(_ context.Context, reports []Report) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lost {
		return errors.New("no quorum")
	}
	for i := range reports {
		n.set.Report(&reports[i], decision.TimeOf(time.Now()))
	}
	return nil
}

func (n *node) Decrypter(*Record) Decrypt { return refused }

func (n *node) Post(ctx context.Context, m *Message) Answer {
	var e struct{ Type string }
	if err := json.Unmarshal(m.Body, &e); err != nil {
		n.t.Errorf("the body %s: %v", m.Body, err)
	}
	c := call{Message: *m, from: n, url: m.URL, typ: e.Type}
	n.mu.Lock()
	for i := range n.calls {
		if n.calls[i].ID == m.ID && n.calls[i].url == m.URL {
			c.n++
		}
	}
	n.calls = append(n.calls, c)
	if n.under[m.URL]++; n.under[m.URL] > 1 {
		n.t.Errorf("two messages at a time to %s", m.URL)
	}
	answer := n.answer
	n.mu.Unlock()
	a := answer(&c)
	if ctx.Err() != nil {
		a = Answer{Abandoned: true}
	}
	n.mu.Lock()
	n.under[m.URL]--
	n.mu.Unlock()
	return a
}

// happen makes n events.
func (w *world) happen(n int, kind string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for range n {
		w.index++
		w.set.Forget("t", w.events.Append(event.Event{
			ID: event.ID{Index: w.index, Seq: 1}, Type: kind, TenantID: "t", At: decision.TimeOf(time.Now()), Data: json.RawMessage(`{}`),
		}))
	}
	if w.leader != nil {
		w.leader.Wake()
	}
}

// got is the log indexes of the messages that the endpoint took, in their order.
func (w *world) got(id string, taken func(*call) bool) (all []uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.calls {
		c := &w.calls[i]
		eid, ok := event.ParseID(c.ID)
		if !ok {
			w.t.Errorf("a message has the id %s", c.ID)
		}
		if strings.HasPrefix(c.url, "https://"+id+".") && (taken == nil || taken(c)) {
			all = append(all, eid.Index)
		}
	}
	return all
}

func (w *world) record(id string) *Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	return find(w.t, w.set, id)
}

func (w *world) state(id string) State { return w.record(id).State }

// take takes the first call away.
func (w *world) take() call {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := w.calls[0]
	w.calls = w.calls[1:]
	return first
}

func wantIndexes(t testing.TB, what string, got []uint64, from, to uint64) {
	t.Helper()
	var want []uint64
	for i := from; i <= to; i++ {
		want = append(want, i)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestEachEndpointGetsItsEventsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		put(t, w.set, "all")
		put(t, w.set, "alerts", "alert.*")
		put(t, w.set, "slow")
		w.answer = func(c *call) Answer {
			if strings.Contains(c.url, "slow") {
				time.Sleep(10 * time.Second)
			}
			return Answer{Status: 200}
		}
		n := w.run()
		defer func() { n.stop() }()
		w.lead(n)
		w.happen(4, event.ModelTrained)
		w.happen(2, event.AlertOpened)
		w.happen(1, event.ModelReset)
		time.Sleep(5 * time.Second)
		wantIndexes(t, "all", w.got("all", nil), 11, 17)
		wantIndexes(t, "alerts", w.got("alerts", nil), 15, 16)
		wantIndexes(t, "slow", w.got("slow", nil), 11, 11)
		time.Sleep(5 * time.Minute)
		wantIndexes(t, "slow", w.got("slow", nil), 11, 17)
		if st := w.state("all"); st.Through.Index != 17 || st.Delivered != 7 || st.LastSuccess == 0 {
			t.Errorf("all: %+v", st)
		}
		if st := w.state("alerts"); st.Delivered != 2 || st.Through.Index < 16 {
			t.Errorf("alerts: %+v", st)
		}
		if delivered, failed := n.Figures(); delivered != 16 || failed != 0 {
			t.Errorf("Figures() = %d, %d", delivered, failed)
		}
		// What is signed is what the receiver verifies.
		c := w.take()
		if c.Signature != Sign([]Secret{secretOf(t, exampleSecret)}, c.ID, c.At, c.Body) || c.At.Unix() < 1 {
			t.Errorf("the signature of %+v", c.Message)
		}
	})
}

// A message that is not taken is tried again by the schedule, under the same id,
// before anything behind it; each attempt has a time and a signature of its own.
func TestFailuresAreTriedAgainInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		put(t, w.set, "a")
		put(t, w.set, "b")
		const failures = 9
		w.answer = func(c *call) Answer {
			if id, _ := event.ParseID(c.ID); id.Index == 11 && strings.Contains(c.url, "//a.") && c.n < failures {
				return Answer{Status: 503}
			}
			return Answer{Status: 200}
		}
		n := w.run()
		defer func() { n.stop() }()
		w.lead(n)
		w.happen(2, event.ModelTrained)
		time.Sleep(2 * time.Second)
		st := w.state("a")
		if st.Failures != 1 || st.FailureStatus != 503 || st.FailingSince == 0 || st.NextAttempt <= st.FailingSince || st.Through.Index != 10 {
			t.Errorf("after one failure: %+v", st)
		}
		wantIndexes(t, "b", w.got("b", nil), 11, 12)
		time.Sleep(24 * time.Hour)
		var times []time.Time
		var signatures []string
		w.mu.Lock()
		for _, c := range w.calls {
			if id, _ := event.ParseID(c.ID); strings.Contains(c.url, "//a.") && id.Index == 11 {
				times, signatures = append(times, c.At), append(signatures, c.Signature)
			}
		}
		w.mu.Unlock()
		if len(times) != failures+1 || len(slices.Compact(slices.Sorted(slices.Values(signatures)))) != failures+1 {
			t.Fatalf("%d attempts, want %d, each with its own signature", len(times), failures+1)
		}
		for i := 1; i < len(times); i++ {
			mean := Rest(uint64(i), 0.5)
			if d := times[i].Sub(times[i-1]); d < mean*8/10 || d > mean*12/10+pollInterval {
				t.Errorf("attempt %d came after %v, want %v ± a fifth", i, d, mean)
			}
		}
		if all := w.got("a", nil); len(all) != failures+2 || all[failures] != 11 || all[failures+1] != 12 {
			t.Errorf("a: got %v", all)
		}
		if st := w.state("a"); st.Failures != 0 || st.FailingSince != 0 || st.NextAttempt != 0 || st.Through.Index != 12 || st.LastFailure == 0 {
			t.Errorf("after it came back: %+v", st)
		}
		if _, failed := n.Figures(); failed != failures {
			t.Errorf("%d failed attempts are counted, want %d", failed, failures)
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for ask, want := range map[time.Duration]time.Duration{time.Second: 4 * time.Second, time.Hour: time.Hour, 100 * time.Hour: maxRest} {
			w := newWorld(t)
			put(t, w.set, "a")
			w.answer = func(c *call) Answer { return Answer{Status: 429, RetryAfter: ask} }
			n := w.run()
			w.lead(n)
			w.happen(1, event.ModelTrained)
			time.Sleep(2 * time.Second)
			st := w.state("a")
			if rest := time.Duration(st.NextAttempt-st.LastFailure) * time.Millisecond; rest < want || rest > want+2*time.Second {
				t.Errorf("an endpoint that asks for %v rests %v", ask, rest)
			}
			n.stop()
		}
	})
}

func TestFailingForLongAndGoneDisable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		put(t, w.set, "failing")
		put(t, w.set, "gone")
		w.answer = func(c *call) Answer {
			if strings.Contains(c.url, "gone") {
				return Answer{Status: 410}
			}
			return Answer{Reason: "endpoint_timeout"}
		}
		n := w.runEvery(2 * time.Second)
		defer func() { n.stop() }()
		w.lead(n)
		w.happen(1, event.ModelTrained)
		time.Sleep(5 * time.Second)
		if r := w.record("gone"); r.Enabled || r.DisabledReason != DisabledGone || len(w.got("gone", nil)) != 1 {
			t.Errorf("after 410: %+v", r.Webhook)
		}
		time.Sleep(GiveUp - time.Hour)
		if r := w.record("failing"); !r.Enabled || r.State.FailureReason != "endpoint_timeout" {
			t.Errorf("just before: %+v", r)
		}
		time.Sleep(6 * time.Hour)
		r := w.record("failing")
		if r.Enabled || r.DisabledReason != DisabledFailing {
			t.Errorf("after %v: %+v", GiveUp, r)
		}
		before := len(w.got("failing", nil))
		w.happen(3, event.ModelTrained)
		time.Sleep(24 * time.Hour)
		if after := len(w.got("failing", nil)); after != before {
			t.Errorf("a disabled endpoint was sent %d messages", after-before)
		}
		// Enabled again, it goes on where it stopped.
		on := true
		w.mu.Lock()
		w.answer = func(c *call) Answer { return Answer{Status: 200} }
		_, err := w.set.Update("t", "failing", &Fields{Enabled: &on}, decision.TimeOf(time.Now()))
		w.calls = nil
		w.mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		wantIndexes(t, "enabled again", w.got("failing", nil), 11, 14)
	})
}

// A new leader goes on from the last report: nothing is left out, little is sent
// twice. A leader that ends in order leaves nothing to be sent twice.
func TestLeadersFollowEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		put(t, w.set, "a")
		nodes := []*node{w.run(), w.run(), w.run()}
		w.lead(nodes[0])
		w.happen(5, event.ModelTrained)
		time.Sleep(2 * time.Second)
		w.happen(3, event.ModelTrained) // 16 to 18: delivered, but not reported
		time.Sleep(10 * time.Millisecond)
		w.lead(nodes[1])
		time.Sleep(2 * time.Second)
		w.happen(2, event.ModelTrained)
		time.Sleep(10 * time.Millisecond)
		nodes[1].stop() // in order: it reports
		w.lead(nodes[2])
		time.Sleep(2 * time.Second)
		w.happen(1, event.ModelTrained)
		time.Sleep(2 * time.Second)
		all := w.got("a", nil)
		if len(all) > 11+3 {
			t.Errorf("got %v: more than what was not reported is sent twice", all)
		}
		wantIndexes(t, "all nodes", slices.Compact(slices.Sorted(slices.Values(all))), 11, 21)
		of := func(i int) []uint64 { return w.got("a", func(c *call) bool { return c.from == nodes[i] }) }
		wantIndexes(t, "node 0", of(0), 11, 18)
		wantIndexes(t, "node 2", of(2), 21, 21)
		// Node 1 begins while node 0 reports: of 16 to 18 it repeats what the log does
		// not have by the time that it would send it.
		second := of(1)
		again, isNew := slices.BinarySearch(second, 19)
		if !isNew || !slices.IsSorted(second) || again > 0 && second[0] < 16 {
			t.Errorf("node 1: got %v, want some of 16 to 18 and then 19 and 20", second)
		} else {
			wantIndexes(t, "node 1", second[again:], 19, 20)
		}
		nodes[0].stop()
		nodes[2].stop()
		if st := w.state("a"); st.Through.Index != 21 {
			t.Errorf("the mark is at %v", st.Through.Index)
		}
	})
}

// What a lost leader has under way says nothing about the endpoint.
func TestALostLeaderGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		put(t, w.set, "a")
		w.answer = func(c *call) Answer {
			time.Sleep(time.Second)
			return Answer{Status: 500}
		}
		n := w.run()
		w.lead(n)
		w.happen(1, event.ModelTrained)
		time.Sleep(100 * time.Millisecond)
		w.lead(nil)
		time.Sleep(10 * time.Second)
		n.stop()
		if st := w.state("a"); st.Failures != 0 || st.LastFailure != 0 || len(w.got("a", nil)) != 1 {
			t.Errorf("%+v after %d messages", st, len(w.got("a", nil)))
		}
	})
}

func TestReportsThatFailAreRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		put(t, w.set, "a")
		n := w.run()
		defer func() { n.stop() }()
		w.lead(n)
		w.mu.Lock()
		w.lost = true
		w.mu.Unlock()
		w.happen(4, event.ModelTrained)
		time.Sleep(30 * time.Second)
		if st := w.state("a"); st.Through.Index != 10 {
			t.Errorf("the mark is at %v", st.Through.Index)
		}
		w.mu.Lock()
		w.lost = false
		w.mu.Unlock()
		time.Sleep(3 * time.Second)
		if st := w.state("a"); st.Through.Index != 14 || st.Delivered != 4 {
			t.Errorf("after the log is back: %+v", st)
		}
		wantIndexes(t, "a", w.got("a", nil), 11, 14)
	})
}

// Events that went out of the log are told, before those that follow.
func TestAGapIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		put(t, w.set, "a")
		n := w.run()
		defer func() { n.stop() }()
		w.happen(event.MaxEvents+7, event.ModelTrained) // nobody leads
		w.lead(n)
		time.Sleep(time.Minute)
		first := w.take()
		if want := `"data":{"missed":7}}`; first.typ != event.Dropped || !strings.HasSuffix(string(first.Body), want) {
			t.Errorf("the first message is %s, want %s", first.Body, want)
		}
		wantIndexes(t, "what is kept", w.got("a", nil), 18, event.MaxEvents+17)
		if st := w.state("a"); st.Missed != 0 || st.Through.Index != event.MaxEvents+17 {
			t.Errorf("%+v", st)
		}
	})
}

// An endpoint that is changed while it rests is tried at once, with its new URL.
func TestAChangeIsTriedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		put(t, w.set, "a")
		w.answer = func(c *call) Answer {
			if strings.Contains(c.url, "//a.") {
				return Answer{Status: 404}
			}
			return Answer{Status: 200}
		}
		n := w.run()
		defer func() { n.stop() }()
		w.lead(n)
		w.happen(2, event.ModelTrained)
		time.Sleep(20 * time.Minute)
		w.mu.Lock()
		_, err := w.set.Update("t", "a", &Fields{URL: text("https://c.example.com")}, decision.TimeOf(time.Now()))
		w.mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		wantIndexes(t, "the new URL", w.got("c", nil), 11, 12)
	})
}

// One slow tenant's endpoints do not keep the others from their share.
func TestManyEndpointsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for tenant := range 2 * maxSending / MaxWebhooks {
			for i := range MaxWebhooks {
				f := &Fields{URL: text(fmt.Sprintf("https://slow%d-%d.example.com", tenant, i)), Secret: sealed(t, NewSecret())}
				if _, err := w.set.Create(fmt.Sprint("s", tenant), fmt.Sprint("w", i), f, event.ID{Index: 10, Seq: 1}, start); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 100 {
				w.events.Append(event.Event{ID: event.ID{Index: 11 + uint64(i), Seq: 1}, Type: event.ModelReset, TenantID: fmt.Sprint("s", tenant), Data: json.RawMessage(`{}`)})
			}
		}
		put(t, w.set, "quick")
		w.answer = func(c *call) Answer {
			if strings.Contains(c.url, "slow") {
				time.Sleep(15 * time.Second)
			}
			return Answer{Status: 200}
		}
		n := w.run()
		w.lead(n)
		w.happen(1, event.ModelTrained)
		time.Sleep(2 * time.Minute)
		wantIndexes(t, "quick", w.got("quick", nil), 11, 11)
		w.mu.Lock()
		w.answer = func(c *call) Answer { return Answer{Status: 200} }
		w.mu.Unlock()
		n.stop()
	})
}
