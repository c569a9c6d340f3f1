package experiment

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/praetor-engine/praetor/internal/wire"
)

func (c *Customers) encoded() []byte {
	captured := c.Capture()
	return captured.Append(nil)
}

func digestOf(c *Customers) string {
	captured := c.Capture()
	return string(captured.AppendDigest(nil))
}

// The set is that of a map, whatever comes in which order, and a capture keeps
// what was there.
func TestCustomersAgainstTwin(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var c, reversed Customers
	twin := map[uint64]bool{}
	var order []uint64
	var captured CustomersCapture
	var then []uint64
	for i := range 20_000 {
		h := rng.Uint64N(30_000) + 1
		if i%2 == 0 {
			h *= 0x9e3779b97f4a7c15
		}
		if got := c.Add(h); got == twin[h] {
			t.Fatalf("Add(%d) = %v, want %v", h, got, !twin[h])
		}
		twin[h] = true
		order = append(order, h)
		if i == 10_000 {
			captured, then = c.Capture(), c.Hashes()
		}
	}
	for _, h := range slices.Backward(order) {
		reversed.Add(h)
	}
	want := make([]uint64, 0, len(twin))
	for h := range twin {
		want = append(want, h)
	}
	slices.Sort(want)
	if got := c.Hashes(); !slices.Equal(got, want) || c.Len() != len(want) {
		t.Errorf("%d customers, want %d", len(got), len(want))
	}
	if c.Has(0x123456789abcdef) || !c.Has(want[0]) {
		t.Error("Has() is wrong")
	}
	if digestOf(&c) != digestOf(&reversed) || !bytes.Equal(c.encoded(), reversed.encoded()) {
		t.Error("another order gave another set")
	}
	r := wire.NewReader(string(captured.Append(nil)))
	back := ReadCustomers(&r)
	if err := r.Close(); err != nil || !slices.Equal(back.Hashes(), then) {
		t.Errorf("the capture has %d customers, %v, want %d as they were then", back.Len(), err, len(then))
	}
	if digestOf(back) != string(captured.AppendDigest(nil)) || digestOf(back) == digestOf(&c) {
		t.Error("the digests do not tell the sets apart, or tell equal ones apart")
	}
}

func TestCustomersAreBounded(t *testing.T) {
	var c Customers
	for h := range uint64(MaxKept + 10) {
		c.Add(mix(h + 1))
	}
	if c.Len() != MaxKept || c.Dropped() != 10 || c.Add(mix(1)) || c.Dropped() != 10 {
		t.Errorf("%d customers and %d dropped, want %d and 10", c.Len(), c.Dropped(), MaxKept)
	}
}

// Settled customers are counted by the variant of their bucket.
func TestAssigned(t *testing.T) {
	d := Definition{Key: "e", TrafficSplit: TrafficSplit{80_00}, HoldoutPercent: 10_00, Challengers: []Challenger{{"m", 20_00}}, ChampionModelID: "c"}
	keyOf := func(string) string { return "m" }
	before := NewPlan(&d, keyOf)
	d.TrafficSplit.ChampionPct, d.Challengers[0].TrafficPct = 50_00, 50_00
	plan := NewPlan(&d, keyOf).After(before)
	var c Customers
	want := make([]uint64, len(plan.Variants))
	for i := range uint64(5000) {
		h := mix(i + 1)
		c.Add(h)
		if a := plan.assign(h, 0); a.Settled {
			want[a.Index]++
		}
	}
	if got := plan.Assigned(&c); !slices.Equal(got, want) {
		t.Errorf("Assigned() = %v, want %v", got, want)
	}
	all, moved := Carry(before, plan, c.Hashes(), 7), Carry(before, plan, c.Moved(before, plan), 7)
	if !slices.EqualFunc(all, moved, func(a, b Keep) bool {
		return a.Variant == b.Variant && a.Until == b.Until && slices.Equal(a.Customers, b.Customers)
	}) || len(all) == 0 {
		t.Errorf("the moved customers carry %d groups, all of them %d", len(moved), len(all))
	}
}

// What many push is taken once.
func TestFreshConcurrently(t *testing.T) {
	var f Fresh
	var seen Seen
	var all []uint64
	var wg sync.WaitGroup
	for g := range uint64(4) {
		wg.Go(func() {
			for i := range uint64(2000) {
				if h := i + g*1000 + 1; seen.Add(h) {
					f.Push(h)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for end := false; !end; {
		select {
		case <-done:
			end = true
		default:
		}
		all = append(all, f.Take()...)
	}
	slices.Sort(all)
	if len(all) != 5000 || all[0] != 1 || all[4999] != 5000 || !f.Empty() {
		t.Errorf("took %d customers, want each of 5000 once", len(all))
	}
}

func FuzzReadCustomers(f *testing.F) {
	var c Customers
	for h := range uint64(10) {
		c.Add(mix(h))
	}
	f.Add(c.encoded())
	f.Add([]byte{0, 2, 1, 0})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := wire.NewReader(string(b))
		c := ReadCustomers(&r)
		if r.Close() != nil {
			return
		}
		again := wire.NewReader(string(c.encoded()))
		if back := ReadCustomers(&again); again.Close() != nil || digestOf(back) != digestOf(c) {
			t.Errorf("%x did not come back", b)
		}
	})
}

func BenchmarkCarry(b *testing.B) {
	d := Definition{Key: "e", TrafficSplit: TrafficSplit{80_00}, Challengers: []Challenger{{"m", 20_00}}, ChampionModelID: "c"}
	keyOf := func(string) string { return "m" }
	from := NewPlan(&d, keyOf)
	d.TrafficSplit.ChampionPct, d.Challengers[0].TrafficPct = 50_00, 50_00
	next := NewPlan(&d, keyOf)
	var c Customers
	for i := range uint64(1_000_000) {
		c.Add(mix(i + 1))
	}
	b.ReportAllocs()
	for b.Loop() {
		new(Kept).With(Carry(from, next, c.Moved(from, next), 0), 0)
	}
}
