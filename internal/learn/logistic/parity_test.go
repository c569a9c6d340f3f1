package logistic

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/praetor-engine/praetor/internal/dataset"
	"github.com/praetor-engine/praetor/internal/learn"
)

// bank reads the Bank Marketing data (Moro, Cortez, Rita 2014), without duration,
// which is known only after the call.
func bank(t testing.TB) *dataset.Table {
	folder := os.Getenv("PRAETOR_DATASETS")
	if folder == "" {
		t.Skip("PRAETOR_DATASETS does not name the folder of bank-additional-full.csv.gz")
	}
	data, err := dataset.Open(filepath.Join(folder, "bank-additional-full.csv.gz"),
		dataset.Options{Label: "y", Positive: "yes", Drop: []string{"duration"}})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The reference, scikit-learn's logistic regression run to convergence on the
// same rows, has an AUC of 0.7974 and a log-loss of 0.2733.
func TestBankDataReachesTheConvergedFit(t *testing.T) {
	data := bank(t)
	train, test := data.Split()
	start := time.Now()
	trained, err := Train(t.Context(), learn.Spec{}, dataset.Source(data, train), learn.TrainOptions{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	l, err := Load(learn.Spec{}, string(trained.State))
	if err != nil {
		t.Fatal(err)
	}
	m := measure(l.Publish(), data, test)
	t.Logf("test rows: AUC %.4f, log-loss %.4f; held-out rows: AUC %.4f, log-loss %.4f; %v",
		m.AUC, m.LogLoss, trained.Metrics.AUC, trained.Metrics.LogLoss, took.Round(time.Millisecond))
	if m.AUC < 0.7945 || m.LogLoss > 0.2750 {
		t.Errorf("AUC %.4f, log-loss %.4f, want at least 0.7945 and at most 0.2750", m.AUC, m.LogLoss)
	}
}

func measure(v learn.View, data *dataset.Table, rows []int) learn.Metrics {
	var scored []learn.Scored
	var res learn.Result
	for _, i := range rows {
		v.Score(&learn.Request{Row: data.Rows[i]}, &res)
		scored = append(scored, learn.Scored{Score: res.Score, Positive: data.Labels[i]})
	}
	return learn.Measure(scored, learn.EvaluationHoldout)
}
