package main

import (
	"context"
	"os"
	"time"

	"github.com/alecthomas/kong"
	"github.com/rs/zerolog"

	"github.com/praetor-engine/praetor/internal/app"
)

// demoShutdown bounds the stop of the demo's own engine.
const demoShutdown = 20 * time.Second

// startEngine starts the engine that the demo plays against when it is not told
// of a running one: on a free port, with its data in a temporary directory.
func startEngine(ctx context.Context) (url, key string, stop func() error, err error) {
	dir, err := os.MkdirTemp("", "praetor-demo-")
	if err != nil {
		return "", "", nil, err
	}
	config, err := defaults()
	if err != nil {
		return "", "", nil, err
	}
	config.Listen, config.Data, config.Dev = "127.0.0.1:0", dir, true
	a, err := app.Start(ctx, config, zerolog.New(os.Stderr).Level(zerolog.ErrorLevel))
	if err != nil {
		_ = os.RemoveAll(dir)
		return "", "", nil, err
	}
	stop = func() error {
		closing, cancel := context.WithTimeout(context.Background(), demoShutdown)
		defer cancel()
		err := a.Close(closing)
		_ = os.RemoveAll(dir)
		return err
	}
	return a.URL(), a.DevKey, stop, nil
}

// defaults returns the settings that a serve without flags has.
func defaults() (app.Config, error) {
	var line struct{ app.Config }
	parser, err := kong.New(&line, kong.Exit(func(int) {}))
	if err != nil {
		return line.Config, err
	}
	_, err = parser.Parse(nil)
	return line.Config, err
}
