package monitor

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// served fills days of model m of tenant t, from a day on, with the same counts.
func served(b *Book, from, days int, arms ...ArmCount) {
	for i := range days {
		now := noon + decision.Time(from+i)*dayMs
		_ = b.Add(&Delta{Tenant: "t", Model: "m", Day: int32(DateOf(now)), Arms: arms}, now)
	}
}

// policy is a bandit's that holds Beta(α, β) of offers a, b, c, …, of each two
// pseudo-outcomes given.
func policy(shapes ...float64) *Policy {
	p := &Policy{}
	beliefs := map[string]learn.Belief{}
	for i := 0; i < len(shapes); i += 2 {
		id := string(rune('a' + i/2))
		p.Known = append(p.Known, id)
		beliefs[id] = learn.Belief{OfferID: id, Alpha: shapes[i], Beta: shapes[i+1], Given: 2}
	}
	p.Belief = func(id string) learn.Belief {
		if b, ok := beliefs[id]; ok {
			return b
		}
		return learn.Belief{OfferID: id, Alpha: 1, Beta: 1, Given: 2}
	}
	return p
}

func TestEntropyByHand(t *testing.T) {
	ln := math.Log
	for _, c := range []struct {
		name     string
		arms     []ArmCount
		eligible int
		want     float64 // −1: not known
	}{
		{"nothing served", []ArmCount{{"a", 0, 0}, {"b", 0, 0}}, 2, -1},
		{"one arm", []ArmCount{{"a", 5, 0}}, 1, -1},
		{"one of two", []ArmCount{{"a", 5, 0}, {"b", 0, 0}}, 2, 0},
		{"even", []ArmCount{{"a", 5, 0}, {"b", 5, 0}, {"c", 0, 5}}, 3, 1},
		{"3 to 1", []ArmCount{{"a", 3, 0}, {"b", 1, 0}}, 2, -(0.75*ln(0.75) + 0.25*ln(0.25)) / ln(2)},
		{"two of four", []ArmCount{{"a", 10, 0}, {"b", 8, 2}, {"c", 0, 0}, {"d", 0, 0}}, 4, 0.5},
	} {
		got := allocate(c.arms, c.eligible).Entropy
		switch {
		case c.want < 0:
			if got != nil {
				t.Errorf("%s: entropy %v, want none", c.name, *got)
			}
		case got == nil || math.Abs(*got-c.want) > 1e-15:
			t.Errorf("%s: entropy %v, want %v", c.name, got, c.want)
		}
	}
	a := allocate([]ArmCount{{"a", 3, 1}, {"b", 5, 0}, {"c", 1, 0}}, 3)
	if a.Served != 10 || a.Forced != 1 || a.Leader != "b" || a.LeaderShare != 0.5 {
		t.Errorf("allocation %+v, want 10 served, 1 forced, b leading with half", a)
	}
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		name    string
		shapes  []float64
		because string // empty: no verdict
		leader  string
	}{
		{"one arm", []float64{50, 50}, "", ""},
		{"little evidence", []float64{30, 10, 1, 30}, BecauseEvidence, "a"},
		{"undecided", []float64{22, 180, 31, 172}, BecauseUndecided, "b"},
		{"best", []float64{301, 701, 401, 601}, BecauseBest, "b"},
		{"little to lose", []float64{50_000, 950_000, 50_010, 949_990}, BecauseLittleToLose, "b"},
		{"one not known", []float64{51, 951, 1, 1}, BecauseEvidence, "b"},
	} {
		p := policy(c.shapes...)
		cmp, _ := p.compare(nil)
		v := p.verdict(cmp)
		if c.because == "" {
			if v != nil {
				t.Errorf("%s: verdict %+v, want none", c.name, v)
			}
			continue
		}
		converged := c.because == BecauseBest || c.because == BecauseLittleToLose
		if v == nil || v.Because != c.because || v.OfferID != c.leader || v.Converged != converged {
			t.Errorf("%s: verdict %+v, want %s of %s", c.name, v, c.because, c.leader)
			continue
		}
		if !(v.Lower < v.Rate && v.Rate < v.Upper && v.ExpectedLoss >= 0 && v.LossBound == 0.005*v.Rate) {
			t.Errorf("%s: verdict %+v is not in order", c.name, v)
		}
	}
}

