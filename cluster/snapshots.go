package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"github.com/praetor-engine/praetor/snapshot"
)

// snapshotStore adapts a snapshot.Store to Raft.
//
// Raft's own start tries one snapshot after another and takes the first that
// restores, however old. Until released, List therefore shows only the one that
// was verified and held against the log and the high-water mark, or none.
type snapshotStore struct {
	store    *snapshot.Store
	high     *highWater
	fail     func(error) // stops the node
	start    string      // the snapshot to start from; empty: none
	released atomic.Bool
}

// membership is the configuration in a snapshot's manifest.
type membership struct {
	Index   uint64   `json:"index"`
	Servers []server `json:"servers"`
}

type server struct {
	ID      string `json:"id"`
	Address string `json:"address"`
	Voter   bool   `json:"voter"`
}

func encodeMembership(c raft.Configuration, index uint64) (json.RawMessage, error) {
	m := membership{Index: index, Servers: []server{}}
	for _, s := range c.Servers {
		m.Servers = append(m.Servers, server{string(s.ID), string(s.Address), s.Suffrage == raft.Voter})
	}
	return json.Marshal(m)
}

func decodeMembership(b json.RawMessage) (raft.Configuration, uint64, error) {
	var m membership
	if err := json.Unmarshal(b, &m); err != nil {
		return raft.Configuration{}, 0, fmt.Errorf("membership in the snapshot: %w", err)
	}
	var c raft.Configuration
	for _, s := range m.Servers {
		suffrage := raft.Nonvoter
		if s.Voter {
			suffrage = raft.Voter
		}
		c.Servers = append(c.Servers, raft.Server{ID: raft.ServerID(s.ID), Address: raft.ServerAddress(s.Address), Suffrage: suffrage})
	}
	return c, m.Index, nil
}

func raftMeta(id string, m *snapshot.Manifest, size int64) (*raft.SnapshotMeta, error) {
	conf, index, err := decodeMembership(m.Configuration)
	if err != nil {
		return nil, err
	}
	return &raft.SnapshotMeta{
		Version: raft.SnapshotVersionMax, ID: id, Index: m.Index, Term: m.Term,
		Configuration: conf, ConfigurationIndex: index, Size: size,
	}, nil
}

// List implements raft.SnapshotStore, the newest first.
func (s *snapshotStore) List() ([]*raft.SnapshotMeta, error) {
	infos, err := s.store.List()
	if err != nil {
		return nil, err
	}
	released := s.released.Load()
	var metas []*raft.SnapshotMeta
	for i := range infos {
		if infos[i].Err != nil || !released && infos[i].ID != s.start {
			continue
		}
		m, err := raftMeta(infos[i].ID, &infos[i].Manifest, infos[i].Manifest.Size())
		if err != nil {
			return nil, err
		}
		metas = append(metas, m)
	}
	return metas, nil
}

// Open implements raft.SnapshotStore. What it returns is a snapshot.Stream: read
// by Raft to install it elsewhere, and unwrapped by Restore here.
func (s *snapshotStore) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	src, err := s.store.Open(id)
	if err != nil {
		return nil, nil, err
	}
	stream, err := src.Stream()
	if err != nil {
		return nil, nil, errors.Join(err, src.Close())
	}
	meta, err := raftMeta(id, src.Manifest(), stream.Size())
	if err != nil {
		return nil, nil, errors.Join(err, stream.Close())
	}
	return meta, stream, nil
}

// Create implements raft.SnapshotStore.
func (s *snapshotStore) Create(version raft.SnapshotVersion, index, term uint64, c raft.Configuration, confIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	if version != raft.SnapshotVersionMax {
		return nil, fmt.Errorf("snapshot version is %d, want %d", version, raft.SnapshotVersionMax)
	}
	conf, err := encodeMembership(c, confIndex)
	if err != nil {
		return nil, err
	}
	return &snapshotSink{store: s, meta: snapshot.Meta{Term: term, Index: index, Configuration: conf}}, nil
}

// keepAfter returns the index after which the log must stay: that of the oldest
// retained snapshot when there is a newer one too, else zero, so that one
// damaged snapshot can always be made up for.
func (s *snapshotStore) keepAfter() uint64 {
	infos, err := s.store.List()
	if err != nil || len(infos) < 2 {
		return 0
	}
	for _, info := range infos {
		if info.Err != nil {
			return 0
		}
	}
	return infos[len(infos)-1].Index
}

// snapshotSink is a snapshot on its way in: from this node's machine through
// writer, or from the leader through Write.
type snapshotSink struct {
	store     *snapshotStore
	meta      snapshot.Meta
	id        string
	w         *snapshot.Writer
	r         *snapshot.Receiver
	committed func() // called after the commit; may be nil
}

func (s *snapshotSink) writer() (*snapshot.Writer, error) {
	w, err := s.store.store.Create(s.meta)
	if err != nil {
		return nil, err
	}
	s.w, s.id = w, w.ID()
	return w, nil
}

// ID implements raft.SnapshotSink. Raft asks after Close.
func (s *snapshotSink) ID() string { return s.id }

// Write implements raft.SnapshotSink.
func (s *snapshotSink) Write(p []byte) (int, error) {
	if s.r == nil {
		r, err := s.store.store.Receive(s.meta)
		if err != nil {
			return 0, err
		}
		s.r, s.id = r, r.ID()
	}
	return s.r.Write(p)
}

// Close implements raft.SnapshotSink: it commits. The high-water mark is raised
// before Raft drops the entries that the snapshot replaces.
func (s *snapshotSink) Close() error {
	if err := s.commit(); err != nil {
		if errors.Is(err, snapshot.ErrSync) {
			s.store.fail(err)
		}
		return err
	}
	if s.committed != nil {
		s.committed()
	}
	return nil
}

func (s *snapshotSink) commit() error {
	switch {
	case s.w != nil:
		if err := s.w.Commit(); err != nil {
			return err
		}
	case s.r != nil:
		if err := s.r.Commit(); err != nil {
			return err
		}
	default:
		return errors.New("commit a snapshot without content")
	}
	return s.store.high.raise(s.meta.Index)
}

// Cancel implements raft.SnapshotSink.
func (s *snapshotSink) Cancel() error {
	switch {
	case s.w != nil:
		return s.w.Cancel()
	case s.r != nil:
		return s.r.Cancel()
	}
	return nil
}
