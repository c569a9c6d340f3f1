package experiment

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/praetor-engine/praetor/internal/wire"
)

const change = 100 * dayMillis // when a split changes

func TestCustomersKeepTheirVariant(t *testing.T) {
	before, after := plan(t, "k", 10_00, 80_00, 20_00), plan(t, "k", 0, 40_00, 30_00, 30_00)
	const n = 20_000
	// Two nodes served a half each of the even customers, some of them both.
	nodes := [2]*Seen{new(Seen), new(Seen)}
	for i := 0; i < n; i += 2 {
		h := before.Assign(fmt.Sprint("C", i), change-1).Hash
		nodes[i/2%2].Add(h)
		if i%10 == 0 {
			nodes[0].Add(h)
			nodes[1].Add(h)
		}
	}
	kept := new(Kept)
	for _, seen := range nodes {
		var dropped int
		if kept, dropped = kept.With(Carry(before, after, seen.Hashes(), change), change); dropped != 0 {
			t.Errorf("%d customers were dropped", dropped)
		}
	}
	after = after.After(before).WithKept(kept)
	moved := 0
	for i := range n {
		id := fmt.Sprint("C", i)
		was, is, later := before.Assign(id, change), after.Assign(id, change+StickyDays*dayMillis-1), after.Assign(id, change+StickyDays*dayMillis)
		if i%2 == 0 && is.Variant.Name != was.Variant.Name {
			t.Fatalf("customer %s of %s moved to %s", id, was.Variant.Name, is.Variant.Name)
		}
		if i%2 == 1 && (is.Kept || is.Variant != later.Variant) {
			t.Fatalf("customer %s, whom nobody had seen, is kept", id)
		}
		if later.Kept || later.Variant != &after.Variants[after.of[later.Bucket]] {
			t.Fatalf("customer %s is kept after %d days", id, StickyDays)
		}
		if is.Kept {
			moved++
		}
		if is.Kept && is.Settled {
			t.Fatalf("customer %s is kept and settled", id)
		}
	}
	if moved != kept.Len() || moved < n/5 {
		t.Errorf("%d customers are kept and %d are stored", moved, kept.Len())
	}
}

// A second change within the 30 days: who was served under the second split keeps
// what it gave, from the second change on; who was not keeps the first one's.
func TestSecondChange(t *testing.T) {
	const second = change + 20*dayMillis
	plans := []*Plan{plan(t, "k", 0, 100_00), plan(t, "k", 0, 50_00, 50_00), plan(t, "k", 0, 0, 100_00)}
	var hashes []uint64
	for i := range 1000 {
		hashes = append(hashes, plans[0].Assign(fmt.Sprint("C", i), 0).Hash)
	}
	slices.Sort(hashes)
	k1, _ := new(Kept).With(Carry(plans[0], plans[1], hashes, change), change)
	p1 := plans[1].WithKept(k1)
	served := hashes[:500]
	k2, _ := k1.With(Carry(p1, plans[2], served, second), second)
	p2 := plans[2].WithKept(k2)
	for i, h := range hashes {
		champion := true // all had it under the first split, and kept it
		wasMoved := plans[1].assign(h, 0).Variant.Name != Champion
		if i >= 500 && !wasMoved {
			champion = false // was not moved by the first change nor seen before the second
		}
		if got := p2.assign(h, second+1).Variant.Name; (got == Champion) != champion {
			t.Fatalf("customer %d has %s, moved by the first change: %v", i, got, wasMoved)
		}
		at := int64(change + StickyDays*dayMillis) // the first keep is over
		if got := p2.assign(h, at).Variant.Name; (got == Champion) != (i < 500) {
			t.Fatalf("customer %d has %s after the first keep", i, got)
		}
		if got := p2.assign(h, second+StickyDays*dayMillis).Variant.Name; got == Champion {
			t.Fatalf("customer %d is kept after everything", i)
		}
	}
}

