package httpapi

import (
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/catalogue"
)

func (s *Server) listOutcomeTypes(rq *request) error {
	p, err := rq.page()
	if err != nil {
		return err
	}
	l, err := s.engine.OutcomeTypes(rq.tenant(), p)
	if err != nil {
		return err
	}
	return replyList(rq, p, l)
}

func (s *Server) createOutcomeType(rq *request) error {
	t, err := rq.outcomeType(true)
	if err != nil {
		return err
	}
	t, receipt, err := s.engine.CreateOutcomeType(rq.ctx, rq.write(), t)
	if err != nil {
		return err
	}
	rq.wrote(receipt)
	return rq.reply(fasthttp.StatusCreated, t)
}

func (s *Server) updateOutcomeType(rq *request) error {
	t, err := rq.outcomeType(false)
	if err != nil {
		return err
	}
	t, receipt, err := s.engine.UpdateOutcomeType(rq.ctx, rq.write(), rq.param(0), t)
	if err != nil {
		return err
	}
	rq.wrote(receipt)
	return rq.reply(fasthttp.StatusOK, t)
}

func (s *Server) deleteOutcomeType(rq *request) error {
	receipt, err := s.engine.DeleteOutcomeType(rq.ctx, rq.write(), rq.param(0))
	return rq.replyDeleted(receipt, err)
}

// outcomeType reads the body of POST (create) and PUT on outcome types.
func (rq *request) outcomeType(create bool) (t catalogue.OutcomeType, err error) {
	if err := rq.beginBody(); err != nil {
		return t, err
	}
	if rq.enterObject() {
		for rq.nextField() {
			switch {
			case rq.key == "key" && create:
				t.Key = *rq.ownText(1, maxName)
			case rq.key == "name":
				t.Name = *rq.ownText(1, maxName)
			case rq.key == "classification":
				t.Classification = rq.oneOf("positive", "negative", "neutral")
			case rq.key == "category":
				t.Category = rq.oneOf("impression", "response")
			default:
				rq.unknown()
			}
		}
		if create {
			rq.need("key", "classification")
		}
	}
	return t, rq.decoder.err()
}

// oneOf reads one of the words.
func (d *decoder) oneOf(words ...string) string {
	if !d.expect('"', "one of "+strings.Join(words, ", ")) {
		return ""
	}
	got := d.text()
	for _, w := range words {
		if got == w {
			return w
		}
	}
	d.wrongf("must be one of %s, got %q", strings.Join(words, ", "), clip(got))
	return ""
}
