package attribution

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/praetor-engine/praetor/internal/factorial"
)

// event is an exposure or a reward of a visitor.
type event struct {
	visitor  string
	exposure *Exposure
	reward   *Reward
}

// list is a stream of a slice.
type list[E any] struct {
	visitors []string
	events   []E
	err      error // after the last
}

func (l *list[E]) Next() (visitor string, e E, ok bool, err error) {
	if len(l.events) == 0 {
		return "", e, false, l.err
	}
	visitor, e = l.visitors[0], l.events[0]
	l.visitors, l.events = l.visitors[1:], l.events[1:]
	return visitor, e, true, nil
}

// streams sorts events by visitor.
func streams(events []event) (exposures *list[Exposure], rewards *list[Reward]) {
	exposures, rewards = new(list[Exposure]), new(list[Reward])
	sorted := slices.Clone(events)
	slices.SortStableFunc(sorted, func(a, b event) int { return strings.Compare(a.visitor, b.visitor) })
	for _, e := range sorted {
		if e.exposure != nil {
			exposures.visitors, exposures.events = append(exposures.visitors, e.visitor), append(exposures.events, *e.exposure)
		} else {
			rewards.visitors, rewards.events = append(rewards.visitors, e.visitor), append(rewards.events, *e.reward)
		}
	}
	return exposures, rewards
}

