package predictors

import (
	"context"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

const (
	day       = 24 * 60 * 60 * 1000
	trainedAt = 100 * day
	now       = 110 * day
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

// add appends n rows of a time, half of them in each half of the training rows.
func (r *rows) add(n int, at int64, positive bool, row ...decision.Field) {
	var count [2]int
	index := uint64(1)
	if len(*r) > 0 {
		index = (*r)[len(*r)-1].ID.Index + 1
	}
	for ; count[0]+count[1] < n; index++ {
		id := decision.InteractionID{Index: index}
		half := id.Hash() / 5 & 1
		if count[half] > count[1-half] || count[half] >= (n+1)/2 {
			continue
		}
		count[half]++
		*r = append(*r, learn.Example{ID: id, Row: decision.Row(row).Sort(), At: at, Positive: positive, Weight: 1})
	}
}

func num(name string, v float64) decision.Field {
	return decision.Field{Name: name, Num: v, Kind: decision.Number}
}

func text(name, v string) decision.Field {
	return decision.Field{Name: name, Text: v, Kind: decision.Text}
}

func boolean(name string, v float64) decision.Field {
	return decision.Field{Name: name, Num: v, Kind: decision.Bool}
}

func member(name, v string) decision.Field {
	return decision.Field{Name: name, Text: v, Kind: decision.Member}
}

func measure(t testing.TB, src learn.Source, o Options) *Report {
	t.Helper()
	if o.Now == 0 {
		o.Now = now
	}
	r, err := Measure(t.Context(), src, o)
	if err != nil {
		t.Fatalf("Measure: %v", err)
	}
	return r
}

// find returns the predictor of a field.
func (r *Report) find(t testing.TB, field, member string) *Predictor {
	t.Helper()
	for i := range r.Predictors {
		if p := &r.Predictors[i]; p.Field == field && p.Member == member {
			return p
		}
	}
	t.Fatalf("no predictor %q %q in the report", field, member)
	return nil
}

func (p *Predictor) bin(t testing.TB, kind BinKind, name string) *Bin {
	t.Helper()
	for i := range p.Bins {
		if b := &p.Bins[i]; b.Kind == kind && b.Name == name {
			return b
		}
	}
	t.Fatalf("predictor %s has no bin %s %q: %+v", p.Field, kind, name, p.Bins)
	return nil
}
