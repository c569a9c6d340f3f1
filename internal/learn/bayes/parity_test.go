package bayes

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/praetor-engine/praetor/internal/dataset"
	"github.com/praetor-engine/praetor/internal/learn"
)

// TestBankParity compares with scikit-learn's naive Bayes on the UCI bank
// marketing data (Moro, Cortez, Rita 2014): ten quantile bins per number, Laplace
// 1, test rows every fifth. It had AUC 0.7895 and log-loss 0.7439, which
// calibration must better. PRAETOR_DATASETS names the folder of the data.
func TestBankParity(t *testing.T) {
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
	train, test := table.Split()
	spec := learn.Spec{}
	trained, err := Train(context.Background(), spec, dataset.Source(table, train), learn.TrainOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := Load(spec, string(trained.State))
	if err != nil {
		t.Fatal(err)
	}
	view := l.Publish()
	var res learn.Result
	rows := make([]learn.Scored, len(test))
	for i, k := range test {
		view.Score(&learn.Request{Row: table.Rows[k]}, &res)
		rows[i] = learn.Scored{Score: res.Score, Positive: table.Labels[k]}
	}
	got := learn.Measure(rows, learn.EvaluationHoldout)
	t.Logf("test rows: AUC %.4f, log-loss %.4f, brier %.4f", got.AUC, got.LogLoss, got.Brier)
	m := trained.Metrics
	t.Logf("held-out rows: AUC %.4f, log-loss %.4f, %d of %d rows", m.AUC, m.LogLoss, m.SampleCount, trained.SampleCount)
	if got.AUC < 0.786 {
		t.Errorf("AUC = %.4f, want 0.786 or more", got.AUC)
	}
	if got.LogLoss >= 0.45 {
		t.Errorf("log-loss = %.4f, want below 0.45", got.LogLoss)
	}
	if d := m.LogLoss - got.LogLoss; d < -0.02 || d > 0.02 {
		t.Errorf("the training's log-loss %.4f is not that of new rows, %.4f", m.LogLoss, got.LogLoss)
	}
}
