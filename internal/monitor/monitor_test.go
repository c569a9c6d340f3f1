package monitor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

const dayMs = decision.Time(millisecondsADay)

// noon is a time to count days from.
const noon = 20_000*dayMs + dayMs/2

func TestBinsCoverTheScores(t *testing.T) {
	for bin := range Bins {
		low, high := binEdge(bin), binEdge(bin+1)
		if low >= high {
			t.Fatalf("bin %d is [%v, %v)", bin, low, high)
		}
		if got := BinOf((low + high) / 2); got != bin {
			t.Errorf("BinOf(%v) = %d, want %d", (low+high)/2, got, bin)
		}
	}
	for score, want := range map[float64]int{-1: 0, 0: 0, math.Inf(-1): 0, 0.5: halfBins - 1, 1: Bins - 1, 2: Bins - 1, math.Inf(1): Bins - 1} {
		if got := BinOf(score); got != want {
			t.Errorf("BinOf(%v) = %d, want %d", score, got, want)
		}
	}
	if got := BinOf(math.NaN()); got != 0 {
		t.Errorf("BinOf(NaN) = %d, want 0", got)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 10_000 {
		a, b := rng.Float64(), rng.Float64()
		if a < b && BinOf(a) > BinOf(b) {
			t.Fatalf("BinOf(%v) = %d > BinOf(%v) = %d", a, BinOf(a), b, BinOf(b))
		}
	}
}

// The AUC of the bins is within half the share of pairs in one bin of that of the
// scores, also for a model of rare events; the log-loss is that of the scores.
func TestJoinedFiguresAgainstRows(t *testing.T) {
	for _, scale := range []float64{1, 0.02} {
		rng := rand.New(rand.NewPCG(2, 2))
		r := NewRecorder(1<<16, DefaultWindow)
		track := r.Track("t", "m")
		var rows []learn.Scored
		for i := range 20_000 {
			score := scale * rng.Float64()
			o := decision.Outcome{CustomerID: fmt.Sprint(i), OfferID: "o", At: int64(noon) + 1000}
			track.Serve(track.Subject("", o.CustomerID), noon, "o", score, 0)
			positive := rng.Float64() < score
			if !r.Join("t", &o, func(string) (bool, bool) { return positive, true }) {
				t.Fatalf("outcome %d was not joined", i)
			}
			rows = append(rows, learn.Scored{Score: score, Positive: positive})
		}
		b := NewBook()
		for _, d := range r.Take(noon) {
			if err := b.Add(&d, noon); err != nil {
				t.Fatal(err)
			}
		}
		got := b.Life("t", "m").Report("m", 7, nil, noon).Total
		want := learn.Measure(rows, "")
		if math.Abs(*got.AUC-want.AUC) > 0.003 || math.Abs(*got.LogLoss-want.LogLoss) > 1e-6 {
			t.Errorf("scale %v: AUC %v, log-loss %v, want %v, %v", scale, *got.AUC, *got.LogLoss, want.AUC, want.LogLoss)
		}
		if got.Served != 20_000 || got.Joined != 20_000 || got.Responses != 20_000 {
			t.Errorf("scale %v: served %d, joined %d, responses %d, want 20000 of each", scale, got.Served, got.Joined, got.Responses)
		}
		for _, c := range got.Calibration {
			// 5 standard errors, and half the width of a bin.
			if e := 5*math.Sqrt(c.MeanScore*(1-c.MeanScore)/float64(c.Samples)) + c.MeanScore/16; math.Abs(c.Rate-c.MeanScore) > e {
				t.Errorf("scale %v: calibration %+v, want the rate within %v of the score", scale, c, e)
			}
		}
		if n := len(got.Calibration); n < 8 || n > 10 {
			t.Errorf("scale %v: %d ranges of calibration, want about 10", scale, n)
		}
	}
}

func TestAUCByHand(t *testing.T) {
	var p, n Histogram
	if _, ok := AUC(&p, &n); ok {
		t.Error("an AUC of nothing is known")
	}
	p.Add(10, 2)
	p.Add(5, 1)
	n.Add(5, 2)
	n.Add(1, 1)
	n.Add(20, 1)
	// The two at 10 are above three of four, the one at 5 above one and beside two.
	if got, _ := AUC(&p, &n); got != (2*3+1+1)/12.0 {
		t.Errorf("AUC = %v, want %v", got, 8/12.0)
	}
}

func TestPSIOfShifts(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	sample := func(shift float64) *Histogram {
		h := &Histogram{}
		for range 5000 {
			h.Add(BinOf(learn.Sigmoid(rng.NormFloat64()+shift)), 1)
		}
		return h
	}
	reference := sample(0)
	if n := len(groups(reference, psiGroups)); n != psiGroups-1 {
		t.Errorf("%d inner edges, want 9", n)
	}
	// Of two normal distributions of one variance the divergence is the squared
	// shift; groups can only lose of it.
	for _, c := range []struct{ shift, low, high float64 }{{0, 0, 0.02}, {0.5, 0.18, 0.27}, {1, 0.75, 1.1}} {
		got, ok := PSI(reference, sample(c.shift))
		if !ok || got < c.low || got > c.high {
			t.Errorf("shift %v: PSI = %v, %v, want %v to %v", c.shift, got, ok, c.low, c.high)
		}
	}
	if _, ok := PSI(reference, &Histogram{}); ok {
		t.Error("a PSI of nothing is known")
	}
}

func yes(string) (positive, ok bool) { return true, true }

func TestJoin(t *testing.T) {
	const at = int64(noon)
	type served struct {
		model, decision, customer, offer string
		at                               int64
	}
	cases := []struct {
		name   string
		served []served
		o      decision.Outcome
		want   string // the model, "" for none
	}{
		{"customer and offer", []served{{"a", "", "c", "o", at}}, decision.Outcome{CustomerID: "c", OfferID: "o", At: at + 5000}, "a"},
		{"another offer", []served{{"a", "", "c", "o", at}}, decision.Outcome{CustomerID: "c", OfferID: "p", At: at}, ""},
		{"another customer", []served{{"a", "", "c", "o", at}}, decision.Outcome{CustomerID: "d", OfferID: "o", At: at}, ""},
		{"the newest model", []served{{"a", "", "c", "o", at}, {"b", "", "c", "o", at + 9000}}, decision.Outcome{CustomerID: "c", OfferID: "o", At: at + 10000}, "b"},
		{"the named model", []served{{"a", "", "c", "o", at}, {"b", "", "c", "o", at + 9000}}, decision.Outcome{CustomerID: "c", OfferID: "o", ModelID: "a", At: at + 10000}, "a"},
		{"a model that did not serve", []served{{"a", "", "c", "o", at}}, decision.Outcome{CustomerID: "c", OfferID: "o", ModelID: "b", At: at}, ""},
		{"after the window", []served{{"a", "", "c", "o", at}}, decision.Outcome{CustomerID: "c", OfferID: "o", At: at + millisecondsADay + 2000}, ""},
		{"before it was served", []served{{"a", "", "c", "o", at}}, decision.Outcome{CustomerID: "c", OfferID: "o", At: at - 3_600_000}, ""},
		{"by a clock that is behind", []served{{"a", "", "c", "o", at}}, decision.Outcome{CustomerID: "c", OfferID: "o", At: at - 30_000}, "a"},
		{"decision", []served{{"a", "d", "c", "o", at}}, decision.Outcome{CustomerID: "x", DecisionID: "d", OfferID: "o", At: at}, "a"},
		{"decision without an offer", []served{{"a", "d", "c", "", at}}, decision.Outcome{CustomerID: "x", DecisionID: "d", OfferID: "o", At: at}, "a"},
		{"unknown decision", []served{{"a", "", "c", "o", at}}, decision.Outcome{CustomerID: "c", DecisionID: "d", OfferID: "o", At: at}, "a"},
		{"no offer, model named", []served{{"a", "", "c", "", at}}, decision.Outcome{CustomerID: "c", OfferID: "o", ModelID: "a", At: at}, "a"},
		{"no offer, model not named", []served{{"a", "", "c", "", at}}, decision.Outcome{CustomerID: "c", OfferID: "o", At: at}, ""},
		{"no offer on either side", []served{{"a", "", "c", "", at}}, decision.Outcome{CustomerID: "c", At: at}, "a"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := NewRecorder(64, DefaultWindow)
			r.Track("t", "b")
			for _, s := range c.served {
				track := r.Track("t", s.model)
				track.Serve(track.Subject(s.decision, s.customer), decision.Time(s.at), s.offer, 0.25, 0)
			}
			if other := c.o; r.Join("other", &other, yes) {
				t.Error("another tenant's outcome was joined")
			}
			got := ""
			if r.Join("t", &c.o, yes) {
				for key := range r.pending {
					got = key.track.Model
				}
			}
			if got != c.want {
				t.Errorf("joined %q, want %q", got, c.want)
			}
		})
	}
}

