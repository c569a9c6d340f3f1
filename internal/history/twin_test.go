package history

import (
	"bytes"
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/praetor-engine/praetor/internal/decision"
)

// twin is the slow, obviously right history: plain slices and maps, made anew
// from the whole log for every comparison.
type twin struct {
	limits  Limits
	clock   int64
	tenants map[uint32]*twinTenant
	aged    int64
}

type twinTenant struct {
	segments [][]twinRow
	shards   [shardCount][]*twinCustomer // longest without a contact first
	states   map[string]string           // by model and version
}

type twinRow struct {
	outcome decision.Outcome
	entryAt int64
}

type twinCustomer struct {
	id     string
	offers map[string]decision.Summary
}

func replay(initial Limits, log []entry) *twin {
	w := &twin{limits: initial, tenants: map[uint32]*twinTenant{}}
	for i, e := range log {
		w.apply(uint64(i+1), e)
	}
	return w
}

func (w *twin) apply(index uint64, e entry) {
	w.clock = max(w.clock, e.at)
	if hour := w.clock / hourMillis; hour != w.aged {
		w.aged = hour
		for _, t := range w.tenants {
			w.retain(t)
		}
	}
	limits := w.limits
	seq := uint32(0)
	for _, p := range e.ops {
		switch key := fmt.Sprint(p.model, " ", p.version); p.kind {
		case "record":
			t := w.open(p.tenant)
			o := p.outcome
			o.ID = decision.InteractionID{Index: index, Seq: seq}
			seq++
			o.Before = w.contact(t, &o, p.impression)
			w.add(t, o)
			w.retain(t)
		case "drop":
			delete(w.tenants, p.tenant)
		case "put":
			w.open(p.tenant).states[key] = p.state
		case "deleteState":
			if t := w.tenants[p.tenant]; t != nil {
				delete(t.states, key)
			}
		case "deleteStates":
			if t := w.tenants[p.tenant]; t != nil {
				for k := range t.states {
					var model string
					var version uint64
					fmt.Sscan(k, &model, &version)
					if model == p.model {
						delete(t.states, k)
					}
				}
			}
		case "limits":
			limits = p.limits
		}
	}
	w.limits = limits
}

func (w *twin) open(tenant uint32) *twinTenant {
	if w.tenants[tenant] == nil {
		w.tenants[tenant] = &twinTenant{states: map[string]string{}}
	}
	return w.tenants[tenant]
}

func (w *twin) add(t *twinTenant, o decision.Outcome) {
	n := len(t.segments)
	full := n == 0 || int64(len(t.segments[n-1])) >= min(4096, max(1, w.limits.MaxRows/64)) ||
		w.clock-t.segments[n-1][0].entryAt > w.limits.MaxAge.Milliseconds()/64
	if full {
		t.segments = append(t.segments, nil)
		n++
	}
	t.segments[n-1] = append(t.segments[n-1], twinRow{o, w.clock})
}

func (t *twinTenant) rows() []decision.Outcome {
	out := []decision.Outcome{}
	for _, s := range t.segments {
		for i := range s {
			out = append(out, clone(&s[i].outcome))
		}
	}
	return out
}

func (w *twin) retain(t *twinTenant) {
	for len(t.segments) > 1 && int64(len(t.rows())) > w.limits.MaxRows {
		t.segments = t.segments[1:]
	}
	for len(t.segments) > 0 {
		s := t.segments[0]
		if s[len(s)-1].entryAt >= w.clock-w.limits.MaxAge.Milliseconds() {
			return
		}
		t.segments = t.segments[1:]
	}
}

func (w *twin) contact(t *twinTenant, o *decision.Outcome, impression bool) decision.Summary {
	sh := &t.shards[shardOf(hash64(o.CustomerID))]
	i := slices.IndexFunc(*sh, func(c *twinCustomer) bool { return c.id == o.CustomerID })
	if o.OfferID == "" || (!impression && o.Class == decision.Neutral) {
		if i < 0 {
			return decision.Summary{}
		}
		return (*sh)[i].offers[o.OfferID]
	}
	c := &twinCustomer{o.CustomerID, map[string]decision.Summary{}}
	if i >= 0 {
		c = (*sh)[i]
		*sh = slices.Delete(*sh, i, i+1)
	}
	*sh = append(*sh, c)
	before := c.offers[o.OfferID]
	now := before
	if impression {
		now.Impressions++
	}
	if o.Class == decision.Positive {
		now.Positives++
	}
	if o.Class == decision.Negative {
		now.Negatives++
	}
	now.LastContactAt = max(now.LastContactAt, o.At, 1)
	c.offers[o.OfferID] = now
	w.evict(sh, c, o.OfferID)
	return before
}

