package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/praetor-engine/praetor/internal/client"
	"github.com/praetor-engine/praetor/internal/engine"
)

// CrashPlan says how a node is killed.
type CrashPlan struct {
	Outcomes int    `default:"200000" placeholder:"N" help:"Outcomes of a round, in bulk requests of ${bulk} (${default})."`
	Kills    int    `default:"3" placeholder:"N" help:"Times that the node is killed in a round, at moments drawn at random; each round begins with an empty node (${default})."`
	Seed     uint64 `default:"1" placeholder:"N" help:"Of the moments (${default})."`
}

// Validate names what is wrong.
func (p *CrashPlan) Validate() error {
	if p.Outcomes < BulkSize || p.Outcomes%BulkSize != 0 {
		return fmt.Errorf("outcomes: got %d, want a multiple of %d", p.Outcomes, BulkSize)
	}
	if p.Kills < 1 {
		return fmt.Errorf("kills: got %d, want at least 1", p.Kills)
	}
	return nil
}

const (
	crashConns = 8
	// maxKillDelay spreads the kill over the steps of a write: between its
	// fsync, its applying and its answer.
	maxKillDelay = 5 * time.Millisecond
	// keepLog is more entries than there will be: a replay needs the whole log.
	keepLog = 1 << 40
	// crashSnapshots is how many entries apart snapshots are, so that restarts
	// begin at one.
	crashSnapshots = 64
)

// crashFlags keep the log whole and take snapshots all the same.
var crashFlags = []string{
	"--snapshot-entries=" + strconv.Itoa(crashSnapshots), "--snapshot-interval=200ms",
	"--trailing-entries=" + strconv.Itoa(keepLog),
}

// Crash kills a node during a bulk load, restarts it, sends what was not
// acknowledged again with its idempotency keys, and counts. What does not add up
// is in the report's faults.
func (o *Options) Crash(ctx context.Context, plan CrashPlan) (*Report, error) {
	r := &Report{
		Name: "crash: kill -9 during a bulk load",
		Method: fmt.Sprintf("%d outcomes with idempotency keys, %d a request, %d connections, 3 learning models, one node, fsync on; %d kills a round",
			plan.Outcomes, BulkSize, crashConns, plan.Kills),
	}
	rng := rand.New(rand.NewPCG(plan.Seed, 4))
	for i := range o.Rounds {
		dir, remove, err := o.workDir()
		if err != nil {
			return nil, err
		}
		if i == 0 {
			if r.Machine, err = Describe(dir); err != nil {
				remove()
				return nil, err
			}
		}
		c := &crash{o: o, r: r, plan: plan, rng: rng, data: filepath.Join(dir, "node"), name: fmt.Sprintf("round %d", i+1)}
		if err = c.round(ctx); err != nil {
			remove()
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		if len(r.Faults) > 0 {
			r.Notes = append(r.Notes, "the data directory is kept: "+c.data)
			return r, nil
		}
		remove()
	}
	return r, nil
}

// crash is one round.
type crash struct {
	o          *Options
	r          *Report
	plan       CrashPlan
	rng        *rand.Rand
	name, data string

	engine   *Engine
	key      string
	requests [][]byte
	state    []requestState // of requests

	duplicates atomic.Int64 // outcomes answered as known already, in the present phase
	answered   atomic.Int64 // requests, in all phases
}

// requestState is what the client knows of a request.
type requestState uint8

const (
	unsent  requestState = iota
	unknown              // sent and not answered
	acknowledged
)

func (c *crash) faultf(format string, args ...any) {
	c.r.Faults = append(c.r.Faults, c.name+": "+fmt.Sprintf(format, args...))
}

func (c *crash) notef(format string, args ...any) {
	note := c.name + ": " + fmt.Sprintf(format, args...)
	c.r.Notes = append(c.r.Notes, note)
	c.o.logf("  %s", note)
}

func (c *crash) round(ctx context.Context) (err error) {
	defer func() {
		if c.engine != nil {
			err = errors.Join(err, c.engine.Kill())
		}
	}()
	if err := c.start(ctx); err != nil {
		return err
	}
	if _, err := c.engine.createAll(ctx, learners()); err != nil {
		return err
	}
	if err := c.prepare(); err != nil {
		return err
	}
	for _, at := range c.killPoints() {
		if err := c.loadUntilKilled(ctx, at); err != nil {
			return err
		}
		if err := c.recover(ctx); err != nil {
			return err
		}
	}
	if err := c.send(ctx, c.in(unsent), nil); err != nil {
		return err
	}
	if err := c.checkTotal(ctx, "after the load"); err != nil {
		return err
	}
	if err := c.resend(ctx); err != nil {
		return err
	}
	if err := c.engine.Kill(); err != nil {
		return err
	}
	c.engine = nil
	return c.compareWithReplay(ctx)
}

// start starts or restarts the node; the key of the first start stays valid.
func (c *crash) start(ctx context.Context) (err error) {
	c.engine, err = c.o.StartEngine(ctx, c.data, c.key, crashFlags...)
	if err == nil {
		c.key = c.engine.Key
	}
	return err
}

// prepare makes the requests; every outcome has its own idempotency key.
func (c *crash) prepare() error {
	w, err := newWorkload()
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(seed, 5))
	n := c.plan.Outcomes / BulkSize
	c.requests, c.state = make([][]byte, n), make([]requestState, n)
	for i := range c.requests {
		body := bulkBody{make([]client.Outcome, BulkSize)}
		for j := range body.Outcomes {
			body.Outcomes[j] = w.outcome(rng, offers)
			body.Outcomes[j].IdempotencyKey = fmt.Sprintf("outcome-%d", i*BulkSize+j)
		}
		b, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("bench: %w", err)
		}
		c.requests[i] = PrepareRequest("/api/v1/respond/bulk", c.key, b)
	}
	return nil
}

