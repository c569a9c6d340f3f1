// Command praetor is the engine and everything to run it with: the server, the
// commands of its operators and users, and a demonstration.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], &environment{out: os.Stdout, err: os.Stderr, start: startEngine}))
}

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// run carries out one command line and returns the process's exit code.
func run(ctx context.Context, args []string, env *environment) int {
	var line commandLine
	parser, err := kong.New(&line,
		kong.Name("praetor"),
		kong.Description("praetor decides: an in-memory decisioning engine that learns from every outcome."),
		kong.Writers(env.out, env.err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(env),
	)
	if err != nil {
		fmt.Fprintln(env.err, "praetor:", err)
		return exitFailed
	}
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(env.err, "praetor: %v\nTry praetor --help.\n", err)
		return exitUsage
	}
	if err := command.Run(); err != nil {
		fmt.Fprintln(env.err, "praetor:", explain(err))
		return exitFailed
	}
	return exitOK
}
