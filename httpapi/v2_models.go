package httpapi

import (
	"encoding/json"

	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/engine"
	"github.com/praetor-engine/praetor/internal/factorial/posterior"
	"github.com/praetor-engine/praetor/internal/optimization"
)

// modelAnswer is a model in a list.
type modelAnswer struct {
	ID        string                          `json:"id"`
	ModelType string                          `json:"model_type"`
	Status    optimization.ModelStatus        `json:"status"`
	Config    optimization.TrainingDataConfig `json:"training_data_config"`
	CreatedAt timeV2                          `json:"created_at"`
	UpdatedAt timeV2                          `json:"updated_at"`
}

func listedModel(d *engine.OptimizationDetail) modelAnswer {
	return modelAnswer{d.Model.ID, d.ModelType, d.Model.Status, d.TrainingDataConfig, timeV2(d.Model.CreatedAt), timeV2(d.Model.UpdatedAt)}
}

// optimizationModelAnswer is a model by itself.
type optimizationModelAnswer struct {
	modelAnswer
	OptimizationID string             `json:"optimization_id"`
	TrainedAt      timeV2             `json:"trained_at"`
	Metrics        *inSampleMetrics   `json:"in_sample_metrics"`
	Bias           map[string]float64 `json:"bias"`
	Error          *string            `json:"error"`
}

// inSampleMetrics is what a training says of itself.
type inSampleMetrics struct {
	Historic float64        `json:"historic_reward"`
	Expected intervalAnswer `json:"expected_reward"`
}

type intervalAnswer struct {
	Mean  float64 `json:"mean"`
	Lower float64 `json:"ci_lower"`
	Upper float64 `json:"ci_upper"`
}

func intervalOf(e posterior.Estimate) intervalAnswer {
	return intervalAnswer{e.Mean, e.Lower, e.Upper}
}

func answerOfModel(d *engine.OptimizationDetail) *optimizationModelAnswer {
	a := &optimizationModelAnswer{modelAnswer: listedModel(d), OptimizationID: d.ID}
	if s := d.Model.Summary; s != nil {
		a.TrainedAt, a.Bias = timeV2(s.At), s.Bias
		a.Metrics = &inSampleMetrics{s.Historic, intervalOf(s.Expected)}
	}
	if d.Model.Problem != "" {
		a.Error = &d.Model.Problem
	}
	return a
}

func (s *Server) listOptimizationModels(rq *request) error {
	answer := struct {
		Models []modelAnswer `json:"models"`
	}{[]modelAnswer{}}
	for _, d := range s.engine.OptimizationModels(rq.tenant()) {
		answer.Models = append(answer.Models, listedModel(d))
	}
	return rq.replyV2(fasthttp.StatusOK, answer)
}

func (s *Server) getOptimizationModel(rq *request) error {
	d, err := s.engine.OptimizationModel(rq.tenant(), rq.params[0])
	if err != nil {
		return err
	}
	return rq.replyV2(fasthttp.StatusOK, answerOfModel(d))
}

// variantState is what a model learned of a variant.
type variantState struct {
	Number    int             `json:"number"`
	Variant   json.RawMessage `json:"variant"`
	Exposures uint64          `json:"exposures"`
	Rewards   float64         `json:"rewards"`
	Weight    float64         `json:"weight"`
	ProbBest  float64         `json:"prob_best"`
	Expected  *intervalAnswer `json:"expected_reward"`
}

func (s *Server) optimizationModelState(rq *request) error {
	st, err := s.engine.OptimizationState(rq.tenant(), rq.params[0])
	if err != nil {
		return err
	}
	answer := struct {
		ModelID  string                   `json:"model_id"`
		Status   optimization.ModelStatus `json:"status"`
		Variants []variantState           `json:"variants"`
	}{st.Model.ID, st.Model.Status, []variantState{}}
	if st.Model.Status != optimization.ModelArchived {
		answer.Variants = variantStates(&st)
	}
	return rq.replyV2(fasthttp.StatusOK, answer)
}

func variantStates(st *engine.OptimizationState) []variantState {
	allowed := st.Plan.Space.Allowed()
	out := make([]variantState, 0, len(allowed))
	for _, variant := range allowed {
		v := int(variant)
		x := variantState{Number: v + 1, Variant: st.Plan.AppendVariant(nil, v), ProbBest: 1 / float64(len(allowed))}
		if st.Trained != nil {
			t := &st.Trained.Variants()[v]
			expected := intervalOf(t.Expected)
			x.Exposures, x.Rewards, x.ProbBest, x.Expected = t.Exposures, t.Rewards, t.ProbBest, &expected
		}
		x.Weight = x.ProbBest * (1 - st.HoldoutPercentage/100)
		out = append(out, x)
	}
	return out
}

func (s *Server) trainOptimizationModel(rq *request) error {
	bias, err := rq.biasBody()
	if err != nil {
		return err
	}
	m, receipt, err := s.engine.TrainOptimizationModel(rq.ctx, rq.write(), rq.param(0), bias)
	if err != nil {
		return err
	}
	rq.wrote(receipt)
	return rq.replyV2(fasthttp.StatusOK, struct {
		ModelID string                   `json:"model_id"`
		Status  optimization.ModelStatus `json:"status"`
		Metrics inSampleMetrics          `json:"in_sample_metrics"`
	}{m.ID, m.Status, inSampleMetrics{m.Summary.Historic, intervalOf(m.Summary.Expected)}})
}

func (s *Server) deleteOptimizationModel(rq *request) error {
	m, receipt, err := s.engine.DeleteOptimizationModel(rq.ctx, rq.write(), rq.param(0))
	if err != nil {
		return err
	}
	rq.wrote(receipt)
	return rq.replyV2(fasthttp.StatusOK, struct {
		ID     string                   `json:"id"`
		Status optimization.ModelStatus `json:"status"`
	}{m.ID, m.Status})
}
