package arms

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

type pair struct{ a, b int }

func clone(p *pair) *pair { c := *p; return &c }

func TestTableAgainstMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	table, want := NewTable[pair, pair](), map[string]int{}
	for i := range 5000 {
		id := fmt.Sprint(rng.IntN(700))
		c := table.Find(id)
		if _, known := want[id]; known != (c != nil) {
			t.Fatalf("Find(%s) = %v, known: %v", id, c, known)
		}
		if c == nil {
			c = table.Add(id)
		}
		c.State.a++
		want[id]++
		table.Touch(c)
		if i%100 == 0 {
			table.Publish(clone)
			checkSorted(t, table.Sorted(), len(want))
		}
	}
	table.Publish(clone)
	for id, n := range want {
		if got := table.Find(id).Load().a; got != n {
			t.Errorf("arm %s = %d, want %d", id, got, n)
		}
	}
	if table.Len() != len(want) || len(table.Owned()) != len(want) || table.Find("none") != nil {
		t.Errorf("%d arms, want %d", table.Len(), len(want))
	}
}

func checkSorted(t *testing.T, s *Sorted[pair, pair], n int) {
	t.Helper()
	if len(s.IDs) != n || len(s.Cells) != n || !slices.IsSorted(s.IDs) {
		t.Fatalf("%d ids, %d cells, want %d in order", len(s.IDs), len(s.Cells), n)
	}
	for i, c := range s.Cells {
		if c.ID != s.IDs[i] || c.Load() == nil {
			t.Fatalf("cell %d is %s, id is %s", i, c.ID, s.IDs[i])
		}
	}
}

func TestUnpublishedArmsAreHidden(t *testing.T) {
	table := NewTable[pair, pair]()
	c := table.Add("a")
	table.Touch(c)
	if c.Load() != nil || len(table.Sorted().IDs) != 0 {
		t.Error("an arm shows before Publish")
	}
	table.Publish(clone)
	c.State.a = 7
	table.Publish(clone) // not touched
	if c.Load().a != 0 || len(table.Sorted().IDs) != 1 {
		t.Error("Publish shows what was not touched")
	}
	if got := testing.AllocsPerRun(100, func() { table.Publish(clone); table.Sorted(); table.Find("a") }); got != 0 {
		t.Errorf("Publish of nothing, Sorted and Find allocate %v times", got)
	}
}

func TestReadersBesideTheOwner(t *testing.T) {
	table := NewTable[pair, pair]()
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				s := table.Sorted()
				if !slices.IsSorted(s.IDs) {
					t.Error("ids are not sorted")
					return
				}
				for _, id := range s.IDs {
					if table.Find(id) == nil {
						t.Errorf("arm %s is listed but not found", id)
						return
					}
				}
				for _, c := range s.Cells {
					if p := c.Load(); p.a != p.b {
						t.Errorf("half an update: %+v", *p)
						return
					}
				}
			}
		})
	}
	for i := range 3000 {
		id := fmt.Sprint(i / 3)
		c := table.Find(id)
		if c == nil {
			c = table.Add(id)
		}
		c.State.a, c.State.b = i, i
		table.Touch(c)
		table.Publish(clone)
	}
	close(done)
	readers.Wait()
}

// An addition must not cost O(arms).
func BenchmarkAddPublish(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		ids := make([]string, n)
		for i := range ids {
			ids[i] = fmt.Sprintf("offer-%d", i)
		}
		b.Run(fmt.Sprintf("arms=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				table := NewTable[pair, pair]()
				for _, id := range ids {
					table.Touch(table.Add(id))
					table.Publish(clone)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/arm")
		})
	}
}
