package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"

	"github.com/praetor-engine/praetor/internal/decision"
)

// errDamagedLog is wrapped by every error that says a log record is not what was
// written.
var errDamagedLog = errors.New("log is damaged")

// logStore is the log and Raft's term and vote on disk. Around raft-boltdb it
// puts three things:
//
//   - Checksums. Every record carries a CRC-32C of its index, term, type and data
//     in the log's extension field, little endian. It is computed by whoever
//     appends first, the leader; it is checked before a record is stored on any
//     node, when it is read from disk, and once more before it is applied.
//     Term and vote carry theirs behind the value.
//   - Compaction that never cuts off a retained snapshot: see DeleteRange.
//   - A cache of the newest records for the replication to followers.
type logStore struct {
	*raftboltdb.BoltStore
	path   string
	keep   func() uint64 // entries after this index must stay
	onFail func(error)   // told of damage and of failed fsyncs
	cache  *recordCache  // nil: none
}

// boltTimeout is how long opening waits for another process to let go.
const boltTimeout = time.Second

func openLog(dir string, readOnly bool) (s *logStore, err error) {
	path := filepath.Join(dir, logName)
	defer recoverDamage(path, &err)
	bolt, err := raftboltdb.New(raftboltdb.Options{
		Path: path,
		BoltOptions: &bbolt.Options{
			Timeout:  boltTimeout,
			ReadOnly: readOnly,
			// With the free list on disk, appends become several times slower
			// after a burst and a truncation; in memory it is rebuilt at start.
			NoFreelistSync: true,
			FreelistType:   bbolt.FreelistMapType,
		},
	})
	if err != nil {
		return nil, refuse("log %s cannot be opened: %v; another process may hold it, or it is damaged: then rebuild this node from its peers", path, err)
	}
	return &logStore{
		BoltStore: bolt, path: path,
		keep:   func() uint64 { return 0 },
		onFail: func(error) {},
	}, nil
}

// recoverDamage turns a panic of the log store into an error: bbolt asserts the
// structure of its pages.
func recoverDamage(path string, err *error) {
	if p := recover(); p != nil {
		*err = damagedLog(path, "%v", p)
	}
}

func damagedLog(path, format string, args ...any) error {
	return &decision.Error{
		Kind: decision.KindInternal, Op: "cluster",
		Msg: fmt.Sprintf("%s: %s; the log cannot be trusted: rebuild this node from its peers, or restore a copy of the data directory",
			path, fmt.Sprintf(format, args...)),
		Err: errDamagedLog,
	}
}

const checksumSize = 4

func recordChecksum(l *raft.Log) uint32 {
	var head [17]byte
	binary.LittleEndian.PutUint64(head[0:], l.Index)
	binary.LittleEndian.PutUint64(head[8:], l.Term)
	head[16] = byte(l.Type)
	return crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, l.Data)
}

// checkRecord says whether a record is what its first writer computed.
func checkRecord(l *raft.Log) error {
	if len(l.Extensions) != checksumSize {
		return fmt.Errorf("entry %d: checksum has %d bytes, want %d", l.Index, len(l.Extensions), checksumSize)
	}
	if got, want := recordChecksum(l), binary.LittleEndian.Uint32(l.Extensions); got != want {
		return fmt.Errorf("entry %d: checksum is %08x, want %08x", l.Index, got, want)
	}
	return nil
}

// StoreLog implements raft.LogStore.
func (s *logStore) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore. A record without a checksum is new and
// gets one; a record with a wrong one came damaged from the leader and is
// refused before it does harm here.
func (s *logStore) StoreLogs(logs []*raft.Log) error {
	for _, l := range logs {
		if len(l.Extensions) == 0 {
			l.Extensions = binary.LittleEndian.AppendUint32(nil, recordChecksum(l))
		} else if err := checkRecord(l); err != nil {
			return fmt.Errorf("refused from the leader: %w", err)
		}
	}
	if err := s.BoltStore.StoreLogs(logs); err != nil {
		return s.writeFailed(err)
	}
	s.cache.put(logs)
	return nil
}

// writeFailed stops the node after an I/O error: what a failed fsync held back
// may be gone, and a later one that succeeds proves nothing. Other errors, such
// as a full disk, pass.
func (s *logStore) writeFailed(err error) error {
	if errors.Is(err, syscall.EIO) {
		s.onFail(fmt.Errorf("write the log %s: %w", s.path, err))
	}
	return err
}

