package httpapi

import (
	"encoding/json"

	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/engine"
	"github.com/praetor-engine/praetor/internal/experiment"
	"github.com/praetor-engine/praetor/internal/jsontext"
)

func (s *Server) listExperiments(rq *request) error {
	p, err := rq.page()
	if err != nil {
		return err
	}
	l, err := s.engine.Experiments(rq.tenant(), p)
	if err != nil {
		return err
	}
	return replyList(rq, p, l)
}

func (s *Server) getExperiment(rq *request) error {
	x, err := s.engine.Experiment(rq.tenant(), rq.params[0])
	if err != nil {
		return err
	}
	return rq.reply(fasthttp.StatusOK, x)
}

func (s *Server) createExperiment(rq *request) error {
	definition, err := rq.experiment(true)
	if err != nil {
		return err
	}
	x, receipt, err := s.engine.CreateExperiment(rq.ctx, rq.write(), definition)
	if err != nil {
		return err
	}
	rq.wrote(receipt)
	return rq.reply(fasthttp.StatusCreated, x)
}

func (s *Server) updateExperiment(rq *request) error {
	fields, err := rq.experiment(false)
	if err != nil {
		return err
	}
	x, receipt, err := s.engine.UpdateExperiment(rq.ctx, rq.write(), rq.param(0), fields)
	if err != nil {
		return err
	}
	rq.wrote(receipt)
	return rq.reply(fasthttp.StatusOK, x)
}

func (s *Server) deleteExperiment(rq *request) error {
	receipt, err := s.engine.DeleteExperiment(rq.ctx, rq.write(), rq.param(0))
	return rq.replyDeleted(receipt, err)
}

// experimentFields are what a body gives of an experiment; what is nil it does not
// give.
type experimentFields struct {
	Key              *string            `json:"key,omitempty"`
	Name             *string            `json:"name,omitempty"`
	Description      *string            `json:"description,omitempty"`
	Status           *string            `json:"status,omitempty"`
	ChampionModelID  *string            `json:"championModelId,omitempty"`
	TrafficSplit     *trafficSplit      `json:"trafficSplit,omitempty"`
	Challengers      *[]challengerShare `json:"challengers,omitempty"`
	HoldoutPercent   *float64           `json:"holdoutPercent,omitempty"`
	AutoPromote      *bool              `json:"autoPromote,omitempty"`
	PromoteThreshold *float64           `json:"promoteThreshold,omitempty"`
	PromoteAfterDays *uint64            `json:"promoteAfterDays,omitempty"`
}

type trafficSplit struct {
	ChampionPct *float64 `json:"championPct,omitempty"`
}

type challengerShare struct {
	ModelID    string  `json:"modelId"`
	TrafficPct float64 `json:"trafficPct"`
}

// maxPromoteDays bounds promoteAfterDays.
const maxPromoteDays = 3650

// experiment reads the body of POST (create) and PUT on experiments, and returns
// the fields it gives. What depends on other fields is the engine's to judge.
func (rq *request) experiment(create bool) (json.RawMessage, error) {
	if err := rq.beginBody(); err != nil {
		return nil, err
	}
	var f experimentFields
	if rq.enterObject() {
		for rq.nextField() {
			rq.experimentField(&f)
		}
		if create {
			rq.need("key", "name", "championModelId")
		}
	}
	if err := rq.decoder.err(); err != nil {
		return nil, err
	}
	return json.Marshal(&f)
}

func (rq *request) experimentField(f *experimentFields) {
	switch rq.key {
	case "key":
		f.Key = rq.ownText(1, maxName)
	case "name":
		f.Name = rq.ownText(1, maxName)
	case "description":
		f.Description = rq.ownText(0, maxDescription)
	case "status":
		v := rq.oneOf("draft", "active", "paused", "completed", "archived")
		f.Status = &v
	case "championModelId":
		f.ChampionModelID = rq.ownText(1, maxName)
	case "trafficSplit":
		f.TrafficSplit = rq.trafficSplit()
	case "challengers":
		f.Challengers = rq.challengers()
	case "holdoutPercent":
		f.HoldoutPercent = rq.percent()
	case "autoPromote":
		v := rq.boolean()
		f.AutoPromote = &v
	case "promoteThreshold":
		v := rq.float()
		if v < 0 || v > 1 {
			rq.wrongf("must be a number from 0 to 1, got %v", v)
		}
		f.PromoteThreshold = &v
	case "promoteAfterDays":
		v := rq.whole(0, maxPromoteDays)
		f.PromoteAfterDays = &v
	default:
		rq.unknown()
	}
}

func (rq *request) trafficSplit() *trafficSplit {
	t := &trafficSplit{}
	if rq.enterObject() {
		for rq.nextField() {
			if rq.key == "championPct" {
				t.ChampionPct = rq.percent()
			} else {
				rq.unknown()
			}
		}
	}
	return t
}