// A table that is too small keeps a sample of the customers, each whole, and
// scales the counts; when the load goes, the sample grows again.
func TestSampling(t *testing.T) {
	r := NewRecorder(1<<14, DefaultWindow)
	track := r.Track("t", "m")
	const customers, offers = 50_000, 4
	for i := range customers {
		s := track.Subject("", fmt.Sprint(i))
		for k := range offers {
			track.Serve(s, noon, fmt.Sprint(k), 0.5, k)
		}
	}
	level := r.table.level.Load()
	if level < 4 || level > 6 { // 200 000 scores for 16 384 places
		t.Fatalf("level %d, want 4 to 6", level)
	}
	kept, scores := 0, 0
	for i := range customers {
		found := 0
		for k := range offers {
			o := decision.Outcome{CustomerID: fmt.Sprint(i), OfferID: fmt.Sprint(k), At: int64(noon)}
			if r.Join("t", &o, yes) {
				found++
			}
		}
		if found > 0 {
			kept++
			scores += found
		}
	}
	// What was displaced before the sample was small enough is missing.
	if share := float64(scores) / float64(kept*offers); share < 0.8 {
		t.Errorf("of the customers in the sample %v of the scores were kept, want nearly all", share)
	}
	d := r.Take(noon)
	if len(d) != 1 || float64(d[0].Responses) < 0.7*customers*offers || float64(d[0].Responses) > 1.1*customers*offers {
		t.Errorf("Take() = %+v, want about %d responses", d, customers*offers)
	}
	for range sampleBits {
		r.Take(noon + 2*dayMs)
	}
	if got := r.Stats().SampleShare; got != 1 {
		t.Errorf("the sample's share is %v after the window, want 1", got)
	}
}