// GetLog implements raft.LogStore. Raft panics on any error but an absent entry,
// and cannot be told of damage; so damage stops the node through onFail, and
// what is returned is a record that fails its checksum wherever it goes.
func (s *logStore) GetLog(index uint64, l *raft.Log) error {
	if s.cache.get(index, l) {
		return nil
	}
	err := s.read(index, l)
	if errors.Is(err, errDamagedLog) {
		s.onFail(err)
		*l = raft.Log{Index: index, Type: raft.LogCommand}
		return nil
	}
	return err
}

// read reads and checks one record.
func (s *logStore) read(index uint64, l *raft.Log) (err error) {
	defer recoverDamage(s.path, &err)
	if err := s.BoltStore.GetLog(index, l); err != nil {
		if errors.Is(err, raft.ErrLogNotFound) {
			return err
		}
		return damagedLog(s.path, "entry %d cannot be read: %v", index, err)
	}
	if l.Index != index {
		return damagedLog(s.path, "entry %d is stored in the place of entry %d", l.Index, index)
	}
	if err := checkRecord(l); err != nil {
		return damagedLog(s.path, "%v", err)
	}
	return nil
}

// DeleteRange implements raft.LogStore. Raft deletes from the front to compact
// and up to the end to drop entries that lost an election. A compaction is cut
// short so that the log still reaches back to the older of the retained
// snapshots, however many entries came in while the newest was written: when
// the newest turns out damaged, the older one and the log give the same state.
func (s *logStore) DeleteRange(from, to uint64) error {
	last, err := s.LastIndex()
	if err != nil {
		return err
	}
	if to < last {
		to = min(to, s.keep())
		if to < from {
			return nil
		}
	}
	s.cache.clear()
	if err := s.BoltStore.DeleteRange(from, to); err != nil {
		return s.writeFailed(err)
	}
	return nil
}

// Set implements raft.StableStore.
func (s *logStore) Set(key, value []byte) error {
	b := append([]byte(nil), value...)
	b = binary.LittleEndian.AppendUint32(b, stableChecksum(key, value))
	if err := s.BoltStore.Set(key, b); err != nil {
		return s.writeFailed(err)
	}
	return nil
}

// Get implements raft.StableStore.
func (s *logStore) Get(key []byte) ([]byte, error) {
	b, err := s.BoltStore.Get(key)
	if err != nil {
		return nil, err // Raft compares the text of "not found"
	}
	n := len(b) - checksumSize
	if n < 0 || binary.LittleEndian.Uint32(b[n:]) != stableChecksum(key, b[:n]) {
		return nil, damagedLog(s.path, "value of %q fails its checksum", key)
	}
	return b[:n], nil
}

func stableChecksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

// SetUint64 implements raft.StableStore.
func (s *logStore) SetUint64(key []byte, v uint64) error {
	return s.Set(key, binary.BigEndian.AppendUint64(nil, v))
}

// GetUint64 implements raft.StableStore.
func (s *logStore) GetUint64(key []byte) (uint64, error) {
	b, err := s.Get(key)
	if err != nil {
		return 0, err
	}
	if len(b) != 8 {
		return 0, damagedLog(s.path, "value of %q has %d bytes, want 8", key, len(b))
	}
	return binary.BigEndian.Uint64(b), nil
}

// recordCache holds the newest records, so that replication to followers does
// not read back what was just written. Its memory is bounded: large records are
// not cached.
type recordCache struct {
	mu   sync.Mutex
	logs [cachedRecords]raft.Log
}

const (
	cachedRecords   = 64 // as many as Raft sends in one message
	maxCachedRecord = 1 << 20
)

func (c *recordCache) put(logs []*raft.Log) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range logs {
		slot := &c.logs[l.Index%cachedRecords]
		if *slot = *l; len(l.Data) > maxCachedRecord {
			*slot = raft.Log{}
		}
	}
}

func (c *recordCache) get(index uint64, l *raft.Log) bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	slot := &c.logs[index%cachedRecords]
	if slot.Index != index || index == 0 {
		return false
	}
	*l = *slot
	return true
}

func (c *recordCache) clear() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.logs = [cachedRecords]raft.Log{}
}
