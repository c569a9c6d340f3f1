package neuralcf

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

func train(t testing.TB, config string, src learn.Source, seed uint64) (learn.View, learn.Trained) {
	trained, err := Train(t.Context(), learn.Spec{Config: json.RawMessage(config)}, src, learn.TrainOptions{Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	l, err := Load(learn.Spec{}, string(trained.State))
	if err != nil {
		t.Fatal(err)
	}
	return l.Publish(), trained
}

// The margin asked for is half of what was measured: popularity 0.640, the
// trained network 0.738, the truth 0.825.
func TestTrainingBeatsPopularity(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("trains on 30 000 rows, in one goroutine")
	}
	m := newMarket(600, 60, 30_000, 0.7, 1.5, 1)
	truth, popularity := m.heldOut()
	v, trained := train(t, `{}`, m, 1)
	got := trained.Metrics.AUC
	t.Logf("AUC on the held-out rows: truth %.4f, trained %.4f, popularity %.4f", truth, got, popularity)
	if got < popularity+0.05 || got > truth {
		t.Errorf("AUC = %v, want over %v + 0.05 and below %v", got, popularity, truth)
	}
	if trained.Metrics.Evaluation != learn.EvaluationHoldout || trained.SampleCount != 30_000 {
		t.Errorf("evaluation %q of %d rows, want holdout of 30000", trained.Metrics.Evaluation, trained.SampleCount)
	}
	// The stored state was fitted to all rows; it ranks every customer's offers.
	var byTruth, byScore, byPopularity float64
	for u := range 600 {
		byTruth += m.best(u, func(i int) float64 { return m.probability(u, i) })
		byScore += m.best(u, func(i int) float64 { return score(v, customerID(u), offerID(i)) })
		byPopularity += m.best(u, func(i int) float64 { return m.popularity[i] })
	}
	t.Logf("rate of the best offer: truth %.3f, trained %.3f, popularity %.3f", byTruth/600, byScore/600, byPopularity/600)
	if byScore < byPopularity+(byTruth-byPopularity)/3 {
		t.Errorf("rate of the offers it prefers = %.3f, want a third of the way from %.3f to %.3f", byScore/600, byPopularity/600, byTruth/600)
	}
}

// best returns the rate of the offer that a score prefers for customer u.
func (m *market) best(u int, score func(i int) float64) float64 {
	best := 0
	for i := range m.popularity {
		if score(i) > score(best) {
			best = i
		}
	}
	return m.probability(u, best)
}

func TestUnknownCustomersGetTheOrderOfPopularity(t *testing.T) {
	m := newMarket(500, 20, 20_000, 1, 0.5, 2)
	v, _ := train(t, `{}`, m, 1)
	rates, scores := make([]float64, 20), make([]float64, 20)
	for i := range rates {
		for u := range 500 {
			rates[i] += m.probability(u, i) / 500
		}
		scores[i] = score(v, "somebody new", offerID(i))
	}
	if got := rankCorrelation(scores, rates); got < 0.9 {
		t.Errorf("rank correlation of an unknown customer's scores with the offers' rates = %v, want over 0.9", got)
	}
	if a, b := score(v, "somebody new", "new too"), score(v, "another one", ""); a != b || a <= 0 || a >= 1 {
		t.Errorf("scores of the unknown = %v and %v, want one of them inside (0, 1)", a, b)
	}
}

// rankCorrelation is Spearman's.
func rankCorrelation(a, b []float64) float64 {
	ranks := func(x []float64) []int {
		order, out := make([]int, len(x)), make([]int, len(x))
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(i, j int) int { return cmp.Compare(x[i], x[j]) })
		for r, i := range order {
			out[i] = r
		}
		return out
	}
	ra, rb, sum, n := ranks(a), ranks(b), 0.0, float64(len(a))
	for i := range ra {
		d := float64(ra[i] - rb[i])
		sum += d * d
	}
	return 1 - 6*sum/(n*(n*n-1))
}

