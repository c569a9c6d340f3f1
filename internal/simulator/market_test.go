package simulator

import (
	"math"
	"reflect"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/praetor-engine/praetor/internal/learn"
)

func newMarket(t *testing.T, seed uint64) *Market {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Seed = seed
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestValidate(t *testing.T) {
	if _, err := New(Config{Seed: 1}); err == nil {
		t.Fatal("a market without customers was made, want an error")
	}
}

func TestDeterminism(t *testing.T) {
	a, b, other := newMarket(t, 7), newMarket(t, 7), newMarket(t, 8)
	same := 0
	for i := 499; i >= 0; i-- { // b is asked in another order than a
		b.Visitor(Play, i)
	}
	for i := range 500 {
		va, vb := a.Visitor(Play, i), b.Visitor(Play, i)
		if !reflect.DeepEqual(va, vb) {
			t.Fatalf("visitor %d: got %+v and %+v from one seed", i, va, vb)
		}
		for j := range offers {
			o := &offers[j]
			if got, want := a.Accepts(&va, o), b.Accepts(&vb, o); got != want {
				t.Fatalf("visitor %d, offer %s: got %v and %v from one seed", i, o.ID, got, want)
			}
		}
		if got, want := a.RandomOffer(&va), b.RandomOffer(&vb); got != want {
			t.Fatalf("visitor %d: random offers %s and %s from one seed", i, got.ID, want.ID)
		}
		if vo := other.Visitor(Play, i); vo.Customer.Index == va.Customer.Index {
			same++
		}
	}
	if same > 5 {
		t.Errorf("%d of 500 visitors are the same customer under another seed", same)
	}
}

func TestStreamsDiffer(t *testing.T) {
	m := newMarket(t, 1)
	same := 0
	for i := range 500 {
		play, test := m.Visitor(Play, i), m.Visitor(Test, i)
		if play.Customer.Index == test.Customer.Index {
			same++
		}
	}
	if same > 5 {
		t.Errorf("%d of 500 visitors are the same in both streams", same)
	}
}

// near checks a mean of n draws against its expectation with four standard
// errors of room.
func near(t *testing.T, what string, got, want, deviation float64, n int) {
	t.Helper()
	if room := 4 * deviation / math.Sqrt(float64(n)); math.Abs(got-want) > room {
		t.Errorf("%s: got %.4f, want %.4f ± %.4f", what, got, want, room)
	}
}

func bernoulli(p float64) float64 { return math.Sqrt(p * (1 - p)) }

func TestCustomerMoments(t *testing.T) {
	m := newMarket(t, 3)
	const n = 20_000
	var age, score, noIncome, noScore, logIncome, north float64
	adults := 0
	for i := range n {
		c := m.Customer(i)
		age += c.Age
		score += c.CreditScore
		attributes := c.Attributes()
		if _, ok := attributes["income"]; !ok {
			noIncome++
		}
		if _, ok := attributes["credit_score"]; !ok {
			noScore++
		}
		if c.Region == "north" {
			north++
		}
		if c.Segment != Student {
			adults++
			logIncome += c.logIncome()
		}
		if c.CreditScore < 300 || c.CreditScore > 850 || c.Age < 18 || c.Age >= 85 || c.TenureMonths < 0 {
			t.Fatalf("customer %d is out of range: %+v", i, c)
		}
	}
	near(t, "age", age/n, 51.5-0.5, 67/math.Sqrt(12), n) // whole years lose half of one
	near(t, "income missing", noIncome/n, incomeMissing, bernoulli(incomeMissing), n)
	near(t, "credit score missing", noScore/n, creditMissing, bernoulli(creditMissing), n)
	near(t, "log income from 25 on", logIncome/float64(adults), 0, 1, adults)
	near(t, "north", north/n, 0.25, bernoulli(0.25), n)
	// The students' lower income takes 25·(0.45/0.55)·(7/67) points off 680.
	near(t, "credit score", score/n, 680-25*0.45/0.55*7/67, 79, n)
}

func TestChannelShares(t *testing.T) {
	m := newMarket(t, 3)
	const n = 20_000
	seen := map[string]int{}
	for i := range n {
		v := m.Visitor(Play, i)
		seen[v.Channel.ID]++
	}
	for _, c := range Channels() {
		near(t, c.ID, float64(seen[c.ID])/n, c.Share, bernoulli(c.Share), n)
	}
}

func TestProbabilityByHand(t *testing.T) {
	c := Customer{Age: 45, Income: medianIncome, CreditScore: 760, TenureMonths: 0, Segment: Affluent, Mortgage: true, Digital: true}
	tests := []struct {
		offer, channel int
		logit          float64
	}{
		{0, 0, -2.00 + 0.30 - 0.20 + 0.40 + 0.30},               // travel-card on the web
		{0, 1, -2.00 + 0.30 - 0.20 + 0.40 + 0.30 + 0.20 + 0.50}, // the app
		{6, 3, -2.60 + 0.30 - 0.20 - 0.80 + 1.20 + 0.50 - 0.30}, // home-loan at the branch
	}
	for _, tt := range tests {
		o, ch := &offers[tt.offer], &channels[tt.channel]
		if got, want := Probability(&c, o, ch), sigmoid(tt.logit); math.Abs(got-want) > 1e-12 {
			t.Errorf("%s at %s: got %v, want %v", o.ID, ch.ID, got, want)
		}
	}
}

func TestBestAndRegret(t *testing.T) {
	m := newMarket(t, 1)
	wins := map[string]int{}
	for i := range 2000 {
		v := m.Visitor(Play, i)
		best, p := v.Best()
		wins[best.ID]++
		if r := v.Regret(best); r != 0 {
			t.Fatalf("visitor %d: the best offer has regret %v, want 0", i, r)
		}
		for j := range offers {
			o := &offers[j]
			if q := v.Probability(o); q > p || q <= 0 || q >= 1 {
				t.Fatalf("visitor %d: %s has probability %v, the best %s has %v", i, o.ID, q, best.ID, p)
			}
			if r := v.Regret(o); r < 0 {
				t.Fatalf("visitor %d: %s has regret %v, want at least 0", i, o.ID, r)
			}
		}
	}
	if len(wins) < 6 {
		t.Errorf("only %d offers are best for anybody: %v", len(wins), wins)
	}
}

func TestBestFixedIsBetweenUniformAndBest(t *testing.T) {
	m := newMarket(t, 1)
	const n = 5000
	_, fixed := m.BestFixed(Play, n)
	var uniform, best float64
	for i := range n {
		v := m.Visitor(Play, i)
		_, p := v.Best()
		best += p
		for j := range offers {
			uniform += v.Probability(&offers[j]) / float64(len(offers))
		}
	}
	uniform, best = uniform/n, best/n
	if uniform+0.03 > fixed || fixed+0.05 > best {
		t.Errorf("got uniform %.3f, best fixed %.3f, best %.3f; want them well apart", uniform, fixed, best)
	}
	if uniform < 0.10 || uniform > 0.20 {
		t.Errorf("got a uniform acceptance of %.3f, want about one in seven", uniform)
	}
}

func TestOutcomesFollowTheTruth(t *testing.T) {
	m := newMarket(t, 5)
	const n = 20_000
	var accepted, want, variance float64
	for i := range n {
		v := m.Visitor(Play, i)
		o := m.RandomOffer(&v)
		p := v.Probability(o)
		want += p
		variance += p * (1 - p)
		if m.Accepts(&v, o) {
			accepted++
		}
	}
	near(t, "acceptance", accepted/n, want/n, math.Sqrt(variance/n), n)
}

func TestShuffledHoldsEveryOfferOnce(t *testing.T) {
	m := newMarket(t, 1)
	first := map[string]int{}
	for i := range 400 {
		v := m.Visitor(Play, i)
		seen := map[*Offer]bool{}
		shuffled := m.Shuffled(&v)
		for _, o := range shuffled {
			seen[o] = true
		}
		if len(seen) != len(offers) {
			t.Fatalf("visitor %d: %d different offers, want %d", i, len(seen), len(offers))
		}
		first[shuffled[0].ID]++
	}
	for _, o := range offers {
		near(t, o.ID+" first", float64(first[o.ID])/400, 1/float64(len(offers)), bernoulli(0.125), 400)
	}
}

// TestLogisticIsNotTheTruth fits a logistic regression on the main effects and
// holds it against the truth: it must learn something, and must fall short.
func TestLogisticIsNotTheTruth(t *testing.T) {
	m := newMarket(t, 1)
	const trainRows, testRows = 12_000, 12_000
	w := fitLogistic(m, trainRows)
	fitted, truth := make([]learn.Scored, testRows), make([]learn.Scored, testRows)
	for i := range testRows {
		v := m.Visitor(Test, i)
		o := m.RandomOffer(&v)
		accepted := m.Accepts(&v, o)
		z := 0.0
		for j, x := range mainEffects(&v, o) {
			z += w[j] * x
		}
		fitted[i], truth[i] = learn.Scored{Score: sigmoid(z), Positive: accepted}, learn.Scored{Score: v.Probability(o), Positive: accepted}
	}
	f, tr := learn.Measure(fitted, ""), learn.Measure(truth, "")
	t.Logf("main effects: AUC %.4f, log-loss %.4f; truth: AUC %.4f, log-loss %.4f", f.AUC, f.LogLoss, tr.AUC, tr.LogLoss)
	if f.AUC < 0.60 {
		t.Errorf("the logistic fit has AUC %.4f, want at least 0.60: there is nothing to learn", f.AUC)
	}
	if tr.AUC < f.AUC+0.02 || tr.LogLoss > f.LogLoss-0.005 {
		t.Errorf("the truth is not better than the logistic fit: AUC %.4f against %.4f, log-loss %.4f against %.4f",
			tr.AUC, f.AUC, tr.LogLoss, f.LogLoss)
	}
}

func mainEffects(v *Visitor, o *Offer) []float64 {
	c := &v.Customer
	income, score := c.logIncome(), c.credit()
	if c.incomeMissing {
		income = 0
	}
	if c.scoreMissing {
		score = 0
	}
	x := []float64{1, c.age(), income, score, c.tenure(), indicator(c.Mortgage), indicator(c.Digital)}
	for i := range offers[1:] {
		x = append(x, indicator(o == &offers[i+1]))
	}
	for i := range channels[1:] {
		x = append(x, indicator(v.Channel == &channels[i+1]))
	}
	for s := Family; s <= Retired; s++ {
		x = append(x, indicator(c.Segment == s))
	}
	return x
}

func indicator(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// fitLogistic runs Newton's method to convergence.
func fitLogistic(m *Market, rows int) []float64 {
	var xs [][]float64
	var ys []float64
	for i := range rows {
		v := m.Visitor(Play, i)
		o := m.RandomOffer(&v)
		xs = append(xs, mainEffects(&v, o))
		ys = append(ys, indicator(m.Accepts(&v, o)))
	}
	d := len(xs[0])
	w := make([]float64, d)
	for range 8 {
		gradient, hessian := mat.NewVecDense(d, nil), mat.NewSymDense(d, nil)
		for i := range d {
			hessian.SetSym(i, i, 1e-6)
		}
		for i, x := range xs {
			z := 0.0
			for j := range x {
				z += w[j] * x[j]
			}
			p := sigmoid(z)
			vx := mat.NewVecDense(d, x)
			gradient.AddScaledVec(gradient, ys[i]-p, vx)
			hessian.SymRankOne(hessian, p*(1-p), vx)
		}
		var step mat.VecDense
		if err := step.SolveVec(hessian, gradient); err != nil {
			panic(err)
		}
		for j := range w {
			w[j] += step.AtVec(j)
		}
	}
	return w
}

func BenchmarkVisitor(b *testing.B) {
	m, err := New(DefaultConfig())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		v := m.Visitor(Play, i)
		m.Accepts(&v, &offers[i%len(offers)])
		i++
	}
}