// Customers who come again and again fill no table that has room for them.
func TestNoSamplingWithoutNeed(t *testing.T) {
	r := NewRecorder(1<<14, DefaultWindow)
	track := r.Track("t", "m")
	for range 50 {
		for i := range 512 { // a quarter of the places
			s := track.Subject("", fmt.Sprint(i))
			for k := range MaxRanks {
				track.Serve(s, noon, fmt.Sprint(k), 0.5, k)
			}
		}
	}
	if got := r.Stats().SampleShare; got != 1 {
		t.Errorf("the sample's share is %v, want 1", got)
	}
}

func TestTornPlacesAreNobodys(t *testing.T) {
	tab := newTable(64, DefaultWindow)
	subject := tab.subject(kindCustomer, 1, "c")
	tab.put(subject, "o", 3, noon, 0.5)
	b := &tab.buckets[tab.bucket(subject, tab.key(subject, "o"))]
	for i := range b {
		if b[i].word.Load() != 0 {
			b[i].word.Add(1 << 30) // as if another writer's word were beside this key
		}
	}
	if _, ok := tab.find(subject, "o", -1, int64(noon)); ok {
		t.Error("a torn place was found")
	}
}

func TestServeAllocs(t *testing.T) {
	r := NewRecorder(1<<10, DefaultWindow)
	track := r.Track("t", "m")
	track.Serve(Subject{}, noon, "", 0.5, 0)
	if n := testing.AllocsPerRun(1000, func() {
		s := track.Subject("", "customer-1")
		track.Serve(s, noon, "offer-1", 0.25, 0)
		track.Serve(s, noon, "offer-2", 0.75, 1)
	}); n != 0 {
		t.Errorf("Serve: %v allocations, want 0", n)
	}
	var none *Track
	none.Serve(none.Subject("d", "c"), noon, "o", 0.5, 0)
}

