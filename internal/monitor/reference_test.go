package monitor

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
)

// testdata/reference.py says how the figures were made. The scores go the whole
// way: served, joined, told, reported.
func TestFiguresEqualTheReference(t *testing.T) {
	raw, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name              string
		Scores, Reference []float64
		Labels            []int
		AUC, LogLoss, PSI float64
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			r := NewRecorder(1<<14, DefaultWindow)
			track := r.Track("t", "m")
			for i, score := range c.Scores {
				customer := fmt.Sprint(i)
				track.Serve(track.Subject("", customer), noon, "o", score, 0)
				o := decision.Outcome{CustomerID: customer, OfferID: "o", At: int64(noon)}
				if !r.Join("t", &o, func(string) (bool, bool) { return c.Labels[i] == 1, true }) {
					t.Fatalf("outcome %d was not joined", i)
				}
			}
			b := NewBook()
			for _, d := range r.Take(noon) {
				if err := b.Add(&d, noon); err != nil {
					t.Fatal(err)
				}
			}
			l := b.Life("t", "m")
			got := l.Report("m", 1, nil, noon).Total
			var reference Histogram
			for _, score := range c.Reference {
				reference.Add(BinOf(score), 1)
			}
			psi, _ := PSI(&reference, &l.Days[0].Scores)
			for name, v := range map[string][2]float64{"AUC": {*got.AUC, c.AUC}, "log-loss": {*got.LogLoss, c.LogLoss}, "PSI": {psi, c.PSI}} {
				if !(math.Abs(v[0]-v[1]) <= 1e-12) {
					t.Errorf("%s = %.15g, want %.15g", name, v[0], v[1])
				}
			}
		})
	}
}

// PSI by hand: two groups of 60 and 40 against 30 and 70, each with half a score
// more.
func TestPSIByHand(t *testing.T) {
	var reference, scores Histogram
	reference.Add(10, 60)
	reference.Add(20, 40)
	scores.Add(10, 30)
	scores.Add(20, 70)
	want := (30.5-60.5)/101*math.Log(30.5/60.5) + (70.5-40.5)/101*math.Log(70.5/40.5)
	if got, ok := PSI(&reference, &scores); !ok || math.Abs(got-want) > 1e-15 {
		t.Errorf("PSI = %v, %v, want %v", got, ok, want)
	}
}
