package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/praetor-engine/praetor/internal/engine"
)

// collector shows the engine's figures. It reads them at the time of a scrape.
type collector struct {
	engine  *engine.Engine
	figures []figure
}

type figure struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*engine.Stats) float64
}

func newCollector(e *engine.Engine) *collector {
	c := &collector{engine: e}
	add := func(kind prometheus.ValueType, name, help string, value func(*engine.Stats) float64) {
		c.figures = append(c.figures, figure{prometheus.NewDesc("praetor_"+name, help, nil, nil), kind, value})
	}
	gauge, counter := prometheus.GaugeValue, prometheus.CounterValue
	add(gauge, "applied_index", "Log index up to which everything is visible to reads.", func(s *engine.Stats) float64 { return float64(s.AppliedIndex) })
	add(gauge, "ready", "1 when the node is ready.", func(s *engine.Stats) float64 { return bit(s.Ready) })
	add(gauge, "leader", "1 when the node leads the cluster.", func(s *engine.Stats) float64 { return bit(s.Leader) })
	add(gauge, "tenants", "Tenants.", func(s *engine.Stats) float64 { return float64(s.Tenants) })
	add(gauge, "models", "Models.", func(s *engine.Stats) float64 { return float64(s.Models) })
	add(gauge, "champions", "Families with a champion.", func(s *engine.Stats) float64 { return float64(s.Champions) })
	add(gauge, "models_faulted", "Models out of service.", func(s *engine.Stats) float64 { return float64(s.FaultedModels) })
	add(counter, "model_faults_total", "Models that went out of service since the start.", func(s *engine.Stats) float64 { return float64(s.Faults) })
	add(gauge, "interactions", "Interactions kept.", func(s *engine.Stats) float64 { return float64(s.Interactions) })
	add(counter, "interactions_dropped_total", "Interactions dropped by the bounds on history, or with their tenant.", func(s *engine.Stats) float64 { return float64(s.DroppedRows) })
	add(gauge, "summary_customers", "Customers with summaries in memory.", func(s *engine.Stats) float64 { return float64(s.Customers) })
	add(gauge, "summaries", "Customer × offer summaries in memory.", func(s *engine.Stats) float64 { return float64(s.Summaries) })
	add(counter, "summaries_evicted_total", "Summaries given up for the bounds on them.", func(s *engine.Stats) float64 { return float64(s.EvictedSummaries) })
	add(gauge, "idempotency_answers", "Answers kept for idempotency keys.", func(s *engine.Stats) float64 { return float64(s.Answers) })
	add(gauge, "idempotency_answer_bytes", "Memory of the answers kept for idempotency keys, in bytes.", func(s *engine.Stats) float64 { return float64(s.AnswerBytes) })
	add(counter, "idempotency_answers_evicted_total", "Answers given up before their 24 hours.", func(s *engine.Stats) float64 { return float64(s.EvictedAnswers) })
	add(gauge, "audit_entries", "Entries kept of all audit logs.", func(s *engine.Stats) float64 { return float64(s.AuditEntries) })
	add(counter, "audit_entries_dropped_total", "Entries dropped by the bounds on audit logs, of the tenants there are.", func(s *engine.Stats) float64 { return float64(s.AuditDropped) })
	add(gauge, "history_disk_bytes", "Size of the history on disk, in bytes.", func(s *engine.Stats) float64 { return float64(s.HistoryBytes) })
	add(counter, "log_entries_proposed_total", "Log entries this node proposed.", func(s *engine.Stats) float64 { return float64(s.EntriesProposed) })
	add(counter, "log_commands_proposed_total", "Commands in the log entries this node proposed.", func(s *engine.Stats) float64 { return float64(s.CommandsProposed) })
	add(gauge, "jobs_running", "Trainings queued or under way on this node.", func(s *engine.Stats) float64 { return float64(s.JobsRunning) })
	add(counter, "replica_checks_total", "Digests of other nodes that were the same as this node's.", func(s *engine.Stats) float64 { return float64(s.ReplicaChecks) })
	add(gauge, "replica_diverged", "1 when this node's state differs from that of most nodes: it is out of service.", func(s *engine.Stats) float64 { return bit(s.Diverged) })
	add(gauge, "alerts", "Alerts that stand, of all tenants' models, but for good news.", func(s *engine.Stats) float64 { return float64(s.Alerts) })
	add(counter, "monitor_outcomes_joined_total", "Outcomes joined to scores that this node served.", func(s *engine.Stats) float64 { return float64(s.OutcomesJoined) })
	add(gauge, "monitor_sample_share", "Share of the customers whose served scores wait for outcomes here; 0: none, monitoring of scores is off.", func(s *engine.Stats) float64 { return s.MonitorSample })
	add(counter, "monitor_lost_total", "Bundles of figures of served scores given up for want of a quorum.", func(s *engine.Stats) float64 { return float64(s.MonitorLost) })
	add(counter, "endpoint_queries_total", "Scores asked of the endpoints of external models.", func(s *engine.Stats) float64 { return float64(s.EndpointCalls) })
	add(counter, "endpoint_degraded_total", "Scores of external models answered with a fallback.", func(s *engine.Stats) float64 { return float64(s.DegradedScores) })
	add(counter, "decision_log_records_total", "Decisions and outcomes that this node logged.", func(s *engine.Stats) float64 { return float64(s.DecisionLog.Records) })
	add(counter, "decision_log_dropped_total", "Decisions and outcomes not logged for want of room in the queue, or too large.", func(s *engine.Stats) float64 { return float64(s.DecisionLog.Dropped) })
	add(counter, "decision_log_lost_total", "Decisions and outcomes not logged because the disk refused them.", func(s *engine.Stats) float64 { return float64(s.DecisionLog.Lost) })
	add(gauge, "decision_log_files", "Files of logged decisions on this node.", func(s *engine.Stats) float64 { return float64(s.DecisionLog.Files) })
	add(gauge, "decision_log_bytes", "Their size, in bytes.", func(s *engine.Stats) float64 { return float64(s.DecisionLog.Bytes) })
	add(counter, "decision_log_deleted_files_total", "Files of logged decisions deleted for the bound on all.", func(s *engine.Stats) float64 { return float64(s.DecisionLog.DeletedFiles) })
	add(gauge, "warehouse_connections", "Tenants with a connection to a warehouse.", func(s *engine.Stats) float64 { return float64(s.Warehouses) })
	add(counter, "warehouse_reads_total", "Readings of warehouses on this node.", func(s *engine.Stats) float64 { return float64(s.WarehouseReads) })
	add(counter, "warehouse_read_failures_total", "Readings that gave nothing.", func(s *engine.Stats) float64 { return float64(s.WarehouseFailures) })
	add(counter, "warehouse_exposures_total", "Exposures that readings gave.", func(s *engine.Stats) float64 { return float64(s.WarehouseExposures) })
	add(counter, "warehouse_read_seconds_total", "Time spent reading warehouses, in seconds.", func(s *engine.Stats) float64 { return s.WarehouseSeconds })
	add(gauge, "optimizations", "Optimizations that are not archived.", func(s *engine.Stats) float64 { return float64(s.Optimizations) })
	add(gauge, "optimizations_faulted", "Optimizations out of service.", func(s *engine.Stats) float64 { return float64(s.OptimizationFaults) })
	add(counter, "optimization_exposures_total", "Exposures recorded, of the optimizations there are.", func(s *engine.Stats) float64 { return float64(s.OptimizationExposures) })
	add(gauge, "optimization_events", "Exposures and rewards remembered.", func(s *engine.Stats) float64 { return float64(s.OptimizationEvents) })
	add(counter, "optimization_events_dropped_total", "Exposures and rewards for which there was no room, of the optimizations there are.", func(s *engine.Stats) float64 { return float64(s.OptimizationDropped) })
	add(gauge, "optimization_visitors", "Visitors who keep a variant, or did lately.", func(s *engine.Stats) float64 { return float64(s.OptimizationVisitors) })
	add(counter, "served_exposures_total", "Exposures recorded by this node's serves.", func(s *engine.Stats) float64 { return float64(s.ServedExposures) })
	add(counter, "served_exposure_groups_total", "Commands that these exposures shared.", func(s *engine.Stats) float64 { return float64(s.ExposureGroups) })
	add(gauge, "experiments_active", "Active experiments.", func(s *engine.Stats) float64 { return float64(s.Experiments) })
	add(gauge, "experiment_customers", "Customers assigned in running experiments.", func(s *engine.Stats) float64 { return float64(s.ExperimentCustomers) })
	add(gauge, "experiment_kept_customers", "Customers who keep a variant after a change of the split.", func(s *engine.Stats) float64 { return float64(s.ExperimentKept) })
	add(gauge, "experiment_overflow_customers", "Customers of running experiments for whom there was no room, as far as this node knows.", func(s *engine.Stats) float64 { return float64(s.ExperimentOverflow) })
	add(counter, "experiment_fallbacks_total", "Scores that the champion gave for a challenger that could not.", func(s *engine.Stats) float64 { return float64(s.ExperimentFallbacks) })
	add(counter, "experiment_promotions_total", "Winners of experiments that this node promoted.", func(s *engine.Stats) float64 { return float64(s.ExperimentPromotions) })
	add(counter, "shadow_scored_total", "Requests scored by all models of an experiment, off the response path.", func(s *engine.Stats) float64 { return float64(s.ShadowScored) })
	add(counter, "shadow_dropped_total", "Requests that were to be scored so and found no room.", func(s *engine.Stats) float64 { return float64(s.ShadowDropped) })
	add(gauge, "events", "Events kept, of all tenants.", func(s *engine.Stats) float64 { return float64(s.Events) })
	add(counter, "events_dropped_total", "Events dropped by the bounds on them, of the tenants there are.", func(s *engine.Stats) float64 { return float64(s.EventsDropped) })
	add(gauge, "webhooks", "Webhooks that are enabled.", func(s *engine.Stats) float64 { return float64(s.Webhooks) })
	add(gauge, "webhooks_failing", "Enabled webhooks that did not take their last message.", func(s *engine.Stats) float64 { return float64(s.WebhooksFailing) })
	add(gauge, "webhook_events_pending", "Events that enabled webhooks are to be sent.", func(s *engine.Stats) float64 { return float64(s.WebhookPending) })
	add(counter, "webhook_messages_delivered_total", "Messages to webhooks that this node delivered.", func(s *engine.Stats) float64 { return float64(s.WebhookDelivered) })
	add(counter, "webhook_attempts_failed_total", "Attempts of this node to deliver a message that failed.", func(s *engine.Stats) float64 { return float64(s.WebhookFailed) })
	return c
}

func bit(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for i := range c.figures {
		ch <- c.figures[i].desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := c.engine.Stats()
	for i := range c.figures {
		f := &c.figures[i]
		ch <- prometheus.MustNewConstMetric(f.desc, f.kind, f.value(&s))
	}
}
