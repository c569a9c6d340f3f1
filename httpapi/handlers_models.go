package httpapi

import (
	"encoding/json"

	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/engine"
)

var (
	jsonObject = json.RawMessage("{}")
	jsonArray  = json.RawMessage("[]")
)

// modelView is a model as the API shows it: without secrets, and what was never
// set is empty and not null, except where null means something.
func modelView(m *catalogue.Model) catalogue.Model {
	v := engine.Shown(m)
	for _, f := range []*json.RawMessage{&v.Config, &v.Metrics, &v.LearningConfig, &v.InteractionFeatures, &v.EvolutionConfig} {
		if len(*f) == 0 || string(*f) == "null" {
			*f = jsonObject
		}
	}
	if len(v.Predictors) == 0 {
		v.Predictors = jsonArray
	}
	if v.MetricsHistory == nil {
		v.MetricsHistory = []json.RawMessage{}
	}
	return v
}

func (s *Server) listModels(rq *request) error {
	p, err := rq.page()
	if err != nil {
		return err
	}
	l, err := s.engine.Models(rq.tenant(), p)
	if err != nil {
		return err
	}
	views := engine.List[catalogue.Model]{Total: l.Total, HasMore: l.HasMore, Cursor: l.Cursor}
	for _, m := range l.Items {
		views.Items = append(views.Items, modelView(m))
	}
	return replyList(rq, p, views)
}

// modelDetail is the answer of GET on one model.
type modelDetail struct {
	catalogue.Model
	ModelState *json.RawMessage    `json:"modelState,omitempty"`
	Versions   []catalogue.Version `json:"versions"`
}

func (s *Server) getModel(rq *request) error {
	include := string(rq.query.Peek("include"))
	if include != "" && include != "modelState" {
		return decision.Invalid("include", "must be modelState, got %q", clip(include))
	}
	withState := include != ""
	d, err := s.engine.ModelDetail(rq.ctx, rq.tenant(), rq.params[0], withState)
	if err != nil {
		return err
	}
	out := modelDetail{Model: modelView(d.Model), Versions: d.Versions}
	if out.Versions == nil {
		out.Versions = []catalogue.Version{}
	}
	if withState {
		if d.ModelState == nil {
			d.ModelState = json.RawMessage("null")
		}
		out.ModelState = &d.ModelState
	}
	return rq.reply(fasthttp.StatusOK, out)
}

func (s *Server) createModel(rq *request) error {
	f, err := rq.modelFields(true)
	if err != nil {
		return err
	}
	m, receipt, err := s.engine.CreateModel(rq.ctx, rq.write(), f)
	return rq.replyModel(fasthttp.StatusCreated, m, receipt, err)
}

func (s *Server) updateModel(rq *request) error {
	f, err := rq.modelFields(false)
	if err != nil {
		return err
	}
	m, receipt, err := s.engine.UpdateModel(rq.ctx, rq.write(), rq.param(0), f)
	return rq.replyModel(fasthttp.StatusOK, m, receipt, err)
}

// replyModel answers with a model that was just written.
func (rq *request) replyModel(status int, m *catalogue.Model, receipt engine.Receipt, err error) error {
	if err != nil {
		return err
	}
	rq.wrote(receipt)
	return rq.reply(status, modelView(m))
}

func (s *Server) deleteModelByQuery(rq *request) error {
	id, err := rq.queryText("id")
	if err != nil {
		return err
	}
	if id == "" {
		return decision.Invalid("id", "is required: the id of the model to delete")
	}
	return s.removeModel(rq, id)
}

func (s *Server) deleteModel(rq *request) error { return s.removeModel(rq, rq.param(0)) }

func (s *Server) removeModel(rq *request, id string) error {
	force, err := rq.flag("force", false)
	if err != nil {
		return err
	}
	receipt, err := s.engine.DeleteModel(rq.ctx, rq.write(), id, force)
	return rq.replyDeleted(receipt, err)
}

// replyDeleted answers a deletion.
func (rq *request) replyDeleted(receipt engine.Receipt, err error) error {
	if err != nil {
		return err
	}
	rq.wrote(receipt)
	return rq.replyEmpty()
}

func (s *Server) resetLearning(rq *request) error {
	if err := rq.noFields(); err != nil {
		return err
	}
	m, receipt, err := s.engine.ResetLearning(rq.ctx, rq.write(), rq.param(0))
	return rq.replyModel(fasthttp.StatusOK, m, receipt, err)
}

func (s *Server) restoreVersion(rq *request) error {
	if err := rq.beginBody(); err != nil {
		return err
	}
	var version uint64
	if rq.enterObject() {
		for rq.nextField() {
			if rq.key == "version" {
				version = rq.whole(1, 1<<53)
			} else {
				rq.unknown()
			}
		}
		rq.need("version")
	}
	if err := rq.decoder.err(); err != nil {
		return err
	}
	m, receipt, err := s.engine.RestoreVersion(rq.ctx, rq.write(), rq.param(0), version)
	return rq.replyModel(fasthttp.StatusOK, m, receipt, err)
}
