package bayes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// rows is a source of examples in memory.
type rows []learn.Example

func (r rows) Scan(ctx context.Context, f func(*learn.Example) error) error {
	for i := range r {
		if err := ctx.Err(); err != nil {
			return err
		}
		ex := r[i]
		if err := f(&ex); err != nil {
			return err
		}
	}
	return nil
}

// market simulates n customers whose chance depends on income, segment and tags;
// income is there twice, so that naive Bayes is too sure of itself.
func market(n int, weight func(*rand.Rand) float64) rows {
	rng := rand.New(rand.NewPCG(11, 12))
	out := make(rows, n)
	for i := range out {
		income := math.Exp(10 + rng.NormFloat64())
		row := decision.Row{num("income", income), num("revenue", income*1.01), num("noise", rng.Float64())}
		z := -1.5 + 1.5*(math.Log(income)-10)
		if rng.IntN(4) == 0 {
			row = append(row, text("segment", "Gold"))
			z++
		} else if rng.IntN(3) > 0 {
			row = append(row, text("segment", "Silver"))
		}
		if rng.IntN(2) == 0 {
			row = append(row, set("tags", "a", fmt.Sprint("t", rng.IntN(5)))...)
			z += 0.5
		}
		row = append(row, boolean("web", float64(rng.IntN(2))))
		out[i] = learn.Example{
			ID: decision.InteractionID{Index: uint64(i/7) + 1, Seq: uint32(i % 7)}, Row: row.Sort(),
			Positive: rng.Float64() < learn.Sigmoid(z), Weight: weight(rng),
		}
	}
	return out
}

func one(*rand.Rand) float64 { return 1 }

// TestIncrementalEqualsBatch: with the same edges, learning row by row gives the
// bytes of the training, whatever the weights.
func TestIncrementalEqualsBatch(t *testing.T) {
	const config = `{"calibrate":false,"binEdges":{"income":[1e4,2e4,4e4],"revenue":[2e4],"noise":[]}}`
	spec := learn.Spec{Config: json.RawMessage(config), AutoLearn: true}
	for _, n := range []int{100, 3000} {
		data := market(n, func(rng *rand.Rand) float64 { return 0.1 + rng.Float64() })
		trained, err := Train(context.Background(), spec, data, learn.TrainOptions{})
		if err != nil {
			t.Fatal(err)
		}
		l := newLearner(t, config, ``)
		for i := range data {
			l.Observe(&data[i])
			if i%17 == 0 {
				l.Publish()
			}
		}
		if !bytes.Equal(l.AppendState(nil), trained.State) {
			t.Errorf("%d rows: the state learned row by row is not that of the training", n)
		}
	}
}

