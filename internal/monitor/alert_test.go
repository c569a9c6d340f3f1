package monitor

import (
	"slices"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
)

// spread adds n scores in each of the bins from one to another, of a kind.
func spread(from, to int, n uint32) (c Counts) {
	for bin := from; bin < to; bin++ {
		c = append(c, [2]uint32{uint32(bin), n})
	}
	return c
}

// week fills days with the same delta.
func week(b *Book, from, days int, d Delta) {
	for i := range days {
		now := noon + decision.Time(from+i)*dayMs
		d.Tenant, d.Model, d.Day = "t", "m", int32(DateOf(now))
		if err := b.Add(&d, now); err != nil {
			panic(err)
		}
	}
}

func TestAlerts(t *testing.T) {
	good := Delta{
		Scores: spread(0, 100, 20), Positives: spread(50, 100, 2), Negatives: spread(0, 90, 2), LogLoss: 1,
		Responses: 280, ResponsePositives: 100,
	}
	with := func(change func(*Delta)) Delta { d := good; change(&d); return d }
	cases := []struct {
		name  string
		fill  func(*Book)
		at    int // days after the first
		want  []string
		since int // of the first alert, in days after the first
	}{
		{"all well", func(b *Book) { week(b, 0, 20, good) }, 19, nil, 0},
		{"silent", func(b *Book) { week(b, 0, 10, good) }, 11, []string{RuleNoResponses}, 11},
		{"silent for a day", func(b *Book) { week(b, 0, 10, good) }, 10, nil, 0},
		{"served, never a response", func(b *Book) { week(b, 0, 4, Delta{Scores: spread(0, 10, 1)}) }, 3, []string{RuleNoResponses}, 2},
		{"silent for long: not in use", func(b *Book) { week(b, 0, 1, good) }, 20, nil, 0},
		{"one class", func(b *Book) {
			week(b, 0, 10, with(func(d *Delta) { d.ResponsePositives, d.Positives = 0, nil }))
		}, 9, []string{RuleOneClass}, 0},
		{"scores that tell nothing", func(b *Book) {
			week(b, 0, 10, good)
			week(b, 10, 10, with(func(d *Delta) { d.Positives = d.Negatives }))
		}, 19, []string{RuleAUC}, 0},
		{"too few to judge", func(b *Book) {
			week(b, 0, 3, Delta{Positives: Counts{{3, 10}}, Negatives: Counts{{5, 10}}, Responses: 10, ResponsePositives: 5})
		}, 2, nil, 0},
		{"shifted", func(b *Book) {
			week(b, 0, 5, good)
			week(b, 5, 3, with(func(d *Delta) { d.Scores = spread(40, 140, 20) }))
		}, 7, []string{RuleScorePSI}, 5},
		{"fewer", func(b *Book) {
			week(b, 0, 14, good)
			week(b, 14, 7, with(func(d *Delta) { d.Responses, d.ResponsePositives = 200, 80 }))
		}, 21, []string{RuleResponsesDrop}, 0},
		{"inputs shifted", func(b *Book) {
			week(b, 0, 3, good)
			b.Drifted("t", "m", []Drift{{Field: "age", PSI: 0.4}, {Field: "tags", Member: "vip", PSI: 0.3}, {Field: "income", PSI: 0.2}}, noon+2*dayMs)
		}, 2, []string{RulePredictorPSI, RulePredictorPSI}, 2},
		{"inputs were measured long ago", func(b *Book) {
			b.Drifted("t", "m", []Drift{{Field: "age", PSI: 0.4}}, noon)
			week(b, 0, 8, good)
		}, 7, nil, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := NewBook()
			c.fill(b)
			now := noon + decision.Time(c.at)*dayMs
			alerts := b.Life("t", "m").Alerts("m", now)
			var got []string
			for _, a := range alerts {
				got = append(got, a.Name)
				if a.Message == "" || a.GoodWhen == "" || a.LookWhen == "" || a.Severity == "" || a.Since > now {
					t.Errorf("alert %+v is not whole", a)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Fatalf("alerts %v, want %v: %+v", got, c.want, alerts)
			}
			if c.since > 0 && DateOf(alerts[0].Since) != DateOf(noon)+Date(c.since) {
				t.Errorf("since %v, want day %d", alerts[0].Since, c.since)
			}
		})
	}
	var none *Life
	if got := none.Alerts("m", noon); got != nil {
		t.Errorf("alerts of a model that nothing is known of: %+v", got)
	}
}

// A training begins a new reference: what is normal is what the trained model
// serves.
func TestRenew(t *testing.T) {
	b := NewBook()
	week(b, 0, 3, Delta{Scores: spread(0, 100, 20)})
	week(b, 3, 1, Delta{Scores: spread(90, 190, 20)})
	if psi, ok := b.Life("t", "m").psi(DateOf(noon)+3, DateOf(noon)+3); !ok || psi < 0.25 {
		t.Errorf("PSI = %v, %v, want above 0.25", psi, ok)
	}
	b.Renew("t", "m", noon+3*dayMs)
	week(b, 4, 2, Delta{Scores: spread(90, 190, 20)})
	if psi, ok := b.Life("t", "m").psi(DateOf(noon)+5, DateOf(noon)+5); !ok || psi > 0.01 {
		t.Errorf("PSI = %v, %v after a renewal, want 0", psi, ok)
	}
}

// BenchmarkAlerts is what a look costs the leader for one model with 35 days: all
// well, and with rules broken on all of them.
func BenchmarkAlerts(b *testing.B) {
	good := Delta{
		Scores: spread(0, 100, 20), Positives: spread(50, 100, 2), Negatives: spread(0, 90, 2), LogLoss: 1,
		Responses: 280, ResponsePositives: 100,
	}
	bad := good
	bad.Positives, bad.ResponsePositives = bad.Negatives, 0
	for name, d := range map[string]Delta{"good": good, "bad": bad} {
		b.Run("days="+name, func(b *testing.B) {
			book := NewBook()
			week(book, 0, KeptDays, d)
			l, now := book.Life("t", "m"), noon+(KeptDays-1)*dayMs
			b.ReportAllocs()
			for b.Loop() {
				l.Alerts("m", now)
			}
		})
	}
}
