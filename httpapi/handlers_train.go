package httpapi

import (
	"errors"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// reasonInsufficient is the reason of a training with too few interactions or
// without both labels.
const reasonInsufficient = "insufficient_data"

func (s *Server) trainModel(rq *request) error {
	async, err := rq.flag("async", false)
	if err != nil {
		return err
	}
	if err := rq.noFields(); err != nil {
		return err
	}
	if async {
		return s.startTraining(rq, rq.param(0))
	}
	r, receipt, err := s.engine.Train(rq.ctx, rq.write(), rq.param(0))
	if err != nil {
		return err
	}
	return rq.replyModel(fasthttp.StatusOK, r.Model, receipt, nil)
}

func (s *Server) startTraining(rq *request, id string) error {
	job, err := s.engine.StartTraining(rq.ctx, rq.write(), id)
	if err != nil {
		return err
	}
	return rq.reply(fasthttp.StatusAccepted, job)
}

// trained is the answer of the bulk training route.
type trained struct {
	ModelID     string             `json:"modelId"`
	ModelType   decision.ModelType `json:"modelType"`
	SampleCount int                `json:"sampleCount"`
	Metrics     learn.Metrics      `json:"metrics"`
	Status      string             `json:"status"`
}

// bulkTrain trains the model that the body names. Unlike the model's own route
// it answers 400, not 404 and 422, for a model that is not there and for too
// few interactions; the latter with status "insufficient_data".
func (s *Server) bulkTrain(rq *request) error {
	id, async, err := rq.trainBody()
	if err != nil {
		return err
	}
	if async {
		return rq.asBadRequest(s.startTraining(rq, id))
	}
	r, receipt, err := s.engine.Train(rq.ctx, rq.write(), id)
	if err != nil {
		return rq.asBadRequest(err)
	}
	rq.wrote(receipt)
	return rq.reply(fasthttp.StatusOK, trained{
		ModelID: r.Model.ID, ModelType: r.Model.ModelType, SampleCount: r.SampleCount, Metrics: r.Metrics, Status: "success",
	})
}

func (rq *request) trainBody() (id string, async bool, err error) {
	if async, err = rq.flag("async", false); err != nil {
		return "", false, err
	}
	if err := rq.beginBody(); err != nil {
		return "", false, err
	}
	if rq.enterObject() {
		for rq.nextField() {
			if rq.key == "modelId" {
				id = strings.Clone(rq.str(1, maxName))
			} else {
				rq.unknown()
			}
		}
		rq.need("modelId")
	}
	return id, async, rq.decoder.err()
}

// asBadRequest turns what the bulk training route's documentation lists under
// 400 into that.
func (rq *request) asBadRequest(err error) error {
	var e *decision.Error
	if !errors.As(err, &e) || (e.Kind != decision.KindNotFound && e.Kind != decision.KindUnprocessable) {
		return err
	}
	bad := *e
	if e.Kind == decision.KindNotFound {
		bad.Details = []decision.Detail{{Path: "modelId", Message: e.Msg}}
	}
	if e.Reason == reasonInsufficient {
		rq.extra = `,"status":"` + reasonInsufficient + `"`
	}
	bad.Kind = decision.KindBadRequest
	return &bad
}

func (s *Server) listJobs(rq *request) error {
	p, err := rq.page()
	if err != nil {
		return err
	}
	l, err := s.engine.Jobs(rq.ctx, rq.tenant(), p)
	if err != nil {
		return err
	}
	return replyList(rq, p, l)
}

func (s *Server) getJob(rq *request) error {
	job, err := s.engine.Job(rq.ctx, rq.tenant(), rq.params[0])
	if err != nil {
		return err
	}
	return rq.reply(fasthttp.StatusOK, job)
}

func (s *Server) cancelJob(rq *request) error {
	job, err := s.engine.CancelJob(rq.ctx, rq.tenant(), rq.params[0])
	if err != nil {
		return err
	}
	return rq.reply(fasthttp.StatusOK, job)
}
