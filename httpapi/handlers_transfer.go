package httpapi

import (
	"encoding/json"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/engine"
)

// A model may be brought in with all its versions, so an import may be larger
// than other requests, and take longer.
const (
	maxImport  = 64 << 20
	importTime = 5 * time.Minute
)

// exportModel answers with a model in a format that another engine, or another
// library, reads.
func (s *Server) exportModel(rq *request) error {
	format, err := rq.queryText("format")
	if err != nil {
		return err
	}
	if format == "" {
		format = string(engine.FormatPraetor)
	}
	x, err := s.engine.ExportModel(rq.ctx, rq.tenant(), rq.params[0], engine.Format(format))
	if err != nil {
		return err
	}
	rq.contentType = x.MediaType
	rq.out = append(rq.out, x.Body...)
	return nil
}

// modelPredictors answers with what the history says of a model's inputs.
func (s *Server) modelPredictors(rq *request) error {
	var o engine.PredictorOptions
	for name, v := range map[string]*int{"bins": &o.Bins, "categories": &o.Categories, "maxPredictors": &o.MaxPredictors} {
		if !rq.query.Has(name) {
			continue
		}
		n, err := rq.query.GetUint(name)
		if err != nil || n == 0 {
			return decision.Invalid(name, "must be a whole number above 0, got %q", clip(string(rq.query.Peek(name))))
		}
		*v = n
	}
	report, err := s.engine.Predictors(rq.ctx, rq.tenant(), rq.param(0), o)
	if err != nil {
		return err
	}
	return rq.reply(fasthttp.StatusOK, report)
}

func (s *Server) importModel(rq *request) error {
	in, err := rq.importBody()
	if err != nil {
		return err
	}
	m, receipt, err := s.engine.ImportModel(rq.ctx, rq.write(), in)
	return rq.replyModel(fasthttp.StatusCreated, m, receipt, err)
}

// importBody reads the body of an import. The fields of a model may stand beside
// it, but for what comes from the model itself.
func (rq *request) importBody() (in engine.Import, err error) {
	if err := rq.beginBody(); err != nil {
		return in, err
	}
	if rq.enterObject() {
		for rq.nextField() {
			switch rq.key {
			case "format":
				in.Format = engine.Format(*rq.ownText(1, maxName))
			case "model":
				in.Model = json.RawMessage(rq.raw(0, 0))
			case "key":
				in.Fields.Key = rq.ownText(1, maxName)
			case "metrics", "modelState":
				rq.unknown()
			default:
				if !rq.sharedModelField(&in.Fields) {
					rq.unknown()
				}
			}
		}
		rq.need("format", "model")
	}
	return in, rq.decoder.err()
}
