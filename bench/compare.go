package bench

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Options are what all measurements share.
type Options struct {
	Duration time.Duration `default:"5s" placeholder:"D" help:"Length of one run (${default})."`
	Rounds   int           `default:"5" placeholder:"N" help:"Runs of each variant, the variants taking turns (${default})."`
	Dir      string        `type:"path" placeholder:"DIR" help:"Where to make the nodes' data directories, on the disk to measure; default: the system's directory for temporary files."`
	Profile  string        `type:"path" placeholder:"DIR" help:"Also put each engine under one more run and write its CPU and allocation profiles here."`

	// Self is the program to run with EngineCommand and BareCommand.
	Self string `kong:"-"`
	// Progress is told what is going on.
	Progress io.Writer `kong:"-"`
}

// Validate names what is wrong.
func (o *Options) Validate() error {
	if o.Duration <= 0 {
		return fmt.Errorf("duration: got %v, want more than 0", o.Duration)
	}
	if o.Rounds < 1 {
		return fmt.Errorf("rounds: got %d, want at least 1", o.Rounds)
	}
	return nil
}

func (o *Options) logf(format string, args ...any) {
	_, _ = fmt.Fprintf(o.Progress, format+"\n", args...) // progress only
}

// workDir makes a directory for the data of a measurement.
func (o *Options) workDir() (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp(o.Dir, "praetor-bench-")
	if err != nil {
		return "", nil, fmt.Errorf("bench: %w", err)
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}

// variant is one of the things compared.
type variant struct {
	name   string
	load   *Load
	pid    int     // of the server
	engine *Engine // nil: the server is not an engine

	rates, serverCPU, clientCPU []float64 // per round; CPU in microseconds a unit
	latency                     *hdrhistogram.Histogram
}

// alternate warms every variant up and then runs them in turn.
func (o *Options) alternate(ctx context.Context, variants ...*variant) error {
	for _, v := range variants {
		if len(v.load.Requests) == 0 {
			return errNoRequests
		}
		if _, err := v.load.Closed(ctx, o.Duration/2); err != nil {
			return fmt.Errorf("%s: warm-up: %w", v.name, err)
		}
		v.latency = newHistogram()
	}
	for round := range o.Rounds {
		for _, v := range variants {
			if err := v.measure(ctx, o.Duration); err != nil {
				return fmt.Errorf("%s: %w", v.name, err)
			}
			o.logf("  round %d of %d: %s: %.0f/s", round+1, o.Rounds, v.name, v.rates[round])
		}
	}
	if o.Profile == "" {
		return nil
	}
	for _, v := range variants {
		if err := o.profile(ctx, v); err != nil {
			return fmt.Errorf("%s: profile: %w", v.name, err)
		}
	}
	return nil
}

func (v *variant) measure(ctx context.Context, d time.Duration) error {
	server, _ := cpuTime(v.pid)
	client, _ := cpuTime(os.Getpid())
	run, err := v.load.Closed(ctx, d)
	if err != nil {
		return err
	}
	v.rates = append(v.rates, run.Rate())
	v.latency.Merge(run.Latency)
	if after, ok := cpuTime(v.pid); ok && run.Units > 0 {
		v.serverCPU = append(v.serverCPU, float64((after-server).Microseconds())/float64(run.Units))
	}
	if after, ok := cpuTime(os.Getpid()); ok && run.Units > 0 {
		v.clientCPU = append(v.clientCPU, float64((after-client).Microseconds())/float64(run.Units))
	}
	return nil
}

// profile takes an engine's profiles during one more run.
func (o *Options) profile(ctx context.Context, v *variant) error {
	if v.engine == nil {
		return nil
	}
	seconds := max(1, int(o.Duration/time.Second))
	done := make(chan error, 1)
	name := fileName(v.name)
	go func() {
		done <- o.saveProfile(ctx, v.engine, "profile", name, url.Values{"seconds": {strconv.Itoa(seconds)}})
	}()
	if _, err := v.load.Closed(ctx, time.Duration(seconds)*time.Second+time.Second/2); err != nil {
		return err
	}
	if err := <-done; err != nil {
		return err
	}
	return o.saveProfile(ctx, v.engine, "allocs", name, nil)
}

// fileName keeps letters and digits of a name.
func fileName(name string) string {
	b := []byte(name)
	for i, c := range b {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			b[i] = '-'
		}
	}
	return string(b)
}

// row is the variant's line of the report.
func (v *variant) row(unit string) Row {
	return Row{
		Variant: v.name, Unit: unit, Rate: Summarize(v.rates),
		ServerCPU: Summarize(v.serverCPU), ClientCPU: Summarize(v.clientCPU),
		Latency: latencyOf(v.latency),
	}
}

// ratio is a line of the report: of's rate to to's, round by round.
func ratio(of, to *variant, target float64) Ratio {
	return Ratio{Of: of.name, To: to.name, Ratio: Summarize(ratios(of.rates, to.rates)), Target: target}
}
