package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/rs/zerolog"

	"github.com/praetor-engine/praetor/internal/engine"
	"github.com/praetor-engine/praetor/snapshot"
)

type snapshotCommands struct {
	Inspect inspectCommand `cmd:"" help:"Show what a snapshot, or every snapshot of a data directory, holds."`
	Save    saveCommand    `cmd:"" help:"Write a backup of a running node to a file (with the operator's key)."`
	Restore restoreCommand `cmd:"" help:"Make the data directory of a new cluster's node from a backup."`
	Verify  verifyCommand  `cmd:"" help:"Check every file of a snapshot, of every snapshot of a data directory, or of a backup, against its checksum."`
	Replay  replayCommand  `cmd:"" help:"Apply a stopped node's whole log to an empty engine and print the digest of every model."`
}

// snapshotDirs returns the snapshots that a path means: itself, or those of the
// data directory it is.
func snapshotDirs(path string) ([]string, error) {
	if _, err := os.Stat(filepath.Join(path, "MANIFEST")); err == nil {
		return []string{path}, nil
	}
	dir := filepath.Join(path, "snapshots")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s is neither a snapshot nor a data directory with snapshots", path)
	}
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, e := range entries {
		if e.IsDir() && filepath.Ext(e.Name()) == "" {
			dirs = append(dirs, filepath.Join(dir, e.Name()))
		}
	}
	if len(dirs) == 0 {
		return nil, fmt.Errorf("%s holds no snapshot yet", dir)
	}
	return dirs, nil
}

type inspectCommand struct {
	Path string `arg:"" type:"path" help:"A snapshot, or a data directory."`
}

// Run shows the manifests.
func (c *inspectCommand) Run(env *environment) error {
	dirs, err := snapshotDirs(c.Path)
	if err != nil {
		return err
	}
	for i, dir := range dirs {
		m, err := snapshot.Inspect(dir)
		if err != nil {
			return err
		}
		if i > 0 {
			fmt.Fprintln(env.out)
		}
		fmt.Fprintf(env.out, "%s\n  term %d, index %d, created %s, %d bytes\n", dir, m.Term, m.Index,
			time.UnixMilli(m.CreatedMS).UTC().Format(time.RFC3339), m.Size())
		w := tabwriter.NewWriter(env.out, 0, 0, 2, ' ', 0)
		for _, f := range m.Files {
			fmt.Fprintf(w, "  %s\t%d bytes\tcrc32c %08x\n", f.Name, f.Size, f.CRC32C)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

type verifyCommand struct {
	Path string `arg:"" type:"path" help:"A snapshot, a data directory, or a backup."`
}

// Run checks the files; the first damaged snapshot is the error.
func (c *verifyCommand) Run(env *environment) error {
	if info, err := os.Stat(c.Path); err == nil && info.Mode().IsRegular() {
		return verifyBackup(env, c.Path)
	}
	dirs, err := snapshotDirs(c.Path)
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := snapshot.Verify(dir); err != nil {
			return err
		}
		fmt.Fprintf(env.out, "%s: every file is as written\n", dir)
	}
	return nil
}

type replayCommand struct {
	Data string `arg:"" type:"path" help:"The data directory of a node that is stopped."`
}

// Run replays and prints the digest as JSON, in the shape of the API's.
func (c *replayCommand) Run(ctx context.Context, env *environment) error {
	d, err := engine.Replay(ctx, c.Data, zerolog.New(env.err).Level(zerolog.WarnLevel))
	if err != nil {
		return err
	}
	enc := json.NewEncoder(env.out)
	enc.SetIndent("", "  ")
	return enc.Encode(d)
}
