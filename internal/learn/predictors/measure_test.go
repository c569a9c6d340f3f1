package predictors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

func near(got, want float64) bool { return math.Abs(got-want) <= 1e-12 }

// TestAUCOfValuesWithABinEach: where every value has its bin and both halves have
// the same rows, the AUC is that of the values themselves.
func TestAUCOfValuesWithABinEach(t *testing.T) {
	cases := []struct {
		name      string
		positives [5]int // of 100 rows of the values 1 to 5
		score     func(x float64) float64
	}{
		{"increasing", [5]int{10, 20, 30, 40, 50}, func(x float64) float64 { return x }},
		{"decreasing", [5]int{50, 40, 30, 20, 10}, func(x float64) float64 { return -x }},
		{"high at both ends", [5]int{60, 30, 10, 20, 50}, func(x float64) float64 { return math.Abs(x - 3.1) }},
		{"the same everywhere", [5]int{20, 20, 20, 20, 20}, func(float64) float64 { return 0 }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var src rows
			var raw, ranked []learn.Scored
			for i, positives := range c.positives {
				x := float64(i + 1)
				src.add(positives, 1, true, num("x", x))
				src.add(100-positives, 1, false, num("x", x))
				for k := range 100 {
					raw = append(raw, learn.Scored{Score: c.score(x), Positive: k < positives})
					ranked = append(ranked, learn.Scored{Score: x, Positive: k < positives})
				}
			}
			p := measure(t, src, Options{}).find(t, "x", "")
			if got, want := p.AUC, learn.AUC(raw); !near(got, want) {
				t.Errorf("AUC = %v, want %v", got, want)
			}
			if got, want := *p.RankAUC, learn.AUC(ranked); !near(got, want) {
				t.Errorf("RankAUC = %v, want %v", got, want)
			}
		})
	}
}

// TestNoiseHasNoAUC: fields without any relation have 0.5 in the mean, within
// five standard errors, however few the positives.
func TestNoiseHasNoAUC(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	const fields = 100
	src := make(rows, 1000)
	for i := range src {
		src[i] = learn.Example{ID: decision.InteractionID{Index: uint64(i) + 1}, Positive: rng.IntN(20) == 0}
		for k := range fields {
			src[i].Row = append(src[i].Row, num(fmt.Sprintf("f%02d", k), rng.Float64()))
		}
	}
	r := measure(t, src, Options{})
	sum, squares, flattered := 0.0, 0.0, 0.0
	for _, p := range r.Predictors {
		sum += p.AUC
		squares += (p.AUC - 0.5) * (p.AUC - 0.5)
		scores := make([]float64, len(p.Bins))
		for k := range p.Bins {
			scores[k] = p.Bins[k].Propensity
		}
		c := concordance(scores, func(k int) (int, int) { return p.Bins[k].Positives, p.Bins[k].Samples - p.Bins[k].Positives })
		flattered += c / float64(r.Positives*(r.SampleCount-r.Positives))
	}
	mean, deviation := sum/fields, math.Sqrt(squares/fields)
	t.Logf("%d positives: mean AUC %.4f, deviation %.4f; ordered in sample %.4f", r.Positives, mean, deviation, flattered/fields)
	if math.Abs(mean-0.5) > 5*deviation/math.Sqrt(fields) {
		t.Errorf("mean AUC of noise = %v, want 0.5", mean)
	}
	if flattered/fields < 0.55 {
		t.Errorf("in-sample order gives %v; the halves would not be needed", flattered/fields)
	}
}

