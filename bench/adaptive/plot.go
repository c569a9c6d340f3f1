package adaptive

import (
	"fmt"
	"math"
	"strings"
)

// line is one curve of a panel.
type line struct {
	name, color string
	dashed      bool
	values      [spans]float64
}

// panel is one diagram over the days.
type panel struct {
	title, unit string
	lines       []line
}

// The measures of the drawing, in pixels.
const (
	panelWidth, panelHeight = 430, 300
	marginLeft, marginTop   = 52, 36
	plotWidth, plotHeight   = 360, 200
	legendStep              = 16
)

// plot draws the drifting market: what the modes' predictions lose under the model
// that knows customer and offer, and what the bandits lose, span by span. Curves
// are means over the rounds.
func (r *outcome) plot() string {
	colors := []string{"#777777", "#d95f02", "#d95f02", "#1b6ca8", "#1b6ca8"}
	left := panel{title: "Predictions: log-loss above the truth's", unit: "× 1000"}
	for i, m := range modes {
		l := line{name: m.name, color: colors[i], dashed: m.config.HalfLifeDays == 0 && i > 0}
		for _, f := range r.modes[1][knowing][i] {
			for s := range spans {
				l.values[s] += 1000 * f.excessBy[s] / float64(r.rounds)
			}
		}
		left.lines = append(left.lines, l)
	}
	right := panel{title: "Thompson bandits: regret", unit: "acceptances of 1000 visitors"}
	for i, d := range discounts {
		l := line{name: fmt.Sprintf("discount %g a day", d), color: []string{"#777777", "#8fbf5f", "#1b9e57", "#0b5d35"}[i%4]}
		if d == 1 {
			l.name = "undiscounted"
		}
		for _, f := range r.bandits[1][i] {
			for s := range spans {
				l.values[s] += f.by[s] / float64(r.rounds)
			}
		}
		right.lines = append(right.lines, l)
	}
	height := panelHeight + legendStep*(max(len(left.lines), len(right.lines))-2)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`+"\n", 2*panelWidth, height)
	b.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	for i, p := range []panel{left, right} {
		fmt.Fprintf(&b, `<g transform="translate(%d 0)">`+"\n", i*panelWidth)
		p.draw(&b)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (p *panel) draw(b *strings.Builder) {
	top := 0.0
	for _, l := range p.lines {
		for _, v := range l.values {
			top = max(top, v)
		}
	}
	step := tick(top)
	top = step * math.Ceil(top/step)
	x := func(day float64) float64 { return marginLeft + plotWidth*day/days }
	y := func(v float64) float64 { return marginTop + plotHeight*(1-v/top) }
	fmt.Fprintf(b, `<text x="%d" y="16" font-size="13" font-weight="bold">%s</text><text x="%d" y="30" fill="#555">%s</text>`+"\n", marginLeft, p.title, marginLeft, p.unit)
	for v := 0.0; v <= top*(1+1e-9); v += step {
		fmt.Fprintf(b, `<path d="M%d %.1fh%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%.3g</text>`+"\n", marginLeft, y(v), plotWidth, marginLeft-5, y(v)+4, v)
	}
	for day := 0.0; day <= days; day += 30 {
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%g</text>`+"\n", x(day), marginTop+plotHeight+15, day)
	}
	fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="end">day</text>`+"\n", x(days), marginTop+plotHeight+28)
	for i, l := range p.lines {
		dash := ""
		if l.dashed {
			dash = ` stroke-dasharray="5 3"`
		}
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="1.8"%s points="`, l.color, dash)
		for s, v := range l.values {
			fmt.Fprintf(b, "%.1f,%.1f ", x((float64(s)+0.5)*spanDays), y(v))
		}
		at := marginTop + plotHeight + 44 + legendStep*i
		fmt.Fprintf(b, `"/><path d="M%d %dh24" stroke="%s" stroke-width="1.8"%s/><text x="%d" y="%d">%s</text>`+"\n",
			marginLeft, at-4, l.color, dash, marginLeft+30, at, l.name)
	}
}

// tick returns a round step of which about five reach top.
func tick(top float64) float64 {
	if !(top > 0) {
		return 1
	}
	step := math.Pow(10, math.Floor(math.Log10(top/5)))
	for _, f := range []float64{1, 2, 5} {
		if 5*f*step >= top {
			return f * step
		}
	}
	return 10 * step
}
