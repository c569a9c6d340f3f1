package predictors

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/praetor-engine/praetor/internal/dataset"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/simulator"
)

// marketRows draws visitors of the simulated market with a random offer each.
func marketRows(t testing.TB, n int) rows {
	market, err := simulator.New(simulator.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	src := make(rows, n)
	for i := range src {
		v := market.Visitor(simulator.Play, i)
		offer := market.RandomOffer(&v)
		ex := &src[i]
		ex.ID, ex.At, ex.Positive = decision.InteractionID{Index: uint64(i) + 1}, 1, market.Accepts(&v, offer)
		for _, attributes := range []map[string]any{v.Customer.Attributes(), v.Context(), offer.Attributes(&v.Customer)} {
			for name, value := range attributes {
				switch x := value.(type) {
				case float64:
					ex.Row = append(ex.Row, num(name, x))
				case string:
					ex.Row = append(ex.Row, text(name, x))
				case bool:
					f := boolean(name, 0)
					if x {
						f.Num = 1
					}
					ex.Row = append(ex.Row, f)
				}
			}
		}
		ex.Row.Sort()
	}
	return src
}

// TestMarket: the simulated truth has incomes and credit scores missing at random
// at known rates, and a region that means nothing.
func TestMarket(t *testing.T) {
	const n = 40_000
	r := measure(t, marketRows(t, n), Options{})
	if len(r.Predictors) != 14 {
		t.Errorf("%d predictors, want 14", len(r.Predictors))
	}
	for field, want := range map[string]float64{"income": 0.12, "credit_score": 0.08, "age": 0} {
		// Customers return, about twice each, so rates are those of 20 000.
		if got := r.find(t, field, "").MissingRate; math.Abs(got-want) > 5*math.Sqrt(want*(1-want)/n*3) {
			t.Errorf("missing rate of %s = %v, want %v", field, got, want)
		}
	}
	if p := r.find(t, "region", ""); math.Abs(p.AUC-0.5) > 0.02 {
		t.Errorf("AUC of a field that means nothing = %v, want 0.5", p.AUC)
	}
	if p := r.find(t, "credit_score", ""); p.AUC < 0.53 || *p.RankAUC < 0.53 {
		t.Errorf("AUC of the credit score %v, of its rank %v, want above 0.53: it raises every offer", p.AUC, *p.RankAUC)
	}
	if best := r.Predictors[0].Field; best != "offer_segment" {
		t.Errorf("the first predictor is %s, want offer_segment", best)
	}
}

// TestBankGoldens compares with scikit-learn on the UCI bank marketing data; see
// testdata/bank.py. PRAETOR_DATASETS names the folder of the data.
func TestBankGoldens(t *testing.T) {
	folder := os.Getenv("PRAETOR_DATASETS")
	if folder == "" {
		t.Skip("PRAETOR_DATASETS is not set; it names the folder of bank-additional-full.csv.gz")
	}
	// The duration is known only after the call, so it predicts nothing.
	table, err := dataset.Open(filepath.Join(folder, "bank-additional-full.csv.gz"),
		dataset.Options{Label: "y", Positive: "yes", Drop: []string{"duration"}})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("testdata/bank.json")
	if err != nil {
		t.Fatal(err)
	}
	var goldens map[string]struct {
		AUC, PSI *float64
		RankAUC  *float64 `json:"rankAuc"`
	}
	if err := json.Unmarshal(raw, &goldens); err != nil {
		t.Fatal(err)
	}
	const training = 32_950
	all := make([]int, len(table.Rows))
	for i := range all {
		all[i] = i
	}
	src := source(func(ctx context.Context, f func(*learn.Example) error) error {
		return dataset.Source(table, all).Scan(ctx, func(ex *learn.Example) error {
			if ex.At = 1; ex.ID.Index > training {
				ex.At = now
			}
			return f(ex)
		})
	})
	r := measure(t, src, Options{TrainedAt: trainedAt})
	if r.SampleCount != training || len(r.Predictors) != len(goldens) {
		t.Errorf("%d rows, %d predictors, want %d and %d", r.SampleCount, len(r.Predictors), training, len(goldens))
	}
	for i := range r.Predictors {
		p := &r.Predictors[i]
		want := goldens[p.Field]
		if want.RankAUC != nil {
			t.Logf("%-14s AUC %.4f, of the value %.4f (reference %.4f), PSI %.3f, %d bins", p.Field, p.AUC, *p.RankAUC, *want.RankAUC, *p.PSI, len(p.Bins))
			// What the ties of at most ten bins take: toward 0.5, by little.
			if d := math.Abs(*p.RankAUC - *want.RankAUC); d > 0.005 {
				t.Errorf("AUC of the values of %s = %v, want %v within 0.005", p.Field, *p.RankAUC, *want.RankAUC)
			}
			continue
		}
		t.Logf("%-14s AUC %.4f (reference %.4f), PSI %.4f (reference %.4f)", p.Field, p.AUC, *want.AUC, *p.PSI, *want.PSI)
		if math.Abs(p.AUC-*want.AUC) > 1e-12 || math.Abs(*p.PSI-*want.PSI) > 1e-12 {
			t.Errorf("%s: AUC %v, PSI %v, want %v, %v", p.Field, p.AUC, *p.PSI, *want.AUC, *want.PSI)
		}
	}
}