// TestPSIByHand: 1000 training rows with 500, 300, 200 and 0 in the bins a, b,
// missing and other, and 400 recent ones with 100, 200, 50 and 50. By the formula
// 1.0002479357081544.
func TestPSIByHand(t *testing.T) {
	var src rows
	src.add(500, trainedAt, false, text("s", "a"))
	src.add(300, trainedAt, true, text("s", "b"))
	src.add(200, trainedAt, false)
	src.add(77, trainedAt+1, false, text("s", "a")) // neither
	src.add(77, now-day, false, text("s", "a"))     // neither
	src.add(100, now-day+1, false, text("s", "a"))
	src.add(200, now, false, text("s", "b"))
	src.add(50, now, false)
	src.add(50, now, false, text("s", "c"))
	src.add(77, now+1, false, text("s", "a")) // neither
	r := measure(t, src, Options{TrainedAt: trainedAt})
	p := r.find(t, "s", "")
	if p.PSI == nil || !near(*p.PSI, 1.0002479357081544) {
		t.Errorf("PSI = %v, want 1.0002479357081544", p.PSI)
	}
	if r.SampleCount != 1000 || r.Positives != 300 || r.RecentCount != 400 {
		t.Errorf("%d rows, %d positives, %d recent; want 1000, 300, 400", r.SampleCount, r.Positives, r.RecentCount)
	}
	if want := (Window{From: now - day, To: now}); r.Window != want || r.TrainedAt != trainedAt {
		t.Errorf("window %+v, trained at %v, want %+v", r.Window, r.TrainedAt, want)
	}
	if p.MissingRate != 0.2 || p.Samples != 800 || p.Kind != Category {
		t.Errorf("missing %v, samples %d, kind %s; want 0.2, 800, category", p.MissingRate, p.Samples, p.Kind)
	}
	b := p.bin(t, Value, "b")
	if b.Samples != 300 || b.Positives != 300 || b.Share != 0.3 || b.Recent != 200 || *b.RecentShare != 0.5 {
		t.Errorf("bin b = %+v", *b)
	}
	if want := (300 + 10*0.3) / 310.0; !near(b.Propensity, want) {
		t.Errorf("propensity of b = %v, want %v", b.Propensity, want)
	}
	if other := p.bin(t, Other, "other"); other.Samples != 0 || other.Recent != 50 || !near(other.Propensity, 0.3) {
		t.Errorf("bin other = %+v, want 50 recent rows at the positive rate", *other)
	}
	if missing := p.bin(t, Missing, "missing"); missing.Samples != 200 || missing.Recent != 50 {
		t.Errorf("bin missing = %+v, want 200 and 50 rows", *missing)
	}
	if order := []string{p.Bins[0].Name, p.Bins[1].Name, p.Bins[2].Name, p.Bins[3].Name}; !reflect.DeepEqual(order, []string{"a", "b", "other", "missing"}) {
		t.Errorf("bins in the order %v", order)
	}
}

func TestPSINeedsRows(t *testing.T) {
	of := func(training, recent int, at decision.Time) *float64 {
		var src rows
		src.add(training/2, 1, false, boolean("b", 0))
		src.add(training-training/2, 1, true, boolean("b", 1))
		src.add(recent, now, true, boolean("b", 1))
		return measure(t, src, Options{TrainedAt: at}).find(t, "b", "").PSI
	}
	for _, c := range []struct {
		training, recent int
		at               decision.Time
		want             bool
	}{{40, 40, trainedAt, true}, {39, 40, trainedAt, false}, {40, 39, trainedAt, false}, {1000, 0, trainedAt, false}, {400, 400, 0, false}} {
		if got := of(c.training, c.recent, c.at); (got != nil) != c.want {
			t.Errorf("%d training, %d recent rows, trained at %v: PSI known is %v, want %v", c.training, c.recent, c.at, got != nil, c.want)
		}
	}
}

// TestPSIWithoutDrift has the mean of the statistic's distribution.
func TestPSIWithoutDrift(t *testing.T) {
	const training, recent, fields = 4000, 500, 200
	rng := rand.New(rand.NewPCG(7, 7))
	src := make(rows, training+recent)
	for i := range src {
		src[i] = learn.Example{ID: decision.InteractionID{Index: uint64(i) + 1}, At: 1}
		if i >= training {
			src[i].At = now
		}
		for k := range fields {
			src[i].Row = append(src[i].Row, num(fmt.Sprintf("f%03d", k), rng.Float64()))
		}
	}
	sum := 0.0
	for _, p := range measure(t, src, Options{TrainedAt: trainedAt}).Predictors {
		sum += *p.PSI
	}
	// The deviation of a χ² of 9 degrees is √18; the edges are the training rows'
	// own quantiles, which takes the training rows' part away.
	scale := 1.0 / recent
	if got, want := sum/fields, 9*scale; math.Abs(got-want) > 5*math.Sqrt(18.0/fields)*scale {
		t.Errorf("mean PSI = %v, want %v", got, want)
	}
}

