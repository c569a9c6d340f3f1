package logistic

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/tape"
)

// untidy draws rows with everything that a field may hold: mixed types, sets, an
// id of its own in each row, missing values, weights.
type untidy struct {
	rows  int
	scans *int
}

func (u untidy) Scan(_ context.Context, f func(*learn.Example) error) error {
	*u.scans++
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range u.rows {
		x := rng.NormFloat64()
		row := decision.Row{number("amount", 1e6+1e4*x), text("id", fmt.Sprint("id-", i))}
		switch rng.IntN(4) {
		case 0:
			row = append(row, number("mixed", float64(rng.IntN(3))))
		case 1:
			row = append(row, decision.Field{Name: "mixed", Kind: decision.Bool, Num: 1})
		default:
			row = append(row, text("mixed", fmt.Sprint(rng.IntN(3))))
		}
		for k := range rng.IntN(3) {
			row = append(row, decision.Field{Name: "tags", Kind: decision.Member, Text: fmt.Sprint("tag-", k, rng.IntN(4))})
		}
		if rng.IntN(9) == 0 {
			row = append(row, decision.Field{Name: "tags", Kind: decision.EmptySet})
		}
		if rng.IntN(3) > 0 {
			row = append(row, text("town", fmt.Sprint("town-", rng.IntN(200))))
		}
		row = append(row, decision.Field{Name: "truth", Kind: decision.Bool, Num: float64(rng.IntN(2))}, text("void", ""))
		ex := learn.Example{
			ID: decision.InteractionID{Index: uint64(i) + 1}, Row: row.Sort(),
			Positive: rng.Float64() < learn.Sigmoid(x), Weight: 0.5 + rng.Float64(),
		}
		if err := f(&ex); err != nil {
			return err
		}
	}
	return nil
}

// A training gives the same bytes whether the rows are remembered or read again,
// and also where they turn out too many to be remembered. There are more ids than
// the counter of categories holds.
func TestRememberedRowsAreTheRowsReadAgain(t *testing.T) {
	const rows = 70_000
	var want []byte
	for _, c := range []struct{ remember, scans int }{{0, 2}, {4 << 20, 2}, {tape.Limit, 1}} {
		scans := 0
		run := training{cfg: config{learningRate: 0.05, epochs: 2, batchSize: 32}, opts: new(learn.TrainOptions), rng: newRand(1), remember: c.remember}
		if err := run.read(t.Context(), &learn.Spec{}, untidy{rows, &scans}); err != nil {
			t.Fatal(err)
		}
		if _, err := run.fit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if scans != c.scans {
			t.Errorf("remember=%d: %d scans, want %d", c.remember, scans, c.scans)
		}
		got := run.d.fold(run.m).append(nil)
		if want == nil {
			want = got
		}
		if !bytes.Equal(got, want) {
			t.Errorf("remember=%d: the state differs from that of two scans", c.remember)
		}
	}
}
