// Command praetor-chaos injects faults into a cluster of real processes and
// checks what it promises. See bench/README.md and docs/reliability.md.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/praetor-engine/praetor/bench/chaos"
)

type commandLine struct {
	Run    runCommand    `cmd:"" help:"Run rounds; exit code 1 when a promise is found broken."`
	Report reportCommand `cmd:"" help:"Write what the rounds found into the documentation."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	var line commandLine
	command := kong.Parse(&line, kong.Name("praetor-chaos"),
		kong.Description("Injects faults into a cluster of real processes and checks what it promises."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.BindTo(ctx, (*context.Context)(nil)))
	if err := command.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "praetor-chaos:", err)
		os.Exit(1)
	}
}

type runCommand struct {
	chaos.Options `embed:""`
}

// Run runs rounds.
func (c *runCommand) Run(ctx context.Context) error {
	r := chaos.Runner{Options: c.Options, Progress: os.Stdout}
	return r.Run(ctx)
}

type reportCommand struct {
	Report string `default:"chaos.jsonl" type:"path" placeholder:"FILE" help:"The rounds' records (${default})."`
	Into   string `default:"docs/reliability.md" type:"path" placeholder:"FILE" help:"The page; what is between its markers is replaced (${default})."`
}

// Run writes the page.
func (c *reportCommand) Run() error {
	rounds, err := chaos.ReadRounds(c.Report)
	if err != nil {
		return err
	}
	return chaos.WriteReport(c.Into, rounds)
}