// Every likely cause is found where it is at work, and the most likely one first.
func TestCausesOfACollapse(t *testing.T) {
	undecided := []float64{60, 540, 9, 91}
	epsilon := 0.004
	for _, c := range []struct {
		name   string
		policy *Policy
		change func(*Policy)
		arms   []ArmCount
		reset  string
		want   string
		says   string
	}{
		{name: "one offer is requested", policy: policy(undecided...), arms: []ArmCount{{"a", 0, 500}}, want: CauseOneRequested, says: "100 %"},
		{name: "adapted", policy: policy(undecided...), change: func(p *Policy) { p.Adapted = true }, want: CauseAdapted, says: "adaptive"},
		{name: "reset", policy: policy(undecided...), reset: `offer "b"`, want: CauseReset, says: `offer "b" was reset`},
		{name: "paused", policy: policy(undecided...), change: func(p *Policy) { p.Paused = []string{`offer "b"`} }, want: CausePaused, says: `offer "b"`},
		{name: "bootstrap", policy: policy(undecided...), change: func(p *Policy) {
			before := p.Belief
			p.Belief = func(id string) learn.Belief {
				b := before(id)
				if id == "b" {
					b.Given = 90
				}
				return b
			}
		}, want: CausePrior, says: `90 % of what is believed of offer "b"`},
		{name: "epsilon", policy: policy(undecided...), change: func(p *Policy) { p.Epsilon = &epsilon }, want: CauseEpsilon, says: "one decision in 250"},
		{name: "converged", policy: policy(600, 400, 300, 700), change: func(p *Policy) { p.Epsilon = &epsilon }, want: CauseConverged, says: `offer "a" is the best`},
		{name: "unexplained", policy: policy(undecided...), want: CauseUnexplained},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := NewBook()
			arms := c.arms
			if arms == nil {
				arms = []ArmCount{{"a", 495, 0}, {"b", 5, 0}}
			}
			served(b, 0, 3, ArmCount{"a", 300, 0}, ArmCount{"b", 200, 0})
			if len(c.arms) > 0 { // requests that name one offer leave no other
				b = NewBook()
			}
			served(b, 3, 3, arms...)
			now := noon + 5*dayMs
			if c.reset != "" {
				b.Reset("t", "m", c.reset, now-dayMs)
			}
			if c.change != nil {
				c.change(c.policy)
			}
			l := b.Life("t", "m")
			got := l.Bandit(c.policy, now)
			if got.Collapse == nil || got.Collapse.Cause != c.want || !strings.Contains(got.Collapse.Message, c.says) {
				t.Fatalf("collapse %+v, want the cause %s, saying %q", got.Collapse, c.want, c.says)
			}
			if DateOf(got.Collapse.Since) != DateOf(noon)+3 || got.Collapse.OfferID != "a" {
				t.Errorf("collapse %+v, want since day 3 on offer a", got.Collapse)
			}
			var rules []string
			for _, a := range l.BanditAlerts("m", c.policy, now) {
				rules = append(rules, a.Name)
				if a.ModelID != "m" || a.Message == "" || a.GoodWhen == "" || a.Severity == "" || a.Since > now {
					t.Errorf("alert %+v is not whole", a)
				}
			}
			want := []string{RuleCollapsed}
			if c.want == CauseConverged {
				want = []string{RuleConverged}
			}
			if !slices.Equal(rules, want) {
				t.Errorf("alerts %v, want %v", rules, want)
			}
		})
	}
}