func TestVariantsThatAreGoneAreNotKept(t *testing.T) {
	before, after := plan(t, "k", 0, 50_00, 50_00), plan(t, "k", 0, 100_00)
	var hashes []uint64
	for i := range 100 {
		hashes = append(hashes, before.Assign(fmt.Sprint("C", i), 0).Hash)
	}
	slices.Sort(hashes)
	if keeps := Carry(before, after, hashes, change); len(keeps) != 0 {
		t.Errorf("%+v is kept of a challenger that is gone", keeps)
	}
	k, _ := new(Kept).With([]Keep{{"key-m1", change, hashes}}, 0)
	if got := after.WithKept(k).assign(hashes[0], 1); got.Kept || got.Variant.Name != Champion {
		t.Errorf("got %+v, want the champion", got)
	}
}

func TestKeptForgetsAndIsBounded(t *testing.T) {
	k, dropped := new(Kept).With([]Keep{{"a", 10, []uint64{1, 2}}, {"b", 20, []uint64{2, 3}}, {"c", 5, []uint64{4}}}, 5)
	if dropped != 0 || fmt.Sprint(k.Keeps()) != "[{a 10 [1]} {b 20 [2 3]}]" {
		t.Errorf("%v, %d dropped, want a later keep to win and one that is over to be gone", k.Keeps(), dropped)
	}
	k, _ = k.With([]Keep{{"z", 20, []uint64{3}}}, 10)
	if fmt.Sprint(k.Keeps()) != "[{b 20 [2 3]}]" {
		t.Errorf("%v, want the first of one change to hold", k.Keeps())
	}
	many := make([]uint64, MaxKept+7)
	for i := range many {
		many[i] = uint64(i + 10)
	}
	k, dropped = k.With([]Keep{{"a", 30, many}}, 10)
	if dropped != 9 || k.Len() != MaxKept {
		t.Errorf("%d kept and %d dropped, want %d and 9", k.Len(), dropped, MaxKept)
	}
	var groups []Keep
	for i := range maxGroups + 3 {
		groups = append(groups, Keep{fmt.Sprint(i), 30, []uint64{uint64(i)}})
	}
	if k, dropped = new(Kept).With(groups, 10); dropped != 3 || k.Len() != maxGroups {
		t.Errorf("%d kept and %d dropped, want %d and 3", k.Len(), dropped, maxGroups)
	}
}

// twin is the slow, obvious counterpart of Kept.
type twin map[uint64]group

func (w twin) with(keeps []Keep, at int64) {
	for _, k := range keeps {
		for _, h := range k.Customers {
			if k.Until > at && k.Until > w[h].until {
				w[h] = group{k.Variant, k.Until}
			}
		}
	}
	for h, g := range w {
		if g.until <= at {
			delete(w, h)
		}
	}
}

func TestKeptAgainstTwin(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 9))
	got, want := new(Kept), twin{}
	for at := int64(0); at < 3000; at += 1 + rng.Int64N(20) {
		var keeps []Keep
		for range rng.IntN(4) {
			k := Keep{Variant: fmt.Sprint("v", rng.IntN(5)), Until: at - 5 + rng.Int64N(120)}
			for range rng.IntN(40) {
				k.Customers = append(k.Customers, rng.Uint64N(300))
			}
			slices.Sort(k.Customers)
			k.Customers = slices.Compact(k.Customers)
			keeps = append(keeps, k)
		}
		want.with(keeps, at)
		if rng.IntN(3) == 0 { // through a snapshot
			r := wire.NewReader(string(AppendKeeps(nil, got.Keeps())))
			restored, dropped := new(Kept).With(ReadKeeps(&r), -1000)
			if r.Close() != nil || dropped != 0 {
				t.Fatal(r.Err())
			}
			if string(AppendKeeps(nil, restored.Keeps())) != string(AppendKeeps(nil, got.Keeps())) {
				t.Fatal("a snapshot comes back different")
			}
			got = restored
		}
		got, _ = got.With(keeps, at)
		if got.Len() != len(want) {
			t.Fatalf("at %d: %d customers, want %d", at, got.Len(), len(want))
		}
		for h := range uint64(300) {
			name, ok := got.variant(h, at)
			if g, kept := want[h]; ok != kept || ok && name != g.variant {
				t.Fatalf("at %d: customer %d keeps %q, %v, want %+v, %v", at, h, name, ok, g, kept)
			}
		}
	}
}

