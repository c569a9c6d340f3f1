package evidence

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
)

const day = dayMillis

func config(change func(*Config)) Config {
	c := DefaultConfig()
	if change != nil {
		change(&c)
	}
	return c
}

// feed counts n outcomes of an offer, of which the first are positive.
func feed(s *Set, offer, category string, positives, negatives int, score float64) {
	for i := range positives + negatives {
		s.Observe(&Outcome{
			OfferID: offer, CategoryID: category, ChannelID: "web", At: day, Positive: i < positives, Weight: 1, Score: score, Scored: score >= 0,
		})
	}
	s.Publish()
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-12*max(1, math.Abs(want))) {
		t.Errorf("%s = %.17g, want %.17g", what, got, want)
	}
}

func TestLadder(t *testing.T) {
	const none = -1.0                                // no score of the model
	type rows struct{ offer, sibling, other [2]int } // positives, negatives
	for _, c := range []struct {
		name   string
		rows   rows
		score  float64
		want   float64
		source Source
	}{
		{"nothing at all", rows{}, none, 0.5, SourceDefault},
		{"the model alone", rows{}, 0.3, 0.3, SourceModel},
		{"9 others", rows{other: [2]int{3, 6}}, 0.3, 0.3, SourceModel},
		{"10 others", rows{other: [2]int{3, 7}}, 0.3, 0.3, SourceGlobal},
		{"10 others, another rate", rows{other: [2]int{4, 6}}, 0.3, 0.4, SourceGlobal},
		{"19 of the category", rows{sibling: [2]int{1, 18}, other: [2]int{10, 1}}, 0.3, 11.0 / 30, SourceGlobal},
		{"20 of the category", rows{sibling: [2]int{2, 18}, other: [2]int{10, 1}}, 0.3, 0.1, SourceCategory},
		{"1 of the offer, model below", rows{offer: [2]int{1, 0}}, 0.3, (1 + 10*0.3) / 11, SourceOfferShrunk},
		{"1 of the offer, nothing below", rows{offer: [2]int{1, 0}}, none, (1 + 10*0.5) / 11, SourceOfferShrunk},
		{"49 of the offer, category below", rows{offer: [2]int{7, 42}, sibling: [2]int{13, 38}}, 0.9, (7 + 10*0.2) / 59, SourceOfferShrunk},
		{"50 of the offer", rows{offer: [2]int{7, 43}, sibling: [2]int{13, 38}}, 0.9, 0.14, SourceOffer},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := New(config(func(c *Config) { c.Mode = Ladder }))
			feed(s, "a", "cards", c.rows.offer[0], c.rows.offer[1], -1)
			feed(s, "b", "cards", c.rows.sibling[0], c.rows.sibling[1], -1)
			feed(s, "c", "loans", c.rows.other[0], c.rows.other[1], -1)
			got := s.Publish().Score(&Query{OfferID: "a", CategoryID: "cards", Score: c.score, Scored: c.score >= 0})
			if got.Source != c.source {
				t.Errorf("source %s, want %s", got.Source, c.source)
			}
			near(t, "score", got.Score, c.want)
		})
	}
}

func TestLadderFollowsTheOffersLastCategory(t *testing.T) {
	s := New(config(func(c *Config) { c.Mode = Ladder }))
	feed(s, "b", "cards", 10, 30, -1)
	feed(s, "a", "cards", 0, 1, -1)
	got := s.Publish().Score(&Query{OfferID: "a"})
	near(t, "score", got.Score, (0+10*10.0/41)/11)
	feed(s, "c", "loans", 30, 10, -1)
	feed(s, "a", "loans", 0, 1, -1)
	feed(s, "a", "", 0, 1, -1) // counts for the category it had last
	near(t, "score after the move", s.Publish().Score(&Query{OfferID: "a"}).Score, (0+10*30.0/42)/13)
	if rows := s.Publish().Rows(ScopeOffer, 0); rows[0].CategoryID != "loans" {
		t.Errorf("category %q, want loans", rows[0].CategoryID)
	}
}

func (a Adapted) logRatio() float64 { return math.Log(a.OddsRatio) }

