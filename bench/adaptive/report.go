package adaptive

import (
	"fmt"
	"strings"

	"github.com/praetor-engine/praetor/bench"
)

// The marks around the tables in the documentation.
const (
	beginMark = "<!-- begin figures, made by make adaptive -->\n"
	endMark   = "<!-- end figures -->"
)

var worldNames = [worlds]string{"calm", "drifting"}

// markdown writes the tables.
func (r *outcome) markdown(c *Config) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%d rounds of %d visitors over %d days; the median, in brackets the least and the greatest.\n", c.Rounds, c.Visitors, days)
	b.WriteString("\n| market | the model | mode | log-loss above the truth's, × 1000 | calibration error, % points | regret, of 1000 visitors |\n|---|---|---|---|---|---|\n")
	for world := range worlds {
		for kind := range modelKinds {
			for i, m := range modes {
				rounds := r.modes[world][kind][i]
				fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", worldNames[world], modelNames[kind], m.name,
					spread(rounds, func(f figures) float64 { return 1000 * f.excess }),
					spread(rounds, func(f figures) float64 { return 100 * f.calibration }),
					spread(rounds, func(f figures) float64 { return f.regret }))
			}
		}
	}
	b.WriteString("\n| market | bandit | regret, of 1000 visitors | below the undiscounted |\n|---|---|---|---|\n")
	for world := range worlds {
		for i, d := range discounts {
			name, wins := fmt.Sprintf("Thompson, discount %g a day", d), "—"
			if i == 0 {
				name = "Thompson, undiscounted"
			} else {
				wins = fmt.Sprintf("in %d of %d rounds", below(r.bandits[world][i], r.bandits[world][0], banditRegret), r.rounds)
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", worldNames[world], name, spread(r.bandits[world][i], banditRegret), wins)
		}
	}
	b.WriteString(r.verdicts())
	return b.String()
}

func banditRegret(l lost) float64 { return l.regret }

func spread[T any](rounds []T, of func(T) float64) string {
	values := make([]float64, len(rounds))
	for i, f := range rounds {
		values[i] = of(f)
	}
	s := bench.Summarize(values)
	return fmt.Sprintf("%.2f (%.2f – %.2f)", s.Median, s.Min, s.Max)
}

// below counts the rounds in which a is less than b.
func below[T any](a, b []T, of func(T) float64) (n int) {
	for i := range a {
		if of(a[i]) < of(b[i]) {
			n++
		}
	}
	return n
}

// The modes that the verdicts are about.
const (
	offMode, ladderMode, fadingLadder, blendMode, fadingBlend = 0, 1, 2, 3, 4
)

// verdicts says in how many rounds of the drifting market the blend that forgets
// had a lower log-loss than the others.
func (r *outcome) verdicts() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nRounds of %d in the drifting market in which the log-loss of %q is lower than that of\n", r.rounds, modes[fadingBlend].name)
	b.WriteString("\n| the model | off | ladder | ladder, half-life 14 d | blend |\n|---|---|---|---|---|\n")
	for kind := range modelKinds {
		rounds := r.modes[1][kind]
		fmt.Fprintf(&b, "| %s |", modelNames[kind])
		for _, other := range []int{offMode, ladderMode, fadingLadder, blendMode} {
			fmt.Fprintf(&b, " %d |", below(rounds[fadingBlend], rounds[other], func(f figures) float64 { return f.excess }))
		}
		b.WriteString("\n")
	}
	return b.String()
}
