package engine

import (
	"sync/atomic"
	"time"

	"github.com/praetor-engine/praetor/actors"
	"github.com/praetor-engine/praetor/internal/decisionlog"
	"github.com/praetor-engine/praetor/internal/optimization"
)

// faultCounter counts the models that went out of service.
type faultCounter struct{ n atomic.Uint64 }

func (c *faultCounter) add(string, *actors.Fault) { c.n.Add(1) }

// Stats are the engine's figures for metrics.
type Stats struct {
	AppliedIndex     uint64
	Ready, Leader    bool
	EntriesProposed  uint64 // to the log, by this node
	CommandsProposed uint64 // in these entries
	Tenants          int
	Models           int
	Champions        int // families with a champion
	FaultedModels    int
	Faults           uint64 // since the start of this process
	Interactions     int64
	DroppedRows      int64 // interactions dropped by the bounds on history
	Customers        int64 // customers with summaries
	Summaries        int64
	EvictedSummaries int64 // summaries given up for the bounds on them
	Answers          int64 // kept for idempotency keys
	AnswerBytes      int64
	EvictedAnswers   uint64 // went before their 24 hours
	HistoryBytes     uint64 // on disk
	AuditEntries     uint64 // kept, of all audit logs
	AuditDropped     uint64 // dropped by the bounds on audit logs, of the tenants there are
	JobsRunning      int
	ReplicaChecks    uint64  // digests of other nodes that were the same as this node's
	Diverged         bool    // this node's state differs from that of most nodes
	Alerts           int     // that stand, of all tenants
	OutcomesJoined   uint64  // to scores that this node served, since its start
	MonitorSample    float64 // share of the customers whose scores wait for outcomes here
	MonitorLost      uint64  // parcels of figures given up for want of a quorum
	EndpointCalls    uint64  // queries to the endpoints of models
	DegradedScores   uint64  // of these, answered with a fallback

	DecisionLog        decisionlog.Stats
	Warehouses         int     // tenants with a connection
	WarehouseReads     uint64  // readings of warehouses on this node
	WarehouseFailures  uint64  // of these, that gave nothing
	WarehouseExposures uint64  // that they gave
	WarehouseSeconds   float64 // that they took

	Optimizations         int    // not archived
	OptimizationExposures uint64 // recorded
	OptimizationEvents    int    // exposures and rewards remembered
	OptimizationDropped   uint64 // events for which there was no room
	OptimizationVisitors  int    // who keep a variant, or did lately
	OptimizationFaults    int    // optimizations out of service
	ServedExposures       uint64 // recorded by this node's serves
	ExposureGroups        uint64 // commands that they shared

	Experiments          int    // active
	ExperimentCustomers  int    // assigned in running experiments
	ExperimentKept       int    // of these, who keep a variant of an earlier split
	ExperimentOverflow   uint64 // customers of running experiments for whom there was no room, as far as this node knows
	ExperimentFallbacks  uint64 // scores of challengers that the champion gave
	ExperimentPromotions uint64 // winners that this node, leading, promoted
	Events               uint64 // kept, of all tenants
	EventsDropped        uint64 // dropped by the bounds on events, of the tenants there are
	Webhooks             int    // enabled
	WebhooksFailing      int    // of these, whose last message was not taken
	WebhookPending       int    // events that they are to be sent
	WebhookDelivered     uint64 // messages that this node, leading, delivered
	WebhookFailed        uint64 // its attempts that failed
	ShadowScored         uint64 // requests scored by all models of an experiment
	ShadowDropped        uint64 // requests that were to be, and for which there was no room
}

// Stats returns the present figures. It is for a scrape, not for a hot path.
func (e *Engine) Stats() Stats {
	m := e.machine
	h, err := m.history.Stats()
	if err != nil {
		e.log.Warn().Err(err).Msg("the history's figures cannot be read")
	}
	node := e.node.Status()
	s := Stats{
		AppliedIndex: node.AppliedIndex, Ready: e.Ready() == nil, Leader: e.node.IsLeader(),
		EntriesProposed: node.Entries, CommandsProposed: node.Commands, Faults: e.faults.n.Load(),
		Interactions: h.Rows, DroppedRows: h.DroppedRows, Customers: h.Customers, Summaries: h.Summaries,
		EvictedSummaries: h.EvictedSummaries, HistoryBytes: h.DiskBytes,
	}
	if all := m.directory.models.Load(); all != nil {
		s.Models = len(*all)
		for _, mr := range *all {
			if mr.handle.Published().Fault != nil {
				s.FaultedModels++
			}
		}
	}
	if all := m.directory.optimizations.Load(); all != nil {
		for _, rt := range *all {
			s.addOptimization(rt)
		}
	}
	s.ServedExposures, s.ExposureGroups = e.exposures.served.Load(), e.exposures.groups.Load()
	if all := m.directory.tenants.Load(); all != nil {
		s.Tenants = len(*all)
	}
	if all := m.directory.champions.Load(); all != nil {
		s.Champions = len(*all)
	}
	m.mu.RLock()
	a, x := m.catalogue.Answers(), m.catalogue.ExperimentTotals()
	s.Warehouses = m.catalogue.Warehouses()
	m.mu.RUnlock()
	s.ExperimentFallbacks, s.ExperimentPromotions = e.fallbacks.Load(), e.promotions.Load()
	s.ShadowScored, s.ShadowDropped = e.shadow.scored.Load(), e.shadow.dropped.Load()
	s.Events, s.EventsDropped = m.directory.eventFigures()
	s.Webhooks, s.WebhooksFailing, s.WebhookPending = e.webhookFigures()
	s.WebhookDelivered, s.WebhookFailed = e.deliverer.Figures()
	s.Experiments, s.ExperimentCustomers, s.ExperimentKept, s.ExperimentOverflow = x.Active, x.Customers, x.Kept, x.Dropped+e.overflow.Load()
	s.Answers, s.AnswerBytes, s.EvictedAnswers = a.Len(), a.Bytes(), a.Evicted()
	s.AuditEntries, s.AuditDropped = m.directory.auditFigures()
	e.jobs.mu.Lock()
	s.JobsRunning = len(e.jobs.training)
	e.jobs.mu.Unlock()
	s.ReplicaChecks, s.Diverged = e.checker.checks.Load(), e.checker.err() != nil
	s.Alerts, s.MonitorLost = m.book.OpenAlerts(), e.teller.lost.Load()
	if m.recorder != nil {
		r := m.recorder.Stats()
		s.OutcomesJoined, s.MonitorSample = r.Joined, r.SampleShare
	}
	w := e.warehouses
	s.WarehouseReads, s.WarehouseFailures, s.WarehouseExposures = w.reads.Load(), w.failures.Load(), w.exposures.Load()
	s.WarehouseSeconds = time.Duration(w.nanos.Load()).Seconds()
	s.EndpointCalls, s.DegradedScores = e.endpoints.asked.Load(), e.endpoints.degraded.Load()
	s.DecisionLog = e.decisions.Stats()
	return s
}

func (s *Stats) addOptimization(rt *optimizationRuntime) {
	if rt.record.Load().Status != optimization.Archived {
		s.Optimizations++
	}
	p := rt.handle.Published()
	if p.Fault != nil {
		s.OptimizationFaults++
		return
	}
	s.OptimizationExposures += p.View.Seen
	s.OptimizationDropped += p.View.Dropped
	s.OptimizationEvents += p.View.Events
	s.OptimizationVisitors += p.View.Kept.Len()
}