// delta is δ by the formula of the documentation.
func delta(positives, n, mean, m, parent float64) float64 {
	lo := func(p float64) float64 { return math.Log(p) - math.Log1p(-p) }
	q := 1 / (1 + math.Exp(-lo(mean)-parent))
	return lo((positives+m*q)/(n+m)) - lo(mean)
}

func TestBlend(t *testing.T) {
	s := New(config(func(c *Config) { c.Mode, c.Smoothing = Blend, 7 }))
	q := Query{OfferID: "a", Score: 0.4, Scored: true}
	if got := s.Publish().Score(&q); got != (Adapted{Score: 0.4, Source: SourceModel, OddsRatio: 1}) {
		t.Errorf("without evidence: %+v, want the model's own score", got)
	}
	feed(s, "a", "cards", 30, 70, 0.125)
	feed(s, "b", "cards", 10, 90, 0.25)
	feed(s, "c", "loans", 50, 50, 0.25)
	feed(s, "a", "cards", 40, 0, -1) // without scores they say nothing of the model
	v := s.Publish()

	global := delta(90, 300, (12.5+25+25)/300, 7, 0)
	cards := delta(40, 200, 37.5/200, 7, global)
	a := delta(30, 100, 0.125, 7, cards)
	got := v.Score(&q)
	near(t, "δ(a)", got.logRatio(), a)
	near(t, "score", got.Score, 1/(1+math.Exp(-math.Log(0.4/0.6)-a)))
	if got.Source != SourceBlend {
		t.Errorf("source %s, want blend", got.Source)
	}
	near(t, "δ of a new offer of the category", v.Score(&Query{OfferID: "new", CategoryID: "cards", Score: 0.4, Scored: true}).logRatio(), cards)
	near(t, "δ of a new offer", v.Score(&Query{OfferID: "new", Score: 0.4, Scored: true}).logRatio(), global)

	if got := v.Score(&Query{OfferID: "c"}); got.Source != SourceOffer {
		t.Errorf("without a score: %+v, want the ladder's estimate", got)
	}
	for _, score := range []float64{0, 1} {
		got := v.Score(&Query{OfferID: "a", Score: score, Scored: true})
		if got.Score != score {
			t.Errorf("score %g is blended to %g", score, got.Score)
		}
	}
}

// With a model that is off by a constant in log-odds and outcomes drawn from the
// truth, blend finds the constant: its standard error is about
// 1/√(n·p·(1−p)) ≈ 0.023 here, and five of them are allowed. Scores are near one
// another so that the mean's log-odds is the mean of the log-odds.
func TestBlendFindsAConstantError(t *testing.T) {
	const n, wrong = 10_000, 0.8
	s := New(config(func(c *Config) { c.Mode = Blend }))
	rng := rand.New(rand.NewPCG(1, 1))
	for range n {
		z := -1 + 0.2*rng.NormFloat64()
		s.Observe(&Outcome{
			OfferID: "a", At: 1, Weight: 1, Positive: rng.Float64() < 1/(1+math.Exp(-z-wrong)), Score: 1 / (1 + math.Exp(-z)), Scored: true,
		})
	}
	got := s.Publish().Score(&Query{OfferID: "a", Score: 0.3, Scored: true}).logRatio()
	if tolerance := 5 * 0.023; math.Abs(got-wrong) > tolerance {
		t.Errorf("δ = %.3f, want %.3f ± %.3f", got, wrong, tolerance)
	}
}

func TestOffLeavesScoresAlone(t *testing.T) {
	s := New(DefaultConfig())
	feed(s, "a", "cards", 90, 10, 0.1)
	if got := s.Publish().Score(&Query{OfferID: "a", Score: 0.125, Scored: true}); got != (Adapted{Score: 0.125, Source: SourceModel}) {
		t.Errorf("Score() = %+v, want the model's", got)
	}
	if got := s.Publish().Score(&Query{OfferID: "a"}); got != (Adapted{Score: 0.5, Source: SourceDefault}) {
		t.Errorf("Score() without one of the model = %+v, want 0.5", got)
	}
}

