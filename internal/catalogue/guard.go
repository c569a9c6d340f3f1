package catalogue

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Thresholds are what the rollback guard permits a new champion. They are in the
// command, so that every build judges an entry alike.
type Thresholds struct {
	// MaxAUCDrop bounds 1 − auc/auc of the incumbent.
	MaxAUCDrop float64 `json:"maxAucDrop"`
	// MaxPSI bounds the population stability index of each input.
	MaxPSI float64 `json:"maxPsi"`
	// MaxErrorRate bounds the share of requests that failed.
	MaxErrorRate float64 `json:"maxErrorRate"`
}

// DefaultThresholds are those of the API's documentation. A population stability
// index over 0.25 is the usual mark of a shifted population.
func DefaultThresholds() Thresholds {
	return Thresholds{MaxAUCDrop: 0.05, MaxPSI: 0.25, MaxErrorRate: 0.02}
}

// Breach is a signal beyond its threshold.
type Breach struct {
	Signal    string  `json:"signal"` // auc, errorRate or psi.<feature>
	Value     float64 `json:"value"`  // of auc the relative drop
	Threshold float64 `json:"threshold"`
}

// The signals of the guard.
const (
	signalAUC       = "auc"
	signalErrorRate = "errorRate"
	signalPSI       = "psi." // and the feature's name
)

// dropTolerance is what the rounding of 1 − a/b may add to a drop that is
// exactly at its threshold.
const dropTolerance = 1e-12

// breaches judges a candidate for champion, each signal when it is known: what
// the request says of it counts before what the model has. Without an incumbent
// there is no AUC to drop from. The breaches are in the order of their signals'
// names.
func (t *Thresholds) breaches(snapshot map[string]float64, candidate, incumbent *ModelRecord) []Breach {
	known := numbers(candidate.Metrics)
	for name, v := range snapshot {
		known[name] = v
	}
	var all []Breach
	add := func(signal string, value, threshold float64) {
		if value > threshold {
			all = append(all, Breach{signal, value, threshold})
		}
	}
	if incumbent != nil {
		auc, ok := known[signalAUC]
		before, has := incumbent.promotedAUC()
		if drop := 1 - auc/before; ok && has && before > 0 && drop > t.MaxAUCDrop+dropTolerance {
			add(signalAUC, drop, t.MaxAUCDrop)
		}
	}
	for name, v := range known {
		switch {
		case name == signalErrorRate:
			add(name, v, t.MaxErrorRate)
		case strings.HasPrefix(name, signalPSI):
			add(name, v, t.MaxPSI)
		}
	}
	slices.SortFunc(all, func(a, b Breach) int { return strings.Compare(a.Signal, b.Signal) })
	return all
}

// promotedAUC is the AUC with which a champion was promoted, else the one it has.
func (m *ModelRecord) promotedAUC() (float64, bool) {
	if v, ok := numbers(m.Promotion.Metrics)[signalAUC]; ok {
		return v, true
	}
	v, ok := numbers(m.Metrics)[signalAUC]
	return v, ok
}

// numbers returns the fields of an object that are numbers; never nil.
func numbers(object json.RawMessage) map[string]float64 {
	var fields map[string]any
	_ = json.Unmarshal(object, &fields) // what is no object has no numbers
	all := map[string]float64{}
	for name, v := range fields {
		if f, ok := v.(float64); ok {
			all[name] = f
		}
	}
	return all
}

// errGuard refuses a promotion.
func errGuard(breaches []Breach) error {
	e := &decision.Error{Kind: decision.KindBadRequest, Reason: ReasonRollbackGuard}
	for _, b := range breaches {
		message := fmt.Sprintf("want at most %v, got %v", b.Threshold, b.Value)
		if b.Signal == signalAUC {
			message = fmt.Sprintf("want at most %v below the champion's, relatively, got %v", b.Threshold, b.Value)
		}
		e.Details = append(e.Details, decision.Detail{Path: b.Signal, Message: message})
	}
	e.Msg = fmt.Sprintf("the model would be a worse champion: %s: %s", e.Details[0].Path, e.Details[0].Message)
	if n := len(breaches); n > 1 {
		e.Msg += fmt.Sprintf(", and %d more", n-1)
	}
	e.Msg += "; bypassRollbackGuard permits it"
	return e
}
