package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/praetor-engine/praetor/actors"
	"github.com/praetor-engine/praetor/cluster"
	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/decisionlog"
	"github.com/praetor-engine/praetor/internal/endpoint"
	"github.com/praetor-engine/praetor/internal/history"
	"github.com/praetor-engine/praetor/internal/mlclient"
	"github.com/praetor-engine/praetor/internal/monitor"
	"github.com/praetor-engine/praetor/internal/vault"
	"github.com/praetor-engine/praetor/internal/warehouse"
	"github.com/praetor-engine/praetor/internal/webhook"
)

// Config is what an engine is opened with.
type Config struct {
	Cluster cluster.Config
	// Limits are what this node proposes as the replicated bounds when it
	// leads; every node then uses the leader's.
	Limits Limits
	// OperatorKey is the operator's key; empty: nobody is the operator.
	OperatorKey string
	// Worker is the ML worker that grows the trees of gradient boosted models;
	// without a URL they cannot be trained here.
	Worker mlclient.Config
	// TrainWorkers is how many trainings run at a time on this node.
	TrainWorkers int
	// CheckInterval is the time between two comparisons of the nodes' states.
	CheckInterval time.Duration
	// MonitorScores is how many served scores this node keeps until outcomes follow,
	// 16 bytes each; 0: served scores are not monitored.
	MonitorScores int
	// MonitorWindow is how long outcomes may follow a score.
	MonitorWindow time.Duration
	// MonitorInterval is the time between two tellings of what a node learned of
	// its scores, and between two looks of the leader for alerts.
	MonitorInterval time.Duration
	// Endpoints are the rules of calls to the endpoints of models of type
	// external_endpoint.
	Endpoints endpoint.Options
	// Credentials seal the secrets of tenants' connections and webhooks; nil: a node
	// alone makes a key in its data directory for connections, several refuse to store
	// any, and the secrets of webhooks are not sealed.
	Credentials *vault.Keys
	Warehouse   WarehouseConfig
	// ShadowShare is the share of the scores of families with an experiment that all
	// its models score, in [0, 1].
	ShadowShare float64
	// Decisions are how decisions are logged where that is asked for; its Dir is a
	// folder of the data directory where it is empty, its Node the cluster's.
	Decisions decisionlog.Options
}

// Limits bound what is kept. All are per tenant but MaxAnswerBytes.
type Limits struct {
	MaxHistoryRows      int64 // interactions
	MaxHistoryDays      int64 // age of interactions, in days
	MaxSummaryCustomers int64 // customers with summaries in memory
	MaxAnswerBytes      int64 // memory of the answers to idempotency keys
	MaxAuditEntries     int64 // entries of the audit log; the operator's own log has the same bounds
	MaxAuditDays        int64 // their age, in days
}

// DefaultConfig returns the defaults for a one-node engine in a directory.
func DefaultConfig(dataDir string) Config {
	c := cluster.DefaultConfig()
	c.DataDir = dataDir
	h := history.DefaultLimits()
	return Config{
		Cluster: c,
		Limits: Limits{
			MaxHistoryRows: h.MaxRows, MaxHistoryDays: int64(h.MaxAge / day),
			MaxSummaryCustomers: h.MaxCustomers, MaxAnswerBytes: catalogue.DefaultMaxAnswerBytes,
			MaxAuditEntries: catalogue.DefaultMaxAuditEntries, MaxAuditDays: catalogue.DefaultMaxAuditDays,
		},
		Worker:        mlclient.DefaultConfig("", ""),
		TrainWorkers:  1,
		CheckInterval: DefaultCheckInterval,
		MonitorScores: monitor.DefaultScores, MonitorWindow: time.Duration(monitor.DefaultWindow) * time.Millisecond, MonitorInterval: DefaultMonitorInterval,
		Decisions:   decisionlog.DefaultOptions("", ""),
		ShadowShare: DefaultShadowShare,
		Warehouse:   WarehouseConfig{Timeout: DefaultWarehouseTimeout, Limits: warehouse.DefaultLimits()},
	}
}