func TestHalfLife(t *testing.T) {
	s := New(config(func(c *Config) { c.HalfLifeDays = 7 }))
	observe := func(days int64, positive bool) {
		s.Observe(&Outcome{OfferID: "a", At: 1000*day + days*day, Positive: positive, Weight: 1, Score: 0.25, Scored: true})
	}
	observe(0, true)
	observe(7, false)  // the first counts a half now
	observe(14, true)  // 1/4 + 1, and 1/2
	observe(7, true)   // late: counts 1/2
	observe(-14, true) // later still: 1/16
	row := s.Publish().Rows(ScopeOffer, 0)[0]
	near(t, "positives", row.Positives, 0.25+1+0.5+1.0/16)
	near(t, "negatives", row.Negatives, 0.5)
	near(t, "mean score", *row.MeanScore, 0.25)
	if want := decision.Time(1014 * day); row.UpdatedAt != want {
		t.Errorf("updated at %s, want %s", row.UpdatedAt, want)
	}
	row = s.Publish().Rows(ScopeOffer, 1028*day)[0]
	near(t, "evidence two half-lives later", row.Evidence, (0.25+1+0.5+1.0/16+0.5)/4)
	near(t, "rate two half-lives later", row.Rate, s.Publish().Rows(ScopeOffer, 0)[0].Rate)
	if row := s.Publish().Rows(ScopeOffer, 9000*day)[0]; row.Maturity != Cold {
		t.Errorf("maturity after twenty years is %s, want cold", row.Maturity)
	}
}

// twin is the slow, obvious counterpart of a row: all outcomes, each with what is
// left of it.
type twin []Outcome

func (w twin) sums(half float64) (positives, negatives float64) {
	last := int64(math.MinInt64)
	for _, o := range w {
		last = max(last, o.At)
	}
	for _, o := range w {
		weight := o.Weight
		if half > 0 {
			weight *= math.Pow(2, -float64(last-o.At)/(half*day))
		}
		if o.Positive {
			positives += weight
		} else {
			negatives += weight
		}
	}
	return positives, negatives
}

func TestRowsAgainstTwin(t *testing.T) {
	for _, half := range []float64{0, 0.5, 30} {
		rng := rand.New(rand.NewPCG(7, uint64(half*2)))
		s := New(config(func(c *Config) { c.HalfLifeDays = half }))
		want := map[string]twin{}
		for range 4000 {
			o := Outcome{
				OfferID: fmt.Sprint("o", rng.IntN(9)), CategoryID: fmt.Sprint("c", rng.IntN(3)), ChannelID: fmt.Sprint("h", rng.IntN(4)),
				At: 100*day + rng.Int64N(60*day), Positive: rng.IntN(3) == 0, Weight: float64(1+rng.IntN(4)) / 2,
			}
			if rng.IntN(5) == 0 {
				o.ChannelID = ""
			}
			s.Observe(&o)
			for _, key := range []string{"global/", "offer/" + o.OfferID, "category/" + o.CategoryID, "channel/" + o.ChannelID} {
				want[key] = append(want[key], o)
			}
		}
		delete(want, "channel/")
		v, n := s.Publish(), 0
		for _, scope := range []Scope{ScopeOffer, ScopeCategory, ScopeChannel, ScopeGlobal} {
			for _, row := range v.Rows(scope, 0) {
				n++
				positives, negatives := want[string(row.Scope)+"/"+row.ScopeID].sums(half)
				if math.Abs(row.Positives-positives) > 1e-9 || math.Abs(row.Negatives-negatives) > 1e-9 {
					t.Errorf("half-life %g, %s %s: %v and %v, want %v and %v", half, row.Scope, row.ScopeID, row.Positives, row.Negatives, positives, negatives)
				}
			}
		}
		if n != len(want) {
			t.Errorf("%d rows, want %d", n, len(want))
		}
	}
}

func TestMaturity(t *testing.T) {
	for evidence, want := range map[float64]Maturity{0: Cold, 0.9: Cold, 1: Immature, 49.9: Immature, 50: Maturing, 199: Maturing, 200: Mature, 1e9: Mature} {
		if got := MaturityOf(evidence); got != want {
			t.Errorf("MaturityOf(%g) = %s, want %s", evidence, got, want)
		}
	}
}

// market has the offers a and b of cards, c of loans and d of no category, with
// the evidence 100, 60, 40 and 10.
func market(m float64) *Set {
	s := New(config(func(c *Config) { c.Smoothing = m }))
	feed(s, "a", "cards", 30, 70, 0.2)
	feed(s, "b", "cards", 6, 54, 0.2)
	feed(s, "c", "loans", 20, 20, 0.2)
	feed(s, "d", "", 4, 6, 0.2)
	return s
}

