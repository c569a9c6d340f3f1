package httpapi

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/engine"
	"github.com/praetor-engine/praetor/internal/optimization"
)

// optimizationAnswer is an optimization as clients see it.
type optimizationAnswer struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	optimization.Definition
	ModelID     string                   `json:"model_id"`
	ModelStatus optimization.ModelStatus `json:"model_status"`
	Summary     *summaryAnswer           `json:"summary"`
	CreatedAt   timeV2                   `json:"created_at"`
	UpdatedAt   timeV2                   `json:"updated_at"`
}

// summaryAnswer is what the last training came to.
type summaryAnswer struct {
	VariantsCount int      `json:"variants_count"`
	Lift          *float64 `json:"lift"`
	Confidence    *float64 `json:"confidence"`
	Exposures     uint64   `json:"exposures"`
}

func answerOfOptimization(d *engine.OptimizationDetail) *optimizationAnswer {
	a := &optimizationAnswer{
		ID: d.ID, Status: string(d.Status), Definition: d.Definition, ModelID: d.Model.ID, ModelStatus: d.Model.Status,
		CreatedAt: timeV2(d.CreatedAt), UpdatedAt: timeV2(d.UpdatedAt),
	}
	if s := d.Model.Summary; s != nil {
		a.Summary = &summaryAnswer{s.VariantsCount, s.Lift, s.Confidence, s.Exposures}
	}
	return a
}

// The bounds of a list of optimizations.
const defaultOptimizations = 10

func (s *Server) listOptimizations(rq *request) error {
	limit, err := rq.queryWhole("limit", defaultOptimizations, 1, maxLimit)
	if err != nil {
		return err
	}
	offset, err := rq.queryWhole("offset", 0, 0, optimization.MaxOptimizations)
	if err != nil {
		return err
	}
	archived, err := rq.flag("include_archived", false)
	if err != nil {
		return err
	}
	order := engine.OrderCreated
	if rq.query.Has("order_by") {
		order = string(rq.query.Peek("order_by"))
		if !slices.Contains(engine.OptimizationOrders, order) {
			return decision.Invalid("order_by", "must be one of %q, got %q", engine.OptimizationOrders, clip(order))
		}
	}
	all := s.engine.Optimizations(rq.tenant(), order, archived)
	answer := struct {
		Optimizations []*optimizationAnswer `json:"optimizations"`
		Total         int                   `json:"total"`
	}{[]*optimizationAnswer{}, len(all)}
	for _, d := range all[min(offset, len(all)):min(offset+limit, len(all))] {
		answer.Optimizations = append(answer.Optimizations, answerOfOptimization(d))
	}
	return rq.replyV2(fasthttp.StatusOK, answer)
}

// queryWhole reads a whole number from the query.
func (rq *request) queryWhole(name string, otherwise, least, most int) (int, error) {
	if !rq.query.Has(name) {
		return otherwise, nil
	}
	v := string(rq.query.Peek(name))
	n, err := strconv.Atoi(v)
	if err != nil || n < least || n > most {
		return 0, decision.Invalid(name, "must be a whole number from %d to %d, got %q", least, most, clip(v))
	}
	return n, nil
}

func (s *Server) createOptimization(rq *request) error {
	definition, err := rq.definition()
	if err != nil {
		return err
	}
	d, receipt, err := s.engine.CreateOptimization(rq.ctx, rq.write(), definition)
	return rq.replyOptimization(fasthttp.StatusCreated, d, receipt, err)
}

func (s *Server) getOptimization(rq *request) error {
	d, err := s.engine.Optimization(rq.tenant(), rq.params[0])
	return rq.replyOptimization(fasthttp.StatusOK, d, engine.Receipt{}, err)
}

func (s *Server) updateOptimization(rq *request) error {
	changes, err := rq.optimizationPatch()
	if err != nil {
		return err
	}
	d, receipt, err := s.engine.UpdateOptimization(rq.ctx, rq.write(), rq.param(0), changes)
	return rq.replyOptimization(fasthttp.StatusOK, d, receipt, err)
}

