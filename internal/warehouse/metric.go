package warehouse

import (
	"unicode/utf8"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Metric is a query that gives events, with what its columns mean.
type Metric struct {
	// Name is, of rewards, the name of the reward that optimizations ask for.
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
	// Optimization is whose exposures they are; empty: those of every optimization
	// that has no metric of its own.
	Optimization string  `json:"optimization_id,omitempty"`
	SQL          string  `json:"sql"`
	Mapping      Mapping `json:"column_mapping"`
}

// The bounds of a metric.
const (
	MaxMetricName = 255
	MaxSQL        = 32 << 10
	maxIDLength   = 64
)

// Check names every problem of a metric in itself. Whether the database takes the
// query is for a test of the connection to find out.
func (m *Metric) Check(p *decision.Problems) {
	if n := utf8.RuneCountInString(m.Name); n < 1 || n > MaxMetricName {
		p.Addf("name", "must be 1 to %d characters, got %d", MaxMetricName, n)
	}
	if m.Kind != KindExposures && m.Kind != KindReward {
		p.Addf("kind", "must be %s or %s, got %.40q", KindExposures, KindReward, string(m.Kind))
		return
	}
	if m.Kind != KindExposures && m.Optimization != "" {
		p.Addf("optimization_id", "is of metrics of the kind %s; a query may ask for @optimization_id", KindExposures)
	}
	if len(m.Optimization) > maxIDLength {
		p.Addf("optimization_id", "must be at most %d bytes, got %d", maxIDLength, len(m.Optimization))
	}
	if n := len(m.SQL); n < 1 || n > MaxSQL {
		p.Addf("sql", "must be 1 to %d bytes, got %d", MaxSQL, n)
	}
	m.Mapping.Check(p, "column_mapping", m.Kind, false)
}

// Choose returns the metrics of a request; nil stands for one that is not there.
func Choose(metrics []Metric, optimization, reward string) (exposures, rewards *Metric) {
	for i := range metrics {
		switch m := &metrics[i]; {
		case m.Kind == KindReward && m.Name == reward:
			rewards = m
		case m.Kind == KindExposures && (m.Optimization == optimization || m.Optimization == "" && exposures == nil):
			exposures = m
		}
	}
	return exposures, rewards
}