func (w *twin) evict(sh *[]*twinCustomer, c *twinCustomer, keep string) {
	for int64(len(c.offers)) > w.limits.MaxOffersPerCustomer {
		var others []string
		for id := range c.offers {
			if id != keep {
				others = append(others, id)
			}
		}
		slices.SortFunc(others, func(a, b string) int {
			return cmp.Or(cmp.Compare(c.offers[a].LastContactAt, c.offers[b].LastContactAt), cmp.Compare(a, b))
		})
		delete(c.offers, others[0])
	}
	for (*sh)[0] != c {
		summaries := 0
		for _, other := range *sh {
			summaries += len(other.offers)
		}
		if int64(len(*sh)) <= (w.limits.MaxCustomers+63)/64 && int64(summaries) <= (w.limits.MaxSummaries+63)/64 {
			return
		}
		*sh = (*sh)[1:]
	}
}

// compare checks everything that can be read against the twin.
func (w *twin) compare(t *rapid.T, s *Store, applied uint64, customers, offers []string, tenants []uint32) {
	for _, tenant := range tenants {
		want := w.tenants[tenant]
		if want == nil {
			want = &twinTenant{}
		}
		rows := want.rows()
		got := scanAll(t, s, tenant, 0, applied)
		if !reflect.DeepEqual(got, rows) {
			t.Fatalf("tenant %d: Scan() gives %d rows %+v\nwant %d rows %+v", tenant, len(got), got, len(rows), rows)
		}
		if got := s.Count(tenant); got != int64(len(rows)) {
			t.Fatalf("tenant %d: Count() = %d, want %d", tenant, got, len(rows))
		}
		w.compareSummaries(t, s, tenant, want, customers, offers)
		for _, customer := range customers {
			w.compareList(t, s, tenant, rows, Filter{CustomerID: customer})
		}
		w.compareList(t, s, tenant, rows, Filter{})
		w.compareList(t, s, tenant, rows, Filter{OfferID: offers[0]})
		for model := range 2 {
			for version := range uint64(3) {
				name := fmt.Sprint("m", model)
				state, ok := want.states[fmt.Sprint(name, " ", version)]
				got, err := s.State(tenant, name, version)
				if ok != (err == nil) || string(got) != state {
					t.Fatalf("State(%d, %s, %d) = %q, %v, want %q, %v", tenant, name, version, got, err, state, ok)
				}
			}
		}
	}
}

func (w *twin) compareSummaries(t *rapid.T, s *Store, tenant uint32, want *twinTenant, customers, offers []string) {
	for _, id := range customers {
		known := map[string]decision.Summary{}
		for _, c := range want.shards[shardOf(hash64(id))] {
			if c.id == id {
				known = c.offers
			}
		}
		for _, offer := range offers {
			got, ok := s.Summary(tenant, id, offer)
			if summary, known := known[offer]; got != summary || ok != known {
				t.Fatalf("Summary(%d, %q, %q) = %+v, %v, want %+v, %v", tenant, id, offer, got, ok, summary, known)
			}
		}
		listed := s.Summaries(tenant, id)
		for _, l := range listed {
			if known[l.OfferID] != l.Summary {
				t.Fatalf("Summaries(%d, %q) has %+v, want %+v", tenant, id, l, known[l.OfferID])
			}
		}
		if len(listed) != len(known) {
			t.Fatalf("Summaries(%d, %q) has %d, want %d", tenant, id, len(listed), len(known))
		}
	}
}

