package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

const (
	groupConns    = 256
	groupRequests = 8192
	// groupTarget is the project's.
	groupTarget = 8
)

// GroupCommit measures single outcomes at high concurrency with group commit,
// against one log entry per outcome.
func (o *Options) GroupCommit(ctx context.Context) (_ *Report, err error) {
	dir, remove, err := o.workDir()
	if err != nil {
		return nil, err
	}
	defer remove()
	r := &Report{
		Name: "group-commit: single outcomes acknowledged",
		Method: fmt.Sprintf("closed loop, one outcome a request, %d connections, 3 learning models, one node, fsync on, client on the same machine",
			groupConns),
	}
	if r.Machine, err = Describe(dir); err != nil {
		return nil, err
	}
	var engines []*Engine
	defer func() { err = errors.Join(err, stopAll(engines)) }()
	var variants []*variant
	for _, kind := range []struct {
		name  string
		flags []string
	}{
		{"group commit", []string{"--group-commit"}},
		{"one entry per outcome", []string{"--no-group-commit"}},
		{"one entry and fsync per outcome", []string{"--no-group-commit", "--append-entries=1"}},
	} {
		e, err := o.StartEngine(ctx, filepath.Join(dir, fileName(kind.name)), "", kind.flags...)
		if err != nil {
			return nil, err
		}
		engines = append(engines, e)
		v, err := groupVariant(ctx, e, kind.name)
		if err != nil {
			return nil, err
		}
		variants = append(variants, v)
	}
	if err := o.alternate(ctx, variants...); err != nil {
		return nil, err
	}
	for _, v := range variants {
		r.Rows = append(r.Rows, v.row("outcomes"))
		note, err := v.engine.entriesNote(ctx, v.name)
		if err != nil {
			return nil, err
		}
		r.Notes = append(r.Notes, note)
	}
	r.Ratios = []Ratio{ratio(variants[0], variants[1], groupTarget), ratio(variants[0], variants[2], groupTarget)}
	return r, nil
}

func groupVariant(ctx context.Context, e *Engine, name string) (*variant, error) {
	if _, err := e.createAll(ctx, learners()); err != nil {
		return nil, err
	}
	w, err := newWorkload()
	if err != nil {
		return nil, err
	}
	requests, err := w.single(e.Key, groupRequests)
	if err != nil {
		return nil, err
	}
	return &variant{
		name: name, pid: e.Pid(), engine: e,
		load: &Load{Addr: e.Addr, Requests: requests, Conns: groupConns, Units: oneUnit},
	}, nil
}

// entriesNote tells how many commands shared an entry, warm-up included.
func (e *Engine) entriesNote(ctx context.Context, name string) (string, error) {
	entries, err := e.Metric(ctx, "praetor_log_entries_proposed_total")
	if err != nil {
		return "", err
	}
	commands, err := e.Metric(ctx, "praetor_log_commands_proposed_total")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s: %.0f log entries, %.0f commands, %.1f commands an entry", name, entries, commands, commands/entries), nil
}
