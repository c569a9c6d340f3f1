// Command praetor-bench measures the engine end to end, as ratios side by side,
// and kills it to see what it keeps. See bench/README.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/praetor-engine/praetor/bench"
	"github.com/praetor-engine/praetor/bench/learners"
	"github.com/praetor-engine/praetor/internal/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

// streams are what a process reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

type commandLine struct {
	Outcomes    outcomesCommand    `cmd:"" help:"Acknowledged outcomes a second in bulk requests."`
	GroupCommit groupCommitCommand `cmd:"" help:"Single outcomes with group commit, against one log entry per outcome."`
	Score       scoreCommand       `cmd:"" help:"Scores a second, against a bare HTTP server that answers a constant."`
	Decisions   decisionsCommand   `cmd:"" help:"Scores a second of a model whose decisions are all logged, against one whose are not."`
	Monitoring  monitoringCommand  `cmd:"" help:"Scores a second of a node that monitors what it serves, against one that does not."`
	Serve       serveCommand       `cmd:"" help:"Variants served a second with their exposures on disk, against a bare HTTP server that answers a constant."`
	Factorial   factorialCommand   `cmd:"" help:"Observations of an optimization recorded one by one, and trainings from them."`
	Crash       crashCommand       `cmd:"" help:"Kill the node during a load, restart it and count; fails on any difference."`
	All         allCommand         `cmd:"" help:"All of these in turn."`
	Learners    learnersCommand    `cmd:"" help:"The learners beside the libraries that specialists would use; make learners has what it needs."`
	Cluster     clusterCommands    `cmd:"" help:"Several nodes on this machine: what faults cost, and what replication costs."`
	Adaptive    adaptiveCommand    `cmd:"" help:"Adaptive learning on a simulated truth that drifts: calibration and regret of its modes."`
	Regret      regretCommand      `cmd:"" help:"The factorial bandits on simulated truths and on a log: regret, false lifts, off-policy estimates."`

	Engine engineCommand `cmd:"" hidden:"" help:"Serve as a child: a node."`
	Bare   bareCommand   `cmd:"" hidden:"" help:"Serve as a child: a constant."`
	Raft   raftCommand   `cmd:"" hidden:"" help:"Serve as a child: the Raft library alone."`
}