func (rq *request) challengers() *[]challengerShare {
	all := []challengerShare{}
	if !rq.enterArray() {
		return &all
	}
	for rq.nextItem(experiment.MaxChallengers) {
		var c challengerShare
		if !rq.enterObject() {
			continue
		}
		for rq.nextField() {
			switch rq.key {
			case "modelId":
				c.ModelID = *rq.ownText(1, maxName)
			case "trafficPct":
				c.TrafficPct = *rq.percent()
			default:
				rq.unknown()
			}
		}
		rq.need("modelId", "trafficPct")
		all = append(all, c)
	}
	return &all
}

// percent reads a percentage; never nil.
func (d *decoder) percent() *float64 {
	v := d.float()
	if v < 0 || v > 100 {
		d.wrongf("must be a percentage from 0 to 100, got %v", v)
	}
	return &v
}

// assignment tells which variant a customer gets, and counts the customer as
// assigned.
func (s *Server) assignment(rq *request) error {
	a, err := s.engine.Assignment(rq.tenant(), rq.params[0], alias(rq.query.Peek("customerId")), decision.TimeOf(s.now()))
	if err != nil {
		return err
	}
	dst := jsontext.AppendString(append(rq.out, `{"experimentId":`...), a.ExperimentID)
	dst = jsontext.AppendText(dst, "customerId", a.CustomerID)
	dst = jsontext.AppendText(dst, "variant", a.Variant)
	dst = jsontext.AppendText(dst, "modelId", a.ModelID)
	dst = jsontext.AppendCount(dst, "bucket", a.Bucket)
	rq.out = append(dst, '}', '\n')
	return nil
}

// experimentResults is the answer of GET on an experiment's results.
type experimentResults struct {
	ExperimentID string                     `json:"experimentId"`
	Status       experiment.Status          `json:"status"`
	StartedAt    decision.Time              `json:"startedAt"`
	Variants     []experiment.VariantResult `json:"variants"`
	SRM          experiment.SRM             `json:"srm"`
	Shadow       engine.ShadowResults       `json:"shadow"`
}

func (s *Server) experimentResults(rq *request) error {
	r, err := s.engine.Results(rq.tenant(), rq.params[0], decision.TimeOf(s.now()))
	if err != nil {
		return err
	}
	return rq.reply(fasthttp.StatusOK, experimentResults{
		ExperimentID: r.ID, Status: r.Status, StartedAt: r.StartedAt, Variants: r.Variants, SRM: r.SRM, Shadow: r.Shadow,
	})
}

// scoreFamily is scoreModel with the model that decides for the family: the
// champion, or the customer's variant of an active experiment. The answer names
// it.
func (s *Server) scoreFamily(rq *request) error {
	explain, err := rq.scoreRequest()
	if err != nil {
		return err
	}
	req, at := &rq.score.request, decision.TimeOf(s.now())
	sc, err := s.engine.FamilyScorer(rq.tenant(), rq.params[0], req.CustomerID, at)
	if err != nil {
		return err
	}
	rq.out = jsontext.AppendString(append(rq.out, `{"modelId":`...), sc.Model().ID)
	rq.out = appendVariant(rq.out, &sc)
	end := len(rq.out)
	s.score(rq, &sc, explain)
	rq.out[end] = ',' // where the score's own object began
	sc.Shadow(req.CustomerID, req.OfferID, req.Row, nil, at, rq.rng, &rq.score.scratch)
	return nil
}

// appendVariant appends what decided for a family's model, if that was an
// experiment.
func appendVariant(dst []byte, sc *engine.Scorer) []byte {
	if sc.ExperimentID == "" {
		return dst
	}
	return jsontext.AppendText(jsontext.AppendText(dst, "variant", sc.Variant), "experimentId", sc.ExperimentID)
}

// rankForFamily is scoreOfferSet with the model that decides for the family.
func (s *Server) rankForFamily(rq *request) error {
	customer, base, err := rq.offerSetBody()
	if err != nil {
		return err
	}
	at := decision.TimeOf(s.now())
	sc, err := s.engine.FamilyScorer(rq.tenant(), rq.params[0], customer, at)
	if err != nil {
		return err
	}
	s.rank(rq, &sc, customer, base)
	if sc.ExperimentID != "" { // in the place of the brace that ends the ranking
		rq.out = append(appendVariant(rq.out[:len(rq.out)-len("}\n")], &sc), '}', '\n')
	}
	offer := &rq.score.offers[rq.rng.IntN(len(rq.score.offers))]
	sc.Shadow(customer, offer.ID, base, offer.Attributes, at, rq.rng, &rq.score.scratch)
	return nil
}