func TestReset(t *testing.T) {
	const cards, all = 36.0 / 160, 60.0 / 210
	for _, c := range []struct {
		request  Request
		previous float64
		prior    float64
		mass     float64
		offers   string
		rows     int // that have the prior's evidence afterwards
	}{
		{Request{ActionReset, ScopeOffer, "a", CategoryPrior}, 100, cards, 8, "[a]", 1},
		{Request{ActionReset, ScopeOffer, "a", GlobalPrior}, 100, all, 8, "[a]", 1},
		{Request{ActionReset, ScopeOffer, "a", Zero}, 100, 0.5, 0, "[a]", 1},
		{Request{ActionReset, ScopeOffer, "d", CategoryPrior}, 10, all, 8, "[d]", 1}, // without a category
		{Request{ActionReset, ScopeCategory, "cards", CategoryPrior}, 160, all, 8, "[a b]", 3},
		{Request{ActionReset, ScopeCategory, "cards", GlobalPrior}, 160, all, 8, "[a b]", 3},
		{Request{ActionReset, ScopeCategory, "cards", Zero}, 160, 0.5, 0, "[a b]", 3},
		{Request{ActionReset, ScopeChannel, "web", CategoryPrior}, 210, all, 8, "[]", 1},
		{Request{ActionReset, ScopeChannel, "web", Zero}, 210, 0.5, 0, "[]", 1},
		{Request{ActionReset, ScopeGlobal, "", CategoryPrior}, 210, all, 8, "[a b c d]", 8},
		{Request{ActionReset, ScopeGlobal, "", Zero}, 210, 0.5, 0, "[a b c d]", 8},
	} {
		t.Run(fmt.Sprint(c.request), func(t *testing.T) {
			s := market(8)
			before := s.Publish().Rows(ScopeOffer, 0)
			got, err := s.Apply(c.request, 2*day, false)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "previousEvidence", got.PreviousEvidence, c.previous)
			near(t, "newPrior", got.NewPrior, c.prior)
			if fmt.Sprint(got.Offers) != c.offers || got.Mass != c.mass || got.Paused {
				t.Errorf("Apply() = %+v, want the offers %s and the mass %g", got, c.offers, c.mass)
			}
			v, reset := s.Publish(), 0
			for _, scope := range []Scope{ScopeOffer, ScopeCategory, ScopeChannel, ScopeGlobal} {
				for _, row := range v.Rows(scope, 0) {
					if row.Evidence == c.mass {
						reset++
						near(t, "rate of "+row.ScopeID, row.Rate, c.prior)
						if row.MeanScore != nil {
							t.Errorf("%s %s has a mean score still", row.Scope, row.ScopeID)
						}
					}
				}
			}
			if reset != c.rows {
				t.Errorf("%d rows were reset, want %d", reset, c.rows)
			}
			for i, row := range v.Rows(ScopeOffer, 0) {
				if !slices.Contains(got.Offers, row.ScopeID) && row.Evidence != before[i].Evidence {
					t.Errorf("offer %s has evidence %g, want %g as before", row.ScopeID, row.Evidence, before[i].Evidence)
				}
			}
		})
	}
}

func TestResetCountsWhatHasFaded(t *testing.T) {
	s := New(config(func(c *Config) { c.HalfLifeDays = 10 }))
	feed(s, "a", "cards", 40, 40, -1)
	got, err := s.Apply(Request{ActionReset, ScopeOffer, "a", GlobalPrior}, 11*day, false)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "previousEvidence", got.PreviousEvidence, 40)
	near(t, "the prior's evidence ten days on", s.Publish().Rows(ScopeOffer, 21*day)[0].Evidence, DefaultSmoothing/2)
}