func (s *Server) createOptimizationModel(rq *request) error {
	if err := rq.noFields(); err != nil {
		return err
	}
	d, receipt, err := s.engine.CreateOptimizationModel(rq.ctx, rq.write(), rq.param(0))
	if err != nil {
		return err
	}
	rq.wrote(receipt)
	return rq.replyV2(fasthttp.StatusCreated, answerOfModel(d))
}

func (rq *request) replyOptimization(status int, d *engine.OptimizationDetail, receipt engine.Receipt, err error) error {
	if err != nil {
		return err
	}
	rq.wrote(receipt)
	return rq.replyV2(status, answerOfOptimization(d))
}

// variantResult is what came of a variant.
type variantResult struct {
	Number      int             `json:"number"`
	Variant     json.RawMessage `json:"variant"`
	Exposures   uint64          `json:"exposures"`
	Conversions float64         `json:"conversions"`
	Rate        *float64        `json:"rate"`
	Weight      float64         `json:"weight"`
	ProbBest    float64         `json:"prob_best"`
	Mean        *float64        `json:"expected_reward_mean"`
	Lower       *float64        `json:"expected_reward_lo"`
	Upper       *float64        `json:"expected_reward_hi"`
}

// liftAnswer is a measured lift; what is not known is null.
type liftAnswer struct {
	Percent      *float64 `json:"lift_percent"`
	SE           *float64 `json:"se"`
	Lower        *float64 `json:"ci_lower"`
	Upper        *float64 `json:"ci_upper"`
	P            *float64 `json:"p_value"`
	HoldoutUsers uint64   `json:"holdout_users"`
	TreatedUsers uint64   `json:"treated_users"`
}

func (s *Server) optimizationResults(rq *request) error {
	r, err := s.engine.OptimizationResults(rq.ctx, rq.tenant(), rq.params[0])
	if err != nil {
		return err
	}
	answer := struct {
		ID          string                   `json:"optimization_id"`
		ModelID     string                   `json:"model_id"`
		ModelStatus optimization.ModelStatus `json:"model_status"`
		Variants    []variantResult          `json:"variants"`
		Importance  map[string]float64       `json:"factor_importance"`
		Lift        liftAnswer               `json:"measured_lift"`
		Immature    uint64                   `json:"immature_exposures"`
	}{ID: r.ID, ModelID: r.Model.ID, ModelStatus: r.Model.Status, Variants: variantResults(&r), Immature: r.Immature}
	if r.Trained != nil {
		answer.Importance = map[string]float64{}
		for f, share := range r.Trained.FactorImportance() {
			answer.Importance[r.Plan.Space.Design[f].Name] = share
		}
	}
	answer.Lift = liftAnswer{HoldoutUsers: r.Lift.HoldoutUsers, TreatedUsers: r.Lift.TreatedUsers}
	if l := &r.Lift; l.Known {
		answer.Lift.Percent, answer.Lift.SE = &l.Percent, &l.SE
		if l.Tested {
			answer.Lift.Lower, answer.Lift.Upper, answer.Lift.P = &l.Lower, &l.Upper, &l.P
		}
	}
	return rq.replyV2(fasthttp.StatusOK, answer)
}

func variantResults(r *engine.OptimizationResults) []variantResult {
	allowed := r.Plan.Space.Allowed()
	out := make([]variantResult, 0, len(allowed))
	for _, variant := range allowed {
		v, c := int(variant), r.Counts[variant]
		x := variantResult{Number: v + 1, Variant: r.Plan.AppendVariant(nil, v), Exposures: c.Exposures, Conversions: c.Rewards}
		if c.Exposures > 0 {
			rate := c.Rewards / float64(c.Exposures)
			x.Rate = &rate
		}
		x.ProbBest = 1 / float64(len(allowed))
		if r.Trained != nil {
			t := &r.Trained.Variants()[v]
			x.ProbBest, x.Mean, x.Lower, x.Upper = t.ProbBest, &t.Expected.Mean, &t.Expected.Lower, &t.Expected.Upper
		}
		x.Weight = x.ProbBest * (1 - r.HoldoutPercentage/100)
		out = append(out, x)
	}
	return out
}
