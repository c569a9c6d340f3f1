package adaptive

import (
	"fmt"

	"github.com/praetor-engine/praetor/bench/chart"
)

// plot draws the drifting market: what the modes' predictions lose under the model
// that knows customer and offer, and what the bandits lose, span by span. Curves
// are means over the rounds.
func (r *outcome) plot() string {
	colors := []string{"#777777", "#d95f02", "#d95f02", "#1b6ca8", "#1b6ca8"}
	left := chart.Panel{Title: "Predictions: log-loss above the truth's", Unit: "× 1000", XName: "day", XMax: days, XStep: 30}
	for i, m := range modes {
		l := curve(m.name, colors[i])
		l.Dashed = m.config.HalfLifeDays == 0 && i > 0
		for _, f := range r.modes[1][knowing][i] {
			for s := range spans {
				l.Y[s] += 1000 * f.excessBy[s] / float64(r.rounds)
			}
		}
		left.Lines = append(left.Lines, l)
	}
	right := chart.Panel{Title: "Thompson bandits: regret", Unit: "acceptances of 1000 visitors", XName: "day", XMax: days, XStep: 30}
	for i, d := range discounts {
		name := fmt.Sprintf("discount %g a day", d)
		if d == 1 {
			name = "undiscounted"
		}
		l := curve(name, []string{"#777777", "#8fbf5f", "#1b9e57", "#0b5d35"}[i%4])
		for _, f := range r.bandits[1][i] {
			for s := range spans {
				l.Y[s] += f.by[s] / float64(r.rounds)
			}
		}
		right.Lines = append(right.Lines, l)
	}
	return chart.SVG([]chart.Panel{left, right})
}

// curve is a line over the middles of the spans, at 0.
func curve(name, color string) chart.Line {
	l := chart.Line{Name: name, Color: color, X: make([]float64, spans), Y: make([]float64, spans)}
	for s := range l.X {
		l.X[s] = (float64(s) + 0.5) * spanDays
	}
	return l
}
