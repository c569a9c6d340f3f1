package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/praetor-engine/praetor/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counter is a toy machine: every command is a key, and its result how often the
// key was seen. Its digest depends on every entry and on their order.
type counter struct {
	async bool // effects become visible later, from another goroutine

	mu    sync.Mutex
	state counterState
	held  chan struct{} // Done of async entries waits for it; nil: does not

	restores int
}

type counterState struct {
	Counts map[string]int
	Index  uint64
	At     int64
	Chain  uint64
}

func (c *counter) Apply(e *Entry) Applied {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.At < c.state.At || e.Index <= c.state.Index {
		panic(fmt.Sprintf("entry %d at %d after entry %d at %d", e.Index, e.At, c.state.Index, c.state.At))
	}
	c.state.Index, c.state.At = e.Index, e.At
	a := Applied{}
	h := fnv.New64a()
	fmt.Fprint(h, c.state.Chain, e.Index, e.At, e.Seed)
	for _, k := range e.Commands {
		fmt.Fprintf(h, "%q", k)
		c.state.Counts[k]++
		a.Results = append(a.Results, c.state.Counts[k])
	}
	c.state.Chain = h.Sum64()
	if c.async {
		done, held := make(chan struct{}), c.held
		go func() {
			if held != nil {
				<-held
			}
			close(done)
		}()
		a.Done = done
	}
	return a
}

func (c *counter) Capture(uint64) (Capture, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, err := json.Marshal(c.state)
	return counterCapture(b), err
}

type counterCapture []byte

func (c counterCapture) Persist(w *snapshot.Writer) error {
	sec := w.Section("state")
	sec.Write(c)
	if err := sec.Close(); err != nil {
		return err
	}
	dir, err := w.Dir("history")
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "rows"), c, 0o600)
}

func (counterCapture) Release() {}

func (c *counter) Restore(src *snapshot.Source) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.restores++
	c.state = counterState{Counts: make(map[string]int)}
	if src == nil {
		return nil
	}
	r, err := src.Section("state")
	if err != nil {
		return err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	dir, ok := src.Dir("history")
	if !ok {
		return fmt.Errorf("no history in the snapshot")
	}
	rows, err := os.ReadFile(filepath.Join(dir, "rows"))
	if err != nil || string(rows) != string(b) {
		return fmt.Errorf("history is %q, %v, want %q", rows, err, b)
	}
	return json.Unmarshal(b, &c.state)
}

// digest is the state as text; equal machines have equal digests.
func (c *counter) digest() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, _ := json.Marshal(c.state)
	return string(b)
}

func testConfig(t testing.TB) Config {
	cfg := DefaultConfig()
	cfg.NodeID = "n1"
	cfg.DataDir = filepath.Join(t.TempDir(), "data")
	cfg.SnapshotInterval = 0
	return cfg
}

func testLog(t testing.TB) zerolog.Logger {
	if testing.Verbose() {
		return zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel)
	}
	return zerolog.Nop()
}

// open starts a node that is closed with the test.
func open(t testing.TB, cfg Config, m Machine) *Node {
	t.Helper()
	n, err := Open(cfg, m, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, n) })
	return n
}

func shut(t testing.TB, n *Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := n.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

// patience is for machines that do much else; what works takes a fraction.
const patience = 30 * time.Second

// eventually polls until ok, which is what waiting for another process is like.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
		time.Sleep(time.Millisecond)
	}
}

func ready(t testing.TB, n *Node) {
	t.Helper()
	eventually(t, "ready", func() bool { return n.Ready() == nil })
}

func propose(t testing.TB, n *Node, keys ...string) Result {
	t.Helper()
	var r Result
	for _, k := range keys {
		var err error
		if r, err = n.Propose(t.Context(), []byte(k)); err != nil {
			t.Fatalf("propose %q: %v", k, err)
		}
	}
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lastPort begins below the ports that systems give to outgoing connections, so
// that none of those takes what a node is about to listen on, or to come back to.
var lastPort atomic.Int64

func init() { lastPort.Store(20000 + int64(os.Getpid()*131%10000)) }

// freeAddress is a loopback address that nobody listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 1000 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", lastPort.Add(1)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no free port")
	return ""
}

// trio is three nodes in one process on loopback ports.
type trio struct {
	logs     [3]logBuffer
	cfgs     []Config
	nodes    []*Node
	machines []*counter
}

// newTrio prepares three nodes; start starts them. change may adjust each
// configuration.
func newTrio(t testing.TB, change func(i int, cfg *Config)) *trio {
	t.Helper()
	c := &trio{nodes: make([]*Node, 3), machines: make([]*counter, 3)}
	var peers []Peer
	for i := range 3 {
		peers = append(peers, Peer{ID: fmt.Sprintf("n%d", i+1), Address: freeAddress(t)})
	}
	for i := range 3 {
		cfg := testConfig(t)
		cfg.NodeID, cfg.Listen, cfg.Peers = peers[i].ID, peers[i].Address, peers
		cfg.HeartbeatTimeout = 300 * time.Millisecond
		if change != nil {
			change(i, &cfg)
		}
		c.cfgs = append(c.cfgs, cfg)
	}
	t.Cleanup(func() {
		for i := range c.logs {
			if t.Failed() {
				t.Logf("node %d logged:\n%s", i+1, c.logs[i].tail(8<<10))
			}
		}
	})
	return c
}

func (c *trio) start(t testing.TB, which ...int) {
	t.Helper()
	for _, i := range which {
		c.machines[i] = &counter{}
		n, err := Open(c.cfgs[i], c.machines[i], zerolog.New(&c.logs[i]).With().Timestamp().Logger())
		must(t, err)
		t.Cleanup(func() { shut(t, n) })
		c.nodes[i] = n
	}
}

// logBuffer keeps what a node logs.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// tail returns the last lines, about as many bytes as asked for.
func (l *logBuffer) tail(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.b.String()
	return s[max(0, len(s)-n):]
}

func (l *logBuffer) contains(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), s)
}

func (c *trio) stop(t testing.TB, i int) {
	t.Helper()
	shut(t, c.nodes[i])
	c.nodes[i] = nil
}

// leader waits for one of the running nodes to lead.
func (c *trio) leader(t testing.TB) (leader int) {
	t.Helper()
	eventually(t, "a leader", func() bool {
		for i, n := range c.nodes {
			if n != nil && n.IsLeader() && n.Ready() == nil {
				leader = i
				return true
			}
		}
		return false
	})
	return leader
}

// agree waits until all running nodes stand at index with the same state.
func (c *trio) agree(t testing.TB, index uint64) {
	t.Helper()
	var want string
	for i, n := range c.nodes {
		if n == nil {
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		err := n.WaitApplied(ctx, index)
		cancel()
		must(t, err)
		got := c.machines[i].digest()
		if want == "" {
			want = got
		}
		if got != want {
			t.Errorf("node %d: got state %s, want %s", i+1, got, want)
		}
	}
}
