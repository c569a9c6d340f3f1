package evaluate

import (
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
)

// openBandit reads a log of the Open Bandit Dataset: 34 items at three positions.
func openBandit(t *testing.T, name string) []Decision {
	t.Helper()
	dir := os.Getenv("PRAETOR_DATASETS")
	if dir == "" {
		t.Skip("PRAETOR_DATASETS does not tell where the Open Bandit Dataset is")
	}
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	all := make([]Decision, 0, len(rows)-1)
	for i, row := range rows[1:] {
		d := Decision{ID: strconv.Itoa(i), Row: decision.Row{{Name: "position", Kind: decision.Text, Text: row[column["position"]]}}}
		for item := range 34 {
			d.Candidates = append(d.Candidates, Candidate{OfferID: strconv.Itoa(item), Propensity: math.NaN()})
		}
		d.Choice, _ = strconv.Atoi(row[column["item_id"]])
		d.Candidates[d.Choice].Propensity, _ = strconv.ParseFloat(row[column["propensity_score"]], 64)
		d.Reward, _ = strconv.ParseFloat(row[column["click"]], 64)
		all = append(all, d)
	}
	return all
}

// frequencies is a policy by how often the items were shown at a position.
type frequencies map[string][]float64

func (f frequencies) Choose(d *Decision, dst []float64) []float64 {
	return append(dst, f[d.Row[0].Text]...)
}

func frequenciesOf(log []Decision) frequencies {
	f, shown := frequencies{}, map[string]float64{}
	for _, d := range log {
		position := d.Row[0].Text
		if f[position] == nil {
			f[position] = make([]float64, len(d.Candidates))
		}
		f[position][d.Choice]++
		shown[position]++
	}
	for position, all := range f {
		for i := range all {
			all[i] /= shown[position]
		}
	}
	return f
}

// What the log of the uniform policy says about Thompson sampling is what the
// reference says, and covers what Thompson sampling earned.
func TestOpenBanditDataset(t *testing.T) {
	random, bts := openBandit(t, "obd_random_men.csv.gz"), openBandit(t, "obd_bts_men.csv.gz")
	ref := readReference(t).OpenBandit
	r, err := Run(t.Context(), random, frequenciesOf(bts), Estimators)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range r.Estimates {
		t.Log(describe(&e))
		if raw, ok := ref.Want[e.Estimator]; ok {
			equals(t, e, raw)
		}
		switch {
		case e.Value == nil:
			t.Errorf("%s: %s", e.Estimator, e.Reason)
		case e.Estimator == Logged && math.Abs(*e.Value-ref.Random.Value) > 1e-15:
			t.Errorf("the log earned %v, want %v", *e.Value, ref.Random.Value)
		case e.Estimator != Logged && math.Abs(*e.Value-ref.Bts.Value) > 1.96*math.Hypot(*e.StdErr, ref.Bts.StdErr):
			t.Errorf("%s = %.5f ± %.5f, but Thompson sampling earned %.5f ± %.5f", e.Estimator, *e.Value, *e.StdErr, ref.Bts.Value, ref.Bts.StdErr)
		}
	}
	t.Logf("warnings %q", r.Warnings)
}

func describe(e *Estimate) string {
	return fmt.Sprintf("%-7s %.5f [%.5f, %.5f] bootstrap [%.5f, %.5f] n %d effective %.0f largest weight %.1f",
		e.Estimator, *e.Value, e.Interval.Lower, e.Interval.Upper, e.Bootstrap.Lower, e.Bootstrap.Upper, e.N, e.EffectiveN, e.MaxWeight)
}
