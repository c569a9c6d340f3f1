package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/engine"
)

func (s *Server) respond(rq *request) error {
	if err := rq.beginBody(); err != nil {
		return err
	}
	mem := &rq.outcomes
	mem.inputs = append(mem.inputs[:0], engine.OutcomeInput{})
	in := &mem.inputs[0]
	rq.outcome(in)
	if err := rq.decoder.err(); err != nil {
		return err
	}
	w := rq.write()
	if w.IdempotencyKey != "" {
		if in.IdempotencyKey != "" && in.IdempotencyKey != w.IdempotencyKey {
			return decision.Invalid("idempotencyKey", "is %q, but the header Idempotency-Key is %q", clip(in.IdempotencyKey), clip(w.IdempotencyKey))
		}
		// One outcome has one key; it is the outcome's, wherever it was sent.
		in.IdempotencyKey, w.IdempotencyKey, w.Fingerprint = w.IdempotencyKey, "", 0
	}
	results, receipt, err := s.engine.Respond(rq.ctx, w, decision.TimeOf(s.now()), mem.inputs, mem.results[:0])
	mem.results = results
	if err != nil {
		return err
	}
	if results[0].Err != nil {
		return results[0].Err
	}
	rq.wrote(receipt)
	rq.status = fasthttp.StatusCreated
	if results[0].Duplicate {
		rq.status = fasthttp.StatusOK
	}
	rq.out = appendRecorded(rq.out, in, &results[0])
	return nil
}

// outcomeFailure is an outcome of a bulk request that was not recorded.
type outcomeFailure struct {
	index int
	err   error
}

// respondBulk records outcomes in order, each by itself: what is wrong with one
// is an entry of the answer and does not concern the others.
func (s *Server) respondBulk(rq *request) error {
	total, err := rq.bulkBody()
	if err != nil {
		return err
	}
	mem := &rq.outcomes
	duplicates := 0
	if len(mem.inputs) > 0 {
		rq.shareKey()
		results, receipt, err := s.engine.Respond(rq.ctx, rq.write(), decision.TimeOf(s.now()), mem.inputs, mem.results[:0])
		mem.results = results
		if err != nil {
			return err
		}
		rq.wrote(receipt)
		for i := range results {
			if results[i].Err != nil {
				mem.failed = append(mem.failed, outcomeFailure{mem.places[i], ofOutcome(mem.places[i], results[i].Err)})
			} else if results[i].Duplicate {
				duplicates++
			}
		}
	}
	if len(mem.failed) == total {
		rq.status = fasthttp.StatusUnprocessableEntity
	}
	rq.out = appendBulk(rq.out, total, duplicates, mem.failed)
	return nil
}

// ofOutcome puts the place of an outcome before the path of the field at fault, as
// the decoder does.
func ofOutcome(place int, err error) error {
	var e *decision.Error
	if !errors.As(err, &e) || len(e.Details) != 1 {
		return err
	}
	at := *e
	d := e.Details[0]
	d.Path = "outcomes[" + strconv.Itoa(place) + "]." + d.Path
	at.Msg, at.Details = d.Path+": "+d.Message, []decision.Detail{d}
	return &at
}

// shareKey gives each outcome without a key of its own one from the request's
// Idempotency-Key and its place, so that a request that is repeated whole or in
// part counts nothing twice. The prefix keeps them apart from clients' keys.
func (rq *request) shareKey() {
	if rq.idempotencyKey == "" {
		return
	}
	mem := &rq.outcomes
	sum := sha256.Sum256([]byte(rq.idempotencyKey)) // a bound on the length
	prefix := "bulk:" + hex.EncodeToString(sum[:16]) + ":"
	for i := range mem.inputs {
		if mem.inputs[i].IdempotencyKey == "" {
			mem.inputs[i].IdempotencyKey = prefix + strconv.Itoa(mem.places[i])
		}
	}
}

// bulkBody reads the outcomes that can be read into the outcome memory, the
// others' faults beside them, and returns how many there were.
func (rq *request) bulkBody() (total int, err error) {
	if err := rq.beginBody(); err != nil {
		return 0, err
	}
	if rq.enterObject() {
		for rq.nextField() {
			if rq.key == "outcomes" {
				total = rq.bulkOutcomes()
			} else {
				rq.unknown()
			}
		}
		rq.need("outcomes")
	}
	return total, rq.decoder.err()
}

func (rq *request) bulkOutcomes() (total int) {
	mem := &rq.outcomes
	if !rq.enterArray() {
		return 0
	}
	problems, failed := rq.problems, rq.failed
	for rq.nextItem(maxOutcomes) {
		rq.problems, rq.failed = decision.Problems{}, false
		mem.inputs = append(mem.inputs, engine.OutcomeInput{})
		rq.outcome(&mem.inputs[len(mem.inputs)-1])
		if err := rq.decoder.err(); err != nil {
			mem.inputs = mem.inputs[:len(mem.inputs)-1]
			mem.failed = append(mem.failed, outcomeFailure{total, err})
		} else {
			mem.places = append(mem.places, total)
		}
		total++
		rq.problems, rq.failed = problems, failed
	}
	if total == 0 && !rq.failed {
		rq.wrongf("must have 1 to %d items, got 0", maxOutcomes)
	}
	return total
}