func TestTrainingIsDeterministic(t *testing.T) {
	m := newMarket(100, 10, 2000, 0.7, 1.5, 1)
	_, a := train(t, `{"epochs":3}`, m, 7)
	_, b := train(t, `{"epochs":3}`, m, 7)
	_, configured := train(t, `{"epochs":3,"seed":7}`, m, 8)
	_, other := train(t, `{"epochs":3}`, m, 8)
	if !bytes.Equal(a.State, b.State) || !reflect.DeepEqual(a.Metrics, b.Metrics) {
		t.Error("the same seed gave another model")
	}
	if !bytes.Equal(a.State, configured.State) {
		t.Error("config.seed does not override the option")
	}
	if bytes.Equal(a.State, other.State) {
		t.Error("another seed gave the same model")
	}
}

// The gradient of a batch of one, taken by central differences of the loss. The
// step is large because the arithmetic is of single precision.
func TestGradientAgreesWithDifferences(t *testing.T) {
	cfg := config{dim: 3, hidden: 8, learningRate: 0.1, batchSize: 1, seed: 3}
	r := &rows{users: []uint32{0}, items: []uint32{1}, labels: []float32{-1.5}, positives: 1, userIDs: []string{"a"}, itemIDs: []string{"x", "y"}}
	f := newFit(&cfg, r, 1, 1)
	f.uniform(f.users.values, 1)
	for j := range f.net.b1 {
		f.net.b1[j] = 3 * float32(1-j%3) // units on, off and in between, none at its kink
	}
	loss := func() float64 { return -1.5 * math.Log(1-f.forward(0, 1)) }
	f.gradient(0, 1, -1.5)
	check := func(name string, w, grad []float32) {
		const step = 1e-2
		for i := range w {
			was := w[i]
			w[i] = was + step
			above := loss()
			w[i] = was - step
			below := loss()
			w[i] = was
			if want := (above - below) / (2 * step); math.Abs(float64(grad[i])-want) > 2e-3 {
				t.Errorf("gradient of %s[%d] = %v, want %v", name, i, grad[i], want)
			}
		}
	}
	check("w1", f.net.w1, f.grad.w1)
	check("b1", f.net.b1, f.grad.b1)
	check("w2", f.net.w2, f.grad.w2)
	check("the customer", f.users.row(0), f.users.grads)
	check("the offer", f.items.row(1), f.items.grads)
	b2 := []float32{f.grad.b2}
	if want := 1.5 * f.forward(0, 1); math.Abs(float64(b2[0])-want) > 1e-6 {
		t.Errorf("gradient of b2 = %v, want %v", b2[0], want)
	}
}

