package cluster

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
	"github.com/rs/zerolog"

	"github.com/praetor-engine/praetor/snapshot"
)

// beginning is the state that a node starts from: a snapshot and the log after
// it.
type beginning struct {
	snapshot   string // id; empty: the log alone
	last       uint64 // the last entry, of the snapshot or of the log
	membership raft.Configuration
}

// chooseBeginning verifies what is on the disk before Raft sees it. The newest
// snapshot is taken if it is whole and the log after it too. A damaged one is
// reported, and an older one, or none, takes its place only if the log from
// there on has every entry and reaches the high-water mark; else this is an
// error that says what is wrong with each.
func chooseBeginning(snaps *snapshot.Store, logs *logStore, high uint64, log zerolog.Logger) (beginning, error) {
	infos, err := snaps.List()
	if err != nil {
		return beginning{}, err
	}
	var bad []string
	var reasons []error
	for _, info := range infos {
		if err := verifyInfo(snaps, info); err != nil {
			bad, reasons = append(bad, info.ID), append(reasons, err)
			log.Error().Err(err).Str("snapshot", info.Path).Msg("snapshot cannot be used")
			continue
		}
		return settle(snaps, logs, high, info, bad, reasons, log)
	}
	return settle(snaps, logs, high, snapshot.Info{}, bad, reasons, log)
}

func verifyInfo(snaps *snapshot.Store, info snapshot.Info) error {
	if info.Err != nil {
		return info.Err
	}
	if _, _, err := decodeMembership(info.Manifest.Configuration); err != nil {
		return err
	}
	return snaps.Verify(info.ID)
}

// settle holds the best whole snapshot against the log, and sets the damaged
// ones aside when it will do.
func settle(snaps *snapshot.Store, logs *logStore, high uint64, from snapshot.Info, bad []string, reasons []error, log zerolog.Logger) (beginning, error) {
	b := beginning{snapshot: from.ID}
	if from.ID != "" {
		conf, _, err := decodeMembership(from.Manifest.Configuration)
		if err != nil {
			return b, err
		}
		b.membership = conf
	}
	if err := b.follow(logs, from.Index, high); err != nil {
		return b, errors.Join(append(reasons, err)...)
	}
	for _, id := range bad {
		path, err := snaps.Quarantine(id)
		if err != nil {
			return b, err
		}
		log.Warn().Str("path", path).Uint64("from", from.Index).Uint64("to", b.last).
			Msg("damaged snapshot set aside; an older state and the log make up for it, the directory can be removed")
	}
	return b, nil
}

// follow reads the log from the entry after from to its end.
func (b *beginning) follow(logs *logStore, from, high uint64) error {
	last, err := logs.LastIndex()
	if err != nil {
		return err
	}
	b.last = max(from, last)
	for i := from + 1; i <= last; i++ {
		var l raft.Log
		if err := logs.read(i, &l); err != nil {
			if errors.Is(err, raft.ErrLogNotFound) {
				err = damagedLog(logs.path, "entry %d is missing, want all from %d to %d", i, from+1, last)
			}
			return err
		}
		if l.Type == raft.LogConfiguration {
			b.membership = raft.DecodeConfiguration(l.Data)
		}
	}
	if b.last < high {
		return refuse("the snapshots and the log reach entry %d, but this node has applied entry %d: committed entries are lost; rebuild this node from its peers, or restore a copy of the data directory", b.last, high)
	}
	return nil
}

// alone says whether the node is the only server, and must stay it: nobody can
// join a node without a port.
func (b *beginning) alone(cfg *Config) bool {
	if cfg.Listen != "" || cfg.Transport != nil {
		return false
	}
	if b.last > 0 {
		return len(b.membership.Servers) <= 1
	}
	return len(cfg.Peers) <= 1
}

// checkPeers warns when the configured peers are not the members in the log,
// which count.
func (b *beginning) checkPeers(cfg *Config, log zerolog.Logger) error {
	if b.last == 0 {
		return nil
	}
	members := make(map[raft.ServerID]raft.ServerAddress)
	for _, s := range b.membership.Servers {
		members[s.ID] = s.Address
	}
	if len(members) > 1 && cfg.Listen == "" && cfg.Transport == nil {
		return refuse("the log says that this node has %d peers, but there is no Raft listener; set listen to host:port", len(members)-1)
	}
	for _, p := range cfg.Peers {
		if a, ok := members[raft.ServerID(p.ID)]; !ok || string(a) != p.Address {
			log.Warn().Str("peer", p.ID).Str("configured", p.Address).Str("member", string(a)).
				Msg(fmt.Sprintf("configured peer is not a member as configured; the %d members in the log count", len(members)))
		}
	}
	return nil
}
