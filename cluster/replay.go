package cluster

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"
)

// Replay applies the whole log of a stopped node to a machine, from the first
// entry and without any snapshot, to prove that what the node restored is what
// the log says. Nothing is written. It returns the index of the last entry
// applied. A log whose beginning was compacted away is an error.
//
// The log may end with entries that were never committed; on a node alone there
// are none that Propose has not seen.
func Replay(dataDir string, m Machine) (lastIndex uint64, err error) {
	if _, err := os.Stat(filepath.Join(dataDir, logName)); err != nil {
		return 0, fmt.Errorf("replay: %w", err)
	}
	lock, err := lockDir(dataDir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	logs, err := openLog(dataDir, true)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, logs.Close()) }()
	first, err := logs.FirstIndex()
	if err != nil {
		return 0, err
	}
	if first != 1 {
		return 0, refuse("the log begins with entry %d, want 1: a snapshot has taken the place of what was before", first)
	}
	return replay(logs, m)
}

func replay(logs *logStore, m Machine) (uint64, error) {
	last, err := logs.LastIndex()
	if err != nil {
		return 0, err
	}
	if err := m.Restore(nil); err != nil {
		return 0, err
	}
	stop := make(chan struct{})
	defer close(stop)
	f := &fsm{
		machine: m, level: math.MaxUint8, visible: newVisibility(stop),
		fail: func(error) {}, failed: func() error { return nil }, due: func(uint64, uint64) {},
	}
	go f.visible.run()
	for i := uint64(1); i <= last; i++ {
		var l raft.Log
		if err := logs.read(i, &l); err != nil {
			return f.index, fmt.Errorf("replay entry %d: %w", i, err)
		}
		if l.Type != raft.LogCommand {
			continue
		}
		if r := f.Apply(&l).(response); r.err != nil {
			return f.index, r.err
		}
	}
	f.visible.drain()
	return f.index, nil
}