func TestPauseAndResume(t *testing.T) {
	outcome := Outcome{OfferID: "a", CategoryID: "cards", ChannelID: "web", At: 3 * day, Weight: 1}
	for _, scope := range []Request{
		{Scope: ScopeOffer, ScopeID: "a"}, {Scope: ScopeCategory, ScopeID: "cards"}, {Scope: ScopeChannel, ScopeID: "web"}, {Scope: ScopeGlobal},
	} {
		t.Run(string(scope.Scope), func(t *testing.T) {
			s := market(8)
			before := s.AppendState(nil)
			pause, resume := scope, scope
			pause.Action, resume.Action = ActionPause, ActionResume
			got, err := s.Apply(pause, 2*day, false)
			if err != nil || !got.Paused || len(got.Offers) > 0 {
				t.Fatalf("pause: %+v, %v", got, err)
			}
			rate := map[Scope]float64{ScopeOffer: 0.3, ScopeCategory: 36.0 / 160, ScopeChannel: 60.0 / 210, ScopeGlobal: 60.0 / 210}
			near(t, "newPrior", got.NewPrior, rate[scope.Scope])
			paused := s.AppendState(nil)
			for _, o := range []Outcome{outcome, {OfferID: "a", At: 3 * day, Weight: 1, ChannelID: "web"}} {
				if s.Admits(o.OfferID, o.CategoryID, o.ChannelID) || s.Observe(&o) || string(s.AppendState(nil)) != string(paused) {
					t.Errorf("outcome %+v was counted", o)
				}
			}
			other := Outcome{OfferID: "c", CategoryID: "loans", ChannelID: "app", At: 3 * day, Weight: 1}
			if got, want := s.Admits("c", "loans", "app"), scope.Scope != ScopeGlobal; got != want {
				t.Errorf("another scope is admitted: %v, want %v", got, want)
			}
			if _, err := s.Apply(resume, 2*day, false); err != nil {
				t.Fatal(err)
			}
			if string(s.AppendState(nil)) != string(before) {
				t.Error("pause and resume left a trace")
			}
			if !s.Observe(&outcome) || !s.Observe(&other) {
				t.Error("after resume outcomes are not counted")
			}
		})
	}
}

func TestResetKeepsThePause(t *testing.T) {
	s := market(8)
	for _, r := range []Request{{Action: ActionPause, Scope: ScopeOffer, ScopeID: "a"}, {ActionReset, ScopeGlobal, "", Zero}} {
		if _, err := s.Apply(r, 2*day, false); err != nil {
			t.Fatal(err)
		}
	}
	if row := s.Publish().Rows(ScopeOffer, 0)[0]; !row.Paused || row.Evidence != 0 {
		t.Errorf("row %+v, want it paused and empty", row)
	}
}

func TestUnknownScopes(t *testing.T) {
	s := market(8)
	before := string(s.AppendState(nil))
	for _, scope := range []Scope{ScopeOffer, ScopeCategory, ScopeChannel} {
		for _, action := range []Action{ActionReset, ActionPause, ActionResume} {
			_, err := s.Apply(Request{action, scope, "zzz", Zero}, day, false)
			if decision.KindOf(err) != decision.KindNotFound {
				t.Errorf("%s %s: %v, want not found", action, scope, err)
			}
		}
	}
	if string(s.AppendState(nil)) != before {
		t.Error("a refused request changed the state")
	}
	got, err := s.Apply(Request{ActionReset, ScopeOffer, "arm", CategoryPrior}, day, true)
	if err != nil || got.PreviousEvidence != 0 || len(got.Offers) != 1 {
		t.Fatalf("a known arm: %+v, %v", got, err)
	}
	near(t, "newPrior", got.NewPrior, 60.0/210)
}