func batch(t testing.TB, rules Rules, now int64, events []event) *Table {
	t.Helper()
	table, err := Batch(rules, now, first(streams(events)), second(streams(events)))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func first(e *list[Exposure], _ *list[Reward]) *list[Exposure] { return e }
func second(_ *list[Exposure], r *list[Reward]) *list[Reward]  { return r }

func track(rules Rules, now int64, events []event) *Tracker {
	t := NewTracker(rules)
	for _, e := range events {
		if e.exposure != nil {
			t.Expose(e.visitor, *e.exposure, 0)
		} else {
			t.Reward(e.visitor, *e.reward, 0)
		}
	}
	t.Advance(now)
	return t
}

func shown(at int64, variant uint16) event {
	return event{visitor: "v", exposure: &Exposure{At: at, Variant: variant}}
}

func brought(at int64, value float64) event {
	a, err := AmountOf(value)
	if err != nil {
		panic(err)
	}
	return event{visitor: "v", reward: &Reward{At: at, Value: a}}
}

func keyed(e event, key string) event {
	if e.exposure != nil {
		x := *e.exposure
		x.Key = KeyOf(key)
		return event{visitor: e.visitor, exposure: &x}
	}
	x := *e.reward
	x.Key = KeyOf(key)
	return event{visitor: e.visitor, reward: &x}
}

// Each rule, by both ways, in the order given and in the opposite.
func TestRules(t *testing.T) {
	const now = 10_000
	for _, c := range []struct {
		name   string
		rules  Rules // the window is 100
		now    int64
		events []event
		want   []factorial.Observed
	}{
		{"last touch", Rules{}, now, []event{shown(0, 1), shown(10, 2), brought(20, 1)}, []factorial.Observed{{Variant: 1, N: 1}, {Variant: 2, N: 1, Sum: 1, SumSq: 1}}},
		{"first touch", Rules{First: true}, now, []event{shown(0, 1), shown(10, 2), brought(20, 1)}, []factorial.Observed{{Variant: 1, N: 1, Sum: 1, SumSq: 1}, {Variant: 2, N: 1}}},
		{"at once", Rules{}, now, []event{shown(0, 1), brought(0, 1)}, []factorial.Observed{{Variant: 1, N: 1, Sum: 1, SumSq: 1}}},
		{"at the end of the window", Rules{}, now, []event{shown(0, 1), brought(100, 1)}, []factorial.Observed{{Variant: 1, N: 1, Sum: 1, SumSq: 1}}},
		{"after the window", Rules{}, now, []event{shown(0, 1), brought(101, 1)}, []factorial.Observed{{Variant: 1, N: 1}}},
		{"before the exposure", Rules{}, now, []event{brought(9, 1), shown(10, 1)}, []factorial.Observed{{Variant: 1, N: 1}}},
		{"first touch within the window only", Rules{First: true}, now, []event{shown(0, 1), shown(50, 2), shown(60, 3), brought(120, 1)}, []factorial.Observed{{Variant: 1, N: 1}, {Variant: 2, N: 1, Sum: 1, SumSq: 1}, {Variant: 3, N: 1}}},
		{"any is one", Rules{}, now, []event{shown(0, 1), brought(5, 7), brought(6, 0)}, []factorial.Observed{{Variant: 1, N: 1, Sum: 1, SumSq: 1}}},
		{"numbers add up", Rules{Numeric: true}, now, []event{shown(0, 1), brought(5, 7.25), brought(6, -0.5), brought(300, 9)}, []factorial.Observed{{Variant: 1, N: 1, Sum: 6.75, SumSq: 6.75 * 6.75}}},
		{"immature", Rules{}, 99, []event{shown(0, 1)}, nil},
		{"mature", Rules{}, 100, []event{shown(0, 1)}, []factorial.Observed{{Variant: 1, N: 1}}},
		{"immature but rewarded", Rules{}, 20, []event{shown(0, 1), shown(10, 2), brought(15, 1)}, []factorial.Observed{{Variant: 2, N: 1, Sum: 1, SumSq: 1}}},
		{"duplicates", Rules{Numeric: true}, now, []event{keyed(shown(0, 1), "a"), keyed(shown(0, 1), "a"), keyed(brought(5, 2), "a"), keyed(brought(5, 2), "a"), keyed(brought(5, 2), "b")}, []factorial.Observed{{Variant: 1, N: 1, Sum: 4, SumSq: 16}}},
		{"without keys nothing is a duplicate", Rules{Numeric: true}, now, []event{shown(0, 1), shown(0, 1), brought(5, 2), brought(5, 2)}, []factorial.Observed{{Variant: 1, N: 2, Sum: 4, SumSq: 16}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.rules.Window = 100
			for range 2 {
				if got := batch(t, c.rules, c.now, c.events).Observed(); !slices.Equal(got, c.want) {
					t.Errorf("batch %+v, want %+v", got, c.want)
				}
				if got := track(c.rules, c.now, c.events).Table(c.now).Observed(); !slices.Equal(got, c.want) {
					t.Errorf("tracker %+v, want %+v", got, c.want)
				}
				slices.Reverse(c.events)
			}
		})
	}
}

// naive credits by trying every pair.
func naive(rules Rules, now int64, events []event) (observed map[place][3]int64, immature uint64) {
	observed = make(map[place][3]int64)
	seen := make(map[string]bool)
	var kept []event
	for _, e := range events {
		id := fmt.Sprint(e.visitor, "/", e.exposure != nil, "/")
		key := uint64(0)
		if e.exposure != nil {
			key = e.exposure.Key
		} else {
			key = e.reward.Key
		}
		if id += fmt.Sprint(key); key != 0 && seen[id] {
			continue
		}
		seen[id] = true
		kept = append(kept, e)
	}
	hits, sums := make([]uint32, len(kept)), make([]Amount, len(kept))
	for _, r := range kept {
		if r.reward == nil {
			continue
		}
		best := -1
		for i, e := range kept {
			if e.exposure == nil || e.visitor != r.visitor || e.exposure.At > r.reward.At || r.reward.At-e.exposure.At > rules.Window {
				continue
			}
			if best < 0 || (kept[best].exposure.compare(e.exposure) < 0) != rules.First && kept[best].exposure.compare(e.exposure) != 0 {
				best = i
			}
		}
		if best >= 0 {
			hits[best]++
			sums[best] += r.reward.Value
		}
	}
	for i, e := range kept {
		if e.exposure == nil {
			continue
		}
		if hits[i] == 0 && now-e.exposure.At < rules.Window {
			immature++
			continue
		}
		p := place{e.exposure.Variant, e.exposure.Holdout, e.exposure.Cell}
		c, y := observed[p], rules.value(hits[i], sums[i])
		observed[p] = [3]int64{c[0] + 1, c[1] + y, c[2] + y*y}
	}
	return observed, immature
}

func drawEvents(t *rapid.T) (Rules, []event) {
	rules := Rules{First: rapid.Bool().Draw(t, "first"), Numeric: rapid.Bool().Draw(t, "numeric"), Window: rapid.Int64Range(0, 12).Draw(t, "window")}
	var events []event
	for i := range rapid.IntRange(0, 40).Draw(t, "events") {
		e := event{visitor: rapid.SampledFrom([]string{"a", "b", "ü"}).Draw(t, "visitor")}
		at, key := rapid.Int64Range(0, 40).Draw(t, "at"), uint64(0)
		if rapid.Bool().Draw(t, "keyed") {
			key = KeyOf(fmt.Sprint(i))
		}
		if rapid.Bool().Draw(t, "exposure") {
			e.exposure = &Exposure{At: at, Key: key, Cell: rapid.Uint64Range(0, 2).Draw(t, "cell"), Variant: uint16(rapid.IntRange(0, 2).Draw(t, "variant")), Holdout: rapid.Bool().Draw(t, "holdout")}
		} else {
			e.reward = &Reward{At: at, Key: key, Value: Amount(rapid.Int64Range(-3, 3).Draw(t, "value"))}
		}
		events = append(events, e)
		if key != 0 && rapid.Bool().Draw(t, "again") {
			events = append(events, e)
		}
	}
	return rules, rapid.Permutation(events).Draw(t, "order")
}

// One by one, in any order, with the time moving on meanwhile, with what is kept
// written and read in between: the table is that of the batch, to the byte, and both
// are those of trying every pair.
func TestIncrementalEqualsBatch(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rules, events := drawEvents(rt)
		tracker, now := NewTracker(rules), int64(0)
		for _, e := range events {
			now += rapid.Int64Range(0, 3).Draw(rt, "passes")
			if e.exposure != nil {
				tracker.Expose(e.visitor, *e.exposure, now)
			} else {
				tracker.Reward(e.visitor, *e.reward, now)
			}
			if rapid.IntRange(0, 9).Draw(rt, "restart") == 0 {
				again, err := DecodeTracker(rules, string(tracker.Append(nil)))
				if err != nil {
					rt.Fatal(err)
				}
				tracker = again
			}
		}
		now += rapid.Int64Range(0, 20).Draw(rt, "at last")
		want := batch(t, rules, now, events)
		if got := tracker.Table(now); string(got.Append(nil)) != string(want.Append(nil)) {
			rt.Fatalf("tracker %+v %+v, batch %+v %+v", got.Observed(), got.visitors, want.Observed(), want.visitors)
		}
		observed, immature := naive(rules, now, events)
		if len(observed) != len(want.cells) || immature != want.immature {
			rt.Fatalf("%d cells, %d immature, want %d and %d", len(want.cells), want.immature, len(observed), immature)
		}
		for p, c := range want.cells {
			if got := [3]int64{int64(c.n), int64(c.sum.low), int64(c.square.low)}; got != observed[p] {
				rt.Fatalf("%+v: %v, want %v", p, got, observed[p])
			}
		}
	})
}

