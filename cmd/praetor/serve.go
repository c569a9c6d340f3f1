package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/praetor-engine/praetor/internal/app"
)

type serveCommand struct {
	app.Config `embed:""`
}

// Run serves until the process is told to stop, or the node stops by itself.
func (c *serveCommand) Run(ctx context.Context, env *environment) error {
	log := newLogger(env.err, c.LogLevel, c.LogFormat)
	c.Version = version
	a, err := app.Start(ctx, c.Config, log)
	if err != nil {
		return err
	}
	log.Info().Str("url", a.URL()).Str("data", c.Data).Str("node", c.NodeID).Str("version", version).Msg("praetor is up")
	if c.Dev {
		printWelcome(env.out, a)
	}
	failure := a.Wait(ctx)
	log.Info().Msg("stopping")
	closing, cancel := context.WithTimeout(context.Background(), c.ShutdownTimeout)
	defer cancel()
	if err := a.Close(closing); err != nil && failure == nil {
		failure = err
	}
	return failure
}

// printWelcome shows the demo tenant's key, this once, and what to do with it.
func printWelcome(out io.Writer, a *app.App) {
	fmt.Fprintf(out, `
  praetor is ready.

    URL     %[1]s
    tenant  %[2]s
    key     %[3]s   (admin; shown this once)

  In another terminal:

    export PRAETOR_URL=%[1]s
    export PRAETOR_KEY=%[3]s
    bin/praetor models list
    bin/praetor demo --url $PRAETOR_URL

  The API's page: %[1]s/docs      Ctrl-C stops the engine.

`, a.URL(), app.DevTenant, a.DevKey)
}

// newLogger writes JSON, or lines for people on a terminal.
func newLogger(out io.Writer, level, format string) zerolog.Logger {
	l, err := zerolog.ParseLevel(level)
	if err != nil {
		l = zerolog.InfoLevel
	}
	if f, ok := out.(*os.File); format == "console" || (format == "auto" && ok && isTerminal(f)) {
		_, noColor := os.LookupEnv("NO_COLOR")
		out = zerolog.ConsoleWriter{Out: out, TimeFormat: time.TimeOnly, NoColor: noColor}
	}
	return zerolog.New(out).Level(l).With().Timestamp().Logger()
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
