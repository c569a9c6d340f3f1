package experiment

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"strconv"
	"testing"
)

// reference is what scipy and statsmodels compute; testdata/reference.py says
// how.
type reference struct {
	Variants []struct {
		X, N, BaseX, BaseN uint64
		Z, P, Lower, Upper float64
	}
	Squares []struct {
		Counts       []uint64
		Shares       []float64
		Statistic, P float64
	}
	Tails []struct {
		X  float64
		DF int
		P  float64
	}
	Experiments []struct {
		X, N        []uint64
		Significant []bool
	}
	Buckets []struct {
		Key, Customer string
		Bucket        int
	}
}

func readReference(t *testing.T) (ref reference) {
	t.Helper()
	raw, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &ref); err != nil {
		t.Fatal(err)
	}
	return ref
}

func keyOf(modelID string) string { return "key-" + modelID }

// plan makes one of a champion m0 and challengers m1, m2, … .
func plan(t testing.TB, key string, holdout, champion Percent, challengers ...Percent) *Plan {
	t.Helper()
	d := Definition{Key: key, ChampionModelID: "m0", TrafficSplit: TrafficSplit{champion}, HoldoutPercent: holdout}
	sum := champion
	for i, c := range challengers {
		d.Challengers = append(d.Challengers, Challenger{fmt.Sprint("m", i+1), c})
		sum += c
	}
	if sum != whole {
		t.Fatalf("the shares add up to %s", sum)
	}
	return NewPlan(&d, keyOf)
}

func TestBucketsEqualTheReference(t *testing.T) {
	for _, c := range readReference(t).Buckets {
		p := plan(t, c.Key, 0, whole)
		if got := p.Assign(c.Customer, 0); got.Bucket != c.Bucket {
			t.Errorf("%.20q of %s is in bucket %d, want %d", c.Customer, c.Key, got.Bucket, c.Bucket)
		}
		h := fnv.New64a()
		_, _ = h.Write([]byte(c.Key + ":" + c.Customer))
		if got := p.Assign(c.Customer, 0).Hash; got != h.Sum64() {
			t.Errorf("%.20q of %s has the hash %d, want that of hash/fnv, %d", c.Customer, c.Key, got, h.Sum64())
		}
	}
}

func TestBucketsAreDealtInOrder(t *testing.T) {
	for _, c := range []struct {
		plan *Plan
		ends string
	}{
		{plan(t, "k", 0, 80_00, 20_00), "[0 8000 10000]"},
		{plan(t, "k", 0, 100_00), "[0 10000]"},
		{plan(t, "k", 10_00, 50_00, 50_00), "[1000 5500 10000]"},
		{plan(t, "k", 10_00, 33_33, 33_33, 33_34), "[1000 4000 6999 10000]"}, // 2999.7 and 5999.4 behind the holdout
		{plan(t, "k", 100_00, 50_00, 50_00), "[10000 10000 10000]"},
		{plan(t, "k", 0, 0, 0, 100_00), "[0 0 0 10000]"},
		{plan(t, "k", 1, 99_99, 1), "[1 9999 10000]"},
	} {
		var ends []int
		first := 0
		for _, v := range c.plan.Variants {
			if v.First != first {
				t.Errorf("%+v begins at %d, want %d", v, v.First, first)
			}
			first = v.End
			ends = append(ends, v.End)
		}
		if fmt.Sprint(ends) != c.ends {
			t.Errorf("ends %v, want %s", ends, c.ends)
		}
	}
	p := plan(t, "k", 5_00, 50_00, 50_00)
	if v := p.Variants; v[0].Name != Holdout || v[0].ModelID != "m0" || v[1].Name != Champion || v[2].Name != "key-m1" || v[2].ModelID != "m1" {
		t.Errorf("variants %+v", v)
	}
}

