package httpapi

import (
	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/evidence"
)

// resetOffer resets, pauses or resumes what a model learned of a scope.
func (s *Server) resetOffer(rq *request) error {
	if err := rq.beginBody(); err != nil {
		return err
	}
	var b evidence.Body
	if rq.enterObject() {
		for rq.nextField() {
			switch rq.key {
			case "action":
				b.Action = evidence.Action(*rq.ownNullable(maxName))
			case "scope":
				b.Scope = evidence.Scope(*rq.ownNullable(maxName))
			case "scopeId":
				b.ScopeID = *rq.ownNullable(maxName)
			case "offerId":
				b.OfferID = *rq.ownNullable(maxName)
			case "categoryId":
				b.CategoryID = *rq.ownNullable(maxName)
			case "channelId":
				b.ChannelID = *rq.ownNullable(maxName)
			case "resetTo":
				b.ResetTo = evidence.ResetTo(*rq.ownNullable(maxName))
			case "reason":
				b.Reason = *rq.ownNullable(maxDescription)
			default:
				rq.unknown()
			}
		}
	}
	if err := rq.decoder.err(); err != nil {
		return err
	}
	a, receipt, err := s.engine.Adapt(rq.ctx, rq.write(), rq.param(0), b)
	if err != nil {
		return err
	}
	rq.wrote(receipt)
	return rq.reply(fasthttp.StatusOK, a)
}

// listAdaptations lists a model's evidence.
func (s *Server) listAdaptations(rq *request) error {
	p, err := rq.page()
	if err != nil {
		return err
	}
	scope, err := rq.queryText("scope")
	if err != nil {
		return err
	}
	l, err := s.engine.Adaptations(rq.tenant(), rq.param(0), evidence.Scope(scope), p)
	if err != nil {
		return err
	}
	return replyList(rq, p, l)
}
