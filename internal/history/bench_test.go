package history

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
)

// benchOutcome is an outcome of about 100 bytes.
func benchOutcome(rng *rand.Rand, customers int) decision.Outcome {
	return decision.Outcome{
		CustomerID: fmt.Sprintf("customer-%07d", rng.IntN(customers)), OfferID: fmt.Sprintf("offer-%03d", rng.IntN(50)),
		CategoryID: "cards", ChannelID: "web", PlacementID: "hero", Type: "click", Direction: decision.Inbound,
		Class: decision.Classification(rng.IntN(3)), At: 1_700_000_000_000 + rng.Int64N(1e9),
		Attributes: decision.Row{{Name: "age", Num: float64(rng.IntN(80)), Kind: decision.Number}, {Name: "segment", Text: "gold", Kind: decision.Text}},
	}
}

// fill records n outcomes in entries of 500 and returns the last index.
func fill(b testing.TB, s *Store, n, customers int) (index uint64) {
	rng := rand.New(rand.NewPCG(1, 2))
	var buf []byte
	for done := 0; done < n; {
		index++
		batch := s.Begin(index, 1_700_000_000_000+int64(index))
		for range 500 {
			o := benchOutcome(rng, customers)
			buf = command.AppendOutcome(buf[:0], &o)
			batch.Record(1, &o, buf, o.Class == decision.Neutral)
			done++
		}
		if err := batch.Commit(); err != nil {
			b.Fatal(err)
		}
	}
	return index
}

func BenchmarkRecord(b *testing.B) {
	s := openStore(b, DefaultOptions())
	rng := rand.New(rand.NewPCG(1, 2))
	outcomes := make([]decision.Outcome, 100_000)
	encoded := make([][]byte, len(outcomes))
	size := 0
	for i := range outcomes {
		outcomes[i] = benchOutcome(rng, 1_000_000)
		encoded[i] = command.AppendOutcome(nil, &outcomes[i])
		size += len(encoded[i])
	}
	b.ReportAllocs()
	index, i := uint64(0), 0
	for b.Loop() {
		index++
		batch := s.Begin(index, 1_700_000_000_000+int64(index))
		for range 500 {
			o := outcomes[i%len(outcomes)]
			batch.Record(1, &o, encoded[i%len(outcomes)], o.Class == decision.Neutral)
			i++
		}
		if err := batch.Commit(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(size)/float64(len(outcomes)), "B/outcome")
}

func BenchmarkScan(b *testing.B) {
	s := openStore(b, DefaultOptions())
	last := fill(b, s, 1_000_000, 100_000)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if err := s.Scan(context.Background(), 1, last, func(*decision.Outcome) error {
			n++
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkSummary(b *testing.B) {
	s := openStore(b, DefaultOptions())
	fill(b, s, 1_000_000, 200_000)
	rng := rand.New(rand.NewPCG(3, 4))
	customers, offers := make([]string, 4096), make([]string, 4096)
	for i := range customers {
		o := benchOutcome(rng, 200_000)
		customers[i], offers[i] = o.CustomerID, o.OfferID
	}
	for _, name := range []string{"customer and offer", "customer only", "parallel"} {
		b.Run("known="+name, func(b *testing.B) {
			b.ReportAllocs()
			if name == "parallel" {
				b.RunParallel(func(pb *testing.PB) {
					for i := 0; pb.Next(); i++ {
						s.Summary(1, customers[i&4095], offers[i&4095])
					}
				})
				return
			}
			i := 0
			for b.Loop() {
				offer := offers[i&4095]
				if name == "customer only" {
					offer = "nothing"
				}
				s.Summary(1, customers[i&4095], offer)
				i++
			}
		})
	}
}

func BenchmarkList(b *testing.B) {
	s := openStore(b, DefaultOptions())
	fill(b, s, 1_000_000, 100_000)
	rng := rand.New(rand.NewPCG(3, 4))
	for _, kind := range []string{"customer", "offer", "all"} {
		b.Run("by="+kind, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				o := benchOutcome(rng, 100_000)
				f := map[string]Filter{"customer": {CustomerID: o.CustomerID}, "offer": {OfferID: o.OfferID}}[kind]
				if _, err := s.List(1, f, decision.InteractionID{}, 50); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func fillTenant(t *tenant, summaries, perCustomer int, limits *Limits) {
	for i := range summaries {
		o := decision.Outcome{
			CustomerID: fmt.Sprintf("customer-%07d", i/perCustomer), OfferID: fmt.Sprintf("offer-%03d", i%perCustomer),
			Class: decision.Positive, At: int64(i + 1),
		}
		t.contact(&o, false, limits)
	}
}

// BenchmarkMemory measures bytes per summary, the customers' ids included.
func BenchmarkMemory(b *testing.B) {
	for _, perCustomer := range []int{1, 2, 5} {
		b.Run(fmt.Sprintf("offers=%d", perCustomer), func(b *testing.B) {
			const summaries = 1_000_000
			var before, after runtime.MemStats
			for b.Loop() {
				runtime.GC()
				runtime.ReadMemStats(&before)
				t, limits := newTenant(1, 0), DefaultLimits()
				fillTenant(t, summaries, perCustomer, &limits)
				runtime.GC()
				runtime.ReadMemStats(&after)
				runtime.KeepAlive(t)
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/summaries, "B/summary")
		})
	}
}

// BenchmarkCapture measures captures of a million customers of two offers.
func BenchmarkCapture(b *testing.B) {
	s := openStore(b, DefaultOptions())
	limits := DefaultLimits()
	fillTenant(s.image.Load().open(1), 2_000_000, 2, &limits)
	b.Run("take", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c, err := s.Capture()
			if err != nil {
				b.Fatal(err)
			}
			c.Release()
		}
	})
	b.Run("encode", func(b *testing.B) {
		c, err := s.Capture()
		if err != nil {
			b.Fatal(err)
		}
		defer c.Release()
		var n counter
		for b.Loop() {
			n = 0
			if err := c.Encode(&n); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(n), "B")
	})
	b.Run("digest", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Digest(); err != nil {
				b.Fatal(err)
			}
		}
	})
	// The first contacts after a capture copy the pages that they touch.
	for _, captured := range []bool{false, true} {
		b.Run(fmt.Sprintf("contact/captured=%t", captured), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 2))
			if captured {
				c, err := s.Capture()
				if err != nil {
					b.Fatal(err)
				}
				defer c.Release()
			}
			t := s.image.Load().tenant(1)
			for range b.N {
				o := decision.Outcome{CustomerID: fmt.Sprintf("customer-%07d", rng.IntN(1_000_000)), OfferID: "offer-000", Class: decision.Positive, At: 5}
				t.contact(&o, false, &limits)
			}
		})
	}
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