// Validate names every problem of the configuration.
func (c *Config) Validate() error {
	var errs []error
	errs = append(errs, c.Cluster.Validate())
	for name, v := range map[string]int64{
		"MaxHistoryRows": c.Limits.MaxHistoryRows, "MaxHistoryDays": c.Limits.MaxHistoryDays,
		"MaxSummaryCustomers": c.Limits.MaxSummaryCustomers, "MaxAnswerBytes": c.Limits.MaxAnswerBytes,
		"MaxAuditEntries": c.Limits.MaxAuditEntries, "MaxAuditDays": c.Limits.MaxAuditDays,
		"TrainWorkers": int64(c.TrainWorkers), "Warehouse.Limits.MaxRows": c.Warehouse.Limits.MaxRows,
		"Warehouse.Limits.MaxVisitorRows": int64(c.Warehouse.Limits.MaxVisitorRows), "Warehouse.Timeout": int64(c.Warehouse.Timeout),
	} {
		if v < 1 {
			errs = append(errs, fmt.Errorf("engine: %s must be at least 1, got %d", name, v))
		}
	}
	if c.CheckInterval <= 0 {
		errs = append(errs, fmt.Errorf("engine: CheckInterval must be above 0, got %v", c.CheckInterval))
	}
	if c.MonitorScores < 0 || c.MonitorScores > maxMonitorScores {
		errs = append(errs, fmt.Errorf("engine: MonitorScores must be 0 to %d, got %d", maxMonitorScores, c.MonitorScores))
	}
	if c.MonitorWindow < time.Minute || c.MonitorWindow.Milliseconds() > monitor.MaxWindow {
		errs = append(errs, fmt.Errorf("engine: MonitorWindow must be a minute to 7 days, got %v", c.MonitorWindow))
	}
	if c.MonitorInterval <= 0 {
		errs = append(errs, fmt.Errorf("engine: MonitorInterval must be above 0, got %v", c.MonitorInterval))
	}
	if !(c.ShadowShare >= 0 && c.ShadowShare <= 1) {
		errs = append(errs, fmt.Errorf("engine: ShadowShare must be 0 to 1, got %v", c.ShadowShare))
	}
	decisions := c.decisionLog(zerolog.Nop())
	errs = append(errs, decisions.Validate())
	if n := len(c.OperatorKey); n > 0 && n < minOperatorKey {
		errs = append(errs, fmt.Errorf("engine: the operator key must have at least %d characters, got %d", minOperatorKey, n))
	}
	return errors.Join(errs...)
}

// maxMonitorScores bounds the memory of the served scores: 1 GiB.
const maxMonitorScores = 1 << 26

// minOperatorKey is the shortest operator key: 128 bits in hexadecimal would
// have 32 characters; half of it still cannot be guessed over a network.
const minOperatorKey = 16

// Engine is one node: its replicated state and the use cases on it.
type Engine struct {
	config      Config
	log         zerolog.Logger
	node        *cluster.Node
	machine     *machine
	operator    *operator
	checker     *checker
	reports     reports
	jobs        *jobs
	worker      *mlclient.Client
	endpoints   *endpoints
	faults      faultCounter
	shadow      *shadow
	decisions   *decisionlog.Log
	teller      *teller
	exposures   *exposures
	credentials *credentials
	warehouses  *warehouses
	deliverer   *webhook.Deliverer

	fallbacks  atomic.Uint64 // scores of challengers that the champion gave
	overflow   atomic.Uint64 // customers whom this node assigned and no experiment had room for
	promotions atomic.Uint64 // of winners of experiments, proposed by this node

	stop    context.CancelFunc // of the background work
	working sync.WaitGroup
}

