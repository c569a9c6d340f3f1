package cluster

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/snapshot"
)

// The data directory, as far as this package owns it:
//
//	LOCK        held by the process that runs the node
//	node.json   the layout's version, the node id this directory is bound to, its
//	            incarnation and its cluster, see identity
//	high-water  an index that this node has applied, see highWater
//	raft.db     the log, and Raft's term and vote
//	snapshots/  see package snapshot
const (
	lockName      = "LOCK"
	identityName  = "node.json"
	highWaterName = "high-water"
	logName       = "raft.db"
	snapshotsName = "snapshots"

	dirFormat = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func refuse(format string, args ...any) error {
	return &decision.Error{Kind: decision.KindInternal, Op: "cluster.Open", Msg: fmt.Sprintf(format, args...)}
}

type identity struct {
	Format int    `json:"format"`
	NodeID string `json:"node_id"`
	// Incarnation is drawn when the directory is made, in hexadecimal: the same
	// id with another one is another node's data.
	Incarnation string `json:"incarnation,omitempty"`
	// Cluster is the cluster that the directory belongs to, in hexadecimal; empty:
	// none yet, or one founded before clusters had ids.
	Cluster string `json:"cluster,omitempty"`
}

// bindIdentity binds a new directory to a node id, and refuses one that is bound
// to another: a node that comes back with somebody else's log would vote twice.
func bindIdentity(dir, nodeID string, founded clusterID) (*self, error) {
	path := filepath.Join(dir, identityName)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		id := identity{Format: dirFormat, NodeID: nodeID, Incarnation: newIncarnation().String()}
		if founded.known() {
			id.Cluster = hex.EncodeToString(founded[:])
		}
		if err := bindNew(dir, id); err != nil {
			return nil, err
		}
		return id.self(path)
	}
	if err != nil {
		return nil, err
	}
	id, err := decodeIdentity(path, b)
	if err != nil {
		return nil, err
	}
	if id.NodeID != nodeID {
		return nil, refuse("data directory %s belongs to node %q, got node id %q; use that id, or another directory", dir, id.NodeID, nodeID)
	}
	if id.Incarnation == "" { // from before there were any
		id.Incarnation = newIncarnation().String()
		if err := writeIdentity(path, id); err != nil {
			return nil, err
		}
	}
	return id.self(path)
}

func decodeIdentity(path string, b []byte) (identity, error) {
	var id identity
	if err := json.Unmarshal(b, &id); err != nil {
		return id, refuse("%s is damaged: %v; restore the file, or start an empty directory under a new node id", path, err)
	}
	if id.Format != dirFormat {
		return id, refuse("%s: format is %d, this build reads format %d; start a build that knows it", path, id.Format, dirFormat)
	}
	return id, nil
}

func newIncarnation() (i incarnation) {
	rand.Read(i[:])
	return i
}

// self is what a node says about itself.
func (id identity) self(path string) (*self, error) {
	s := &self{id: id.NodeID}
	i, err := hex.DecodeString(id.Incarnation)
	if err != nil || len(i) != len(s.incarnation) {
		return nil, refuse("%s is damaged: got incarnation %q, want 32 hexadecimal digits; restore the file", path, id.Incarnation)
	}
	copy(s.incarnation[:], i)
	var cluster clusterID
	c, err := hex.DecodeString(id.Cluster)
	if err != nil || len(c) != 0 && len(c) != len(cluster) {
		return nil, refuse("%s is damaged: got cluster %q, want 32 hexadecimal digits; restore the file", path, id.Cluster)
	}
	copy(cluster[:], c)
	s.cluster.Store(&cluster)
	return s, nil
}

// bindCluster writes down which cluster an empty node has joined.
func bindCluster(dir string, c clusterID) error {
	path := filepath.Join(dir, identityName)
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	id, err := decodeIdentity(path, b)
	if err != nil {
		return err
	}
	id.Cluster = hex.EncodeToString(c[:])
	return writeIdentity(path, id)
}

func writeIdentity(path string, id identity) error {
	b, err := json.Marshal(id)
	if err != nil {
		return err
	}
	return writeDurably(path, append(b, '\n'))
}

// foundingID is the id of a cluster that this node founds: the same on every
// founder, who know nothing in common but the list of peers.
func foundingID(cfg *Config) (c clusterID) {
	switch {
	case len(cfg.Join) > 0:
	case len(cfg.Peers) < 2:
		rand.Read(c[:])
	default:
		var founders []string
		for _, p := range cfg.Peers {
			founders = append(founders, p.ID+"="+p.Address)
		}
		slices.Sort(founders)
		sum := sha256.Sum256([]byte(strings.Join(founders, "\n")))
		copy(c[:], sum[:])
	}
	return c
}

// bindNew writes the high-water mark before the identity, so that a directory
// with an identity always has one.
func bindNew(dir string, id identity) error {
	if _, err := os.Stat(filepath.Join(dir, logName)); err == nil {
		return refuse("%s has a log but no %s, so it is not known whose it is; restore the file, or use an empty directory", dir, identityName)
	}
	if err := writeDurably(filepath.Join(dir, highWaterName), encodeHighWater(0)); err != nil {
		return err
	}
	return writeIdentity(filepath.Join(dir, identityName), id)
}

// highWater is an index that this node has applied, kept apart from the log and
// the snapshots. A start that does not reach it has lost something: a snapshot,
// the log, or both were damaged or put back from an old copy.
type highWater struct {
	path  string
	mu    sync.Mutex
	index uint64
	err   error // of an fsync; nothing is written after it
}

func encodeHighWater(index uint64) []byte {
	b := fmt.Appendf(nil, "1 %d ", index)
	return fmt.Appendf(b, "%08x\n", crc32.Checksum(b, castagnoli))
}

func openHighWater(dir string) (*highWater, error) {
	h := &highWater{path: filepath.Join(dir, highWaterName)}
	b, err := os.ReadFile(h.path)
	if err != nil {
		return nil, refuse("%s cannot be read: %v; without it lost entries would go unnoticed: restore the file, or rebuild this node from its peers", h.path, err)
	}
	var version int
	var crc uint32
	_, err = fmt.Sscanf(string(b), "%d %d %x\n", &version, &h.index, &crc)
	if err != nil || string(b) != string(encodeHighWater(h.index)) {
		return nil, refuse("%s is damaged: got %q; restore the file, or rebuild this node from its peers", h.path, b)
	}
	return h, nil
}

// raise records that index was applied. The mark never falls.
func (h *highWater) raise(index uint64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil || index <= h.index {
		return h.err
	}
	err := writeDurably(h.path, encodeHighWater(index))
	switch {
	case err == nil:
		h.index = index
	case errors.Is(err, snapshot.ErrSync):
		h.err = err
	}
	return err
}

func (h *highWater) get() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.index
}

// writeDurably replaces a file so that a crash leaves the old or the new one.
func writeDurably(path string, b []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		if err = f.Sync(); err != nil {
			err = fmt.Errorf("%w: %s: %w", snapshot.ErrSync, tmp, err)
		}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	if err := (snapshot.OS{}).SyncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("%w: %s: %w", snapshot.ErrSync, filepath.Dir(path), err)
	}
	return nil
}
