// Package rawraft is the Raft library with its log store and nothing around
// them: what a cluster's write rate is held against.
package rawraft

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

// Config is one member.
type Config struct {
	ID    string            `json:"id"`
	Dir   string            `json:"dir"`
	Peers map[string]string `json:"peers"` // id → host:port
}

// Result is what one run gave; a member that does not lead has nothing to give.
type Result struct {
	Leader  bool    `json:"leader"`
	Entries int64   `json:"entries"`
	Seconds float64 `json:"seconds"`
}

// void is a state machine without a state.
type void struct{}

func (void) Apply(*raft.Log) any                  { return nil }
func (void) Snapshot() (raft.FSMSnapshot, error)  { return void{}, nil }
func (void) Restore(r io.ReadCloser) error        { return r.Close() }
func (void) Persist(sink raft.SnapshotSink) error { return sink.Close() }
func (void) Release()                             {}

// logged is how many entries stay in the log: all of a run.
const logged = 1 << 40

// Open starts a member that founds its cluster with the others. Its timers and
// its log store are those of a node of ours.
func Open(cfg Config) (*raft.Raft, error) {
	bolt, err := raftboltdb.New(raftboltdb.Options{
		Path:        filepath.Join(cfg.Dir, "raft.db"),
		BoltOptions: &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType},
	})
	if err != nil {
		return nil, fmt.Errorf("rawraft: %w", err)
	}
	address, err := net.ResolveTCPAddr("tcp", cfg.Peers[cfg.ID])
	if err != nil {
		return nil, fmt.Errorf("rawraft: %w", err)
	}
	quiet := hclog.NewNullLogger()
	transport, err := raft.NewTCPTransportWithLogger(cfg.Peers[cfg.ID], address, 3, 10*time.Second, quiet)
	if err != nil {
		return nil, fmt.Errorf("rawraft: %w", err)
	}
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(cfg.ID)
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = 500*time.Millisecond, 500*time.Millisecond, 400*time.Millisecond
	c.TrailingLogs, c.SnapshotThreshold = logged, logged
	c.Logger, c.NoLegacyTelemetry = quiet, true
	var members raft.Configuration
	for id, a := range cfg.Peers {
		members.Servers = append(members.Servers, raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(a)})
	}
	snapshots := raft.NewInmemSnapshotStore()
	if err := raft.BootstrapCluster(c, bolt, bolt, snapshots, transport, members); err != nil {
		return nil, fmt.Errorf("rawraft: %w", err)
	}
	r, err := raft.NewRaft(c, void{}, bolt, bolt, snapshots, transport)
	if err != nil {
		return nil, fmt.Errorf("rawraft: %w", err)
	}
	return r, nil
}

// applyTimeout is how long an entry may wait to be taken.
const applyTimeout = 10 * time.Second

// Run applies entries of so many bytes in a closed loop of so many clients.
func Run(r *raft.Raft, bytes, clients int, d time.Duration) (Result, error) {
	if r.State() != raft.Leader {
		return Result{}, nil
	}
	entry := make([]byte, bytes)
	var entries atomic.Int64
	errs := make([]error, clients)
	began := time.Now()
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() {
			for time.Since(began) < d && errs[i] == nil {
				if errs[i] = r.Apply(entry, applyTimeout).Error(); errs[i] == nil {
					entries.Add(1)
				}
			}
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return Result{}, fmt.Errorf("rawraft: %w", err)
		}
	}
	return Result{Leader: true, Entries: entries.Load(), Seconds: time.Since(began).Seconds()}, nil
}

// Serve runs the member that in begins with, tells the address of its control
// on out, and ends with ctx.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	var cfg Config
	if err := json.NewDecoder(in).Decode(&cfg); err != nil {
		return fmt.Errorf("rawraft: %w", err)
	}
	r, err := Open(cfg)
	if err != nil {
		return err
	}
	defer func() { _ = r.Shutdown().Error() }()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("rawraft: %w", err)
	}
	server := &http.Server{ReadHeaderTimeout: applyTimeout, Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		bytes, err1 := strconv.Atoi(q.FormValue("bytes"))
		clients, err2 := strconv.Atoi(q.FormValue("clients"))
		d, err3 := time.ParseDuration(q.FormValue("for"))
		if err1 != nil || err2 != nil || err3 != nil {
			http.Error(w, "want bytes, clients and for", http.StatusBadRequest)
			return
		}
		result, err := Run(r, bytes, clients, d)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(result) // the other end sees a short answer
	})}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := json.NewEncoder(out).Encode(map[string]string{"url": "http://" + ln.Addr().String()}); err != nil {
		return fmt.Errorf("rawraft: %w", err)
	}
	if err := server.Serve(ln); ctx.Err() == nil {
		return err
	}
	return nil
}