// killPoints draws after how many answers the node is killed, one point in each
// of as many equal parts of the load.
func (c *crash) killPoints() []int64 {
	at := make([]int64, c.plan.Kills)
	part := float64(len(c.requests)) / float64(len(at))
	for i := range at {
		at[i] = 1 + int64((float64(i)+c.rng.Float64())*part)
	}
	return at
}

// in returns the requests in a state.
func (c *crash) in(s requestState) (list []int) {
	for i, have := range c.state {
		if have == s {
			list = append(list, i)
		}
	}
	return list
}

// outcomes is how many outcomes the requests in a state have.
func (c *crash) outcomes(s requestState) int64 { return int64(len(c.in(s))) * BulkSize }

// loadUntilKilled sends until so many requests are answered, and then kills the
// node while others are under way.
func (c *crash) loadUntilKilled(ctx context.Context, at int64) error {
	delay := time.Duration(c.rng.Int64N(int64(maxKillDelay)))
	var once sync.Once
	var killErr error
	killed := make(chan struct{})
	kill := func() {
		once.Do(func() {
			go func() {
				defer close(killed)
				time.Sleep(delay)
				killErr = c.engine.Kill()
			}()
		})
	}
	if c.answered.Load() >= at {
		kill()
	}
	err := c.send(ctx, c.in(unsent), func(answered int64) {
		if answered >= at {
			kill()
		}
	})
	kill() // all were sent before the moment came
	<-killed
	c.engine = nil
	if killErr != nil {
		return killErr
	}
	if err == nil || errors.Is(err, errConnection) {
		return ctx.Err()
	}
	return err
}

// errConnection is a request whose answer never came.
var errConnection = errors.New("bench: the connection broke")

