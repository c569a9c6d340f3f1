// Package chart draws line diagrams as SVG, for the documentation.
package chart

import (
	"fmt"
	"math"
	"strings"
)

// Line is one curve: the points (X[i], Y[i]).
type Line struct {
	Name, Color string
	Dashed      bool
	X, Y        []float64
}

// Panel is one diagram. Both axes begin at 0.
type Panel struct {
	Title, Unit string
	XName       string
	XMax, XStep float64
	Lines       []Line
}

// The measures of the drawing, in pixels.
const (
	panelWidth, panelHeight = 430, 300
	marginLeft, marginTop   = 52, 36
	plotWidth, plotHeight   = 360, 200
	legendStep              = 16
)

// SVG draws the panels in rows of two.
func SVG(panels []Panel) string {
	const columns = 2
	most := 0
	for i := range panels {
		most = max(most, len(panels[i].Lines))
	}
	height := panelHeight + legendStep*(most-2)
	rows := (len(panels) + columns - 1) / columns
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`+"\n", columns*panelWidth, rows*height)
	b.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	for i := range panels {
		fmt.Fprintf(&b, `<g transform="translate(%d %d)">`+"\n", i%columns*panelWidth, i/columns*height)
		panels[i].draw(&b)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (p *Panel) draw(b *strings.Builder) {
	top := 0.0
	for _, l := range p.Lines {
		for _, v := range l.Y {
			top = max(top, v)
		}
	}
	step := tick(top)
	top = max(step, step*math.Ceil(top/step))
	x := func(v float64) float64 { return marginLeft + plotWidth*v/p.XMax }
	y := func(v float64) float64 { return marginTop + plotHeight*(1-v/top) }
	fmt.Fprintf(b, `<text x="%d" y="16" font-size="13" font-weight="bold">%s</text><text x="%d" y="30" fill="#555">%s</text>`+"\n", marginLeft, p.Title, marginLeft, p.Unit)
	for v := 0.0; v <= top*(1+1e-9); v += step {
		fmt.Fprintf(b, `<path d="M%d %.1fh%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%.6g</text>`+"\n", marginLeft, y(v), plotWidth, marginLeft-5, y(v)+4, v)
	}
	for v := 0.0; v <= p.XMax; v += p.XStep {
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%g</text>`+"\n", x(v), marginTop+plotHeight+15, v)
	}
	fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="end">%s</text>`+"\n", x(p.XMax), marginTop+plotHeight+28, p.XName)
	for i, l := range p.Lines {
		dash := ""
		if l.Dashed {
			dash = ` stroke-dasharray="5 3"`
		}
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="1.8"%s points="`, l.Color, dash)
		for j, v := range l.Y {
			fmt.Fprintf(b, "%.1f,%.1f ", x(l.X[j]), y(v))
		}
		at := marginTop + plotHeight + 44 + legendStep*i
		fmt.Fprintf(b, `"/><path d="M%d %dh24" stroke="%s" stroke-width="1.8"%s/><text x="%d" y="%d">%s</text>`+"\n",
			marginLeft, at-4, l.Color, dash, marginLeft+30, at, l.Name)
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