func TestKinds(t *testing.T) {
	var src rows
	for range 50 {
		src.add(2, 1, true, num("age", 30), boolean("flag", 1), boolean("bits", 1), text("code", "x"), num("mixed", 1), member("set", "a"), member("set", "b"))
		src.add(2, 1, false, num("age", 50), boolean("flag", 0), boolean("bits", 0), num("code", 8001), num("mixed", 2), member("set", "a"))
		src.add(2, 1, false, text("age", "30"), num("bits", 1), text("flag", "true"), text("code", "x"), boolean("mixed", 1), decision.Field{Name: "set", Kind: decision.EmptySet})
		src.add(2, 1, false, text("code", strings.Repeat("long", 40)), text("set", "a"), decision.Field{Name: "empty", Kind: decision.EmptySet})
		src.add(1, now, false, num("new", 5), text("newer", "v"))
	}
	r := measure(t, src, Options{TrainedAt: trainedAt})
	cases := []struct {
		field, member string
		kind          Kind
		missing       float64
		bins          string
	}{
		{"age", "", Number, 0.5, "range:< 50=100 range:>= 50=100 missing:missing=200"},
		{"flag", "", Boolean, 0.5, "value:false=100 value:true=100 missing:missing=200"},
		{"bits", "", Number, 0.25, "range:< 1=100 range:>= 1=200 missing:missing=100"},
		{"code", "", Category, 0, "value:8001=100 value:x=200 other:other=100 missing:missing=0"},
		{"mixed", "", Number, 0.25, "range:< 2=200 range:>= 2=100 missing:missing=100"},
		{"set", "a", Member, 0.25, "value:false=100 value:true=200 missing:missing=100"},
		{"set", "b", Member, 0.25, "value:false=200 value:true=100 missing:missing=100"},
		{"empty", "", Set, 0.75, "value:empty=100 missing:missing=300"},
		{"new", "", Number, 1, "range:any=0 missing:missing=400"},
		{"newer", "", Category, 1, "other:other=0 missing:missing=400"},
	}
	if len(r.Predictors) != len(cases) {
		t.Errorf("%d predictors, want %d", len(r.Predictors), len(cases))
	}
	for _, c := range cases {
		p := r.find(t, c.field, c.member)
		var bins []string
		for _, b := range p.Bins {
			bins = append(bins, fmt.Sprintf("%s:%s=%d", b.Kind, b.Name, b.Samples))
		}
		if got := strings.Join(bins, " "); p.Kind != c.kind || p.MissingRate != c.missing || got != c.bins {
			t.Errorf("%s %s: %s, missing %v, %s\nwant %s, %v, %s", c.field, c.member, p.Kind, p.MissingRate, got, c.kind, c.missing, c.bins)
		}
	}
}

func TestSpecChoosesTheFields(t *testing.T) {
	no, weight := false, 0.7
	var src rows
	src.add(100, 1, true, num("a", 1), num("b", 1), num("c", 1), num("y", 1), num("k=v", 1))
	src.add(100, 1, false, num("a", 2), num("b", 2), num("c", 2), num("y", 2), num("k=v", 2))
	names := func(spec *learn.Spec) string {
		var list []string
		for _, p := range measure(t, src, Options{Spec: spec}).Predictors {
			list = append(list, p.Field)
		}
		return strings.Join(list, " ")
	}
	cases := []struct {
		spec *learn.Spec
		want string
	}{
		{nil, "a b c y"},
		{&learn.Spec{TargetField: "y"}, "a b c"},
		{&learn.Spec{Predictors: []learn.Predictor{{Field: "c"}, {Field: "gone"}, {Field: "b", Selected: &no}}}, "c gone"},
		{&learn.Spec{Predictors: []learn.Predictor{{Field: "b", Selected: &no}}, TargetField: "y"}, "a c"},
	}
	for i, c := range cases {
		if got := names(c.spec); got != c.want {
			t.Errorf("spec %d: predictors %s, want %s", i, got, c.want)
		}
	}
	r := measure(t, src, Options{Spec: &learn.Spec{Predictors: []learn.Predictor{{Field: "a", Importance: &weight}, {Field: "gone"}}}})
	if p := r.find(t, "a", ""); p.Importance == nil || *p.Importance != 0.7 || p.AUC != 1 {
		t.Errorf("predictor a = %+v, want importance 0.7 and AUC 1", *p)
	}
	if p := r.find(t, "gone", ""); p.Kind != Unknown || p.MissingRate != 1 || p.AUC != 0.5 || len(p.Bins) != 1 {
		t.Errorf("predictor in no row = %+v", *p)
	}
	if r = measure(t, src, Options{MaxPredictors: 2}); len(r.Predictors) != 2 || !r.Truncated {
		t.Errorf("%d predictors, truncated %v, want 2, true", len(r.Predictors), r.Truncated)
	}
}