func TestBodies(t *testing.T) {
	for _, c := range []struct {
		body Body
		want Request
	}{
		{Body{OfferID: "a"}, Request{ActionReset, ScopeOffer, "a", CategoryPrior}},
		{Body{ScopeID: "a", OfferID: "a", CategoryID: "x"}, Request{ActionReset, ScopeOffer, "a", CategoryPrior}},
		{Body{Scope: ScopeCategory, CategoryID: "x", ResetTo: Zero}, Request{ActionReset, ScopeCategory, "x", Zero}},
		{Body{Scope: ScopeChannel, ScopeID: "web", Action: ActionPause}, Request{ActionPause, ScopeChannel, "web", CategoryPrior}},
		{Body{OfferID: strings.Repeat("é", 255), Reason: strings.Repeat("é", 4096)}, Request{ActionReset, ScopeOffer, strings.Repeat("é", 255), CategoryPrior}},
		{Body{Scope: ScopeGlobal, ScopeID: "x", Action: ActionResume, ResetTo: GlobalPrior}, Request{ActionResume, ScopeGlobal, "", GlobalPrior}},
	} {
		if got, err := c.body.Request(); err != nil || got != c.want {
			t.Errorf("%+v: %+v, %v, want %+v", c.body, got, err, c.want)
		}
	}
	for _, c := range []struct {
		body  Body
		paths string
	}{
		{Body{}, "scopeId"},
		{Body{CategoryID: "x"}, "scopeId"},
		{Body{ScopeID: "a", OfferID: "b"}, "offerId"},
		{Body{Scope: "planet", Action: "stop", ResetTo: "one", Reason: strings.Repeat("x", 4097)}, "action scope resetTo reason scopeId"},
		{Body{Scope: ScopeChannel, ChannelID: strings.Repeat("x", 256)}, "scopeId"},
	} {
		_, err := c.body.Request()
		if got := paths(err); got != c.paths || decision.KindOf(err) != decision.KindBadRequest {
			t.Errorf("%+v: %v at %q, want a bad request at %q", c.body, err, got, c.paths)
		}
	}
}

func paths(err error) string {
	var e *decision.Error
	if !errors.As(err, &e) {
		return ""
	}
	var all []string
	for _, d := range e.Details {
		all = append(all, d.Path)
	}
	return strings.Join(all, " ")
}

func TestReadConfig(t *testing.T) {
	var p decision.Problems
	got := ReadConfig([]byte(`{"adaptive":"blend","smoothingWeight":25,"evidenceHalfLifeDays":30,"maxEvidenceRows":500,"autoLearn":true}`), &p)
	if want := (Config{Blend, 25, 30, 500}); got != want || p.Err() != nil {
		t.Errorf("ReadConfig() = %+v, %v, want %+v", got, p.Err(), want)
	}
	for _, raw := range []string{``, `null`, `{}`, `{"evidenceHalfLifeDays":null}`, `{"evidenceHalfLifeDays":0}`} {
		if got := ReadConfig([]byte(raw), &p); got != DefaultConfig() || p.Err() != nil {
			t.Errorf("ReadConfig(%s) = %+v, %v, want the defaults", raw, got, p.Err())
		}
	}
	got = ReadConfig([]byte(`{"adaptive":"on","smoothingWeight":0,"evidenceHalfLifeDays":1e-9,"maxEvidenceRows":0}`), &p)
	want := "learningConfig.adaptive learningConfig.smoothingWeight learningConfig.maxEvidenceRows learningConfig.evidenceHalfLifeDays"
	if paths(p.Err()) != want || got != DefaultConfig() {
		t.Errorf("ReadConfig() of nonsense = %+v with problems at %q, want %q", got, paths(p.Err()), want)
	}
}

func TestForgetScores(t *testing.T) {
	s := market(8)
	s.Configure(config(func(c *Config) { c.Mode = Blend }))
	s.ForgetScores()
	q := Query{OfferID: "a", Score: 0.25, Scored: true}
	if got := s.Publish().Score(&q); got.Source != SourceModel || got.Score != 0.25 {
		t.Errorf("Score() = %+v, want the model's own", got)
	}
	if row := s.Publish().Rows(ScopeOffer, 0)[0]; row.Evidence != 100 || row.MeanScore != nil {
		t.Errorf("row %+v, want the evidence and no mean score", row)
	}
	feed(s, "a", "cards", 30, 70, 0.5) // only these count
	near(t, "δ", s.Publish().Score(&q).logRatio(), delta(30, 100, 0.5, 10, delta(30, 100, 0.5, 10, delta(30, 100, 0.5, 10, 0))))
}

func TestRowsAreBounded(t *testing.T) {
	s := New(config(func(c *Config) { c.MaxRows = 5 }))
	for i := range 20 {
		feed(s, fmt.Sprint("o", i), "cards", 1, 0, -1)
	}
	if got := len(s.Publish().Rows(ScopeOffer, 0)); got != 5 || s.ignored != 15 {
		t.Errorf("%d rows and %d ignored, want 5 and 15", got, s.ignored)
	}
	if got := s.Publish().Rows(ScopeCategory, 0)[0].Evidence; got != 20 {
		t.Errorf("the category has evidence %g, want 20", got)
	}
}