// A spread allocation has not collapsed, nor one of a handful of decisions, nor one
// that collapsed long ago.
func TestNoCollapse(t *testing.T) {
	for name, fill := range map[string]func(*Book){
		"spread":    func(b *Book) { served(b, 0, 6, ArmCount{"a", 300, 0}, ArmCount{"b", 200, 0}) },
		"few":       func(b *Book) { served(b, 0, 6, ArmCount{"a", 40, 0}, ArmCount{"b", 0, 0}) },
		"over":      func(b *Book) { served(b, 0, 3, ArmCount{"a", 500, 0}, ArmCount{"b", 1, 0}) },
		"all named": func(b *Book) { served(b, 0, 6, ArmCount{"a", 0, 250}, ArmCount{"b", 0, 250}) },
		"one arm":   func(b *Book) { served(b, 0, 6, ArmCount{"x", 500, 0}) },
		"nothing":   func(b *Book) {},
	} {
		b := NewBook()
		fill(b)
		p := policy(60, 540, 9, 91)
		if name == "one arm" {
			p = policy(60, 540)
		}
		if got := b.Life("t", "m").Bandit(p, noon+5*dayMs); got.Collapse != nil {
			t.Errorf("%s: collapse %+v, want none", name, got.Collapse)
		}
	}
}

func TestBanditReport(t *testing.T) {
	b := NewBook()
	served(b, 0, 20, ArmCount{"a", 30, 10}, ArmCount{"b", 60, 0}, ArmCount{"c", 0, 0})
	now := noon + 19*dayMs
	l := b.Life("t", "m")
	for _, d := range l.Days {
		if kept := d.Date > DateOf(now)-ArmDays; (len(d.Arms) > 0) != kept {
			t.Errorf("%v has %d arms, want them of the last %d days", d.Date, len(d.Arms), ArmDays)
		}
	}
	got := l.Bandit(policy(30, 70, 65, 35, 1, 1), now)
	if got.Allocation.Served != 700 || got.Allocation.Forced != 70 || got.Allocation.Eligible != 3 || got.Allocation.Leader != "b" {
		t.Errorf("allocation %+v, want 700 served, 70 forced, 3 eligible, b leading", got.Allocation)
	}
	if len(got.Days) != ArmDays || got.Days[0].Date != DateOf(now) || got.Days[0].Served != 100 {
		t.Errorf("days %+v, want %d, the newest first, 100 served on each", got.Days, ArmDays)
	}
	total := 0.0
	for i, id := range []string{"b", "a", "c"} {
		a := got.Arms[i]
		if a.OfferID != id || !(a.Lower < a.Rate && a.Rate < a.Upper) {
			t.Errorf("arm %+v, want %s", a, id)
		}
		total += a.ProbabilityBest
	}
	if got.Arms[0].Rate != 0.65 || got.Arms[0].Share != 0.6 || got.Arms[0].Evidence != 98 || math.Abs(total-1) > 1e-9 {
		t.Errorf("arms %+v, want b at 0.65 with 98 outcomes, and probabilities that add up to 1", got.Arms)
	}
	var none *Life
	if got := none.Bandit(policy(1, 1, 1, 1), now); got.Collapse != nil || got.Verdict == nil || len(got.Arms) != 0 {
		t.Errorf("of a model that nothing is known of: %+v", got)
	}
}

// The draws of a bandit in good health break the rules about scores.
func TestBanditsAreNotJudgedByTheirScores(t *testing.T) {
	b := NewBook()
	week(b, 0, 10, Delta{
		Scores: spread(0, 100, 20), Positives: spread(0, 90, 2), Negatives: spread(0, 90, 2), LogLoss: 1,
		Responses: 280, ResponsePositives: 280, Arms: []ArmCount{{"a", 50, 0}, {"b", 50, 0}},
	})
	now := noon + 9*dayMs
	var rules []string
	for _, a := range b.Life("t", "m").BanditAlerts("m", policy(2, 2, 2, 2), now) {
		rules = append(rules, a.Name)
	}
	if want := []string{RuleOneClass}; !slices.Equal(rules, want) {
		t.Errorf("alerts %v, want %v", rules, want)
	}
}

