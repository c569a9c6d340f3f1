package logistic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

func train(t testing.TB, config string, src learn.Source, seed uint64) (*table, learn.Trained) {
	return trainSpec(t, learn.Spec{Config: json.RawMessage(config)}, src, seed)
}

func trainSpec(t testing.TB, spec learn.Spec, src learn.Source, seed uint64) (*table, learn.Trained) {
	trained, err := Train(t.Context(), spec, src, learn.TrainOptions{Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	tab, err := decodeState(string(trained.State))
	if err != nil {
		t.Fatal(err)
	}
	return tab, trained
}

func (t *table) find(name string) field {
	for _, f := range t.fields {
		if f.name == name {
			return f
		}
	}
	return field{}
}

// The tolerances are 4 to 5 standard errors of a fit to 60 000 rows: 1/√(n·p(1−p))
// over the standard deviation of the number, p(1−p) about 0.18. The region, fifty
// categories without an effect, is left out: for its sake training would stop
// early, which shrinks all weights.
func TestTrainingFindsTheTruth(t *testing.T) {
	no := false
	spec := learn.Spec{Predictors: []learn.Predictor{{Field: "region", Selected: &no}}}
	tab, trained := trainSpec(t, spec, market{rows: 60_000, seed: 3}, 1)
	for _, c := range []struct {
		name      string
		want, tol float64
	}{{"age", 0.03, 0.003}, {"income", 0.0001, 0.00001}, {"creditScore", 0.01, 0.0006}, {"balance", 0, 0.04}, {"mobile", 0, 0.08}} {
		if got := tab.find(c.name).weight; math.Abs(got-c.want) > c.tol {
			t.Errorf("weight of %s = %v, want %v ± %v", c.name, got, c.want, c.tol)
		}
	}
	got := tab.find("segment").categories
	for i, s := range segments[1:] {
		if d := got[s] - got[segments[0]]; math.Abs(d-(effect[i+1]-effect[0])) > 0.12 {
			t.Errorf("weight of %s less that of %s = %v, want %v", s, segments[0], d, effect[i+1]-effect[0])
		}
	}
	if got := tab.find("interests").categories["travel"]; math.Abs(got-0.7) > 0.08 {
		t.Errorf("weight of interests=travel = %v, want 0.7", got)
	}
	if m := trained.Metrics; m.Evaluation != learn.EvaluationHoldout || trained.SampleCount != 60_000 || m.SampleCount < 11_000 || m.SampleCount > 13_000 {
		t.Errorf("metrics %+v of %d rows", m, trained.SampleCount)
	}
}

func TestTrainingIsDeterministic(t *testing.T) {
	_, a := train(t, `{"l1":0.0001}`, market{rows: 3000, seed: 1}, 7)
	_, b := train(t, `{"l1":0.0001}`, market{rows: 3000, seed: 1}, 7)
	_, configured := train(t, `{"l1":0.0001,"seed":7}`, market{rows: 3000, seed: 1}, 8)
	_, other := train(t, `{"l1":0.0001}`, market{rows: 3000, seed: 1}, 8)
	if !slices.Equal(a.State, b.State) || !reflect.DeepEqual(a.Metrics, b.Metrics) {
		t.Error("the same seed gave another model")
	}
	if !slices.Equal(a.State, configured.State) {
		t.Error("config.seed does not override the option")
	}
	if slices.Equal(a.State, other.State) {
		t.Error("another seed gave the same model")
	}
}

// norm returns the sum of magnitudes and the number of the weights but the bias,
// each number's in units of its standard deviation.
func norm(tab *table) (sum float64, count int) {
	deviation := map[string]float64{"age": 17.32, "balance": 1, "creditScore": 80, "income": 5000, "mobile": 0.5}
	for _, f := range tab.fields {
		if w := f.weight * deviation[f.name]; w != 0 {
			sum += math.Abs(w)
			count++
		}
		for _, w := range f.categories {
			sum += math.Abs(w)
			count++
		}
	}
	return sum, count
}

func TestPenalties(t *testing.T) {
	src := market{rows: 5000, seed: 2}
	free, _ := train(t, `{}`, src, 1)
	l1, _ := train(t, `{"l1":0.01}`, src, 1)
	l2, _ := train(t, `{"l2":0.1}`, src, 1)
	all, _ := train(t, `{"l1":10}`, src, 1)
	freeSum, freeCount := norm(free)
	l1Sum, l1Count := norm(l1)
	l2Sum, l2Count := norm(l2)
	if l1Sum >= freeSum || l1Count >= freeCount/2 {
		t.Errorf("l1: %d weights of norm %v, without %d of %v", l1Count, l1Sum, freeCount, freeSum)
	}
	if l2Sum >= freeSum || l2Count != freeCount {
		t.Errorf("l2: %d weights of norm %v, without %d of %v", l2Count, l2Sum, freeCount, freeSum)
	}
	if sum, count := norm(all); count != 0 {
		t.Errorf("l1 over every gradient leaves %d weights of norm %v", count, sum)
	}
}

// At the minimum of the elastic net the gradient of the mean loss of a weight
// that is not 0 is −l1·sign(w) − l2·w, that of one that is 0 at most l1.
func TestElasticNetMeetsItsOptimalityConditions(t *testing.T) {
	const l1, l2 = 0.005, 0.02
	src := market{rows: 8000, seed: 5}
	run := fitting(t, src, config{learningRate: 0.1, l1: l1, l2: l2, epochs: 200, batchSize: 32})
	for range run.cfg.epochs {
		if err := run.m.epoch(t.Context(), run.d, run.d.rows, run.rng); err != nil {
			t.Fatal(err)
		}
	}
	m := run.m
	for i := range run.d.rows {
		m.gradient(run.d, i)
	}
	for j := range len(m.w) - 1 {
		if j == run.d.n {
			continue // the unused slot
		}
		g, w := m.g[j]/float64(run.d.rows), m.w[j]
		const tol = 0.0015
		switch {
		case w == 0 && math.Abs(g) > l1+tol:
			t.Errorf("weight %d is 0 with gradient %v, want at most %v", j, g, l1)
		case w != 0 && math.Abs(g+math.Copysign(l1, w)+l2*w) > tol:
			t.Errorf("weight %d = %v has gradient %v, want %v", j, w, g, -math.Copysign(l1, w)-l2*w)
		}
	}
}

// list is a source of given examples.
type list []learn.Example

func (l list) Scan(_ context.Context, f func(*learn.Example) error) error {
	for i := range l {
		ex := l[i]
		ex.ID = decision.InteractionID{Index: uint64(i) + 1}
		if err := f(&ex); err != nil {
			return err
		}
	}
	return nil
}

func TestFewRowsAreMeasuredInSample(t *testing.T) {
	_, trained := train(t, `{}`, market{rows: learn.MinHoldoutRows - 1, seed: 1}, 1)
	if trained.Metrics.Evaluation != learn.EvaluationInSample || trained.Metrics.SampleCount != learn.MinHoldoutRows-1 {
		t.Errorf("metrics = %+v", trained.Metrics)
	}
}

func TestOneClass(t *testing.T) {
	one := learn.Example{Row: customer, Positive: true, Weight: 1}
	for _, src := range []list{{}, {one, one}} {
		_, err := Train(t.Context(), learn.Spec{}, src, learn.TrainOptions{})
		var e *decision.Error
		if !errors.As(err, &e) || e.Reason != "insufficient_data" {
			t.Errorf("%d rows of one class: %v, want insufficient_data", len(src), err)
		}
	}
}

func TestCancelledTraining(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	opts := learn.TrainOptions{Progress: func(done float64) {
		if done > designed {
			cancel()
		}
	}}
	if _, err := Train(ctx, learn.Spec{}, market{rows: 3000}, opts); !errors.Is(err, context.Canceled) {
		t.Errorf("Train = %v, want context.Canceled", err)
	}
}

func TestWeightsOfExamplesCount(t *testing.T) {
	row := func(v string) decision.Row { return decision.Row{text("c", v)} }
	var src list
	for range 50 {
		src = append(src,
			learn.Example{Row: row("a"), Positive: true, Weight: 3}, learn.Example{Row: row("a"), Weight: 1},
			learn.Example{Row: row("b"), Positive: true, Weight: 1}, learn.Example{Row: row("b"), Weight: 3})
	}
	src = src[:learn.MinHoldoutRows-4]
	tab, _ := train(t, `{"epochs":500}`, src, 1)
	for _, c := range []struct {
		value string
		want  float64
	}{{"a", 0.75}, {"b", 0.25}} {
		var res learn.Result
		tab.Score(&learn.Request{Row: row(c.value)}, &res)
		if math.Abs(res.Score-c.want) > 0.02 {
			t.Errorf("score of %s = %v, want %v", c.value, res.Score, c.want)
		}
	}
}

func TestFieldsAreEncodedByTheRules(t *testing.T) {
	var src list
	for i := range 400 {
		row := decision.Row{
			number("constant", 5), text("id", fmt.Sprint(i)), {Name: "mostly", Kind: decision.Text, Text: "8001"},
			text("rare", "common"), number("target", float64(i%2)), number("wide", float64(i)), text("x=y", "z"),
		}
		if i%4 == 0 {
			row[2] = number("mostly", 8001)
		}
		if i < minCategoryRows-1 {
			row[3].Text = "seldom"
		}
		src = append(src, learn.Example{Row: row, Positive: i%2 == 0 || i%7 == 0, Weight: 1})
	}
	no := false
	spec := learn.Spec{TargetField: "target", Predictors: []learn.Predictor{{Field: "wide", Selected: &no}}}
	tab, _ := trainSpec(t, spec, src, 0)
	var got []string
	for _, f := range tab.fields {
		if f.numeric {
			got = append(got, f.name)
		}
		for v := range f.categories {
			got = append(got, f.name+"="+v)
		}
	}
	slices.Sort(got)
	if want := []string{"mostly=8001", "rare=common"}; !slices.Equal(got, want) {
		t.Errorf("weights of %v, want %v", got, want)
	}
}

func TestManyCategoriesAreBounded(t *testing.T) {
	fp := &fieldProfile{counts: make(map[string]*int)}
	for i := range 3 * encode.CountedValues {
		fp.add(&decision.Field{Kind: decision.Text, Text: fmt.Sprint("once-", i)})
		if i%100 == 0 {
			for k := range 2 * (i%5 + 1) {
				fp.add(&decision.Field{Kind: decision.Text, Text: fmt.Sprint("often-", k)})
			}
		}
	}
	if len(fp.counts) > encode.CountedValues {
		t.Errorf("%d values are counted, want at most %d", len(fp.counts), encode.CountedValues)
	}
	if got := fp.categories(); len(got) == 0 || got[0] != "often-0" {
		t.Errorf("categories() = %v, want the frequent ones", got)
	}
	fp = &fieldProfile{counts: make(map[string]*int)}
	for i := range 2 * maxCategories * minCategoryRows {
		fp.add(&decision.Field{Kind: decision.Text, Text: fmt.Sprint(i % (2 * maxCategories))})
	}
	if got := len(fp.categories()); got != maxCategories {
		t.Errorf("%d categories, want %d", got, maxCategories)
	}
}

func BenchmarkScore(b *testing.B) {
	for _, fields := range []int{8, 20} {
		b.Run(fmt.Sprintf("fields=%d", fields), func(b *testing.B) {
			builder := newBuilder()
			var row decision.Row
			for i := range fields {
				name := fmt.Sprintf("attribute_%02d", i)
				if i%2 == 0 {
					builder.number(name, 0.01, 1)
					row = append(row, number(name, float64(i)))
					continue
				}
				for k := range 10 {
					builder.category(name, fmt.Sprint("value-", k), 0.1)
				}
				row = append(row, text(name, "value-3"))
			}
			v := builder.table()
			req, res := learn.Request{Row: row}, learn.Result{}
			b.ReportAllocs()
			for b.Loop() {
				v.Score(&req, &res)
			}
		})
	}
}

// BenchmarkTrain reports the time of one pass over a row, whole training
// included, and the memory that the training holds.
func BenchmarkTrain(b *testing.B) {
	for _, rows := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			src := market{rows: rows, seed: 1}
			for b.Loop() {
				run := training{cfg: config{learningRate: 0.1, epochs: 1, batchSize: 32}, opts: new(learn.TrainOptions), rng: newRand(1)}
				var before, after runtime.MemStats
				b.StopTimer()
				runtime.GC()
				runtime.ReadMemStats(&before)
				if err := run.read(b.Context(), &learn.Spec{}, src); err != nil {
					b.Fatal(err)
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB-held")
				m := newModel(&run.cfg, run.d, run.base)
				b.StartTimer()
				if err := m.epoch(b.Context(), run.d, run.d.rows, run.rng); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/row")
		})
	}
}