func TestForget(t *testing.T) {
	r := NewRecorder(64, DefaultWindow)
	track := r.Track("t", "m")
	o := decision.Outcome{CustomerID: "c", OfferID: "o", At: int64(noon)}
	track.Serve(track.Subject("", "c"), noon, "o", 0.5, 0)
	r.Join("t", &o, yes)
	r.Forget("m")
	if r.Join("t", &o, yes) {
		t.Error("an outcome was joined to a model that is gone")
	}
	if d := r.Take(noon); len(d) != 0 {
		t.Errorf("Take() = %+v, want nothing", d)
	}
}

// filled is a book with a bit of everything.
func filled() *Book {
	b := NewBook()
	rng := rand.New(rand.NewPCG(4, 4))
	for day := range 10 {
		now := noon + decision.Time(day)*dayMs
		for _, model := range []string{"a", "b"} {
			d := Delta{
				Tenant: "t", Model: model, Day: int32(DateOf(now)), LogLoss: rng.Float64(), Responses: 3, ResponsePositives: 1,
				Arms: []ArmCount{{"", 1, 0}, {"o1", uint64(day), 2}, {"o2", 0, 0}},
			}
			for bin := range Bins / 2 {
				d.Scores = append(d.Scores, [2]uint32{uint32(bin * 2), uint32(rng.IntN(30))})
				d.Positives = append(d.Positives, [2]uint32{uint32(bin*2 + 1), uint32(rng.IntN(3))})
				d.Negatives = append(d.Negatives, [2]uint32{uint32(bin), uint32(rng.IntN(3))})
			}
			_ = b.Add(&d, now)
			b.Respond("t", model, now, now, day%2 == 0)
		}
	}
	b.Drifted("t", "a", []Drift{{Field: "age", PSI: 0.5}, {Field: "tags", Member: "x", PSI: 0.1}}, noon+9*dayMs)
	for i, model := range []string{"a", "b", "a"} {
		b.Open("t", fmt.Sprint("x", i), Alert{ModelID: model, Rule: rule(Rules[i].Name), Field: "f", Since: noon, Value: 0.5, Message: "m"}, noon+9*dayMs)
	}
	b.Close("t", "a", "x0", ReasonIdle, noon+9*dayMs+1)
	b.Reset("t", "a", `offer "o1"`, noon+9*dayMs)
	return b
}

func TestBookReadsWhatItWrote(t *testing.T) {
	b := filled()
	want := b.Capture().Append(nil)
	c, err := Read(string(want))
	if err != nil {
		t.Fatalf("Read() = %v", err)
	}
	again := NewBook()
	again.Replace(c)
	if got := again.Capture().Append(nil); string(got) != string(want) {
		t.Error("what was read is not what was written")
	}
	at := noon + 9*dayMs
	if got, want := again.Life("t", "a").Report("a", 35, nil, at), b.Life("t", "a").Report("a", 35, nil, at); !reflect.DeepEqual(got, want) {
		t.Errorf("Report() = %+v, want %+v", got, want)
	}
	for i := range want {
		if _, err := Read(string(want[:i])); err == nil {
			t.Fatalf("%d of %d bytes were read without an error", i, len(want))
		}
	}
}