// run carries out one command line and returns the process's exit code.
func run(ctx context.Context, args []string, s streams) int {
	var line commandLine
	parser, err := kong.New(&line,
		kong.Name("praetor-bench"),
		kong.Description("Measures the engine end to end, as ratios side by side."),
		kong.Writers(s.out, s.err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Vars{"bulk": strconv.Itoa(bench.BulkSize)},
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(s),
	)
	if err == nil {
		var command *kong.Context
		if command, err = parser.Parse(args); err == nil {
			err = command.Run()
		}
	}
	if err != nil {
		_, _ = fmt.Fprintln(s.err, "praetor-bench:", err)
		return 1
	}
	return 0
}

// common are the flags of every measurement.
type common struct {
	bench.Options `embed:""`
	JSON          bool `help:"Print the report as JSON."`
}

// options returns the options with what the process adds.
func (c *common) options(s streams) (*bench.Options, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	o := c.Options
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.Self, o.Progress = self, s.err
	return &o, nil
}

// errBroken ends the process with an error after its report.
var errBroken = errors.New("a promise was found broken")

// print prints a report; one with faults is an error.
func (c *common) print(s streams, r *bench.Report) error {
	var err error
	if c.JSON {
		err = json.NewEncoder(s.out).Encode(r)
	} else {
		err = r.Write(s.out)
	}
	if err == nil && len(r.Faults) > 0 {
		return errBroken
	}
	return err
}

// measure runs one measurement and prints its report.
func (c *common) measure(s streams, f func(*bench.Options) (*bench.Report, error)) error {
	o, err := c.options(s)
	if err != nil {
		return err
	}
	r, err := f(o)
	if err != nil {
		return err
	}
	return c.print(s, r)
}

type outcomesCommand struct{ common }

// Run measures.
func (c *outcomesCommand) Run(ctx context.Context, s streams) error {
	return c.measure(s, func(o *bench.Options) (*bench.Report, error) { return o.Outcomes(ctx) })
}

type groupCommitCommand struct{ common }

// Run measures.
func (c *groupCommitCommand) Run(ctx context.Context, s streams) error {
	return c.measure(s, func(o *bench.Options) (*bench.Report, error) { return o.GroupCommit(ctx) })
}

type scoreCommand struct {
	common
	Types []string `placeholder:"TYPE,…" help:"Only these model types."`
}

// Run measures.
func (c *scoreCommand) Run(ctx context.Context, s streams) error {
	return c.measure(s, func(o *bench.Options) (*bench.Report, error) { return o.Score(ctx, c.Types) })
}

type decisionsCommand struct{ common }

// Run measures.
func (c *decisionsCommand) Run(ctx context.Context, s streams) error {
	return c.measure(s, func(o *bench.Options) (*bench.Report, error) { return o.Decisions(ctx) })
}

type monitoringCommand struct{ common }

// Run measures.
func (c *monitoringCommand) Run(ctx context.Context, s streams) error {
	return c.measure(s, func(o *bench.Options) (*bench.Report, error) { return o.Monitoring(ctx) })
}

type serveCommand struct{ common }

// Run measures.
func (c *serveCommand) Run(ctx context.Context, s streams) error {
	return c.measure(s, func(o *bench.Options) (*bench.Report, error) { return o.Serve(ctx) })
}

type factorialCommand struct {
	common
	bench.FactorialPlan `embed:""`
}

// Run measures.
func (c *factorialCommand) Run(ctx context.Context, s streams) error {
	return c.measure(s, func(o *bench.Options) (*bench.Report, error) { return o.Factorial(ctx, c.FactorialPlan) })
}

type crashCommand struct {
	common
	bench.CrashPlan `embed:""`
}

// Run kills and counts.
func (c *crashCommand) Run(ctx context.Context, s streams) error {
	return c.measure(s, func(o *bench.Options) (*bench.Report, error) { return o.Crash(ctx, c.CrashPlan) })
}

type allCommand struct {
	common
	bench.CrashPlan `embed:""`
}

// Run does everything.
func (c *allCommand) Run(ctx context.Context, s streams) error {
	for _, f := range []func(*bench.Options) (*bench.Report, error){
		func(o *bench.Options) (*bench.Report, error) { return o.Outcomes(ctx) },
		func(o *bench.Options) (*bench.Report, error) { return o.GroupCommit(ctx) },
		func(o *bench.Options) (*bench.Report, error) { return o.Score(ctx, nil) },
		func(o *bench.Options) (*bench.Report, error) { return o.Crash(ctx, c.CrashPlan) },
	} {
		if err := c.measure(s, f); err != nil {
			return err
		}
	}
	return nil
}

type learnersCommand struct {
	bench.Options   `embed:""`
	learners.Config `embed:""`
}

// Validate names what is wrong.
func (c *learnersCommand) Validate() error {
	return errors.Join(c.Options.Validate(), c.Config.Validate())
}

// Run measures.
func (c *learnersCommand) Run(ctx context.Context, s streams) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c.Self, c.Progress = self, s.err
	return learners.Measure(ctx, &c.Options, &c.Config, s.out)
}

type engineCommand struct {
	app.Config `embed:""`
}

// Run serves.
func (c *engineCommand) Run(ctx context.Context, s streams) error {
	return bench.ServeEngine(ctx, c.Config, s.in, s.out)
}

type bareCommand struct{}

// Run serves.
func (*bareCommand) Run(ctx context.Context, s streams) error {
	return bench.ServeBare(ctx, s.in, s.out)
}
