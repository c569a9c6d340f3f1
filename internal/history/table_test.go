package history

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestIndexAgainstMap adds and removes at random, with few distinct hashes so
// that probing runs long.
func TestIndexAgainstMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var x index
	hashes := map[uint32]uint32{} // place → hash
	for step := range 50_000 {
		place := uint32(1 + rng.IntN(400))
		if hash, ok := hashes[place]; ok {
			x.remove(hash, place)
			delete(hashes, place)
		} else {
			hash := uint32(rng.IntN(1000)) * 7
			if slots := x.grown(); slots != nil {
				x.slots = slots
			}
			x.insert(hash, place)
			hashes[place] = hash
		}
		probe := uint32(1 + rng.IntN(400))
		want := uint32(0)
		hash, ok := hashes[probe]
		if ok {
			want = probe
		}
		if got := x.find(hash, func(p uint32) bool { return p == probe }); got != want || x.used != len(hashes) {
			t.Fatalf("step %d: find() = %d of %d, want %d of %d", step, got, x.used, want, len(hashes))
		}
	}
}

// TestShardAgainstMaps makes customers come and go, with captures held in
// between: the captures must not change.
func TestShardAgainstMaps(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	tn := newTenant(1, 0)
	sh := newShard()
	live := map[string]uint32{}
	for round := range 40 {
		frozen, want := sh.capture(), slices.Sorted(maps.Keys(live))
		for range 500 {
			n := rng.IntN(700)
			id := strings.Repeat("x", n%40) + fmt.Sprint("c", n)
			if c, ok := live[id]; ok {
				for sh.customers.at(c).rows != 0 {
					tn.offers.release(sh.removeRow(c, 0))
				}
				sh.removeCustomer(c)
				delete(live, id)
				continue
			}
			sh.reserve()
			live[id] = sh.customer(hash64(id), id)
			o := tn.offers.intern(fmt.Sprint("o", rng.IntN(30)))
			o.refs++
			sh.addRow(live[id], o.number)
		}
		for id, c := range live {
			if got := sh.findCustomer(hash64(id), id); got != c {
				t.Fatalf("round %d: findCustomer(%q) = %d, want %d", round, id, got, c)
			}
		}
		var got []string
		if err := frozen.each(func(id string, rows uint32, n int) error {
			if n != 1 || frozen.rows.at(rows).next != 0 || len(got) == len(want) {
				return fmt.Errorf("customer %d is %q with %d rows", len(got), id, n)
			}
			got = append(got, strings.Clone(id))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("round %d: the capture has %d customers, want %d as they were", round, len(got), len(want))
		}
		sh.frozen.Add(-1)
	}
	if units, longest := sh.keys.units.len(), unitsOf(45)*700; units > longest {
		t.Errorf("ids take %d units, want at most %d: removed ones are used again", units, longest)
	}
}

func TestArenaKeepsTexts(t *testing.T) {
	sh := newShard()
	texts := map[uint32]string{}
	for i := range 2000 {
		s := strings.Repeat(string(rune('a'+i%26)), 1+i*7%maxCustomerID)
		texts[sh.keys.put(s)] = s
	}
	for at, want := range texts {
		if got := sh.keys.text(at, uint16(len(want))); got != want {
			t.Fatalf("text(%d) = %q, want %q", at, got, want)
		}
	}
}

func TestOffersForgetWhatNobodyNames(t *testing.T) {
	tn := newTenant(1, 0)
	kept := tn.offers.intern("kept")
	kept.refs++
	for i := range 10_000 {
		o := tn.offers.intern(fmt.Sprint("passing ", i))
		o.refs++
		if got := tn.offers.find(o.id); got != o || tn.offers.id(o.number) != o.id {
			t.Fatalf("find(%q) = %v", o.id, got)
		}
		tn.offers.release(o.number)
		if !o.dead.Load() || tn.offers.find(o.id) != nil {
			t.Fatalf("%q is still there", o.id)
		}
	}
	if tn.offers.find("kept") != kept || tn.offers.live != 1 || len(tn.offers.number) > 2 || len(*tn.offers.table.Load()) > 16 {
		t.Errorf("%d offers alive of %d numbers in %d slots, want 1 of 2", tn.offers.live, len(tn.offers.number), len(*tn.offers.table.Load()))
	}
}