// Of a million customers every variant gets its percentage within three standard
// errors, √(n·p·(1−p)), whatever ids look like. The customers are fixed, so this
// holds once and for all.
func TestAMillionCustomersSplit(t *testing.T) {
	if raceEnabled {
		t.Skip("one goroutine, many rounds")
	}
	const n = 1_000_000
	styles := map[string]func(buf []byte, i int) []byte{
		"numbers":  func(b []byte, i int) []byte { return strconv.AppendInt(b, int64(i), 10) },
		"prefixed": func(b []byte, i int) []byte { return strconv.AppendInt(append(b, "cust-"...), int64(i), 10) },
		"padded":   func(b []byte, i int) []byte { return fmt.Appendf(b, "C%010d", i) },
		"hex":      func(b []byte, i int) []byte { return fmt.Appendf(b, "%016x", uint64(i)*0x9e3779b97f4a7c15) },
	}
	for style, id := range styles {
		p := plan(t, "cards-q3", 5_00, 60_00, 25_00, 12_50, 2_50)
		counts := make(map[string]int)
		var buf []byte
		for i := range n {
			buf = id(buf[:0], i)
			counts[p.Assign(string(buf), 0).Variant.Name]++
		}
		for _, v := range p.Variants {
			share := float64(v.End-v.First) / Buckets
			want, tolerance := n*share, 3*math.Sqrt(n*share*(1-share))
			if got := float64(counts[v.Name]); math.Abs(got-want) > tolerance {
				t.Errorf("%s: %s gets %.0f, want %.0f ± %.0f", style, v.Name, got, want, tolerance)
			}
		}
	}
}

// Assignments to two experiments are independent: of the challengers' customers
// in one, the share that the other's challenger gets is its percentage, within
// five standard errors.
func TestExperimentsAreIndependent(t *testing.T) {
	const n = 200_000
	a, b := plan(t, "a", 0, 50_00, 50_00), plan(t, "b", 0, 50_00, 50_00)
	both, one := 0, 0
	for i := range n {
		id := fmt.Sprint("C", i)
		if a.Assign(id, 0).Variant.Name == "key-m1" {
			one++
			if b.Assign(id, 0).Variant.Name == "key-m1" {
				both++
			}
		}
	}
	if share, tolerance := float64(both)/float64(one), 5*0.5/math.Sqrt(float64(one)); math.Abs(share-0.5) > tolerance {
		t.Errorf("share %.4f, want 0.5 ± %.4f", share, tolerance)
	}
}

// A share that grows takes customers in and lets none go.
func TestSharesGrowAtOneEnd(t *testing.T) {
	small, large := plan(t, "k", 0, 90_00, 10_00), plan(t, "k", 0, 70_00, 30_00)
	moved := 0
	for i := range 100_000 {
		id := fmt.Sprint("C", i)
		was, is := small.Assign(id, 0).Variant.Name, large.Assign(id, 0).Variant.Name
		if was == "key-m1" && is != "key-m1" {
			t.Fatalf("customer %s left the challenger", id)
		}
		if was != is {
			moved++
		}
	}
	if moved < 19_500 || moved > 20_500 {
		t.Errorf("%d of 100000 moved, want about a fifth", moved)
	}
}

func TestAssignDoesNotAllocate(t *testing.T) {
	p := plan(t, "cards-q3", 5_00, 60_00, 40_00)
	kept, _ := new(Kept).With([]Keep{{Champion, 1000, []uint64{p.Assign("C1", 0).Hash}}}, 0)
	p = p.WithKept(kept)
	seen := new(Seen)
	seen.Add(1)
	if n := testing.AllocsPerRun(1000, func() { seen.Add(p.Assign("C1", 10).Hash) }); n != 0 {
		t.Errorf("%g allocations, want 0", n)
	}
}

func BenchmarkAssign(b *testing.B) {
	p := plan(b, "cards-q3", 5_00, 60_00, 40_00)
	for _, kept := range []int{0, MaxKept} {
		b.Run(fmt.Sprintf("kept=%d", kept), func(b *testing.B) {
			hashes := make([]uint64, kept)
			for i := range hashes {
				hashes[i] = uint64(i) << 44
			}
			k, _ := new(Kept).With([]Keep{{Champion, 1000, hashes}}, 0)
			p := p.WithKept(k)
			b.ReportAllocs()
			for b.Loop() {
				p.Assign("customer-4711", 10)
			}
		})
	}
}

func BenchmarkSeenAdd(b *testing.B) {
	seen := new(Seen)
	b.ReportAllocs()
	h := uint64(1)
	for b.Loop() {
		h = h*6364136223846793005 + 1442695040888963407
		seen.Add(h % 500_000)
	}
}
