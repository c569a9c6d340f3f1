package neuralcf

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// small is a state whose scores are worked out by hand: dim 1, hidden 2.
const small = `{"dim":1,"hidden":2,"users":{"ann":[1],"bob":[-2]},"items":{"car":[0.5],"fee":[-1],"sun":[2]},
	"w1":[[1,2],[-1,1]],"b1":[0.25,0],"w2":[1,-0.5],"b2":-0.5}`

func mustNew(t testing.TB, state string) learn.Learner {
	l, err := New(learn.Spec{}, json.RawMessage(state))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func score(v learn.View, customer, offer string) float64 {
	var res learn.Result
	v.Score(&learn.Request{CustomerID: customer, OfferID: offer, Explain: true}, &res)
	return res.Score
}

func TestScoreByTheFormula(t *testing.T) {
	v := mustNew(t, small).Publish()
	relu := func(x float64) float64 { return max(x, 0) }
	want := func(u, i float64) float64 {
		z := -0.5 + relu(0.25+u+2*i) - 0.5*relu(-u+i)
		return 1 / (1 + math.Exp(-z))
	}
	cases := []struct {
		customer, offer string
		u, i            float64
	}{
		{"ann", "car", 1, 0.5}, {"ann", "fee", 1, -1}, {"ann", "sun", 1, 2}, {"bob", "car", -2, 0.5}, {"bob", "sun", -2, 2},
		{"nobody", "car", -0.5, 0.5}, {"", "fee", -0.5, -1}, {"ann", "", 1, 0.5}, {"ann", "new", 1, 0.5}, {"nobody", "new", -0.5, 0.5},
	}
	for _, c := range cases {
		if got, want := score(v, c.customer, c.offer), want(c.u, c.i); math.Abs(got-want) > 1e-15 {
			t.Errorf("score of %q, %q = %v, want %v", c.customer, c.offer, got, want)
		}
	}
}

func TestColdAndObserve(t *testing.T) {
	l, err := New(learn.Spec{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := score(l.Publish(), "ann", "car"); got != 0.5 {
		t.Errorf("cold score = %v, want 0.5", got)
	}
	l = mustNew(t, small)
	before := l.Publish()
	l.Observe(&learn.Example{CustomerID: "ann", OfferID: "car", Positive: true, Weight: 1})
	if l.Publish() != before {
		t.Error("an outcome changed a model that learns by training alone")
	}
}

func TestScoreStaysANumber(t *testing.T) {
	big := `{"dim":1,"hidden":1,"users":{"a":[3e38]},"items":{"b":[-3e38],"c":[3e38]},"w1":[[3e38,3e38]],"b1":[0],"w2":[-3e38],"b2":0}`
	v := mustNew(t, big).Publish()
	if got := score(v, "a", "b"); got != 0.5 {
		t.Errorf("score = %v, want 0.5: the halves cancel", got)
	}
	if got := score(v, "a", "c"); got != 0 {
		t.Errorf("score = %v, want 0", got)
	}
}

func TestValidationNamesThePath(t *testing.T) {
	cases := []struct{ config, state, path string }{
		{`{"embeddingDim":0}`, "", "config.embeddingDim"},
		{`{"embeddingDim":257}`, "", "config.embeddingDim"},
		{`{"hiddenUnits":1.5}`, "", "config.hiddenUnits"},
		{`{"learningRate":0}`, "", "config.learningRate"},
		{`{"epochs":"many"}`, "", "config.epochs"},
		{`{"batchSize":0}`, "", "config.batchSize"},
		{`{"l2":-1}`, "", "config.l2"},
		{`{"maxCustomers":2000000}`, "", "config.maxCustomers"},
		{`{"seed":-1}`, "", "config.seed"},
		{"", `[]`, "modelState"},
		{"", `{"dim":300}`, "modelState.dim"},
		{"", `{"dim":1,"hidden":1,"b1":[0],"w2":[0]}`, "modelState.w1"},
		{"", `{"dim":1,"hidden":1,"w1":[[1]],"b1":[0],"w2":[0]}`, "modelState.w1[0]"},
		{"", `{"dim":1,"hidden":1,"w1":[[1,null]],"b1":[0],"w2":[0]}`, "modelState.w1[0]"},
		{"", `{"dim":1,"hidden":1,"w1":[[1,2]],"b1":[1e39],"w2":[0]}`, "modelState.b1"},
		{"", `{"dim":1,"hidden":1,"w1":[[1,2]],"b1":[0],"w2":[0,0]}`, "modelState.w2"},
		{"", `{"b2":"0"}`, "modelState.b2"},
		{"", `{"dim":2,"users":{"ann":[1]}}`, "modelState.users.ann"},
		{"", `{"dim":1,"items":{"car":["x"]}}`, "modelState.items.car"},
		{"", `{"items":[]}`, "modelState.items"},
	}
	for _, c := range cases {
		_, err := New(learn.Spec{Config: json.RawMessage(c.config)}, json.RawMessage(c.state))
		var e *decision.Error
		if !errors.As(err, &e) || e.Kind != decision.KindBadRequest || len(e.Details) != 1 || e.Details[0].Path != c.path {
			t.Errorf("New(%s, %s) = %v, want one problem at %s", c.config, c.state, err, c.path)
		}
	}
}

func TestStateRoundTrips(t *testing.T) {
	for _, state := range []string{`{}`, small} {
		l := mustNew(t, state)
		binary := l.AppendState(nil)
		loaded, err := Load(learn.Spec{}, string(binary))
		if err != nil {
			t.Fatal(err)
		}
		if got := loaded.AppendState(nil); !slices.Equal(got, binary) {
			t.Errorf("binary state changed:\n%q\n%q", got, binary)
		}
		raw, err := loaded.StateJSON()
		if err != nil {
			t.Fatal(err)
		}
		if got := mustNew(t, string(raw)).AppendState(nil); !slices.Equal(got, binary) {
			t.Errorf("state changed over JSON %s:\n%q\n%q", raw, got, binary)
		}
	}
	raw, err := mustNew(t, small).StateJSON()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer("\n", "", "\t", "").Replace(small)
	if string(raw) != want {
		t.Errorf("StateJSON() = %s\nwant %s", raw, want)
	}
}

func TestLoadRefusesDamage(t *testing.T) {
	good := mustNew(t, small).AppendState(nil)
	if _, err := Load(learn.Spec{}, string(good[:len(good)-1])); err == nil {
		t.Error("a truncated state was loaded")
	}
	if _, err := Load(learn.Spec{}, string(append(slices.Clone(good), 0))); err == nil {
		t.Error("a state with a byte too many was loaded")
	}
	swapped := strings.Replace(string(good), "\x03ann", "\x03zoe", 1)
	if _, err := Load(learn.Spec{}, swapped); err == nil {
		t.Error("a state with ids out of order was loaded")
	}
	nan := slices.Clone(good)
	copy(nan[len(nan)-4:], []byte{0, 0, 0xc0, 0x7f})
	if _, err := Load(learn.Spec{}, string(nan)); err == nil {
		t.Error("a state with NaN was loaded")
	}
}

func TestScoreDoesNotAllocate(t *testing.T) {
	v := mustNew(t, small).Publish()
	req, res := learn.Request{CustomerID: "ann", OfferID: "sun"}, learn.Result{}
	if n := testing.AllocsPerRun(100, func() { v.Score(&req, &res) }); n != 0 {
		t.Errorf("%v allocations per score, want 0", n)
	}
}

func TestCensusKeepsTheFrequent(t *testing.T) {
	c := newCensus(10)
	for i := range 1000 {
		c.add(fmt.Sprint("once-", i))
		c.add(fmt.Sprint("often-", i%5))
	}
	if len(c.seen) > 20 {
		t.Errorf("%d ids are counted, want at most 20", len(c.seen))
	}
	c.close(1<<20, 1)
	want := []string{"often-0", "often-1", "often-2", "often-3", "often-4", "once-995", "once-996", "once-997", "once-998", "once-999"}
	slices.Sort(want)
	if got := c.ids(); !slices.Equal(got, want) {
		t.Errorf("ids() = %v, want %v", got, want)
	}
	if got := c.place("often-0"); got != 0 {
		t.Errorf("place(often-0) = %d, want 0", got)
	}
	if got := c.place("once-0"); got != 10 {
		t.Errorf("place of an unknown id = %d, want 10, after all others", got)
	}
	// Of equal rows those seen last are kept, as many as the bytes are enough for.
	c.close(3*stateSize("often-0", 1), 1)
	if got, want := c.ids(), []string{"often-2", "often-3", "often-4"}; !slices.Equal(got, want) {
		t.Errorf("ids() = %v, want %v", got, want)
	}
}

func FuzzLoad(f *testing.F) {
	for _, state := range []string{`{}`, small} {
		f.Add(string(mustNew(f, state).AppendState(nil)))
	}
	f.Fuzz(func(t *testing.T, state string) {
		l, err := Load(learn.Spec{}, state)
		if err != nil {
			return
		}
		again, err := Load(learn.Spec{}, string(l.AppendState(nil)))
		if err != nil {
			t.Fatalf("its own state does not load: %v", err)
		}
		if !slices.Equal(again.AppendState(nil), l.AppendState(nil)) {
			t.Fatal("the state is not canonical")
		}
		if got := score(l.Publish(), "ann", "car"); !(got >= 0 && got <= 1) {
			t.Fatalf("score = %v, want 0 to 1", got)
		}
	})
}

func FuzzNew(f *testing.F) {
	f.Add([]byte(`{"l2":0.1}`), []byte(small))
	f.Add([]byte(`null`), []byte(`{"dim":1,"users":{"":[-0]},"b2":1e-50}`))
	f.Fuzz(func(t *testing.T, config, state []byte) {
		l, err := New(learn.Spec{Config: config}, state)
		if err != nil {
			return
		}
		raw, err := l.StateJSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := New(learn.Spec{Config: config}, raw)
		if err != nil {
			t.Fatalf("its own state is refused: %v", err)
		}
		if !slices.Equal(again.AppendState(nil), l.AppendState(nil)) {
			t.Fatalf("the state changed over JSON: %s", raw)
		}
	})
}
