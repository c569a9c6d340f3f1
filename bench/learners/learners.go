package learners

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/praetor-engine/praetor/bench"
)

// Config says what to measure, and where the libraries to compare with are; `make
// learners` makes them.
type Config struct {
	Datasets  string   `env:"PRAETOR_DATASETS" type:"path" placeholder:"DIR" help:"Folder of bank-additional-full.csv.gz (${env})."`
	Python    string   `default:"python3" placeholder:"PATH" help:"Python with the packages of bench/learners/reference/requirements.txt (${default})."`
	Worker    string   `default:"mlworker" type:"path" placeholder:"DIR" help:"Folder of the ML worker, its environment made (${default})."`
	Models    string   `type:"path" placeholder:"DIR" help:"Folder that internal/learn/boosted/testdata/generate.py large wrote."`
	Latency   string   `type:"path" placeholder:"PATH" help:"Program made from internal/learn/boosted/testdata/latency.c."`
	Docs      string   `type:"path" placeholder:"FILE" help:"Put the tables into this file, between their marks."`
	Sections  []string `enum:"bank,cost,throughput,pause" default:"bank,cost,throughput,pause" placeholder:"NAME,…" help:"Only these of bank, cost, throughput and pause."`
	Rows      int      `default:"1000000" placeholder:"N" help:"Simulated interactions of throughput and pause (${default})."`
	ScoreRate float64  `default:"2000" placeholder:"N" help:"Scores due a second while a training runs (${default})."`
}

// Validate names what is missing for the chosen sections.
func (c *Config) Validate() error {
	var problems []error
	need := func(section, flag, value string) {
		if value == "" && slices.Contains(c.Sections, section) {
			problems = append(problems, fmt.Errorf("%s: is needed for the section %s", flag, section))
		}
	}
	need("bank", "datasets (PRAETOR_DATASETS)", c.Datasets)
	need("cost", "datasets (PRAETOR_DATASETS)", c.Datasets)
	need("cost", "models", c.Models)
	need("cost", "latency", c.Latency)
	if c.Rows < 1000 {
		problems = append(problems, fmt.Errorf("rows: got %d, want at least 1000", c.Rows))
	}
	if !(c.ScoreRate > 0) {
		problems = append(problems, fmt.Errorf("score-rate: got %g, want more than 0", c.ScoreRate))
	}
	return errors.Join(problems...)
}

// measurement is one run of the command.
type measurement struct {
	*bench.Options
	cfg       *Config
	dir       string // for files of this run
	reference *reference
}

func (m *measurement) logf(format string, args ...any) {
	_, _ = fmt.Fprintf(m.Progress, format+"\n", args...) // progress only
}

// Measure measures the chosen sections, prints them as Markdown and puts them
// into the documentation when Config names it.
func Measure(ctx context.Context, o *bench.Options, cfg *Config, out io.Writer) (err error) {
	dir, err := os.MkdirTemp(o.Dir, "praetor-learners-")
	if err != nil {
		return fmt.Errorf("learners: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	machine, err := bench.Describe(dir)
	if err != nil {
		return err
	}
	m := &measurement{Options: o, cfg: cfg, dir: dir}
	if m.reference, err = startReference(ctx, cfg.Python); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.reference.stop()) }()
	for _, s := range []struct {
		name string
		run  func(context.Context) (*section, error)
	}{{"bank", m.bank}, {"cost", m.cost}, {"throughput", m.throughput}, {"pause", m.pause}} {
		if !slices.Contains(cfg.Sections, s.name) {
			continue
		}
		m.logf("%s", s.name)
		result, err := s.run(ctx)
		if err != nil {
			return fmt.Errorf("learners: %s: %w", s.name, err)
		}
		text := result.markdown() + "\n" + fmt.Sprintf("%s; %d rounds.\n", machine, o.Rounds)
		if _, err := io.WriteString(out, "\n"+text); err != nil {
			return err
		}
		if err := m.document(s.name, text); err != nil {
			return err
		}
	}
	return nil
}

// document puts a section's text between its marks in the documentation.
func (m *measurement) document(section, text string) error {
	if m.cfg.Docs == "" {
		return nil
	}
	old, err := os.ReadFile(m.cfg.Docs)
	if err != nil {
		return fmt.Errorf("learners: %w", err)
	}
	page, err := replaceBetweenMarks(string(old), section, text)
	if err != nil {
		return fmt.Errorf("learners: %s: %w", m.cfg.Docs, err)
	}
	return os.WriteFile(m.cfg.Docs, []byte(page), 0o644)
}

// folder makes a directory of the run.
func (m *measurement) folder(name string) (string, error) {
	dir := filepath.Join(m.dir, name)
	return dir, os.MkdirAll(dir, 0o755)
}
