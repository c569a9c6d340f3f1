package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

func TestTick(t *testing.T) {
	for top, want := range map[float64]float64{0: 1, 1: 0.2, 5: 1, 7: 2, 24: 5, 26: 10, 99: 20} {
		if got := tick(top); math.Abs(got-want) > 1e-12 {
			t.Errorf("tick(%g) = %g, want %g", top, got, want)
		}
	}
}

func TestSVG(t *testing.T) {
	line := Line{Name: "a", Color: "#777777", X: []float64{0, 5, 10}, Y: []float64{0, 3, 1}}
	got := SVG([]Panel{{Title: "one", XMax: 10, XStep: 5, Lines: []Line{line, line}}, {Title: "two", XMax: 10, XStep: 5, Lines: []Line{line}}, {Title: "empty", XMax: 1, XStep: 1}})
	for d := xml.NewDecoder(strings.NewReader(got)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("not XML: %v", err)
		}
	}
	if n := strings.Count(got, "<polyline"); n != 3 {
		t.Errorf("%d lines, want 3", n)
	}
	// The point (5, 3) of a diagram that is 10 wide and 3 high.
	if !strings.Contains(got, "232.0,36.0 ") {
		t.Errorf("the point in the middle is not where it belongs:\n%s", got)
	}
}