// What a reader has does not change, whatever the log does.
func TestCapturesStay(t *testing.T) {
	b := filled()
	c, l := b.Capture(), b.Life("t", "a")
	want, report := c.Append(nil), l.Report("a", 35, nil, noon+9*dayMs)
	b.Respond("t", "a", noon+9*dayMs, noon+9*dayMs, true)
	_ = b.Add(&Delta{Tenant: "t", Model: "a", Day: int32(DateOf(noon)), Scores: Counts{{3, 4}}}, noon+9*dayMs)
	_ = b.Add(&Delta{Tenant: "t", Model: "a", Day: int32(DateOf(noon) + 9), Arms: []ArmCount{{"o3", 1, 1}}}, noon+9*dayMs)
	b.Reset("t", "a", "x", noon+9*dayMs)
	b.Renew("t", "b", noon+9*dayMs)
	b.Open("t", "x2", Alert{ModelID: "b", Rule: rule(RuleAUC)}, noon+9*dayMs)
	b.Close("t", "b", "x1", ReasonGood, noon+9*dayMs)
	b.Drop("t", "a", noon+9*dayMs)
	if got := c.Append(nil); string(got) != string(want) {
		t.Error("a capture changed")
	}
	if got := l.Report("a", 35, nil, noon+9*dayMs); !reflect.DeepEqual(got, report) {
		t.Errorf("a life changed: %+v, want %+v", got, report)
	}
}

func TestDaysAreKeptAndForgotten(t *testing.T) {
	b := NewBook()
	for day := range 100 {
		now := noon + decision.Time(day)*dayMs
		b.Respond("t", "m", now, now, true)
	}
	now := noon + 99*dayMs
	b.Respond("t", "m", now-50*dayMs, now, true) // too long ago
	b.Respond("t", "m", now+3*dayMs, now, true)  // not to come yet
	b.Respond("t", "m", now-2*dayMs, now, true)
	l := b.Life("t", "m")
	if len(l.Days) != KeptDays || l.Days[KeptDays-3].Responses != 2 {
		t.Errorf("%d days are kept, want %d", len(l.Days), KeptDays)
	}
	b.DropTenant("t")
	if b.Life("t", "m") != nil {
		t.Error("a tenant that is gone has a life")
	}
}

func TestBadDeltas(t *testing.T) {
	for name, d := range map[string]Delta{
		"bin": {Scores: Counts{{Bins, 1}}}, "not a number": {LogLoss: math.NaN()}, "negative loss": {LogLoss: -1},
		"more positives": {Responses: 1, ResponsePositives: 2},
	} {
		if err := NewBook().Add(&d, noon); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(string(filled().Capture().Append(nil)))
	f.Add("\x01\x00")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := Read(s)
		if err != nil {
			return
		}
		for _, models := range c.lives {
			for id, l := range models {
				l.Report(id, 35, l.Alerts(id, noon), noon)
			}
		}
		if _, err := Read(string(c.Append(nil))); err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
	})
}

// BenchmarkServe has the cost of a request: with the scores of all customers kept,
// and with so many that only a sample is.
func BenchmarkServe(b *testing.B) {
	ids := make([]string, 1<<18)
	for i := range ids {
		ids[i] = fmt.Sprintf("customer-%d", i)
	}
	offers := make([]string, 20)
	for i := range offers {
		offers[i] = fmt.Sprintf("offer-%d", i)
	}
	for _, customers := range []int{1 << 12, 1 << 18} {
		for _, n := range []int{1, 20} {
			b.Run(fmt.Sprintf("customers=%d/offers=%d", customers, n), func(b *testing.B) {
				r := NewRecorder(DefaultScores, DefaultWindow)
				track := r.Track("t", "m")
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					track.ServeRanking(track.Subject("", ids[i%customers]), noon, n, func(rank int) (string, float64) {
						return offers[rank], float64(i%1000) / 1000
					})
				}
			})
		}
	}
}

// BenchmarkJoin has the cost of an outcome on a node that served nothing of it, and
// on the one that served it.
func BenchmarkJoin(b *testing.B) {
	const customers = 1 << 14
	ids := make([]string, customers)
	r := NewRecorder(DefaultScores, DefaultWindow)
	track := r.Track("t", "m")
	for i := range ids {
		ids[i] = fmt.Sprintf("customer-%d", i)
		track.Serve(track.Subject("", ids[i]), noon, "o", 0.5, 0)
	}
	for name, offer := range map[string]string{"no": "p", "yes": "o"} {
		b.Run("served="+name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				o := decision.Outcome{CustomerID: ids[i%customers], OfferID: offer, At: int64(noon)}
				r.Join("t", &o, yes)
			}
		})
	}
}
