package httpapi

import (
	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/catalogue"
)

// upgradeAnswer is the answer to an upgrade. There is no experiment unless the
// request asks for one.
type upgradeAnswer struct {
	Upgraded   catalogue.Model       `json:"upgraded"`
	Experiment *catalogue.Experiment `json:"experiment"`
}

func (s *Server) upgradeModel(rq *request) error {
	withExperiment := false
	if err := rq.beginBody(); err != nil {
		return err
	}
	if rq.enterObject() {
		for rq.nextField() {
			switch rq.key {
			case "createExperiment":
				withExperiment = rq.boolean()
			default:
				rq.unknown()
			}
		}
	}
	if err := rq.decoder.err(); err != nil {
		return err
	}
	up, receipt, err := s.engine.Upgrade(rq.ctx, rq.write(), rq.param(0), withExperiment)
	if err != nil {
		return err
	}
	rq.wrote(receipt)
	return rq.reply(fasthttp.StatusCreated, upgradeAnswer{Upgraded: modelView(up.Upgraded), Experiment: up.Experiment})
}

func (s *Server) getEvolution(rq *request) error {
	v, err := s.engine.Evolution(rq.tenant(), rq.params[0])
	if err != nil {
		return err
	}
	return rq.reply(fasthttp.StatusOK, v)
}