func TestSumsStayFinite(t *testing.T) {
	s := New(DefaultConfig())
	for range 3 {
		s.Observe(&Outcome{OfferID: "a", At: day, Positive: true, Weight: math.MaxFloat64, Score: 1, Scored: true})
	}
	s.Observe(&Outcome{OfferID: "a", At: day, Weight: 1, Score: math.NaN(), Scored: true})
	if _, err := Load(DefaultConfig(), string(s.AppendState(nil))); err != nil {
		t.Error(err)
	}
	if row := s.Publish().Rows(ScopeOffer, 0)[0]; row.Rate != 1 {
		t.Errorf("row %+v, want the rate 1", row)
	}
}

func TestConfigureKeepsWhatWasCounted(t *testing.T) {
	s := market(8)
	old := s.Publish()
	s.Configure(config(func(c *Config) { c.Mode = Ladder }))
	q := Query{OfferID: "a", Score: 0.9, Scored: true}
	if got := s.Publish().Score(&q); got.Source != SourceOffer || got.Score != 0.3 {
		t.Errorf("Score() = %+v, want the offer's rate", got)
	}
	if got := old.Score(&q); got.Source != SourceModel {
		t.Errorf("the old view: %+v, want the model's score", got)
	}
	if got := s.Config().Mode; got != Ladder {
		t.Errorf("mode %s", got)
	}
}

func TestStateIsCanonical(t *testing.T) {
	outcomes := make([]Outcome, 300)
	rng := rand.New(rand.NewPCG(5, 5))
	for i := range outcomes {
		outcomes[i] = Outcome{
			OfferID: fmt.Sprint("o", rng.IntN(30)), CategoryID: "c", ChannelID: fmt.Sprint("h", rng.IntN(5)), At: day,
			Positive: rng.IntN(2) == 0, Weight: 1, Score: rng.Float64(), Scored: true,
		}
	}
	var states []string
	for range 3 { // in any order: without a half-life all sums are exact
		s := New(DefaultConfig())
		for _, o := range outcomes {
			s.Observe(&o)
		}
		states = append(states, string(s.AppendState(nil)))
		rng.Shuffle(len(outcomes), func(i, j int) { outcomes[i], outcomes[j] = outcomes[j], outcomes[i] })
	}
	if states[0] != states[1] || states[0] != states[2] {
		t.Error("the same outcomes in another order give other bytes")
	}
}

func TestStateRoundTrip(t *testing.T) {
	s := market(8)
	for _, r := range []Request{
		{Action: ActionPause, Scope: ScopeOffer, ScopeID: "b"}, {ActionReset, ScopeOffer, "c", Zero},
		{Action: ActionPause, Scope: ScopeGlobal},
	} {
		if _, err := s.Apply(r, 2*day, false); err != nil {
			t.Fatal(err)
		}
	}
	state := string(s.AppendState(nil))
	loaded, err := Load(s.Config(), state)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(loaded.AppendState(nil)); got != state {
		t.Error("a loaded state encodes to other bytes")
	}
	for _, scope := range []Scope{ScopeOffer, ScopeCategory, ScopeChannel, ScopeGlobal} {
		got, want := fmt.Sprintf("%+v", withoutMeans(loaded.Publish().Rows(scope, 0))), fmt.Sprintf("%+v", withoutMeans(s.Publish().Rows(scope, 0)))
		if got != want {
			t.Errorf("%s rows %s, want %s", scope, got, want)
		}
	}
	for i := range len(state) {
		if _, err := Load(s.Config(), state[:i]); err == nil {
			t.Errorf("the first %d of %d bytes load", i, len(state))
		}
	}
}

// withoutMeans drops the addresses of mean scores.
func withoutMeans(rows []Row) []Row {
	for i := range rows {
		rows[i].MeanScore = nil
	}
	return rows
}

