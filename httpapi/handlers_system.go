package httpapi

import (
	"github.com/prometheus/common/expfmt"
	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/decision"
)

// statusAnswer is the answer of the probes.
type statusAnswer struct {
	Status string `json:"status"`
}

// healthz tells that the process answers.
func (s *Server) healthz(rq *request) error { return rq.reply(fasthttp.StatusOK, statusAnswer{"ok"}) }

// readyz tells that the node should be sent requests.
func (s *Server) readyz(rq *request) error {
	if s.draining.Load() {
		return decision.Errorf(decision.KindUnavailable, "the node is shutting down")
	}
	if err := s.gate.Ready(); err != nil {
		return unavailable(err, "the node is not ready: "+asError(err).Msg)
	}
	return rq.reply(fasthttp.StatusOK, statusAnswer{"ready"})
}

// exposition writes all series in Prometheus' text format.
func (s *Server) exposition(rq *request) error {
	families, err := s.gatherer.Gather()
	if err != nil {
		return &decision.Error{Kind: decision.KindInternal, Op: "httpapi.metrics", Err: err}
	}
	format := expfmt.NewFormat(expfmt.TypeTextPlain)
	enc := expfmt.NewEncoder(rq, format)
	for _, f := range families {
		if err := enc.Encode(f); err != nil {
			return &decision.Error{Kind: decision.KindInternal, Op: "httpapi.metrics", Err: err}
		}
	}
	rq.contentType = string(format)
	return nil
}

// Write appends to the answer.
func (rq *request) Write(p []byte) (int, error) {
	rq.out = append(rq.out, p...)
	return len(p), nil
}