func TestSettled(t *testing.T) {
	first, second := plan(t, "k", 0, 80_00, 20_00), plan(t, "k", 0, 50_00, 50_00)
	third := plan(t, "k", 10_00, 50_00, 50_00).After(first, second)
	for b := range Buckets {
		name := third.Variants[third.of[b]].Name
		want := name == first.Variants[first.of[b]].Name && name == second.Variants[second.of[b]].Name
		if third.moved[b] == want {
			t.Fatalf("bucket %d of %s is settled: %v, want %v", b, name, !third.moved[b], want)
		}
	}
	// The champion's buckets 1000–4999 and the challenger's 8000–9999 never moved.
	if v := third.Variants; v[0].settled != 0 || v[1].settled != 4000 || v[2].settled != 2000 {
		t.Errorf("settled buckets %d, %d, %d, want 0, 4000, 2000", v[0].settled, v[1].settled, v[2].settled)
	}
}

func TestSeen(t *testing.T) {
	seen, want := new(Seen), map[uint64]bool{}
	rng := rand.New(rand.NewPCG(3, 3))
	for range 200_000 {
		h := rng.Uint64() % 50_000 * 0x9e3779b97f4a7c15
		seen.Add(h)
		want[max(h, 1)] = true
	}
	got := seen.Hashes()
	if len(got) != len(want) || !slices.IsSorted(got) || seen.Overflow() != 0 {
		t.Errorf("%d hashes, %d of them without room, want %d in order", len(got), seen.Overflow(), len(want))
	}
	for _, h := range got {
		if !want[h] {
			t.Fatalf("%d was never added", h)
		}
	}
}

func TestSeenIsBounded(t *testing.T) {
	if raceEnabled {
		t.Skip("one goroutine, many rounds")
	}
	seen := new(Seen)
	const n = 1_400_000 // more than there are slots
	for i := range uint64(n) {
		seen.Add((i + 1) * 0x9e3779b97f4a7c15)
	}
	got := len(seen.Hashes())
	if uint64(got)+seen.Overflow() != n || got < 1_000_000 {
		t.Errorf("%d customers and %d without room, want %d together and a million at least", got, seen.Overflow(), n)
	}
}

func TestSeenConcurrently(t *testing.T) {
	seen := new(Seen)
	var group sync.WaitGroup
	for g := range 4 {
		group.Go(func() {
			for i := range uint64(20_000) {
				seen.Add((i + uint64(g)*10_000) * 0x9e3779b97f4a7c15)
			}
		})
	}
	group.Wait()
	if got := len(seen.Hashes()); got != 50_000 {
		t.Errorf("%d customers, want 50000", got)
	}
}

func TestHashes(t *testing.T) {
	for _, hashes := range [][]uint64{nil, {0}, {1, 2, 1 << 63, 1<<64 - 1}} {
		r := wire.NewReader(string(AppendHashes(nil, hashes)))
		if got := ReadHashes(&r); !slices.Equal(got, hashes) || r.Close() != nil {
			t.Errorf("%d come back as %d, %v", hashes, got, r.Err())
		}
	}
	for _, in := range []string{"\x02\x01\x00", "\x02\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x05\x01"} {
		r := wire.NewReader(in)
		if got := ReadHashes(&r); r.Close() == nil {
			t.Errorf("%x is read as %d", in, got)
		}
	}
}

func FuzzReadKeeps(f *testing.F) {
	f.Add(string(AppendKeeps(nil, []Keep{{Champion, 30, []uint64{1, 5, 1 << 60}}, {"m1", -7, nil}})))
	f.Fuzz(func(t *testing.T, in string) {
		r := wire.NewReader(in)
		keeps := ReadKeeps(&r)
		if r.Close() != nil {
			return
		}
		k, _ := new(Kept).With(keeps, 0)
		once := AppendKeeps(nil, k.Keeps())
		r = wire.NewReader(string(once))
		again, dropped := new(Kept).With(ReadKeeps(&r), 0)
		if r.Close() != nil || dropped != 0 || string(AppendKeeps(nil, again.Keeps())) != string(once) {
			t.Fatalf("what was read does not come back: %v", r.Err())
		}
	})
}