// Events that come in time, after what is old was forgotten, count as in a batch.
func TestForgetLosesNothingThatCounts(t *testing.T) {
	rules := Rules{Window: 50}
	rng := rand.New(rand.NewPCG(1, 2))
	tracker := NewTracker(rules)
	var events []event
	for now := int64(0); now < 5000; now += 5 {
		e := event{visitor: fmt.Sprint(rng.IntN(4))}
		at := now - rng.Int64N(100) // up to 100 late
		if rng.IntN(2) == 0 {
			e.exposure = &Exposure{At: at, Variant: uint16(rng.IntN(3)), Key: uint64(now + 1)}
			tracker.Expose(e.visitor, *e.exposure, now)
		} else {
			e.reward = &Reward{At: at, Key: uint64(now + 1)}
			tracker.Reward(e.visitor, *e.reward, now)
		}
		events = append(events, e)
		tracker.Forget(now - 100)
		for _, j := range tracker.visitors {
			if len(j.gains) > 60 || len(j.touches) > 60 {
				t.Fatalf("%d exposures and %d rewards are remembered", len(j.touches), len(j.gains))
			}
		}
	}
	want := batch(t, rules, 10_000, events).Observed()
	if got := tracker.Table(10_000).Observed(); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := tracker.Expose("0", Exposure{At: 10}, 10_000); got != TooLate {
		t.Errorf("an exposure before what was forgotten: %v, want it too late", got)
	}
	if got := tracker.Reward("0", Reward{At: 10}, 10_000); got != TooLate {
		t.Errorf("a reward before what was forgotten: %v, want it too late", got)
	}
	if tracker.Forget(10_000); tracker.Visitors() != 0 {
		t.Errorf("%d visitors are remembered, want none", tracker.Visitors())
	}
}

