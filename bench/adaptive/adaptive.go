package adaptive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/praetor-engine/praetor/bench"
)

// Config says how much to simulate and where to put it.
type Config struct {
	Rounds   int    `default:"5" placeholder:"N" help:"Rounds with a seed each (${default})."`
	Visitors int    `default:"36000" placeholder:"N" help:"Visitors of a round, over 180 days (${default})."`
	Docs     string `type:"path" placeholder:"FILE" help:"Put the tables into this file, between their marks."`
	Plot     string `type:"path" placeholder:"FILE" help:"Write the plot, as SVG, into this file."`
}

// Validate names what is wrong.
func (c *Config) Validate() error {
	var problems []error
	if c.Rounds < 1 {
		problems = append(problems, fmt.Errorf("rounds: got %d, want at least 1", c.Rounds))
	}
	if c.Visitors < days {
		problems = append(problems, fmt.Errorf("visitors: got %d, want at least %d, one a day", c.Visitors, days))
	}
	return errors.Join(problems...)
}

// worlds are the calm and the drifting market.
const worlds = 2

// outcome is what all rounds gave, by world and, of modes, by model.
type outcome struct {
	rounds  int
	modes   [worlds][modelKinds][][]figures // by mode and round
	bandits [worlds][][]lost                // by discount and round
}

// Simulate simulates, prints the tables as Markdown and writes what Config names.
// It is a function of Config alone.
func Simulate(ctx context.Context, c *Config, out, progress io.Writer) error {
	result, err := simulate(ctx, c, progress)
	if err != nil {
		return err
	}
	return result.write(c, out)
}

func (r *outcome) write(c *Config, out io.Writer) error {
	text := r.markdown(c)
	if _, err := io.WriteString(out, text); err != nil {
		return err
	}
	if c.Plot != "" {
		if err := os.WriteFile(c.Plot, []byte(r.plot()), 0o644); err != nil {
			return fmt.Errorf("adaptive: %w", err)
		}
	}
	if c.Docs == "" {
		return nil
	}
	old, err := os.ReadFile(c.Docs)
	if err != nil {
		return fmt.Errorf("adaptive: %w", err)
	}
	page, err := bench.ReplaceBetween(string(old), beginMark, endMark, text)
	if err != nil {
		return fmt.Errorf("adaptive: %s: %w", c.Docs, err)
	}
	return os.WriteFile(c.Docs, []byte(page), 0o644)
}

func simulate(ctx context.Context, c *Config, progress io.Writer) (*outcome, error) {
	r := &outcome{rounds: c.Rounds}
	for world := range r.modes {
		for kind := range r.modes[world] {
			r.modes[world][kind] = make([][]figures, len(modes))
		}
		r.bandits[world] = make([][]lost, len(discounts))
	}
	for round := range c.Rounds {
		_, _ = fmt.Fprintf(progress, "round %d of %d\n", round+1, c.Rounds) // progress only
		if err := r.round(ctx, c, uint64(round+1)); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// round simulates one seed.
func (r *outcome) round(ctx context.Context, c *Config, seed uint64) error {
	m, err := newMarket(ctx, seed, c.Visitors)
	if err != nil {
		return err
	}
	for world := range worlds {
		m.drifting = world == 1
		means := m.means()
		for i, discount := range discounts {
			l, err := m.play(discount, &means, seed)
			if err != nil {
				return err
			}
			r.bandits[world][i] = append(r.bandits[world][i], l)
		}
		for kind := range modelKinds {
			for i, mode := range modes {
				if err := ctx.Err(); err != nil {
					return err
				}
				r.modes[world][kind][i] = append(r.modes[world][kind][i], m.run(mode, kind))
			}
		}
	}
	return nil
}
