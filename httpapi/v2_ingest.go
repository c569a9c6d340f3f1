package httpapi

import (
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/engine"
	"github.com/praetor-engine/praetor/internal/factorial"
)

func (s *Server) ingestExposures(rq *request) error { return s.ingest(rq, false) }

func (s *Server) ingestRewards(rq *request) error { return s.ingest(rq, true) }

// ingest records events, each by itself: what is wrong with one does not concern the
// others.
func (s *Server) ingest(rq *request, rewards bool) error {
	events, err := rq.ingestBody(rewards)
	if err != nil {
		return err
	}
	w := rq.write()
	w.IdempotencyKey, w.Fingerprint = "", 0 // events have their own
	r, receipt, err := s.engine.Ingest(rq.ctx, w, rewards, events, decision.TimeOf(s.now()))
	if err != nil {
		return err
	}
	rq.wrote(receipt)
	if len(r.Rejected) == len(events) {
		// Nothing was taken: a refusal like any other, when all say the same.
		if err := commonRefusal(r.Rejected); err != nil {
			return err
		}
	}
	answer := struct {
		Accepted   int              `json:"accepted"`
		Duplicates int              `json:"duplicates"`
		Rejected   []rejectedAnswer `json:"rejected"`
	}{r.Accepted, r.Duplicates, []rejectedAnswer{}}
	for _, x := range r.Rejected {
		e := asError(x.Err)
		answer.Rejected = append(answer.Rejected, rejectedAnswer{x.Index, codeV2(e.Kind), messageV2(e)})
	}
	status := fasthttp.StatusOK
	if len(r.Rejected) > 0 {
		status = fasthttp.StatusMultiStatus
	}
	return rq.replyV2(status, answer)
}

// rejectedAnswer is an event that was not taken.
type rejectedAnswer struct {
	Index   int    `json:"index"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// commonRefusal returns the first refusal when all are of its kind.
func commonRefusal(all []engine.IngestRejection) error {
	first := asError(all[0].Err)
	for _, r := range all[1:] {
		if asError(r.Err).Kind != first.Kind {
			return nil
		}
	}
	return first
}

// ingestBody reads the events.
func (rq *request) ingestBody(rewards bool) (events []engine.IngestEvent, err error) {
	if err := rq.beginBody(); err != nil {
		return nil, err
	}
	if rq.enterObject() {
		for rq.nextField() {
			if rq.key == "events" {
				events = rq.ingestEvents(rewards)
			} else {
				rq.unknown()
			}
		}
		rq.need("events")
	}
	return events, rq.decoder.err()
}

func (rq *request) ingestEvents(rewards bool) []engine.IngestEvent {
	var events []engine.IngestEvent
	if !rq.enterArray() {
		return nil
	}
	problems, failed := rq.problems, rq.failed
	for rq.nextItem(engine.MaxEvents) {
		rq.problems, rq.failed = decision.Problems{}, false
		e := rq.ingestEvent(rewards)
		e.Err = rq.decoder.err()
		events = append(events, e)
		rq.problems, rq.failed = problems, failed
	}
	if len(events) == 0 && !rq.failed {
		rq.wrongf("must have 1 to %d items, got 0", engine.MaxEvents)
	}
	return events
}

// ingestEvent reads one event. Its strings are the event's own, but for the ids,
// which the log copies.
func (rq *request) ingestEvent(reward bool) engine.IngestEvent {
	e := engine.IngestEvent{Value: 1}
	if !rq.enterObject() {
		return e
	}
	for rq.nextField() {
		switch rq.key {
		case "anonymous_id":
			e.AnonymousID = rq.str(1, maxName)
		case "optimization_id":
			if !reward || !rq.null() {
				e.OptimizationID = rq.str(1, maxName)
			}
		case "idempotency_key":
			if !rq.null() {
				e.IdempotencyKey = rq.str(1, maxName)
			}
		case "timestamp":
			if rq.null() {
				break
			}
			if at, ok := rq.time(); ok && at <= 0 {
				rq.wrongf("must be after 1970-01-01T00:00:00Z")
			} else {
				e.At = at
			}
		default:
			if reward {
				rq.rewardField(&e)
			} else {
				rq.exposureField(&e)
			}
		}
	}
	if reward {
		rq.need("anonymous_id", "name")
	} else {
		rq.need("anonymous_id", "optimization_id", "variant")
	}
	return e
}

func (rq *request) rewardField(e *engine.IngestEvent) {
	switch rq.key {
	case "name":
		e.RewardName = rq.str(1, maxName)
	case "value":
		if !rq.null() {
			e.Value = rq.float()
		}
	default:
		rq.unknown()
	}
}

func (rq *request) exposureField(e *engine.IngestEvent) {
	switch rq.key {
	case "variant":
		e.Variant = rq.combination()
	case "context":
		if rq.null() || !rq.enterObject() {
			break
		}
		e.Context = map[string]factorial.Value{}
		for rq.nextField() {
			name := strings.Clone(rq.key)
			e.Context[name] = rq.level()
		}
	default:
		rq.unknown()
	}
}