// A visitor counts once, whatever was shown how often.
func TestVisitors(t *testing.T) {
	rules := Rules{Window: 10, Numeric: true}
	events := []event{shown(0, 1), shown(20, 1), brought(1, 2), brought(21, 3),
		{visitor: "w", exposure: &Exposure{At: 0, Holdout: true}}, {visitor: "x", exposure: &Exposure{At: 95}}, {visitor: "y", reward: &Reward{At: 3}}}
	for _, table := range []*Table{batch(t, rules, 100, events), track(rules, 100, events).Table(100)} {
		if got, want := table.Visitors(false), (factorial.Arm{Users: 1, Sum: 5, SumSq: 25}); got != want {
			t.Errorf("treated %+v, want %+v", got, want)
		}
		if got, want := table.Visitors(true), (factorial.Arm{Users: 1}); got != want {
			t.Errorf("held out %+v, want %+v", got, want)
		}
		if table.Immature() != 1 || table.Exposures() != 3 {
			t.Errorf("%d immature, %d counted, want 1 and 3", table.Immature(), table.Exposures())
		}
	}
}

func TestBatchRefuses(t *testing.T) {
	broken := errors.New("broken")
	rewards := &list[Reward]{}
	if _, err := Batch(Rules{}, 0, &list[Exposure]{visitors: []string{"b", "a"}, events: make([]Exposure, 2)}, rewards); err == nil || !strings.Contains(err.Error(), `"a" comes after "b"`) {
		t.Errorf("out of order: %v", err)
	}
	if _, err := Batch(Rules{}, 0, &list[Exposure]{visitors: []string{"a"}, events: make([]Exposure, 1), err: broken}, rewards); !errors.Is(err, broken) {
		t.Errorf("got %v, want the stream's error", err)
	}
	if _, err := Batch(Rules{}, 0, &list[Exposure]{visitors: []string{"b"}, events: make([]Exposure, 1)}, &list[Reward]{visitors: []string{"a"}, events: make([]Reward, 1), err: broken}); !errors.Is(err, broken) {
		t.Errorf("got %v, want the stream's error", err)
	}
}

func TestNewRules(t *testing.T) {
	if got, err := NewRules(FirstTouch, 24, true); err != nil || got != (Rules{First: true, Numeric: true, Window: 86_400_000}) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, hours := range []int{0, 721, -1} {
		_, err := NewRules("linear", hours, false)
		if err == nil || !strings.Contains(err.Error(), "attribution.type") || !strings.Contains(err.Error(), "conversion_window_hours") {
			t.Errorf("%d hours: %v, want both fields", hours, err)
		}
	}
}

func TestAmountOf(t *testing.T) {
	for _, c := range []struct {
		value float64
		want  Amount
	}{{1, 1e6}, {-2.5, -2_500_000}, {1e9, 1e15}, {0.0000004, 0}, {19.99, 19_990_000}} {
		if got, err := AmountOf(c.value); got != c.want || err != nil {
			t.Errorf("AmountOf(%v) = %d, %v, want %d", c.value, got, err, c.want)
		}
	}
	for _, v := range []float64{math.NaN(), math.Inf(1), 1.1e9} {
		if _, err := AmountOf(v); err == nil {
			t.Errorf("AmountOf(%v) is no error", v)
		}
	}
}

func TestSumsAreExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var s sum
	var added []sum
	for range 1000 {
		x := rng.Int64N(2*maxAmount) - maxAmount
		for _, a := range []sum{sumOf(x), squareOf(x)} {
			s.add(a)
			added = append(added, a)
		}
	}
	for _, i := range rng.Perm(len(added)) {
		s.add(added[i].negated())
	}
	if s != (sum{}) {
		t.Errorf("left over: %v", s)
	}
	for _, c := range []struct {
		s    sum
		want float64
	}{{sumOf(-5), -5}, {squareOf(-maxAmount), 1e30}, {sumOf(math.MinInt64), math.MinInt64}, {sum{1, 0}, math.Pow(2, 64)}} {
		if got := c.s.float(); got != c.want {
			t.Errorf("%v = %v, want %v", c.s, got, c.want)
		}
	}
}