func FuzzLoad(f *testing.F) {
	f.Add(string(New(DefaultConfig()).AppendState(nil)))
	f.Add(string(market(8).AppendState(nil)))
	f.Fuzz(func(t *testing.T, state string) {
		s, err := Load(DefaultConfig(), state)
		if err != nil {
			return
		}
		once := string(s.AppendState(nil))
		again, err := Load(DefaultConfig(), once)
		if err != nil {
			t.Fatalf("what was loaded does not load again: %v", err)
		}
		if string(again.AppendState(nil)) != once {
			t.Fatal("the second encoding differs from the first")
		}
		again.Configure(Config{Blend, 10, 1, 10})
		again.Observe(&Outcome{OfferID: "a", CategoryID: "b", ChannelID: "c", At: day, Weight: 1, Score: 0.5, Scored: true})
		if got := again.Publish().Score(&Query{OfferID: "a", Score: 0.5, Scored: true, At: 2 * day}).Score; !(got >= 0 && got <= 1) {
			t.Fatalf("score %v", got)
		}
	})
}

func TestConcurrentReaders(t *testing.T) {
	for _, mode := range []Mode{Ladder, Blend} {
		s := New(config(func(c *Config) { c.Mode, c.HalfLifeDays = mode, 3 }))
		v, done := s.Publish(), make(chan struct{})
		var readers sync.WaitGroup
		for range 2 {
			readers.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-done:
						return
					default:
					}
					q := Query{OfferID: fmt.Sprint("o", i%20), Score: 0.25, Scored: true, At: int64(i) * day / 100}
					if got := v.Score(&q).Score; !(got > 0 && got < 1) {
						t.Errorf("score %v", got)
						return
					}
					for _, row := range v.Rows(ScopeOffer, 0) {
						if row.MeanScore != nil && *row.MeanScore != 0.25 { // half an update would show here
							t.Errorf("mean score %v, want 0.25", *row.MeanScore)
							return
						}
					}
				}
			})
		}
		for i := range 5000 {
			s.Observe(&Outcome{OfferID: fmt.Sprint("o", i%20), CategoryID: fmt.Sprint("c", i%4), At: int64(1+i) * day / 1000, Positive: i%3 == 0, Weight: 1, Score: 0.25, Scored: true})
			if i%50 == 0 {
				s.Publish()
			}
			if i%1000 == 500 {
				if _, err := s.Apply(Request{ActionReset, ScopeCategory, "c1", GlobalPrior}, int64(i)*day/1000, false); err != nil {
					t.Fatal(err)
				}
			}
		}
		close(done)
		readers.Wait()
	}
}

func TestNoAllocations(t *testing.T) {
	for _, mode := range []Mode{Off, Ladder, Blend} {
		s := New(config(func(c *Config) { c.Mode, c.HalfLifeDays = mode, 3 }))
		feed(s, "a", "cards", 5, 20, 0.25)
		v, q := s.Publish(), Query{OfferID: "a", Score: 0.25, Scored: true, At: 9 * day}
		if n := testing.AllocsPerRun(100, func() { v.Score(&q) }); n != 0 {
			t.Errorf("%s: %g allocations a score, want 0", mode, n)
		}
		o := Outcome{OfferID: "a", CategoryID: "cards", ChannelID: "web", At: day, Weight: 1}
		if n := testing.AllocsPerRun(100, func() { s.Observe(&o) }); n != 0 {
			t.Errorf("%s: %g allocations an outcome, want 0", mode, n)
		}
	}
}

func BenchmarkScore(b *testing.B) {
	for _, mode := range []Mode{Off, Ladder, Blend} {
		for _, half := range []float64{0, 30} {
			b.Run(fmt.Sprintf("mode=%s/halfLife=%g", mode, half), func(b *testing.B) {
				s := New(config(func(c *Config) { c.Mode, c.HalfLifeDays = mode, half }))
				for i := range 1000 {
					feed(s, fmt.Sprint("offer-", i), "cards", 5, 20, 0.25)
				}
				v, q := s.Publish(), Query{OfferID: "offer-77", Score: 0.25, Scored: true, At: 9 * day}
				b.ReportAllocs()
				for b.Loop() {
					v.Score(&q)
				}
			})
		}
	}
}

func BenchmarkObserve(b *testing.B) {
	s := New(config(func(c *Config) { c.HalfLifeDays = 30 }))
	o := Outcome{OfferID: "a", CategoryID: "cards", ChannelID: "web", At: day, Weight: 1, Score: 0.25, Scored: true}
	b.ReportAllocs()
	for b.Loop() {
		o.At++
		s.Observe(&o)
	}
}