// Open starts an engine: it restores what its data directory holds, joins or
// makes its cluster, and returns while that catches up; Ready tells when it has.
func Open(config Config, log zerolog.Logger) (*Engine, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	worker, err := mlclient.New(config.Worker)
	if err != nil {
		return nil, fmt.Errorf("engine: the ML worker: %w", err)
	}
	endpoints, err := newEndpoints(config.Endpoints, log)
	if err != nil {
		return nil, fmt.Errorf("engine: outbound calls: %w", err)
	}
	// The log holds the pepper of the keys' hashes: nobody else reads here.
	if err := os.MkdirAll(config.Cluster.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("engine: data directory: %w", err)
	}
	options := history.DefaultOptions()
	options.Logger = log
	options.Limits = historyLimits(config.settings(""))
	store, err := history.Open(filepath.Join(config.Cluster.DataDir, "history"), options)
	if err != nil {
		return nil, fmt.Errorf("engine: open the history: %w", err)
	}
	e := &Engine{config: config, log: log, worker: worker, endpoints: endpoints, operator: newOperator(config.OperatorKey)}
	e.credentials = newCredentials(&config, e.several, log)
	if e.warehouses, err = newWarehouses(&config, e.credentials); err != nil {
		return nil, errors.Join(fmt.Errorf("engine: outbound connections: %w", err), store.Close())
	}
	if e.decisions, err = decisionlog.Open(config.decisionLog(log)); err != nil {
		_ = store.Close()
		return nil, fmt.Errorf("engine: open the log of decisions: %w", err)
	}
	e.machine = newMachine(store, actors.NewSystem(log, e.faults.add), log)
	e.shadow = newShadow(e, config.ShadowShare)
	e.machine.shadow, e.machine.decisions = e.shadow, e.decisions
	if config.MonitorScores > 0 {
		e.machine.recorder = monitor.NewRecorder(config.MonitorScores, config.MonitorWindow.Milliseconds())
	}
	e.teller = newTeller(e)
	e.deliverer = webhook.NewDeliverer(webhookNode{e}, log.With().Str("component", "webhooks").Logger())
	e.machine.feed = newFeed(e.deliverer.Wake)
	e.jobs = newJobs(config.TrainWorkers)
	e.reports = newReports()
	e.checker = newChecker(e)
	e.machine.onCheck = e.checker
	c := config.clusterConfig()
	c.Answer = e.answer
	if e.node, err = cluster.Open(c, e.machine, log); err != nil {
		_ = e.machine.close()
		e.decisions.Close()
		return nil, fmt.Errorf("engine: open the log: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	e.stop = cancel
	e.working.Go(func() { e.settle(ctx) })
	e.working.Go(func() { e.checker.run(ctx, config.CheckInterval) })
	retrainer := &retrainer{engine: e, tried: map[string]time.Time{}}
	e.working.Go(func() { retrainer.run(ctx) })
	e.working.Go(func() { newEvolver(e).run(ctx) })
	reporter := &reporter{engine: e}
	e.working.Go(func() { reporter.run(ctx) })
	e.working.Go(func() { e.promoteWinners(ctx) })
	e.working.Go(func() { e.shadow.run(ctx) })
	e.working.Go(func() { e.teller.run(ctx, config.MonitorInterval) })
	e.working.Go(func() { e.measureDrifts(ctx) })
	e.working.Go(func() { newWatcher(e).run(ctx, config.MonitorInterval) })
	e.exposures = newExposures(e.node.Propose)
	e.working.Go(func() { e.exposures.run(ctx) })
	trainer := &optimizationTrainer{engine: e, tried: map[string]time.Time{}}
	e.working.Go(func() { trainer.run(ctx) })
	e.working.Go(func() { e.deliverer.Run(ctx) })
	return e, nil
}

// Close stops the trainings, hands leadership over, and closes what is open.
// ctx bounds the graceful part.
func (e *Engine) Close(ctx context.Context) error {
	e.stop()
	e.working.Wait() // it may start trainings
	e.tellLast(ctx)
	e.jobs.close()
	e.endpoints.client.Close()
	err := e.node.Close(ctx)
	e.decisions.Close()
	return errors.Join(err, e.machine.close())
}

// tellLast tells what this node learned of its scores since it last told, unless it
// takes long.
func (e *Engine) tellLast(ctx context.Context) {
	if e.Ready() != nil || e.Stale() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	e.teller.tell(ctx, decision.TimeOf(time.Now()))
}

// close ends the actors and closes the history; the log must be closed before.
func (m *machine) close() error {
	m.stopActors()
	m.actors.Close()
	return m.history.Close()
}

// settleInterval is how often a node looks whether it leads and the replicated
// settings are still to be proposed.
const settleInterval = 20 * time.Millisecond

// every does something again and again until ctx ends, the first time after an
// interval.
func every(ctx context.Context, interval time.Duration, do func(now time.Time)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			do(now)
		case <-ctx.Done():
			return
		}
	}
}

