package chaos

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/praetor-engine/praetor/bench/nodes"
)

// bitFlip flips one bit in a file of a node that is down, and starts it. It must
// refuse to start and name the file, or be whole again by itself.
func bitFlip(ctx context.Context, s *scene) (func(context.Context) error, error) {
	m, err := s.follower(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.kill(m); err != nil {
		return nil, err
	}
	path, err := s.victim(m.Data())
	if err != nil {
		return nil, err
	}
	unflip, err := s.flip(path)
	if err != nil {
		return nil, err
	}
	rel, _ := filepath.Rel(m.Data(), path) // below Data by construction
	m.mayEnd.Store(true)
	from := m.LogSize()
	if err := m.Start(ctx); err != nil {
		return nil, err
	}
	starting, cancel := context.WithTimeout(ctx, convergeTimeout)
	defer cancel()
	err = m.AwaitReady(starting)
	if err == nil {
		m.back()
		s.logf("%s started all the same", m.ID())
		return nil, nil // what it has is compared at the end of the round
	}
	words, _ := m.LogFrom(from, 256<<10) // empty: it said nothing
	name := filepath.Base(path)
	if parts := strings.Split(rel, string(filepath.Separator)); parts[0] == "snapshots" && len(parts) > 1 {
		name = parts[1] // naming the snapshot is enough
	}
	switch {
	case !errors.Is(err, nodes.ErrEnded):
		s.findings.addf(6, "%s neither starts nor refuses with a flipped bit in %s: %v", m.ID(), kindOf(rel), err)
	case strings.Contains(words, "panic:") || strings.Contains(words, "fatal error:") || strings.Contains(words, "unexpected fault address"):
		s.findings.addf(6, "with a flipped bit in %s a node ends in a panic instead of a message: %s", kindOf(rel), s.lastWords(m))
	case !strings.Contains(words, name):
		s.findings.addf(6, "with a flipped bit in %s a node refuses to start without naming the file: %s", kindOf(rel), s.lastWords(m))
	default:
		s.logf("%s refused: %s", m.ID(), s.lastWords(m))
	}
	if err := s.kill(m); err != nil {
		return nil, err
	}
	if err := unflip(); err != nil {
		return nil, err
	}
	s.logf("the bit is put back")
	return nil, s.start(ctx, m)
}

// kindOf is the kind of a file, so that equal findings count up.
func kindOf(rel string) string {
	if parts := strings.Split(rel, string(filepath.Separator)); parts[0] == "snapshots" {
		return "a snapshot's " + filepath.Base(rel)
	}
	return rel
}

// victim draws a file: of the newest snapshot, the log, the history, or what
// stands beside them.
func (s *scene) victim(data string) (string, error) {
	newest, err := newestSnapshot(data)
	if err != nil {
		return "", err
	}
	choices := []string{filepath.Join(data, "raft.db"), filepath.Join(data, "history"), filepath.Join(data, "high-water")}
	if newest != "" {
		choices = append(choices, newest, newest)
	}
	root := choices[s.rng.IntN(len(choices))]
	var files []string
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil && info.Size() > 0 {
				files = append(files, path)
			}
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("chaos: %w", err)
	}
	if len(files) == 0 {
		return filepath.Join(data, "raft.db"), nil
	}
	slices.Sort(files)
	return files[s.rng.IntN(len(files))], nil
}

// newestSnapshot is the directory of the newest whole snapshot; empty: none.
func newestSnapshot(data string) (string, error) {
	entries, err := os.ReadDir(filepath.Join(data, "snapshots"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("chaos: %w", err)
	}
	var newest string
	var at time.Time
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && e.IsDir() && filepath.Ext(e.Name()) == "" && info.ModTime().After(at) {
			newest, at = filepath.Join(data, "snapshots", e.Name()), info.ModTime()
		}
	}
	return newest, nil
}

// flip flips one bit of a file, and returns what flips it back.
func (s *scene) flip(path string) (unflip func() error, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("chaos: %w", err)
	}
	at, bit := s.rng.Int64N(info.Size()), byte(1)<<s.rng.IntN(8)
	s.logf("bit %#02x at byte %d of %d of %s is flipped", bit, at, info.Size(), path)
	return func() error { return flipBit(path, at, bit) }, flipBit(path, at, bit)
}

func flipBit(path string, at int64, bit byte) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("chaos: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		return fmt.Errorf("chaos: %w", err)
	}
	b[0] ^= bit
	_, err = f.WriteAt(b[:], at)
	return err
}

// farBehind is how many entries a follower must lack for the others to have
// dropped what it needs: the log reaches back over two snapshots and the
// trailing entries.
const farBehind = 6 * snapshotEntries

// snapshotInstall leaves a follower behind until it needs a snapshot, and kills
// it, or the leader, while it gets it.
func snapshotInstall(ctx context.Context, s *scene) (func(context.Context) error, error) {
	m, err := s.follower(ctx)
	if err != nil {
		return nil, err
	}
	was, err := m.Status(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.kill(m); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := s.advance(ctx, was.AppliedIndex+farBehind); err != nil {
		return nil, err
	}
	s.logf("%s missed %d entries in %v", m.ID(), farBehind, time.Since(began).Round(time.Millisecond))
	for range 2 {
		if err := m.Start(ctx); err != nil {
			return nil, err
		}
		s.awaitInstall(ctx, m, was.AppliedIndex+2*snapshotEntries)
		time.Sleep(time.Duration(s.rng.IntN(20)) * time.Millisecond)
		s.logf("kill -9 %s", m.ID())
		if err := m.Kill(); err != nil {
			return nil, err
		}
	}
	return nil, s.start(ctx, m)
}

// advance writes small changes until the leader has applied an index.
func (s *scene) advance(ctx context.Context, index uint64) error {
	ctx, cancel := context.WithTimeout(ctx, convergeTimeout)
	defer cancel()
	for {
		leader, err := s.leader(ctx)
		if err != nil {
			return err
		}
		for range 64 {
			a, err := leader.Do(ctx, nodes.Request{
				Method: http.MethodPut, Path: modelsPath + "/" + s.bandits["bayesian"], Key: s.keys[outcomesTenant],
				Body: map[string]string{"description": "behind"},
			})
			if err != nil || !a.OK() {
				break
			}
			if a.AppliedIndex >= index {
				return nil
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// installPatience is how long a follower may take to be sent its snapshot; a
// leader backs off from a node that was away.
const installPatience = 15 * time.Second

// awaitInstall waits until a node has begun to receive a snapshot beyond an
// index, and says so.
func (s *scene) awaitInstall(ctx context.Context, m *member, beyond uint64) {
	for deadline := time.Now().Add(installPatience); time.Now().Before(deadline) && ctx.Err() == nil; {
		entries, err := os.ReadDir(filepath.Join(m.Data(), "snapshots"))
		if err != nil {
			return // it has none yet
		}
		for _, e := range entries {
			// <term>-<index>-<ms>, with .tmp while it is written
			var term, index uint64
			if n, _ := fmt.Sscanf(e.Name(), "%d-%d-", &term, &index); n == 2 && index > beyond {
				s.logf("%s receives the snapshot %s", m.ID(), e.Name())
				return
			}
		}
		time.Sleep(time.Millisecond)
	}
	s.logf("%s was sent no snapshot", m.ID())
}