func TestPenaltyShrinksEmbeddings(t *testing.T) {
	m := newMarket(100, 10, 2000, 0.7, 1.5, 1)
	norm := func(config string) (sum float64) {
		_, trained := train(t, config, m, 1)
		s, err := decodeState(string(trained.State))
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range s.users.vectors {
			sum += math.Abs(float64(v))
		}
		return sum
	}
	free, some, all := norm(`{"l2":0,"epochs":5}`), norm(`{"l2":20,"epochs":5}`), norm(`{"l2":1000000,"epochs":5}`)
	if some >= free || all > free*0.02 {
		t.Errorf("norm of the customers' embeddings = %v, %v, %v with a growing penalty", free, some, all)
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

func TestWeightsOfExamplesCount(t *testing.T) {
	var src list
	for i := range learn.MinHoldoutRows / 4 {
		u := fmt.Sprint("c", i%5)
		src = append(src,
			learn.Example{CustomerID: u, OfferID: "a", Positive: true, Weight: 300}, learn.Example{CustomerID: u, OfferID: "a", Weight: 100},
			learn.Example{CustomerID: u, OfferID: "b", Positive: true, Weight: 100})
	}
	v, trained := train(t, `{"epochs":300,"l2":0}`, append(src, learn.Example{CustomerID: "c1", OfferID: "b", Weight: 5000}), 1)
	if trained.Metrics.Evaluation != learn.EvaluationInSample || trained.Metrics.SampleCount != len(src)+1 {
		t.Errorf("metrics = %+v, want those of all rows in sample", trained.Metrics)
	}
	if got := score(v, "c2", "a"); math.Abs(got-0.75) > 0.05 {
		t.Errorf("score of a = %v, want 0.75", got)
	}
	if known, other := score(v, "c1", "b"), score(v, "c2", "b"); known >= 0.5 || other <= 0.5 {
		t.Errorf("scores of b = %v and %v, want below and above 0.5", known, other)
	}
}

func TestRowsThatDoNotTrain(t *testing.T) {
	one := learn.Example{CustomerID: "c", OfferID: "a", Positive: true, Weight: 1}
	none := learn.Example{CustomerID: "c", Positive: true, Weight: 1}
	for _, src := range []list{{}, {one, one}, {none}} {
		_, err := Train(t.Context(), learn.Spec{}, src, learn.TrainOptions{})
		var e *decision.Error
		if !errors.As(err, &e) || e.Reason != "insufficient_data" || e.Msg == "" {
			t.Errorf("%d rows: %v, want insufficient_data", len(src), err)
		}
	}
	two := one
	two.Positive = false
	_, trained := train(t, `{"epochs":1}`, list{one, none, two}, 1)
	if trained.SampleCount != 2 {
		t.Errorf("SampleCount = %d, want 2: a row without an offer does not count", trained.SampleCount)
	}
}

func TestCustomersBeyondTheBoundAreUnknown(t *testing.T) {
	m := newMarket(50, 5, 1000, 0.7, 1.5, 1)
	v, trained := train(t, `{"maxCustomers":20,"epochs":2}`, m, 1)
	s, err := decodeState(string(trained.State))
	if err != nil {
		t.Fatal(err)
	}
	if got := len(s.users.ids); got != 20 {
		t.Fatalf("%d customers, want 20", got)
	}
	unknown, same := score(v, "somebody new", offerID(1)), 0
	for u := range 50 {
		if score(v, customerID(u), offerID(1)) == unknown {
			same++
		}
	}
	if same != 30 {
		t.Errorf("%d customers score like an unknown one, want 30", same)
	}
}

func TestCancelledTraining(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	last := 0.0
	opts := learn.TrainOptions{Progress: func(done float64) {
		if done < last {
			t.Errorf("progress went from %v back to %v", last, done)
		}
		if last = done; done > read {
			cancel()
		}
	}}
	if _, err := Train(ctx, learn.Spec{}, newMarket(50, 5, 1000, 1, 1, 1), opts); !errors.Is(err, context.Canceled) {
		t.Errorf("Train = %v, want context.Canceled", err)
	}
}

func BenchmarkScore(b *testing.B) {
	cfg := config{dim: defaultDim, hidden: defaultHidden, batchSize: 1}
	r := &rows{labels: make([]float32, 2), positives: 1}
	for u := range 10_000 {
		r.userIDs = append(r.userIDs, customerID(u))
	}
	for i := range 100 {
		r.itemIDs = append(r.itemIDs, offerID(i))
	}
	f := newFit(&cfg, r, 0, 1)
	v := newView((&training{cfg: &cfg, rows: r, final: f}).model())
	for _, offers := range []int{1, 20} {
		b.Run(fmt.Sprintf("offers=%d", offers), func(b *testing.B) {
			var res learn.Result
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				req := learn.Request{CustomerID: r.userIDs[i%len(r.userIDs)]}
				for k := range offers {
					req.OfferID = r.itemIDs[k]
					v.Score(&req, &res)
				}
				i += 37
			}
		})
	}
}

// BenchmarkTrain is a whole training, with its AUC on the held-out rows beside
// that of the offers' rates and of the truth.
func BenchmarkTrain(b *testing.B) {
	m := newMarket(4000, 60, 200_000, 0.7, 1.5, 1)
	truth, popularity := m.heldOut()
	var trained learn.Trained
	for b.Loop() {
		_, trained = train(b, `{}`, m, 1)
	}
	b.ReportMetric(truth, "auc-truth")
	b.ReportMetric(trained.Metrics.AUC, "auc-trained")
	b.ReportMetric(popularity, "auc-popularity")
	b.ReportMetric(float64(len(m.examples))*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkEpoch is one pass of training.
func BenchmarkEpoch(b *testing.B) {
	m := newMarket(4000, 60, 100_000, 0.7, 1.5, 1)
	var p decision.Problems
	cfg := readConfig(nil, &p)
	r, err := readRows(b.Context(), &cfg, m)
	if err != nil {
		b.Fatal(err)
	}
	f := newFit(&cfg, r, len(r.labels), 1)
	for b.Loop() {
		if err := f.epoch(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(r.labels)), "ns/row")
}
