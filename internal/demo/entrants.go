package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/praetor-engine/praetor/internal/client"
	"github.com/praetor-engine/praetor/internal/decision"
)

// entrant is a model that takes part.
type entrant struct {
	title   string // of its column
	kind    decision.ModelType
	trained bool // learns by training; the others as the outcomes arrive, or not at all
	spec    client.NewModel
	id      string // once created
}

// object is a JSON object.
type object = map[string]any

// marketEntrants are one model of every type, as the market uses them. offers
// are the ids of this run's offers: no model learns from other traffic of the
// tenant.
func marketEntrants(offers []string) []*entrant {
	all := object{"filter": object{"offerIds": offers}}
	// A bandit learns from its own decisions, or it would be credited with what
	// the others explored.
	own := object{"filter": object{"modelIdOnly": true}}
	return []*entrant{
		{title: "scorecard", kind: decision.Scorecard, spec: client.NewModel{Config: analystsGuess, LearningConfig: all}},
		{title: "bayesian", kind: decision.Bayesian, trained: true, spec: client.NewModel{
			LearningConfig: object{"autoLearn": true, "filter": object{"offerIds": offers}},
		}},
		{title: "logistic", kind: decision.LogisticRegression, trained: true, spec: client.NewModel{LearningConfig: all}},
		{title: "online", kind: decision.OnlineLearner, spec: client.NewModel{LearningConfig: all}},
		{title: "thompson", kind: decision.ThompsonBandit, spec: client.NewModel{LearningConfig: own}},
		{title: "eps-greedy", kind: decision.EpsilonGreedy, spec: client.NewModel{
			Config: object{"epsilon": 0.1}, LearningConfig: own,
		}},
	}
}

// analystsGuess is the scorecard: what somebody who knows banking, but not the
// formula, would write down. 100 points are six units of log-odds.
var analystsGuess = object{
	"baseScore": 18,
	"rules": []object{
		rule("branch", "channel", "eq", "branch", 6),
		rule("email", "channel", "eq", "email", -8),
		rule("popular", "offer", "in", []string{"cashback-card", "instant-saver"}, 8),
		rule("own four walls", "offer_segment", "eq", "home-loan/family", 12),
		rule("savings for later", "offer_segment", "in", []string{"fixed-deposit/retired", "instant-saver/retired"}, 10),
		rule("no loans", "offer_segment", "in", []string{"personal-loan/retired", "home-loan/retired"}, -10),
		rule("students save little", "offer_segment", "in", []string{"fixed-deposit/student", "instant-saver/student"}, -8),
	},
	"bins": []object{{"field": "credit_score", "bins": []object{
		{"max": 600, "points": -6}, {"min": 600, "max": 720, "points": 0}, {"min": 720, "points": 4},
	}}},
}

func rule(id, field, operator string, value any, points float64) object {
	return object{"id": id, "field": field, "operator": operator, "value": value, "points": points}
}

// fileEntrants are the models for rows without offers. category marks the
// outcomes of this run.
func fileEntrants(category string) []*entrant {
	learning := object{"filter": object{"categoryIds": []string{category}}}
	return []*entrant{
		{title: "logistic", kind: decision.LogisticRegression, trained: true, spec: client.NewModel{LearningConfig: learning}},
		{title: "bayesian", kind: decision.Bayesian, trained: true, spec: client.NewModel{LearningConfig: learning}},
		{title: "online", kind: decision.OnlineLearner, spec: client.NewModel{LearningConfig: learning}},
	}
}

// create creates the models.
func (s *session) create(ctx context.Context, entrants []*entrant) error {
	for _, e := range entrants {
		e.spec.ModelType = string(e.kind)
		e.spec.Key = "demo-" + e.spec.ModelType + s.run
		e.spec.Name = "Demo: " + e.spec.ModelType + s.run
		e.spec.Description = "Made by praetor demo."
		m, err := s.client.CreateModel(ctx, e.spec, client.IdempotencyKey(rand.Text()))
		if err != nil {
			return fmt.Errorf("creating the %s model: %w", e.title, err)
		}
		e.id = m.ID
	}
	return nil
}

// reasonInsufficient is what a training answers that has too little to learn
// from.
const reasonInsufficient = "insufficient_data"

// train trains the models that learn by training. One that has too little to
// learn from yet stays as it is.
func (s *session) train(ctx context.Context, entrants []*entrant) error {
	for _, e := range entrants {
		if !e.trained {
			continue
		}
		_, err := s.client.Train(ctx, e.id, client.IdempotencyKey(rand.Text()))
		var refused *client.Error
		if errors.As(err, &refused) && refused.Reason == reasonInsufficient {
			continue
		}
		if err != nil {
			return fmt.Errorf("training the %s model: %w", e.title, err)
		}
	}
	return nil
}