func TestTrain(t *testing.T) {
	data := market(6000, one)
	progress := 0.0
	opts := learn.TrainOptions{Progress: func(done float64) {
		if done < progress || done > 1 {
			t.Errorf("progress %v after %v", done, progress)
		}
		progress = done
	}}
	trained, err := Train(context.Background(), learn.Spec{}, data, opts)
	if err != nil {
		t.Fatal(err)
	}
	m := trained.Metrics
	if progress != 1 || trained.SampleCount != 6000 || m.Evaluation != learn.EvaluationHoldout || m.SampleCount < 1000 || m.SampleCount > 1400 {
		t.Errorf("progress %v, %d samples, metrics %+v", progress, trained.SampleCount, m)
	}
	l, err := Load(learn.Spec{}, string(trained.State))
	if err != nil {
		t.Fatal(err)
	}
	model := l.(*Learner).model
	if model.calibration.temperature <= 1.2 {
		t.Errorf("temperature = %v, want well above 1: income counts twice", model.calibration.temperature)
	}
	kinds := map[string]kind{"income": kindBins, "noise": kindBins, "segment": kindCategories, "tags": kindSet, "web": kindCategories}
	for name, want := range kinds {
		f := model.byName[name]
		if f == nil || f.kind != want || (want == kindBins && len(f.cells) != quantileBins) {
			t.Errorf("field %s = %+v, want %s", name, f, kindNames[want])
		}
	}
	// Calibration: without it the same order, a worse log-loss.
	raw, err := Train(context.Background(), learn.Spec{Config: json.RawMessage(`{"calibrate":false}`)}, data, learn.TrainOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if raw.Metrics.AUC != m.AUC || raw.Metrics.LogLoss <= m.LogLoss+0.005 || m.AUC < 0.75 {
		t.Errorf("AUC %v, log-loss %v; uncalibrated AUC %v, log-loss %v", m.AUC, m.LogLoss, raw.Metrics.AUC, raw.Metrics.LogLoss)
	}
	again, err := Train(context.Background(), learn.Spec{}, data, learn.TrainOptions{Seed: 99})
	if err != nil || !bytes.Equal(again.State, trained.State) {
		t.Errorf("training again gave another state (error %v)", err)
	}
}

// TestCalibrationKeepsTheOrder: the scores with and without calibration rank rows
// alike, and calibrated probabilities are right on average.
func TestCalibrationKeepsTheOrder(t *testing.T) {
	data := market(6000, one)
	trained, err := Train(context.Background(), learn.Spec{}, data, learn.TrainOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := Load(learn.Spec{}, string(trained.State))
	if err != nil {
		t.Fatal(err)
	}
	view := l.Publish().(*view)
	var calibrated, raw []learn.Scored
	mean, rate := 0.0, 0.0
	for i := range data {
		res := learn.Result{}
		view.Score(&learn.Request{Row: data[i].Row}, &res)
		calibrated = append(calibrated, learn.Scored{Score: res.Score, Positive: data[i].Positive})
		raw = append(raw, learn.Scored{Score: view.logOdds(data[i].Row, nil), Positive: data[i].Positive})
		mean += res.Score / float64(len(data))
		rate += data[i].Label() / float64(len(data))
	}
	if got, want := learn.AUC(calibrated), learn.AUC(raw); math.Abs(got-want) > 1e-9 {
		t.Errorf("AUC = %v, want %v", got, want)
	}
	if math.Abs(mean-rate) > 0.02 {
		t.Errorf("mean score %v, positive rate %v", mean, rate)
	}
}

func TestTrainFewRows(t *testing.T) {
	trained, err := Train(context.Background(), learn.Spec{}, market(100, one), learn.TrainOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if m := trained.Metrics; m.Evaluation != learn.EvaluationInSample || m.SampleCount != 100 || m.AUC < 0.6 {
		t.Errorf("metrics = %+v, want 100 rows in sample", m)
	}
	l, err := Load(learn.Spec{}, string(trained.State))
	if err != nil {
		t.Fatal(err)
	}
	if got := l.(*Learner).model.calibration; got != identity {
		t.Errorf("calibration = %+v, want the identity", got)
	}
}

func TestTrainRefuses(t *testing.T) {
	data := market(100, one)
	for _, positive := range []bool{false, true} {
		var class rows
		for _, ex := range data {
			if ex.Positive == positive {
				class = append(class, ex)
			}
		}
		for _, src := range []rows{class, nil} {
			if _, err := Train(context.Background(), learn.Spec{}, src, learn.TrainOptions{}); decision.KindOf(err) != decision.KindUnprocessable {
				t.Errorf("Train of %d rows of one class = %v, want unprocessable", len(src), err)
			}
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Train(ctx, learn.Spec{}, data, learn.TrainOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Train with an ended context = %v, want context.Canceled", err)
	}
	if _, err := Train(context.Background(), learn.Spec{Config: json.RawMessage(`{"calibrate":5}`)}, data, learn.TrainOptions{}); decision.KindOf(err) != decision.KindBadRequest {
		t.Errorf("Train with a bad config = %v, want bad request", err)
	}
}

func TestHandMadeEdgesAreKept(t *testing.T) {
	spec := learn.Spec{Config: json.RawMessage(`{"binEdges":{"income":[20000]}}`)}
	trained, err := Train(context.Background(), spec, market(1000, one), learn.TrainOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := Load(spec, string(trained.State))
	if err != nil {
		t.Fatal(err)
	}
	if got := l.(*Learner).model.byName["income"].edges; !slices.Equal(got, []float64{20000}) {
		t.Errorf("edges = %v, want [20000]", got)
	}
}

func TestQuantileEdges(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(i)
	}
	cases := []struct {
		name            string
		values, weights []float64
		want            []float64
	}{
		{"nothing", nil, nil, nil},
		{"one value", []float64{5, 5, 5}, nil, nil},
		{"two values", []float64{0, 0, 0, 1, 1}, nil, []float64{1}},
		{"a hundred", hundred, nil, []float64{10, 20, 30, 40, 50, 60, 70, 80, 90}},
		{"a rare high value", []float64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2}, nil, nil},
		{"a tenth is high", []float64{1, 1, 1, 1, 1, 1, 1, 1, 1, 2}, nil, []float64{2}},
		{"a rare low value", []float64{1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9}, nil, []float64{9}},
		{"weights stand for repeats", []float64{0, 1}, []float64{3, 2}, []float64{1}},
	}
	for _, c := range cases {
		if got := quantileEdges(c.values, c.weights); !slices.Equal(got, c.want) {
			t.Errorf("%s: edges = %v, want %v", c.name, got, c.want)
		}
	}
}

// TestDecilesOfASample: the deciles of a thinned sample are those of all values.
func TestDecilesOfASample(t *testing.T) {
	const n = 5*maxSample + 123
	s := encode.Sample{Most: maxSample}
	rng := rand.New(rand.NewPCG(1, 2))
	for range n {
		s.Add(rng.Float64())
	}
	slices.Sort(s.Values)
	for i, e := range quantileEdges(s.Values, nil) {
		// Five standard errors of a decile of so many uniform values.
		q := float64(i+1) / 10
		if d := math.Abs(e - q); d > 5*math.Sqrt(q*(1-q)/float64(len(s.Values))) {
			t.Errorf("decile %d = %v, off by %v", i+1, e, d)
		}
	}
}

// TestPlattRecovers fits scores whose true slope and offset are known; the
// standard errors of both are below 0.04 for 20 000 rows.
func TestPlattRecovers(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	data := make([]scored, 20_000)
	for i := range data {
		z := 6 * rng.NormFloat64()
		data[i] = scored{z: z, weight: 1, positive: rng.Float64() < learn.Sigmoid(z/3-0.7)}
	}
	all := func(*scored) bool { return true }
	got := fitPlatt(data, all)
	if math.Abs(1/got.temperature-1.0/3) > 0.02 || math.Abs(got.offset+0.7) > 0.1 {
		t.Errorf("calibration = %+v, want temperature 3, offset -0.7", got)
	}
	p := newPlatt(data, all)
	ga, gb, _, _, _ := p.derivatives(1/got.temperature, got.offset)
	if math.Abs(ga)+math.Abs(gb) > 1e-6 {
		t.Errorf("gradient (%v, %v) at the fit, want 0", ga, gb)
	}
	for i := range data {
		data[i].z = -data[i].z
	}
	if got := fitPlatt(data, all); got != identity {
		t.Errorf("calibration of scores in the wrong order = %+v, want the identity", got)
	}
}

func TestPlattEdges(t *testing.T) {
	all := func(*scored) bool { return true }
	separable := make([]scored, 200)
	for i := range separable {
		separable[i] = scored{z: float64(i-100) * 5, weight: 1, positive: i >= 100}
	}
	got := fitPlatt(separable, all)
	if !(got.temperature > 0) || math.IsInf(got.offset, 0) {
		t.Errorf("calibration of separable scores = %+v", got)
	}
	// The targets keep the most certain score off 1 by about 1/(N+2).
	if s := got.score(500); s < 0.98 || s > 1 {
		t.Errorf("highest score = %v", s)
	}
	same := slices.Clone(separable)
	for i := range same {
		same[i].z = 1
	}
	if got := fitPlatt(same, all); got.temperature <= 0 || math.IsNaN(got.score(1)) {
		t.Errorf("calibration of equal scores = %+v", got)
	}
	if got, _ := calibrate(separable[90:110], true); got != identity {
		t.Errorf("calibration of 20 rows = %+v, want the identity", got)
	}
	if got := fitPlatt(nil, all); got != identity {
		t.Errorf("calibration of nothing = %+v, want the identity", got)
	}
}

// TestCrossCalibrationIsHonest: on labels that have nothing to do with the scores
// the measured log-loss is not better than that of the base rate.
func TestCrossCalibrationIsHonest(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	optimism := 0.0
	const trials = 200
	for range trials {
		data := make([]scored, 80)
		positives := 0.0
		for i := range data {
			data[i] = scored{z: rng.NormFloat64() * 4, weight: 1, positive: rng.IntN(2) == 0, half: uint8(i % 2)}
			if data[i].positive {
				positives++
			}
		}
		_, m := calibrate(data, true)
		q := positives / float64(len(data))
		optimism += (-(q*math.Log(q) + (1-q)*math.Log(1-q)) - m.LogLoss) / trials
	}
	if optimism > 0 {
		t.Errorf("the measured log-loss is better than the base rate's by %v", optimism)
	}
}
