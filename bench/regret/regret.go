package regret

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/praetor-engine/praetor/bench"
	"github.com/praetor-engine/praetor/internal/factorial"
	"github.com/praetor-engine/praetor/internal/factorial/posterior"
)

// logFile is the log of the Open Bandit Dataset of a policy that shows items at
// random.
const logFile = "obd_random_men.csv.gz"

// Config says how much to simulate and where to put it.
type Config struct {
	Rounds   int    `default:"20" placeholder:"N" help:"Seeds of each truth (${default})."`
	Visitors int    `default:"20000" placeholder:"N" help:"Visitors of each round (${default})."`
	Equal    int    `default:"200" placeholder:"N" help:"Rounds of equal arms (${default})."`
	Draws    int    `default:"512" placeholder:"N" help:"Draws of a table (${default}; the engine takes 2048)."`
	Datasets string `type:"path" env:"PRAETOR_DATASETS" placeholder:"FOLDER" help:"The folder of the Open Bandit log obd_random_men.csv.gz; without it there is no replay."`
	Docs     string `type:"path" placeholder:"FILE" help:"Put the tables into this file, between their marks."`
	Plot     string `type:"path" placeholder:"FILE" help:"Write the plot, as SVG, into this file."`
}

// Validate names what is wrong.
func (c *Config) Validate() error {
	var problems []error
	if c.Rounds < 2 {
		problems = append(problems, fmt.Errorf("rounds: got %d, want at least 2, for an interval", c.Rounds))
	}
	if c.Visitors < marks {
		problems = append(problems, fmt.Errorf("visitors: got %d, want at least %d", c.Visitors, marks))
	}
	if c.Draws < 1 {
		problems = append(problems, fmt.Errorf("draws: got %d, want at least 1", c.Draws))
	}
	if c.Equal < 2 {
		problems = append(problems, fmt.Errorf("equal: got %d, want at least 2", c.Equal))
	}
	return errors.Join(problems...)
}

// outcome is what everything gave.
type outcome struct {
	curves  [][][][]float64 // by kind, policy, round: cumulative regret at the marks
	equal   map[string]*equal
	replays []estimates // by policy; nil without a log
	clicks  int
	rows    int
}

// Measure simulates and replays, prints the tables as Markdown and writes what Config
// names. It is a function of Config and the log alone.
func Measure(ctx context.Context, c *Config, out, progress io.Writer) error {
	r, err := simulate(ctx, c, progress)
	if err != nil {
		return err
	}
	if r.equal, err = equalRounds(ctx, c, progress); err != nil {
		return err
	}
	if err := r.replay(ctx, c, progress); err != nil {
		return err
	}
	return r.write(c, out)
}

func simulate(ctx context.Context, c *Config, progress io.Writer) (*outcome, error) {
	s, err := newSpace()
	if err != nil {
		return nil, err
	}
	r := &outcome{}
	for k := range kinds {
		_, _ = fmt.Fprintf(progress, "%s: %d rounds\n", kinds[k].name, c.Rounds) // progress only
		curves, err := playRounds(ctx, s, &kinds[k], c)
		if err != nil {
			return nil, err
		}
		r.curves = append(r.curves, curves)
	}
	return r, nil
}

// playRounds lets every policy play every round of one kind of truth.
func playRounds(ctx context.Context, s *factorial.Space, k *kind, c *Config) ([][][]float64, error) {
	curves := make([][][]float64, len(policyNames))
	for round := range c.Rounds {
		t := newTruth(s, k, uint64(round+1))
		for i, p := range newPolicies(s, c.Draws) {
			curve, err := play(ctx, s, p, t, c.Visitors, uint64(round+1))
			if err != nil {
				return nil, err
			}
			curves[i] = append(curves[i], curve)
		}
	}
	return curves, nil
}

func equalRounds(ctx context.Context, c *Config, progress io.Writer) (map[string]*equal, error) {
	_, _ = fmt.Fprintf(progress, "equal arms: %d rounds\n", c.Equal) // progress only
	all := make(map[string]*equal)
	for name, m := range map[string]posterior.Model{"mab": posterior.MAB, "cmab": posterior.CMAB} {
		e, err := playEqual(ctx, m, c)
		if err != nil {
			return nil, err
		}
		all[name] = e
	}
	return all, nil
}

func (r *outcome) replay(ctx context.Context, c *Config, progress io.Writer) error {
	if c.Datasets == "" {
		_, _ = fmt.Fprintln(progress, "no replay: PRAETOR_DATASETS does not name the folder of "+logFile)
		return nil
	}
	rows, err := readLog(filepath.Join(c.Datasets, logFile))
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(progress, "replay: %d rows\n", len(rows)) // progress only
	r.rows = len(rows)
	for i := range rows {
		if rows[i].clicked {
			r.clicks++
		}
	}
	r.replays, err = replayAll(ctx, rows, c.Draws)
	return err
}

func (r *outcome) write(c *Config, out io.Writer) error {
	text := r.markdown(c)
	if _, err := io.WriteString(out, text); err != nil {
		return err
	}
	if c.Plot != "" {
		if err := os.WriteFile(c.Plot, []byte(r.plot(c)), 0o644); err != nil {
			return fmt.Errorf("regret: %w", err)
		}
	}
	if c.Docs == "" {
		return nil
	}
	old, err := os.ReadFile(c.Docs)
	if err != nil {
		return fmt.Errorf("regret: %w", err)
	}
	page, err := bench.ReplaceBetween(string(old), beginMark, endMark, text)
	if err != nil {
		return fmt.Errorf("regret: %s: %w", c.Docs, err)
	}
	return os.WriteFile(c.Docs, []byte(page), 0o644)
}
