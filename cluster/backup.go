package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/raft"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/snapshot"
)

// A backup is a snapshot as one stream: package snapshot draws it. It holds
// everything that was applied up to its index, and the members of that time,
// whom a restored cluster does not have: a backup founds a new cluster.

// Backup takes a snapshot of what this node has applied and returns it as a
// stream, verified; the caller closes it.
func (n *Node) Backup(ctx context.Context) (*snapshot.Stream, error) {
	if err := n.Snapshot(ctx); err != nil {
		return nil, err
	}
	infos, err := n.snaps.store.List()
	if err != nil {
		return nil, err
	}
	if len(infos) == 0 {
		return nil, decision.Errorf(decision.KindConflict, "nothing was ever written to this node; there is nothing to back up")
	}
	src, err := n.snaps.store.Open(infos[0].ID)
	if err != nil {
		return nil, err
	}
	if err := src.Verify(); err != nil {
		return nil, errors.Join(err, src.Close())
	}
	stream, err := src.Stream()
	if err != nil {
		return nil, errors.Join(err, src.Close())
	}
	return stream, nil
}

// Founders says who founds a cluster from a backup. Every founder restores the
// same backup with the same peers.
type Founders struct {
	DataDir string // empty or absent
	NodeID  string
	Peers   []Peer // as Config.Peers; none: this node alone
}

// RestoreBackup makes the data directory of a node from a backup. A directory
// that holds anything is refused, and one that could not be finished holds
// nothing that a node would start from.
func RestoreBackup(f Founders, backup io.Reader) (*snapshot.Manifest, error) {
	cfg := DefaultConfig()
	cfg.NodeID, cfg.DataDir, cfg.Peers = f.NodeID, f.DataDir, f.Peers
	if len(f.Peers) > 0 {
		cfg.Listen = "127.0.0.1:0" // only a node alone can do without
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(f.DataDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if len(entries) > 0 {
		return nil, decision.Errorf(decision.KindConflict, "directory %s is not empty; a backup is restored into an empty one", f.DataDir)
	}
	if err := os.MkdirAll(f.DataDir, 0o700); err != nil {
		return nil, err
	}
	received := filepath.Join(f.DataDir, "restore.tmp")
	m, err := restoreInto(&cfg, received, backup)
	return m, errors.Join(err, os.RemoveAll(received))
}

func restoreInto(cfg *Config, received string, backup io.Reader) (m *snapshot.Manifest, err error) {
	from, err := snapshot.Open(received, snapshot.Options{})
	if err != nil {
		return nil, err
	}
	id, err := from.Unpack(backup)
	if err != nil {
		return nil, err
	}
	src, err := from.Open(id)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	m = src.Manifest()
	if err := refound(cfg, src); err != nil {
		return m, err
	}
	// Raft takes no term below that of what it starts from.
	logs, err := openLog(cfg.DataDir, false)
	if err != nil {
		return m, err
	}
	if err := errors.Join(logs.SetUint64([]byte("CurrentTerm"), m.Term), logs.Close()); err != nil {
		return m, err
	}
	// The identity last: without it nothing starts from this directory.
	if err := writeDurably(filepath.Join(cfg.DataDir, highWaterName), encodeHighWater(m.Index)); err != nil {
		return m, err
	}
	cluster := restoredID(cfg, m)
	return m, writeIdentity(filepath.Join(cfg.DataDir, identityName), identity{
		Format: dirFormat, NodeID: cfg.NodeID, Incarnation: newIncarnation().String(), Cluster: hex.EncodeToString(cluster[:]),
	})
}

// restoredID is the id of the cluster that a backup founds: the same on every
// founder, and another than that of the cluster it came from.
func restoredID(cfg *Config, m *snapshot.Manifest) (c clusterID) {
	h := sha256.New()
	founders := cfg.founders(raft.ServerAddress(cfg.NodeID)).Servers
	slices.SortFunc(founders, func(a, b raft.Server) int { return strings.Compare(string(a.ID), string(b.ID)) })
	for _, s := range founders {
		fmt.Fprintf(h, "%s=%s\n", s.ID, s.Address)
	}
	fmt.Fprintf(h, "%d %d %d\n", m.Term, m.Index, m.CreatedMS)
	for _, f := range m.Files {
		fmt.Fprintf(h, "%s %d %08x\n", f.Name, f.Size, f.CRC32C)
	}
	copy(c[:], h.Sum(nil))
	return c
}

// refound copies a snapshot into the data directory, with the founders as its
// members.
func refound(cfg *Config, src *snapshot.Source) error {
	at, _, err := readState(src)
	if err != nil {
		return err
	}
	old := src.Manifest()
	founders := cfg.founders(raft.ServerAddress(cfg.NodeID)) // a node alone has its id for an address
	conf, err := encodeMembership(founders, old.Index)
	if err != nil {
		return err
	}
	roster := make(map[string]rosterEntry)
	for _, s := range founders.Servers {
		roster[string(s.ID)] = rosterEntry{standing: member}
	}
	to, err := snapshot.Open(filepath.Join(cfg.DataDir, snapshotsName), snapshot.Options{})
	if err != nil {
		return err
	}
	w, err := to.Create(snapshot.Meta{Term: old.Term, Index: old.Index, Configuration: conf})
	if err != nil {
		return err
	}
	if err := copySnapshot(w, src, encodeState(at, roster)); err != nil {
		return errors.Join(err, w.Cancel())
	}
	return w.Commit()
}

// copySnapshot copies everything but this package's own state.
func copySnapshot(w *snapshot.Writer, src *snapshot.Source, state []byte) error {
	m := src.Manifest()
	dirs := make(map[string]string) // in the copy
	for _, name := range m.Dirs {
		if top(name) != name {
			continue
		}
		path, err := w.Dir(name)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(path, 0o700); err != nil {
			return err
		}
		dirs[name] = path
	}
	for _, f := range m.Files {
		if dir, ok := dirs[top(f.Name)]; ok {
			from, _ := src.Dir(top(f.Name))
			rest := filepath.FromSlash(f.Name[len(top(f.Name))+1:])
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, rest)), 0o700); err != nil {
				return err
			}
			if err := os.Link(filepath.Join(from, rest), filepath.Join(dir, rest)); err != nil {
				return err
			}
			continue
		}
		if err := copySection(w, src, f.Name, state); err != nil {
			return err
		}
	}
	return nil
}

func copySection(w *snapshot.Writer, src *snapshot.Source, name string, state []byte) (err error) {
	to := w.Section(name)
	defer func() { err = errors.Join(err, to.Close()) }()
	if name == stateSection {
		_, err := to.Write(state)
		return err
	}
	from, err := src.Section(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, from.Close())
}

// top is the first element of a path with slashes.
func top(name string) string {
	for i := range name {
		if name[i] == '/' {
			return name[:i]
		}
	}
	return name
}