// settle proposes the replicated settings once: with a new pepper in a new
// cluster, else when the leader's configuration has other limits.
func (e *Engine) settle(ctx context.Context) {
	tick := time.NewTicker(settleInterval)
	defer tick.Stop()
	for {
		if e.node.IsLeader() && e.node.Ready() == nil {
			err := e.proposeSettings(ctx)
			if err == nil {
				return
			}
			e.log.Warn().Err(err).Msg("cannot propose the settings; trying again")
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (e *Engine) proposeSettings(ctx context.Context) error {
	e.machine.mu.RLock()
	have := e.machine.catalogue.Settings()
	e.machine.mu.RUnlock()
	pepper := have.Pepper
	if pepper == "" {
		raw := make([]byte, 32)
		_, _ = rand.Read(raw) // never fails since Go 1.24
		pepper = hex.EncodeToString(raw)
	}
	want := e.config.settings(pepper)
	if have == want {
		return nil
	}
	_, _, err := do[nothing](ctx, e, &command.Header{Kind: command.KindSetSettings}, command.SetSettings{Settings: want})
	return err
}

func (c *Config) settings(pepper string) catalogue.Settings {
	return catalogue.Settings{
		Pepper: pepper, MaxHistoryRows: c.Limits.MaxHistoryRows, MaxHistoryDays: c.Limits.MaxHistoryDays,
		MaxSummaryCustomers: c.Limits.MaxSummaryCustomers, MaxAnswerBytes: c.Limits.MaxAnswerBytes,
		MaxAuditEntries: c.Limits.MaxAuditEntries, MaxAuditDays: c.Limits.MaxAuditDays,
	}
}

// Ready is nil when the node has restored, caught up, knows a leader, and the
// cluster's settings are there.
func (e *Engine) Ready() error {
	if err := e.node.Ready(); err != nil {
		return err
	}
	if err := e.checker.err(); err != nil {
		return err
	}
	if e.machine.directory.pepper.Load() == nil {
		return decision.Errorf(decision.KindUnavailable, "the cluster has no settings yet")
	}
	return nil
}

// Stale reports that no leader is known: scores come from the last state.
func (e *Engine) Stale() bool { return e.node.Stale() }

// AppliedIndex returns the log index up to which everything is visible to reads.
func (e *Engine) AppliedIndex() uint64 { return e.node.AppliedIndex() }

// WaitApplied returns when everything up to the log index is visible, or ctx
// ends.
func (e *Engine) WaitApplied(ctx context.Context, index uint64) error {
	return e.node.WaitApplied(ctx, index)
}

// Barrier returns when every write acknowledged before, on any node, is visible
// here.
func (e *Engine) Barrier(ctx context.Context) error {
	return e.node.Barrier(ctx)
}

// TakeSnapshot takes a snapshot now.
func (e *Engine) TakeSnapshot(ctx context.Context) error { return e.node.Snapshot(ctx) }

// Failed is closed when the node stopped by itself because going on could lose
// data; the process should close the engine and exit.
func (e *Engine) Failed() <-chan struct{} { return e.node.Failed() }

// Err returns why the node stopped by itself, nil while it has not.
func (e *Engine) Err() error { return e.node.Err() }
