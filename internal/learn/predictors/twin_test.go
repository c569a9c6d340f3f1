package predictors

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// mixedRows draws rows of every kind of field, values missing and of the wrong
// kind at times, over all windows.
func mixedRows(n int) rows {
	rng := rand.New(rand.NewPCG(3, 3))
	src := make(rows, n)
	for i := range src {
		age, segment := 18+rng.IntN(60), rng.IntN(30)
		ex := learn.Example{ID: decision.InteractionID{Index: uint64(i/3) + 1, Seq: uint32(i % 3)}, At: 95*day + rng.Int64N(16*day)}
		add := func(f ...decision.Field) { ex.Row = append(ex.Row, f...) }
		if rng.IntN(5) > 0 {
			add(num("age", float64(age)))
		}
		if rng.IntN(20) == 0 {
			add(text("income", "unknown"))
		} else {
			add(num("income", rng.ExpFloat64()))
		}
		add(boolean("digital", float64(rng.IntN(2))), text("segment", fmt.Sprintf("s%d", segment*segment/30)))
		switch rng.IntN(4) {
		case 0:
			add(decision.Field{Name: "topics", Kind: decision.EmptySet})
		case 1:
			add(member("topics", "cars"), member("topics", "travel"))
		case 2:
			add(member("topics", "travel"))
		}
		ex.Row.Sort()
		ex.Positive = rng.Float64() < learn.Sigmoid(-1+0.04*float64(age-50)-0.1*float64(segment%5))
		src[i] = ex
	}
	return src
}

// in reports whether the bin holds a row of the predictor's field.
func (b *Bin) in(p *Predictor, row decision.Row) bool {
	i, j := row.Find(p.Field)
	values := row[i:j]
	present := len(values) > 0
	switch p.Kind {
	case Number:
		present = present && values[0].Kind == decision.Number
	case Member:
		present = present && (values[0].Kind == decision.Member || values[0].Kind == decision.EmptySet)
	}
	if !present || b.Kind == Missing {
		return !present && b.Kind == Missing
	}
	switch {
	case b.Kind == Range:
		x := values[0].Num
		return (b.From == nil || x >= *b.From) && (b.To == nil || x < *b.To)
	case p.Kind == Member:
		is := false
		for k := range values {
			is = is || values[k].Text == p.Member
		}
		return is == (b.Name == "true")
	case b.Kind == Other:
		for k := range p.Bins {
			if p.Bins[k].Kind == Value && p.Bins[k].Name == values[0].Category() {
				return false
			}
		}
		return true
	}
	return b.Name == values[0].Category()
}

// TestReportEqualsItsTwin counts every bin of a report again from the rows kept in
// memory, and takes the AUC of the rows' scores.
func TestReportEqualsItsTwin(t *testing.T) {
	src := mixedRows(4000)
	r := measure(t, src, Options{TrainedAt: trainedAt, Categories: 8, Bins: 7})
	if len(r.Predictors) != 6 {
		t.Fatalf("%d predictors, want 6", len(r.Predictors))
	}
	for i := range r.Predictors {
		p := &r.Predictors[i]
		binned := make([]int, len(src))
		var cells [2][64]struct{ rows, positives int } // by half and bin
		recent := make([]int, len(p.Bins))
		var totals [2]struct{ rows, positives int }
		for n := range src {
			ex := &src[n]
			found := 0
			for k := range p.Bins {
				if p.Bins[k].in(p, ex.Row) {
					binned[n] = k
					found++
				}
			}
			if found != 1 {
				t.Fatalf("%s: row %v is in %d bins", p.Field, ex.Row, found)
			}
			if ex.At > now-day && ex.At <= now {
				recent[binned[n]]++
			}
			if ex.At <= trainedAt {
				half := ex.ID.Hash() / 5 & 1
				cells[half][binned[n]].rows++
				totals[half].rows++
				if ex.Positive {
					cells[half][binned[n]].positives++
					totals[half].positives++
				}
			}
		}
		for k := range p.Bins {
			b, first, second := &p.Bins[k], cells[0][k], cells[1][k]
			if b.Samples != first.rows+second.rows || b.Positives != first.positives+second.positives || b.Recent != recent[k] {
				t.Errorf("%s: bin %+v, want %d rows, %d positives, %d recent", p.Field, *b, first.rows+second.rows, first.positives+second.positives, recent[k])
			}
		}
		concordant, pairs := 0.0, 0.0
		for half := range totals {
			other := 1 - half
			rate := float64(totals[other].positives) / float64(totals[other].rows)
			var scored []learn.Scored
			for n := range src {
				if ex := &src[n]; ex.At <= trainedAt && int(ex.ID.Hash()/5&1) == half {
					c := cells[other][binned[n]]
					scored = append(scored, learn.Scored{Score: (float64(c.positives) + 10*rate) / (float64(c.rows) + 10), Positive: ex.Positive})
				}
			}
			q := float64(totals[half].positives) * float64(totals[half].rows-totals[half].positives)
			concordant += learn.AUC(scored) * q
			pairs += q
		}
		if want := concordant / pairs; math.Abs(p.AUC-want) > 1e-12 {
			t.Errorf("%s %s: AUC = %v, want %v", p.Field, p.Member, p.AUC, want)
		}
	}
}