func TestArmsAreCounted(t *testing.T) {
	r := NewRecorder(64, DefaultWindow)
	track := r.Track("t", "m")
	ids := []string{"a", "b", "c"}
	candidate := func(i int) string { return ids[i] }
	track.Choose("b", 3, candidate)
	track.Choose("b", 3, candidate)
	track.Choose("a", 1, nil)
	track.Choose("", 3, candidate) // nothing was chosen
	want := []ArmCount{{"a", 0, 1}, {"b", 2, 0}, {"c", 0, 0}}
	if d := r.Take(noon); len(d) != 1 || !slices.Equal(d[0].Arms, want) {
		t.Errorf("Take() = %+v, want the arms %v", d, want)
	}
	for range 2 * eligibleEvery {
		track.Choose("a", 3, candidate)
	}
	if d := r.Take(noon + 1); len(d) != 1 || !slices.Equal(d[0].Arms, []ArmCount{{"a", 2 * eligibleEvery, 0}}) {
		t.Errorf("Take() on the same day = %+v, want a alone: the others were told", d)
	}
	if d := r.Take(noon + dayMs); len(d) != 1 || !slices.Equal(d[0].Arms, []ArmCount{{"a", 0, 0}, {"b", 0, 0}, {"c", 0, 0}}) {
		t.Errorf("Take() on the next day = %+v, want what could have been chosen", d)
	}
	var none *Track
	none.Choose("a", 3, candidate)
}

// What many choose at a time is all counted, and arms beyond the bound together.
func TestArmsAreCountedConcurrently(t *testing.T) {
	r := NewRecorder(64, DefaultWindow)
	track := r.Track("t", "m")
	const arms, each, workers = MaxArms + 40, 50, 4
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for i := range arms * each {
				track.Choose(fmt.Sprint("offer-", i%arms), 2, func(int) string { return "offer-0" })
			}
		})
	}
	all.Wait()
	d := r.Take(noon)[0]
	total := uint64(0)
	for i := range d.Arms {
		total += d.Arms[i].served()
	}
	if len(d.Arms) != MaxArms+1 || d.Arms[0].OfferID != "" || d.Arms[0].Chosen != 40*each*workers || total != arms*each*workers {
		t.Errorf("%d arms, %d of no name, %d in all, want %d, %d, %d", len(d.Arms), d.Arms[0].Chosen, total, MaxArms+1, 40*each*workers, arms*each*workers)
	}
	b := NewBook()
	if err := b.Add(&d, noon); err != nil {
		t.Fatal(err)
	}
	for i := range d.Arms { // of another node, with other arms
		d.Arms[i].OfferID = "other-" + d.Arms[i].OfferID
	}
	if err := b.Add(&d, noon); err != nil {
		t.Fatal(err)
	}
	day := b.Life("t", "m").Days[0]
	if len(day.Arms) > MaxArms+1 || allocate(day.Arms, 2).Served != 2*total {
		t.Errorf("%d arms are kept with %d decisions, want at most %d with %d", len(day.Arms), allocate(day.Arms, 2).Served, MaxArms+1, 2*total)
	}
	r.Take(noon + dayMs) // a new day begins with room
	track.Choose("late", 2, func(int) string { return "late" })
	if d := r.Take(noon + dayMs); len(d) != 1 || d[0].Arms[0].OfferID != "late" {
		t.Errorf("Take() = %+v, want the late arm by its name", d)
	}
}

func TestChooseAllocs(t *testing.T) {
	r := NewRecorder(64, DefaultWindow)
	track := r.Track("t", "m")
	ids := []string{"a", "b", "c"}
	track.Choose("a", 3, func(i int) string { return ids[i] })
	if n := testing.AllocsPerRun(1000, func() { track.Choose("b", 3, func(i int) string { return ids[i] }) }); n != 0 {
		t.Errorf("Choose: %v allocations, want 0", n)
	}
}

func BenchmarkChoose(b *testing.B) {
	ids := make([]string, 20)
	for i := range ids {
		ids[i] = fmt.Sprintf("offer-%d", i)
	}
	track := NewRecorder(64, DefaultWindow).Track("t", "m")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		track.Choose(ids[i%len(ids)], len(ids), func(i int) string { return ids[i] })
	}
}