func TestKeyOf(t *testing.T) {
	if KeyOf("") != 0 || KeyOf("a") == KeyOf("b") || KeyOf("a") == 0 {
		t.Errorf("keys %x, %x, %x", KeyOf(""), KeyOf("a"), KeyOf("b"))
	}
}

func sample() *Tracker {
	rules := Rules{Window: 50, Numeric: true}
	t := NewTracker(rules)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range int64(60) {
		visitor := fmt.Sprint(rng.IntN(5))
		t.Expose(visitor, Exposure{At: i * 3, Variant: uint16(rng.IntN(3)), Cell: rng.Uint64N(3), Holdout: rng.IntN(4) == 0, Key: uint64(i)}, i*3)
		t.Reward(visitor, Reward{At: i * 3, Value: Amount(rng.Int64N(100) - 50)}, i*3)
	}
	return t
}

func TestEncodings(t *testing.T) {
	want := sample()
	s := string(want.Append(nil))
	got, err := DecodeTracker(want.rules, s)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.table, want.table) || string(got.Append(nil)) != s || len(got.due) != len(want.due) {
		t.Error("another tracker was decoded")
	}
	table := string(want.table.Append(nil))
	if got, err := DecodeTable(want.rules, table); err != nil || !reflect.DeepEqual(got, want.table) {
		t.Errorf("table: %v", err)
	}
	journey := string(want.visitors["1"].Append(nil))
	if got, err := DecodeJourney(journey); err != nil || !reflect.DeepEqual(got, want.visitors["1"]) {
		t.Errorf("journey: %v", err)
	}
	for n := range len(s) {
		if _, err := DecodeTracker(want.rules, s[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes were decoded", n, len(s))
		}
	}
}

func FuzzDecodeTracker(f *testing.F) {
	t := sample()
	f.Add(string(t.Append(nil)))
	f.Add(string(NewTracker(t.rules).Append(nil)))
	f.Fuzz(func(t *testing.T, s string) {
		got, err := DecodeTracker(Rules{Window: 50, Numeric: true}, s)
		if err == nil && string(got.Append(nil)) != s {
			t.Errorf("written %q, want %q", got.Append(nil), s)
		}
	})
}

func FuzzDecodeTable(f *testing.F) {
	t := sample()
	f.Add(string(t.table.Append(nil)))
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := DecodeTable(Rules{Window: 50, Numeric: true}, s); err == nil {
			got.Observed()
			if string(got.Append(nil)) != s {
				t.Errorf("written %q, want %q", got.Append(nil), s)
			}
		}
	})
}

func FuzzDecodeJourney(f *testing.F) {
	f.Add(string(sample().visitors["1"].Append(nil)))
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := DecodeJourney(s); err == nil && string(got.Append(nil)) != s {
			t.Errorf("written %q, want %q", got.Append(nil), s)
		}
	})
}

func BenchmarkTracker(b *testing.B) {
	for _, visitors := range []int{1, 100_000} {
		b.Run(fmt.Sprintf("visitors=%d", visitors), func(b *testing.B) {
			names := make([]string, visitors)
			for i := range names {
				names[i] = fmt.Sprint("visitor-", i)
			}
			t := NewTracker(Rules{Window: 1000})
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				at := int64(i)
				t.Expose(names[i%visitors], Exposure{At: at, Variant: uint16(i % 100), Cell: uint64(i % 12)}, at)
				if i%10 == 0 {
					t.Reward(names[i%visitors], Reward{At: at, Value: 1}, at)
				}
				if i++; i%100_000 == 0 {
					t.Forget(at - 2000)
				}
			}
		})
	}
}

func BenchmarkBatch(b *testing.B) {
	const n = 1_000_000
	exposures, rewards := new(list[Exposure]), new(list[Reward])
	for i := range n {
		visitor := fmt.Sprintf("%09d", i/2)
		exposures.visitors = append(exposures.visitors, visitor)
		exposures.events = append(exposures.events, Exposure{At: int64(i), Variant: uint16(i % 100), Cell: uint64(i % 12), Key: uint64(i + 1)})
		if i%10 == 0 {
			rewards.visitors, rewards.events = append(rewards.visitors, visitor), append(rewards.events, Reward{At: int64(i), Value: 1, Key: uint64(i + 1)})
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		e, r := *exposures, *rewards
		if _, err := Batch(Rules{Window: 1000}, n+2000, &e, &r); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "exposures/s")
}