// send sends the requests of the list, each at most once, over several
// connections. The first error ends it once what is under way has ended.
func (c *crash) send(ctx context.Context, list []int, answered func(int64)) error {
	var next atomic.Int64
	errs := make([]error, crashConns)
	var wg sync.WaitGroup
	addr := c.engine.Addr
	for i := range errs {
		wg.Go(func() {
			conn, err := Dial(addr)
			if err != nil {
				errs[i] = fmt.Errorf("%w: %w", errConnection, err)
				return
			}
			defer func() { _ = conn.Close() }()
			for ctx.Err() == nil {
				n := next.Add(1) - 1
				if n >= int64(len(list)) {
					return
				}
				if errs[i] = c.sendOne(conn, list[n]); errs[i] != nil {
					return
				}
				if total := c.answered.Add(1); answered != nil {
					answered(total)
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(append(errs, ctx.Err())...)
}

// sendOne sends a request and notes what became of it. Only its own goroutine
// touches its state.
func (c *crash) sendOne(conn *Conn, i int) error {
	if c.state[i] == unsent {
		c.state[i] = unknown
	}
	status, body, err := conn.Do(c.requests[i])
	if err != nil {
		return fmt.Errorf("%w: %w", errConnection, err)
	}
	if status != 200 && status != 422 {
		return errStatus(status, body)
	}
	succeeded, ok1 := intField(body, "succeeded")
	duplicates, ok2 := intField(body, "duplicates")
	if !ok1 || !ok2 || succeeded+duplicates != BulkSize {
		return fmt.Errorf("bench: got %.300s, want %d outcomes that succeeded or are known", body, BulkSize)
	}
	c.duplicates.Add(int64(duplicates))
	c.state[i] = acknowledged
	return nil
}

// recover restarts the node, compares what it has with what it acknowledged,
// and sends the requests in doubt again.
func (c *crash) recover(ctx context.Context) error {
	snapshots, err := snapshotCount(c.data)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := c.start(ctx); err != nil {
		return err
	}
	took := time.Since(began)
	before, err := c.engine.Recorded(ctx)
	if err != nil {
		return err
	}
	acked, doubtful := c.outcomes(acknowledged), c.outcomes(unknown)
	c.duplicates.Store(0)
	if err := c.send(ctx, c.in(unknown), nil); err != nil {
		return err
	}
	found := c.duplicates.Load()
	if before != acked+found {
		c.faultf("after the restart the node has %d interactions, want %d: %d acknowledged and %d in doubt that it knows",
			before, acked+found, acked, found)
	}
	c.notef("killed with %d acknowledged and %d in doubt; ready after %v with %d snapshots; it has %d, of those in doubt %d were recorded",
		acked, doubtful, took.Round(time.Millisecond), snapshots, before, found)
	return c.checkTotal(ctx, "after sending those in doubt again")
}

func snapshotCount(data string) (n int, err error) {
	entries, err := os.ReadDir(filepath.Join(data, "snapshots"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("bench: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() && filepath.Ext(e.Name()) == "" {
			n++
		}
	}
	return n, nil
}

// checkTotal compares the node's count with what was acknowledged when nothing
// is in doubt.
func (c *crash) checkTotal(ctx context.Context, when string) error {
	got, err := c.engine.Recorded(ctx)
	if err != nil {
		return err
	}
	if want := c.outcomes(acknowledged); got != want {
		c.faultf("%s the node has %d interactions, want %d, the acknowledged", when, got, want)
	}
	return nil
}

// resend sends every request again: each outcome must be known, and the count
// must stay.
func (c *crash) resend(ctx context.Context) error {
	c.duplicates.Store(0)
	if err := c.send(ctx, c.in(acknowledged), nil); err != nil {
		return err
	}
	if got, want := c.duplicates.Load(), int64(c.plan.Outcomes); got != want {
		c.faultf("of all outcomes sent again %d were known, want %d", got, want)
	}
	c.notef("all %d outcomes sent again: %d known, none counted twice", c.plan.Outcomes, c.duplicates.Load())
	return c.checkTotal(ctx, "after sending everything again")
}

// compareWithReplay compares what the node restores with what its whole log
// says.
func (c *crash) compareWithReplay(ctx context.Context) error {
	restored, err := digestOf(ctx, c.data)
	if err != nil {
		return err
	}
	replayed, err := engine.Replay(ctx, c.data, zerolog.Nop())
	if err != nil {
		return err
	}
	if !maps.Equal(restored.Models, replayed.Models) {
		c.faultf("digests of the models: restored %v, want those of the replay, %v", restored.Models, replayed.Models)
	}
	if !maps.Equal(restored.Interactions, replayed.Interactions) {
		c.faultf("interactions: restored %v, want those of the replay, %v", restored.Interactions, replayed.Interactions)
	}
	if len(restored.Models) != len(learners()) {
		c.faultf("got digests of %d models, want %d", len(restored.Models), len(learners()))
	}
	c.notef("killed once more, restored at index %d; digests of %d models and the count of interactions compared with a replay from the first entry",
		restored.Index, len(restored.Models))
	return nil
}

// digestOf opens a stopped node and takes its digest.
func digestOf(ctx context.Context, data string) (d engine.Digest, err error) {
	config := engine.DefaultConfig(data)
	config.Cluster.NodeID = "node-1"
	config.Cluster.SnapshotEntries, config.Cluster.TrailingEntries = crashSnapshots, keepLog
	e, err := engine.Open(config, zerolog.Nop())
	if err != nil {
		return d, err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		err = errors.Join(err, e.Close(closing))
	}()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for e.Ready() != nil {
		select {
		case <-time.After(readyInterval):
		case <-e.Failed():
			return d, e.Err()
		case <-ctx.Done():
			return d, fmt.Errorf("bench: the node is not ready: %w", e.Ready())
		}
	}
	return e.Digest(ctx)
}
