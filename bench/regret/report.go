package regret

import (
	"fmt"
	"math"
	"strings"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/praetor-engine/praetor/bench/chart"
	"github.com/praetor-engine/praetor/internal/learn"
)

// The marks around the tables in the documentation.
const (
	beginMark = "<!-- begin figures, made by make regret -->\n"
	endMark   = "<!-- end figures -->"
)

// interval is a mean over the rounds with its 95 % interval by Student's t.
type interval struct{ mean, lower, upper float64 }

func intervalOf(values []float64) interval {
	mean, sd := stat.MeanStdDev(values, nil)
	n := float64(len(values))
	half := distuv.StudentsT{Sigma: 1, Nu: n - 1}.Quantile(0.975) * sd / math.Sqrt(n)
	return interval{mean, mean - half, mean + half}
}

func (i interval) format(verb string) string {
	return fmt.Sprintf(verb+" ["+verb+", "+verb+"]", i.mean, i.lower, i.upper)
}

// regrets returns the final regret of a policy by round.
func (r *outcome) regrets(kind, policy int) []float64 {
	var all []float64
	for _, curve := range r.curves[kind][policy] {
		all = append(all, curve[len(curve)-1])
	}
	return all
}

// relative returns a policy's regret in percent of another's: the mean of the rounds'
// own quotients.
func (r *outcome) relative(kind, policy, to int) interval {
	a, b := r.regrets(kind, policy), r.regrets(kind, to)
	for i := range a {
		a[i] *= 100 / b[i]
	}
	return intervalOf(a)
}

// pooled returns a policy's regret over all rounds in percent of another's, a quotient
// of sums, with the interval of its linearization (W. G. Cochran, Sampling Techniques,
// 6.3). Rounds in which little is at stake count little.
func (r *outcome) pooled(kind, policy, to int) interval {
	a, b := r.regrets(kind, policy), r.regrets(kind, to)
	quotient, mean := stat.Mean(a, nil)/stat.Mean(b, nil), stat.Mean(b, nil)
	for i := range a {
		a[i] = 100 * (quotient + (a[i]-quotient*b[i])/mean)
	}
	return intervalOf(a)
}

// late returns a policy's regret of a visitor among the last tenth, in conversions
// of 1000.
func (r *outcome) late(kind, policy, visitors int) interval {
	var all []float64
	for _, curve := range r.curves[kind][policy] {
		n := len(curve)
		all = append(all, 1000*(curve[n-1]-curve[n-1-n/10])/(float64(visitors)/10))
	}
	return intervalOf(all)
}

// markdown writes the tables.
func (r *outcome) markdown(c *Config) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%d seeds of each truth, %d visitors, tables of %d draws; means with 95 %% intervals over the seeds. Regret is in conversions; late regret is that of the last tenth of the visitors, of 1000.\n", c.Rounds, c.Visitors, c.Draws)
	b.WriteString("\n| truth | policy | cumulative regret | of uniform's, % | of mab's, % | late regret |\n|---|---|---|---|---|---|\n")
	for k := range kinds {
		for p, name := range policyNames {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", kinds[k].name, name, intervalOf(r.regrets(k, p)).format("%.0f"),
				r.relativeText(k, p, uniformPolicy), r.relativeText(k, p, mabPolicy), r.late(k, p, c.Visitors).format("%.1f"))
		}
	}
	u, m := r.relative(strong, cmabPolicy, uniformPolicy), r.relative(strong, cmabPolicy, mabPolicy)
	fmt.Fprintf(&b, "\nWith strong interactions cmab's regret is %s %% of uniform's (aim: under 35) and %s %% of mab's (aim: under 60), as the mean of the seeds' quotients; as the quotient of all seeds' regrets, %s %% and %s %%.\n",
		u.format("%.1f"), m.format("%.1f"), r.pooled(strong, cmabPolicy, uniformPolicy).format("%.1f"), r.pooled(strong, cmabPolicy, mabPolicy).format("%.1f"))
	r.writeEqual(&b)
	r.writeReplay(&b)
	return b.String()
}

func (r *outcome) relativeText(kind, policy, to int) string {
	if policy == to {
		return "100"
	}
	return r.relative(kind, policy, to).format("%.1f")
}

func (r *outcome) writeEqual(b *strings.Builder) {
	fmt.Fprintf(b, "\nSix equal arms, a tenth held out, %d visitors:\n", equalVisitors)
	b.WriteString("\n| model | rounds | lifts significant at 5 % | 0.2 is outside the interval of the expected reward | expected less historic reward |\n|---|---|---|---|---|\n")
	for _, name := range []string{"mab", "cmab"} {
		e := r.equal[name]
		fmt.Fprintf(b, "| %s | %d | %s | %s | %s |\n", name, e.rounds, rate(e.significant, e.rounds), rate(e.outside, e.rounds), intervalOf(e.promised).format("%+.4f"))
	}
}

// rate writes a share in percent with its interval.
func rate(x, n int) string {
	low, high := learn.Wilson(float64(x), float64(n))
	return fmt.Sprintf("%.1f %% [%.1f, %.1f]", 100*float64(x)/float64(n), 100*low, 100*high)
}

func (r *outcome) writeReplay(b *strings.Builder) {
	if r.replays == nil {
		b.WriteString("\nThe replay was skipped: there was no log.\n")
		return
	}
	low, high := learn.Wilson(float64(r.clicks), float64(r.rows))
	fmt.Fprintf(b, "\nReplay of %d rows of the Open Bandit Dataset (random policy, men): %d clicks, %.2f %% [%.2f, %.2f].\n",
		r.rows, r.clicks, 100*float64(r.clicks)/float64(r.rows), 100*low, 100*high)
	b.WriteString("\n| policy | rows matched | clicks | replay, % | self-normalised inverse propensity, % | effective rows |\n|---|---|---|---|---|---|\n")
	for p, name := range policyNames {
		e := &r.replays[p]
		fmt.Fprintf(b, "| %s | %d | %d | %.2f [%.2f, %.2f] | %.2f [%.2f, %.2f] | %.0f |\n", name, e.replay.N, e.clicks,
			100**e.replay.Value, 100*e.replay.Interval.Lower, 100*e.replay.Interval.Upper,
			100**e.snips.Value, 100*max(e.snips.Interval.Lower, 0), 100*e.snips.Interval.Upper, e.snips.EffectiveN)
	}
}

// plot draws the cumulative regret, the mean over the rounds.
func (r *outcome) plot(c *Config) string {
	colors := []string{"#777777", "#d95f02", "#1b6ca8", "#1b6ca8", "#1b9e57"}
	var panels []chart.Panel
	for k := range kinds {
		p := chart.Panel{Title: kinds[k].name, Unit: "cumulative regret, conversions", XName: "visitors", XMax: float64(c.Visitors), XStep: float64(c.Visitors) / 4}
		for i, name := range policyNames {
			l := chart.Line{Name: name, Color: colors[i], Dashed: i == cmabPolicy+1, X: []float64{0}, Y: []float64{0}}
			for at := range r.curves[k][i][0] {
				sum := 0.0
				for _, curve := range r.curves[k][i] {
					sum += curve[at]
				}
				l.X = append(l.X, float64((at+1)*c.Visitors)/marks)
				l.Y = append(l.Y, sum/float64(len(r.curves[k][i])))
			}
			p.Lines = append(p.Lines, l)
		}
		panels = append(panels, p)
	}
	return chart.SVG(panels)
}