// compareList goes through a list in pages of two.
func (w *twin) compareList(t *rapid.T, s *Store, tenant uint32, rows []decision.Outcome, f Filter) {
	want := []decision.Outcome{}
	for _, o := range slices.Backward(rows) {
		if f.matches(&o) {
			want = append(want, o)
		}
	}
	got := []decision.Outcome{}
	var page Page
	var err error
	for more := true; more; more = page.More {
		if page, err = s.List(tenant, f, page.Next, 2); err != nil {
			t.Fatalf("List(%+v) = %v", f, err)
		}
		got = append(got, page.Rows...)
		if page.Total != int64(len(want)) && (f.OfferID == "" || page.Total != -1) {
			t.Fatalf("List(%+v) has total %d, want %d", f, page.Total, len(want))
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("List(%+v) = %+v\nwant %+v", f, got, want)
	}
}

func genLimits(t *rapid.T) Limits {
	perCustomer := rapid.Int64Range(1, 4).Draw(t, "maxOffersPerCustomer")
	return Limits{
		MaxRows:              rapid.SampledFrom([]int64{1, 5, 40, 200}).Draw(t, "maxRows"),
		MaxAge:               rapid.SampledFrom([]time.Duration{time.Hour, 100 * time.Hour}).Draw(t, "maxAge"),
		MaxCustomers:         rapid.SampledFrom([]int64{64, 128, 1000}).Draw(t, "maxCustomers"),
		MaxSummaries:         rapid.SampledFrom([]int64{64, 128, 1000}).Draw(t, "maxSummaries") * perCustomer,
		MaxOffersPerCustomer: perCustomer,
	}
}

func genEntry(customers, offers []string, tenants []uint32) *rapid.Generator[entry] {
	return rapid.Custom(func(t *rapid.T) entry {
		e := entry{at: rapid.Int64Range(0, 400*hourMillis).Draw(t, "at")}
		for range rapid.IntRange(1, 12).Draw(t, "ops") {
			tenant := rapid.SampledFrom(tenants).Draw(t, "tenant")
			kind := rapid.IntRange(0, 40).Draw(t, "kind")
			p := op{tenant: tenant, model: fmt.Sprint("m", kind%2), version: uint64(kind % 3)}
			switch {
			case kind == 0:
				p.kind = "drop"
			case kind == 1:
				p.kind = "deleteStates"
			case kind == 2:
				p.kind = "deleteState"
			case kind == 3:
				p.kind, p.limits = "limits", genLimits(t)
			case kind < 8:
				p.kind, p.state = "put", rapid.StringN(0, 20, 20).Draw(t, "state")
			default:
				class := decision.Classification(rapid.IntRange(0, 2).Draw(t, "class"))
				p = record(tenant, rapid.SampledFrom(customers).Draw(t, "customer"),
					rapid.SampledFrom(offers).Draw(t, "offer"), class, rapid.Int64Range(-1, 5).Draw(t, "contact"))
				p.impression = rapid.Bool().Draw(t, "impression")
			}
			e.ops = append(e.ops, p)
		}
		return e
	})
}

// TestTwin applies random entries, with captures, checkpoints that are made
// later than their captures, restores and replays in between, and compares
// everything with the twin.
func TestTwin(t *testing.T) {
	// Six customers, two of them in one shard, so that evictions happen.
	customers := []string{"anna", "ben", "cleo", "dora", "emil"}
	for i := 0; len(customers) < 7; i++ {
		if id := fmt.Sprint("neighbour ", i); shardOf(hash64(id)) == shardOf(hash64("anna")) {
			customers = append(customers, id)
		}
	}
	offers := []string{"loan", "card", "home", "fund", "cash", ""}
	tenants := []uint32{1, 9}
	checks := 0
	rapid.Check(t, func(t *rapid.T) {
		if checks++; raceDetector && checks > 10 {
			return // slow there, and without readers that could race
		}
		opts := testOptions()
		opts.Limits = genLimits(t)
		s, err := Open("/live", opts)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := s.Close(); err != nil {
				t.Errorf("Close() = %v", err)
			}
		}()
		var log []entry
		more := func(name string) {
			for range rapid.IntRange(1, 12).Draw(t, name) {
				log = append(log, genEntry(customers, offers, tenants).Draw(t, "entry"))
				apply(t, s, uint64(len(log)), log[len(log)-1])
			}
		}
		for round := range rapid.IntRange(1, 3).Draw(t, "rounds") {
			more("before")
			replay(opts.Limits, log).compare(t, s, uint64(len(log)), customers, offers, tenants)
			captured := len(log)
			c, err := s.Capture()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Release() // again, for Close when a check fails
			atCapture := digest(t, s)
			more("between")
			checkpoint := fmt.Sprint("/checkpoint", round)
			if err := c.Checkpoint(checkpoint); err != nil {
				t.Fatal(err)
			}
			more("after")
			var encoded bytes.Buffer
			if err := c.Encode(&encoded); err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprintf("%x", c.Digest()); got != atCapture {
				t.Fatalf("digest of the capture = %s, was %s", got, atCapture)
			}
			c.Release()
			swept(s)
			whole := replay(opts.Limits, log)
			whole.compare(t, s, uint64(len(log)), customers, offers, tenants)
			before := digest(t, s)

			if rapid.Bool().Draw(t, "reopen") {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if s, err = Open("/live", opts); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Restore(checkpoint, &encoded); err != nil {
				t.Fatal(err)
			}
			if got := digest(t, s); got != atCapture {
				t.Fatalf("digest after Restore() = %s, want %s", got, atCapture)
			}
			swept(s)
			replay(opts.Limits, log[:captured]).compare(t, s, uint64(len(log)), customers, offers, tenants)
			for i := captured; i < len(log); i++ {
				apply(t, s, uint64(i+1), log[i])
			}
			if got := digest(t, s); got != before {
				t.Fatalf("digest after the replay = %s, want %s", got, before)
			}
			swept(s)
			whole.compare(t, s, uint64(len(log)), customers, offers, tenants)
		}
	})
}
