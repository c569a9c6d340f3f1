package adaptive

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/simulator"
)

func TestDriftsAreThoseOfTheOffers(t *testing.T) {
	if len(simulator.Offers()) != offerCount || len(drifts) != offerCount {
		t.Fatalf("%d offers and %d drifts, want %d", len(simulator.Offers()), len(drifts), offerCount)
	}
	for _, c := range []struct {
		offer     string
		day, want float64
	}{
		{"travel-card", 100, 0}, {"cashback-card", 59.9, 0}, {"cashback-card", 60, -1.2}, {"cashback-card", 179, -1.2},
		{"first-card", 90, 0.75}, {"fixed-deposit", 22.5, 0.8}, {"instant-saver", 44, 0}, {"instant-saver", 90, -1},
		{"instant-saver", 135, 0}, {"personal-loan", 119, 0}, {"personal-loan", 120, 1.5}, {"home-loan", 7, 0}, {"travel-cover", 45, -0.8},
	} {
		if got := drifts[c.offer](c.day); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s on day %g: %g, want %g", c.offer, c.day, got, c.want)
		}
	}
}

func TestDivergence(t *testing.T) {
	// 0.5·ln(0.5/0.25) + 0.5·ln(0.5/0.75)
	if got, want := divergence(0.5, 0.25), 0.5*math.Log(2)+0.5*math.Log(2.0/3); math.Abs(got-want) > 1e-15 {
		t.Errorf("divergence(0.5, 0.25) = %v, want %v", got, want)
	}
	if got := divergence(0.3, 0.3); got != 0 {
		t.Errorf("divergence(0.3, 0.3) = %v, want 0", got)
	}
	if got := divergence(0.3, 0); math.IsInf(got, 0) {
		t.Error("the divergence of a certain score is infinite")
	}
}

// What the documentation says of the modes holds on a small simulation too: the
// same seeds always give the same figures.
func TestSimulation(t *testing.T) {
	if testing.Short() {
		t.Skip("trains two models")
	}
	c := Config{Rounds: 1, Visitors: 9000, Docs: filepath.Join(t.TempDir(), "page.md"), Plot: filepath.Join(t.TempDir(), "plot.svg")}
	if err := os.WriteFile(c.Docs, []byte("before\n"+beginMark+"old\n"+endMark+"\nafter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := simulate(t.Context(), &c, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	drift := r.modes[1][knowing]
	for _, other := range []int{offMode, ladderMode, fadingLadder, blendMode} {
		if got, than := drift[fadingBlend][0], drift[other][0]; !(got.excess < than.excess) {
			t.Errorf("drifting: log-loss of %s %g, of %s %g", modes[fadingBlend].name, got.excess, modes[other].name, than.excess)
		}
	}
	if calm := r.modes[0][mistaking]; !(calm[ladderMode][0].excess < calm[blendMode][0].excess) {
		t.Error("calm: the ladder does not win where the model mistakes the customer")
	}
	if b := r.bandits[1]; !(b[2][0].regret < b[0][0].regret) {
		t.Errorf("drifting: regret %g discounted, %g undiscounted", b[2][0].regret, b[0][0].regret)
	}
	if b := r.bandits[0]; !(b[0][0].regret < b[2][0].regret) {
		t.Errorf("calm: regret %g undiscounted, %g discounted", b[0][0].regret, b[2][0].regret)
	}
	for world := range worlds {
		for kind := range modelKinds {
			for i, m := range modes {
				if f := r.modes[world][kind][i][0]; !(f.excess > 0 && f.calibration > 0 && f.regret > 0) {
					t.Errorf("%s: %+v, want everything above 0", m.name, f)
				}
			}
		}
	}
	checkOutput(t, &c, r)
}

// checkOutput writes what a simulation gave.
func checkOutput(t *testing.T, c *Config, r *outcome) {
	t.Helper()
	var out bytes.Buffer
	if err := r.write(c, &out); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(out.String(), "\n|"); lines != 2+30+2+8+2+3 {
		t.Errorf("%d lines of tables, want 47", lines)
	}
	page, err := os.ReadFile(c.Docs)
	if want := "before\n" + beginMark + out.String() + endMark + "\nafter\n"; err != nil || string(page) != want {
		t.Errorf("%v, page %s, want %s", err, page, want)
	}
	f, err := os.Open(c.Plot)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for d := xml.NewDecoder(f); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the plot is not XML: %v", err)
		}
	}
}

func TestValidate(t *testing.T) {
	c := Config{}
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "rounds") || !strings.Contains(err.Error(), "visitors") {
		t.Errorf("got %v, want both problems", err)
	}
}
