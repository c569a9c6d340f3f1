package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Options say what to run.
type Options struct {
	Rounds  int      `default:"300" placeholder:"N" help:"Rounds in all; those that the report has already are not run again (${default})."`
	Seed    uint64   `default:"1" placeholder:"N" help:"Of everything drawn (${default})."`
	Faults  []string `placeholder:"FAULT,…" help:"Only these faults; default: all, each once before any comes again."`
	Brief   bool     `help:"Shorter faults, for a quick run."`
	Life    int      `default:"20" placeholder:"N" help:"Rounds of one cluster before a new one is founded (${default})."`
	Report  string   `default:"chaos.jsonl" type:"path" placeholder:"FILE" help:"Where the rounds are recorded, a line of JSON each (${default})."`
	Dir     string   `type:"path" placeholder:"DIR" help:"Where the nodes' data is, on a real disk; default: the system's directory for temporary files."`
	Praetor string   `default:"bin/praetor" type:"path" placeholder:"FILE" help:"The program under test (${default})."`
	Network string   `default:"auto" enum:"auto,proxy,namespaces" placeholder:"NETWORK" help:"proxy, namespaces, or auto: in turn, where namespaces are permitted (${default})."`
	Keep    int      `default:"3" placeholder:"N" help:"Clusters with findings whose data is kept (${default})."`
}

// Validate names what is wrong.
func (o *Options) Validate() error {
	if o.Rounds < 1 {
		return fmt.Errorf("rounds: got %d, want at least 1", o.Rounds)
	}
	if o.Life < 1 {
		return fmt.Errorf("life: got %d, want at least 1", o.Life)
	}
	for _, name := range o.Faults {
		if !slices.Contains(FaultNames(), name) {
			return fmt.Errorf("faults: got %q, want one of %s", name, strings.Join(FaultNames(), ", "))
		}
	}
	return nil
}

// Runner runs rounds.
type Runner struct {
	Options
	// Progress is told what is going on.
	Progress io.Writer

	work              string // directory of this run's lives
	version           string
	noDisks, noStrace string // why not; empty: permitted
	noNamespaces      string
	kept              int
}

func (r *Runner) logf(format string, args ...any) {
	_, _ = fmt.Fprintf(r.Progress, format+"\n", args...) // progress only
}

// ErrFindings ends a run in which a promise was found broken.
var ErrFindings = errors.New("chaos: a promise was found broken")

// Run runs the rounds that the report does not have yet.
func (r *Runner) Run(ctx context.Context) (err error) {
	done, err := ReadRounds(r.Report)
	if err != nil {
		return err
	}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	defer func() {
		if r.kept == 0 {
			_ = os.RemoveAll(r.work)
		}
	}()
	var l *life
	defer func() {
		if l != nil {
			err = errors.Join(err, l.close())
		}
	}()
	broken, lives := false, 0
	for number, inLife := 1, 0; number <= r.Rounds; number++ {
		if slices.ContainsFunc(done, func(d Round) bool { return d.Round == number && d.Seed == r.Seed && d.Error == "" }) {
			continue
		}
		fault := r.fault(number)
		if l == nil || inLife >= r.Life || !l.suits(fault) {
			if err := r.end(l, false); err != nil {
				return err
			}
			l = nil
			lives++
			if l, err = r.startLife(ctx, lives, fault); err != nil {
				return err
			}
			inLife = 0
		}
		inLife++
		r.logf("round %d of %d: %s", number, r.Rounds, fault.Name)
		record := r.round(ctx, l, number, fault)
		if ctx.Err() != nil {
			return ctx.Err() // what was cut off is no record
		}
		r.logf("  %s", record)
		for _, f := range record.Findings {
			r.logf("  BROKEN promise %d: %s (%d times)", f.Promise, f.What, f.Times)
		}
		if err := appendRound(r.Report, record); err != nil {
			return err
		}
		if record.Error != "" || len(record.Findings) > 0 {
			broken = true
			if err := r.end(l, true); err != nil {
				return err
			}
			l = nil
		}
	}
	if broken {
		return ErrFindings
	}
	return nil
}

// suits says whether the life's network permits a fault.
func (l *life) suits(fault *Fault) bool {
	_, ok := l.network.(shaper)
	return ok || !fault.shaped
}

// end closes a life. The data of one with findings is kept.
func (r *Runner) end(l *life, keep bool) error {
	if l == nil {
		return nil
	}
	if keep && r.kept < r.Keep {
		r.kept++
		if l.disks != nil { // what is mounted goes with the mount
			if err := l.cluster.Close(); err != nil {
				return err
			}
			for i, m := range l.disks.mounts {
				if err := os.CopyFS(filepath.Join(l.dir, fmt.Sprintf("kept-%d", i+1)), os.DirFS(m)); err != nil {
					r.logf("  not all data could be kept: %v", err)
				}
			}
		}
		err := l.close()
		images, _ := filepath.Glob(filepath.Join(l.dir, "disk-*.img"))
		for _, image := range images {
			err = errors.Join(err, os.Remove(image))
		}
		r.logf("  the data and logs are kept: %s", l.dir)
		return err
	}
	return errors.Join(l.close(), os.RemoveAll(l.dir))
}

// fault is the fault of a round: every block of as many rounds as there are
// faults has each once, in an order of its own.
func (r *Runner) fault(number int) *Fault {
	var list []*Fault
	for i := range Faults {
		if len(r.Faults) == 0 || slices.Contains(r.Faults, Faults[i].Name) {
			list = append(list, &Faults[i])
		}
	}
	block, place := (number-1)/len(list), (number-1)%len(list)
	rng := rand.New(rand.NewPCG(r.Seed, uint64(block)))
	return list[rng.Perm(len(list))[place]]
}

// prepare looks at what this machine permits.
func (r *Runner) prepare(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, r.Praetor, "version").Output()
	if err != nil {
		return fmt.Errorf("chaos: %s version: %w; build it with make build", r.Praetor, err)
	}
	r.version = string(bytes.TrimSpace(out))
	if r.work, err = os.MkdirTemp(r.Dir, "praetor-chaos-"); err != nil {
		return fmt.Errorf("chaos: %w", err)
	}
	if err := exec.CommandContext(ctx, "strace", "-f", "-qq", "-o", os.DevNull, "-e", "inject=fsync:error=EIO", "true").Run(); err != nil {
		r.noStrace = fmt.Sprintf("strace cannot inject errors here: %v", err)
	}
	return nil
}

// ReadRounds reads a report; none is an empty one.
func ReadRounds(path string) ([]Round, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("chaos: %w", err)
	}
	var rounds []Round
	for dec := json.NewDecoder(bytes.NewReader(b)); ; {
		var r Round
		if err := dec.Decode(&r); errors.Is(err, io.EOF) {
			return rounds, nil
		} else if err != nil {
			return nil, fmt.Errorf("chaos: %s: record %d: %w", path, len(rounds)+1, err)
		}
		rounds = append(rounds, r)
	}
}

func appendRound(path string, r *Round) (err error) {
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("chaos: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("chaos: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = f.Write(append(b, '\n'))
	return err
}
