// Package demo plays against an engine through its public HTTP API and prints
// what happens: either the simulated market of package simulator, whose truth
// is known, or the rows of a delimited file with a label.
//
// Everything the demo does, any client could do: it has no way around the API.
package demo

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/praetor-engine/praetor/internal/client"
)

// Starter starts an engine with an empty tenant and returns once it is ready: the
// engine's URL, an admin key of the tenant, and stop, which ends the engine and
// removes its data.
type Starter func(ctx context.Context) (url, key string, stop func() error, err error)

// Options say what to play and against which engine.
type Options struct {
	URL   string // of a running engine; empty starts one with Start
	Key   string // editor's or admin's key, for URL
	Start Starter

	Seed     uint64 // of the simulated market
	Visitors int    // of the simulated market
	CSV      *CSV   // plays this file instead of the market

	Out   io.Writer
	Plain bool // no progress bar and no emphasis, as when Out is no terminal

	testRows int // size of the market's test set; 0 is the default
}

// CSV is a delimited file whose rows are customers and whose label tells what
// they did.
type CSV struct {
	Path     string
	Label    string   // column
	Positive string   // the label's value that is a success
	Drop     []string // columns that must not be used
}

// The defaults of the market.
const (
	DefaultSeed     = 1
	DefaultVisitors = 12_000
	// minVisitors lets every checkpoint have a round and the first training
	// the 50 interactions it needs.
	minVisitors = checkpoints * roundSize
)

// Validate names everything that is wrong with the options.
func (o *Options) Validate() error {
	var problems []error
	if o.URL != "" && o.Key == "" {
		problems = append(problems, errors.New("--url: got an engine without a key, want --key (or PRAETOR_KEY) with an editor's or admin's key"))
	}
	if o.URL == "" && o.Start == nil {
		problems = append(problems, errors.New("--url: want the address of a running engine"))
	}
	if o.CSV == nil && o.Visitors < minVisitors {
		problems = append(problems, fmt.Errorf("--visitors: got %d, want at least %d", o.Visitors, minVisitors))
	}
	if o.CSV != nil && (o.CSV.Label == "" || o.CSV.Positive == "") {
		problems = append(problems, errors.New("--csv: want --label with the column that tells what the customer did and --positive with its value for a success"))
	}
	return errors.Join(problems...)
}

// Run plays until the end or until ctx is done.
func Run(ctx context.Context, o Options) (err error) {
	if err := o.Validate(); err != nil {
		return err
	}
	out := newConsole(o.Out, o.Plain)
	defer out.finish()
	s := &session{out: out, url: o.URL, key: o.Key}
	if o.URL == "" {
		stop, failed := s.start(ctx, o.Start)
		if failed != nil {
			return failed
		}
		defer func() { err = errors.Join(err, stop()) }()
	} else {
		s.run = newRun()
	}
	if s.client, err = client.New(client.DefaultConfig(s.url, s.key)); err != nil {
		return err
	}
	defer s.client.Close()
	if err := s.client.Ready(ctx); err != nil {
		return fmt.Errorf("the engine at %s is not ready: %w", s.url, err)
	}
	if o.CSV != nil {
		return s.playFile(ctx, *o.CSV)
	}
	return s.playMarket(ctx, o)
}

// session is one run of the demo against one engine.
type session struct {
	out    *console
	client *client.Client
	url    string
	key    string
	owned  bool // the engine is ours and ends with the demo
	// run tells the ids of this run from those of others in the same tenant;
	// empty in an engine of our own.
	run string
}

func (s *session) start(ctx context.Context, start Starter) (stop func() error, err error) {
	s.url, s.key, stop, err = start(ctx)
	if err != nil {
		return nil, fmt.Errorf("starting an engine: %w", err)
	}
	s.owned = true
	return stop, nil
}

func newRun() string {
	var b [3]byte
	_, _ = rand.Read(b[:]) // never fails
	return "-" + hex.EncodeToString(b[:])
}

func (s *session) engineName() string {
	if s.owned {
		return "an engine of its own in this process, gone at the end"
	}
	return s.url
}
