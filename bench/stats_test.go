package bench

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestSummarize(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   Summary
	}{
		{nil, Summary{}},
		{[]float64{3}, Summary{3, 3, 3, 1}},
		{[]float64{9, 1, 5}, Summary{5, 1, 9, 3}},
		{[]float64{4, 1, 2, 9}, Summary{3, 1, 9, 4}},
	} {
		if got := Summarize(c.values); got != c.want {
			t.Errorf("Summarize(%v) = %+v, want %+v", c.values, got, c.want)
		}
	}
}

func TestRatiosAreOfTheSameRound(t *testing.T) {
	if got, want := ratios([]float64{2, 9, 5}, []float64{1, 3, 0}), []float64{2, 3}; !slices.Equal(got, want) {
		t.Errorf("ratios() = %v, want %v", got, want)
	}
}

func TestDescribe(t *testing.T) {
	m, err := Describe(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if m.CPU == "" || m.Cores < 1 || m.FsyncP50 <= 0 || m.FsyncP99 < m.FsyncP50 {
		t.Errorf("got %+v, want a CPU, cores and latencies in order", m)
	}
	if _, ok := cpuTime(os.Getpid()); !ok {
		t.Log("the system does not tell CPU times")
	}
}

// A row must be what the measurements say it is.
func TestWorkload(t *testing.T) {
	w, err := newWorkload()
	if err != nil {
		t.Fatal(err)
	}
	requests, err := w.bulk("k", 2)
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(requests[1]), "\r\n\r\n")
	var got bulkBody
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Outcomes) != BulkSize {
		t.Fatalf("got %d outcomes, want %d", len(got.Outcomes), BulkSize)
	}
	accepted := 0
	for _, o := range got.Outcomes {
		if len(o.Attributes) != attributes || o.CustomerID == "" || o.OfferID == "" || o.ChannelID == "" {
			t.Fatalf("got %+v, want %d attributes, a customer, an offer and a channel", o, attributes)
		}
		if o.Outcome == "accept" {
			accepted++
		}
	}
	if accepted == 0 || accepted == BulkSize {
		t.Errorf("got %d of %d accepted, want both classes", accepted, BulkSize)
	}
	again, err := newWorkload()
	if err != nil {
		t.Fatal(err)
	}
	if same, err := again.bulk("k", 2); err != nil || string(same[1]) != string(requests[1]) {
		t.Errorf("got other requests from the same seed, %v", err)
	}
}

func TestBulkUnits(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   int
		ok     bool
	}{
		{200, `{"processed":5,"succeeded":5,"failed":0,"duplicates":0,"errors":[]}`, 5, true},
		{200, `{"processed":5,"succeeded":4,"failed":1,"duplicates":0,"errors":[{}]}`, 0, false},
		{422, `{"processed":5,"succeeded":0,"failed":5}`, 0, false},
		{200, `{}`, 0, false},
	} {
		if got, err := bulkUnits(c.status, []byte(c.body)); got != c.want || (err == nil) != c.ok {
			t.Errorf("bulkUnits(%d, %s) = %d, %v, want %d, ok %v", c.status, c.body, got, err, c.want, c.ok)
		}
	}
}

func TestReportWrites(t *testing.T) {
	r := Report{
		Name: "test", Rows: []Row{{Variant: "a", Unit: "things", Rate: Summary{Median: 7, Min: 6, Max: 8, N: 3}}},
		Ratios: []Ratio{{Of: "a", To: "b", Ratio: Summary{Median: 0.5}, Target: 0.7}, {Of: "b", To: "a", Ratio: Summary{Median: 2}, Target: 0.7}},
		Open:   []Open{{Variant: "a", Rate: 100}}, Notes: []string{"a note"}, Faults: []string{"a fault"},
	}
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a (things)", "0.70 missed", "0.70 met", "a note", "BROKEN: a fault"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("got a report without %q:\n%s", want, b.String())
		}
	}
}

func TestPlansAreChecked(t *testing.T) {
	for _, p := range []CrashPlan{{Outcomes: 0, Kills: 1}, {Outcomes: BulkSize + 1, Kills: 1}, {Outcomes: BulkSize}} {
		if p.Validate() == nil {
			t.Errorf("%+v: got no error", p)
		}
	}
	for _, o := range []Options{{Rounds: 1}, {Duration: 1}} {
		if o.Validate() == nil {
			t.Errorf("%+v: got no error", o)
		}
	}
}
