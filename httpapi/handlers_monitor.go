package httpapi

import (
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/engine"
)

// allAlerts asks for alerts in any state.
const allAlerts = "all"

var alertStates = []string{string(engine.AlertOpen), string(engine.AlertClosed), allAlerts}

// defaultMonitorDays is how many days a report has when none are asked for.
const defaultMonitorDays = 14

// modelMonitoring answers with what a model did in the last days.
func (s *Server) modelMonitoring(rq *request) error {
	days := defaultMonitorDays
	if rq.query.Has("days") {
		n, err := rq.query.GetUint("days")
		if err != nil || n < 1 || n > engine.MaxMonitorDays {
			return decision.Invalid("days", "must be a whole number from 1 to %d, got %q", engine.MaxMonitorDays, clip(string(rq.query.Peek("days"))))
		}
		days = n
	}
	m, err := s.engine.Monitoring(rq.tenant(), rq.param(0), days, decision.TimeOf(s.now()))
	if err != nil {
		return err
	}
	return rq.reply(fasthttp.StatusOK, m)
}

// listAlerts lists alerts, those that stand when nothing else is asked for.
func (s *Server) listAlerts(rq *request) error {
	p, err := rq.page()
	if err != nil {
		return err
	}
	var f engine.AlertFilter
	var severity, state string
	for _, q := range []struct {
		name string
		to   *string
		of   []string
	}{{"modelId", &f.ModelID, nil}, {"rule", &f.Rule, engine.AlertRules()}, {"severity", &severity, engine.AlertSeverities()}, {"state", &state, alertStates}} {
		if *q.to, err = rq.queryChoice(q.name, q.of); err != nil {
			return err
		}
	}
	f.Severity = engine.Severity(severity)
	switch state {
	case "":
		f.State = engine.AlertOpen
	case allAlerts:
	default:
		f.State = engine.AlertState(state)
	}
	l, err := s.engine.Alerts(rq.tenant(), f, p, decision.TimeOf(s.now()))
	if err != nil {
		return err
	}
	return replyList(rq, p, l)
}

// queryChoice reads a text query parameter that is one of several words; nil
// permits all.
func (rq *request) queryChoice(name string, words []string) (string, error) {
	v, err := rq.queryText(name)
	if err != nil || v == "" || words == nil {
		return v, err
	}
	for _, w := range words {
		if v == w {
			return v, nil
		}
	}
	return "", decision.Invalid(name, "must be one of %s, got %q", strings.Join(words, ", "), clip(v))
}
