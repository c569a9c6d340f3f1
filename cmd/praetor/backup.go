package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/praetor-engine/praetor/cluster"
	"github.com/praetor-engine/praetor/internal/client"
	"github.com/praetor-engine/praetor/snapshot"
)

type saveCommand struct {
	target `embed:""`
	File   string `arg:"" type:"path" help:"The file to write; it must not be there yet."`
}

// Run writes the backup beside its name first, so that the name stands for a
// whole one.
func (c *saveCommand) Run(ctx context.Context, env *environment) error {
	engine, err := c.operator()
	if err != nil {
		return err
	}
	defer engine.Close()
	if _, err := os.Stat(c.File); err == nil {
		return fmt.Errorf("%s is there already", c.File)
	}
	part := c.File + ".part"
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	var index uint64
	err = engine.Backup(ctx, f, client.AppliedIndex(&index))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	m, err := unpackElsewhere(part)
	if err != nil {
		return errors.Join(err, os.Remove(part))
	}
	if err := os.Rename(part, c.File); err != nil {
		return err
	}
	fmt.Fprintf(env.out, "%s: everything up to log index %d, %d bytes, every file as written\n", c.File, index, m.Size())
	return nil
}

// unpackElsewhere checks a backup by unpacking it into a directory that it
// removes again.
func unpackElsewhere(backup string) (m *snapshot.Manifest, err error) {
	f, err := os.Open(backup)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	dir, err := os.MkdirTemp("", "praetor-verify-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	store, err := snapshot.Open(dir, snapshot.Options{})
	if err != nil {
		return nil, err
	}
	if _, err := store.Unpack(f); err != nil {
		return nil, fmt.Errorf("%s: %w", backup, err)
	}
	infos, err := store.List()
	if err != nil {
		return nil, err
	}
	return &infos[0].Manifest, nil
}

func verifyBackup(env *environment, path string) error {
	m, err := unpackElsewhere(path)
	if err != nil {
		return err
	}
	fmt.Fprintf(env.out, "%s: term %d, index %d, %d bytes, every file as written\n", path, m.Term, m.Index, m.Size())
	return nil
}

type restoreCommand struct {
	File   string   `arg:"" type:"existingfile" help:"The backup."`
	Data   string   `env:"PRAETOR_DATA" default:"./data" type:"path" help:"The node's data directory, empty or absent (${env}; ${default})."`
	NodeID string   `env:"PRAETOR_NODE_ID" default:"node-1" help:"The node's id (${env}; ${default})."`
	Peers  []string `env:"PRAETOR_PEERS" placeholder:"ID=HOST:PORT,…" help:"The nodes that found the new cluster, as serve has them, the same on each; none: this node alone (${env})."`
}

// Run makes the directory.
func (c *restoreCommand) Run(env *environment) error {
	peers, err := cluster.ParsePeers(c.Peers)
	if err != nil {
		return err
	}
	f, err := os.Open(c.File)
	if err != nil {
		return err
	}
	m, err := cluster.RestoreBackup(cluster.Founders{DataDir: c.Data, NodeID: c.NodeID, Peers: peers}, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	fmt.Fprintf(env.out, "%s: restored up to log index %d; start it with praetor serve --data %[1]s --node-id %[3]s and the same --peers\n", c.Data, m.Index, c.NodeID)
	return nil
}