func TestNoRowsAndOneClass(t *testing.T) {
	r := measure(t, rows{}, Options{TrainedAt: trainedAt, Spec: &learn.Spec{Predictors: []learn.Predictor{{Field: "a"}}}})
	if p := r.find(t, "a", ""); r.SampleCount != 0 || r.PositiveRate != 0 || p.AUC != 0.5 || p.Bins == nil {
		t.Errorf("without rows: %+v", *r)
	}
	var src rows
	src.add(30, 1, true, num("a", 1), text("s", "x"))
	r = measure(t, src, Options{})
	if p := r.find(t, "a", ""); p.AUC != 0.5 || *p.RankAUC != 0.5 || p.Bins[0].Propensity != 1 {
		t.Errorf("with positives alone: %+v", *p)
	}
	if raw, err := json.Marshal(r); err != nil || strings.Contains(string(raw), "NaN") {
		t.Errorf("report as JSON: %v, %s", err, raw)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	_, err := Measure(t.Context(), rows{}, Options{Bins: 1, Categories: 101, MaxPredictors: -1})
	var e *decision.Error
	if !errors.As(err, &e) || len(e.Details) != 3 || e.Details[0] != (decision.Detail{Path: "bins", Message: "got 1, want an integer from 2 to 50"}) {
		t.Errorf("Measure = %v, want three problems", err)
	}
}

func TestMeasureStopsWithItsContext(t *testing.T) {
	var src rows
	src.add(10, 1, true, num("a", 1))
	for stopAt := range 20 { // in the first scan and in the second
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		_, err := Measure(ctx, source(func(ctx context.Context, f func(*learn.Example) error) error {
			return src.Scan(ctx, func(ex *learn.Example) error {
				if n++; n > stopAt {
					cancel()
				}
				return f(ex)
			})
		}), Options{})
		cancel()
		if stopAt < 19 && !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled at row %d: %v, want context canceled", stopAt, err)
		}
	}
}

type source func(context.Context, func(*learn.Example) error) error

func (s source) Scan(ctx context.Context, f func(*learn.Example) error) error { return s(ctx, f) }

// TestReportIsDeterministic, and has the shape of the API.
func TestReportIsDeterministic(t *testing.T) {
	src := mixedRows(3000)
	first, err := json.Marshal(measure(t, src, Options{TrainedAt: trainedAt}))
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		again, err := json.Marshal(measure(t, src, Options{TrainedAt: trainedAt}))
		if err != nil || string(again) != string(first) {
			t.Fatalf("the same rows give another report: %v", err)
		}
	}
	var small rows
	small.add(2, 1, true, num("age", 20))
	small.add(2, 1, false, num("age", 40))
	got, err := json.Marshal(measure(t, small, Options{TrainedAt: trainedAt}))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"sampleCount":4,"positives":2,"positiveRate":0.5,"trainedAt":"1970-04-11T00:00:00.000Z",` +
		`"window":{"from":"1970-04-20T00:00:00.000Z","to":"1970-04-21T00:00:00.000Z"},"recentCount":0,"truncated":false,` +
		`"predictors":[{"field":"age","kind":"number","auc":1,"rankAuc":0,"samples":4,"missingRate":0,"psi":null,"bins":[` +
		`{"kind":"range","name":"\u003c 40","to":40,"samples":2,"positives":2,"propensity":0.5833333333333334,"share":0.5,"recent":0,"recentShare":null},` +
		`{"kind":"range","name":"\u003e= 40","from":40,"samples":2,"positives":0,"propensity":0.4166666666666667,"share":0.5,"recent":0,"recentShare":null}]}]}`
	if string(got) != want {
		t.Errorf("report\n%s\nwant\n%s", got, want)
	}
}
