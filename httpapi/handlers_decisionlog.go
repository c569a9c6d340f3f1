package httpapi

import (
	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/engine"
)

// decisionLogRoutes are the routes to what is logged of a model or a family.
func (s *Server) decisionLogRoutes(path string, of func(rq *request) catalogue.DecisionLogOf) []*route {
	path += "/decision-log"
	return []*route{
		{method: get, path: path, access: viewer, class: ClassRead, strong: true, handle: func(rq *request) error {
			state, err := s.engine.DecisionLog(rq.tenant(), of(rq))
			if err != nil {
				return err
			}
			return rq.reply(fasthttp.StatusOK, state)
		}},
		{method: put, path: path, access: editor, class: ClassWrite, write: true, handle: func(rq *request) error {
			setting, err := rq.decisionLog()
			if err != nil {
				return err
			}
			state, receipt, err := s.engine.SetDecisionLog(rq.ctx, rq.write(), of(rq), &setting)
			if err != nil {
				return err
			}
			rq.wrote(receipt)
			return rq.reply(fasthttp.StatusOK, state)
		}},
		{method: remove, path: path, access: editor, class: ClassWrite, write: true, handle: func(rq *request) error {
			_, receipt, err := s.engine.SetDecisionLog(rq.ctx, rq.write(), of(rq), nil)
			return rq.replyDeleted(receipt, err)
		}},
	}
}

func decisionLogOfModel(rq *request) catalogue.DecisionLogOf {
	return catalogue.DecisionLogOf{ModelID: rq.param(0)}
}

func decisionLogOfFamily(rq *request) catalogue.DecisionLogOf {
	return catalogue.DecisionLogOf{Family: rq.param(0)}
}

// decisionLog reads the body of PUT: what it does not give has its default.
func (rq *request) decisionLog() (catalogue.DecisionLog, error) {
	d := engine.DefaultDecisionLog()
	if err := rq.beginBody(); err != nil {
		return d, err
	}
	if rq.enterObject() {
		for rq.nextField() {
			switch rq.key {
			case "enabled":
				d.Enabled = rq.boolean()
			case "samplePct":
				d.SamplePct = *rq.percent()
			case "format":
				d.Format = rq.oneOf("ndjson", "parquet")
			case "features":
				d.Features = rq.boolean()
			default:
				rq.unknown()
			}
		}
		rq.need("enabled")
	}
	return d, rq.decoder.err()
}
