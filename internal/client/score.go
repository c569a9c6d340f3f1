package client

import (
	"context"
	"net/http"
	"net/url"
)

// ScoreRequest is one customer to score. OfferID is for the types that score an
// offer; a bandit without it chooses one.
type ScoreRequest struct {
	Attributes map[string]any `json:"attributes,omitempty"`
	OfferID    string         `json:"offerId,omitempty"`
	CustomerID string         `json:"customerId,omitempty"`
	Context    map[string]any `json:"context,omitempty"`
	DecisionID string         `json:"decisionId,omitempty"` // the client's name of the decision, for outcomes
	// SkipExplanations saves the server the work of explaining.
	SkipExplanations bool `json:"-"`
}

// ScoreResult is a score. What the model type does not give is nil or empty.
type ScoreResult struct {
	ModelID      string        `json:"modelId"`      // of a family's score: its champion, or the customer's variant
	Variant      string        `json:"variant"`      // of a family's score in an active experiment
	ExperimentID string        `json:"experimentId"` // that experiment
	Score        float64       `json:"score"`
	Confidence   *float64      `json:"confidence"`
	RawScore     *float64      `json:"rawScore"`  // scorecard: points
	RawMargin    *float64      `json:"rawMargin"` // gradient_boosted: log-odds
	Baseline     *float64      `json:"baseline"`  // where the explanations start
	OfferID      string        `json:"offerId"`
	DecisionID   string        `json:"decisionId"` // the request's, or that of a logged decision
	Propensity   *float64      `json:"propensity"` // bandits: probability of this choice
	Degraded     bool          `json:"degraded"`
	Explanations []Explanation `json:"explanations"`
}

// Explanation is one part of a score: a field with its contribution to the
// log-odds, a scorecard's rule with its points, or a bandit's arm.
type Explanation struct {
	Field        string  `json:"field,omitempty"`
	Contribution float64 `json:"contribution,omitempty"`

	Rule    string  `json:"rule,omitempty"`
	Matched bool    `json:"matched,omitempty"`
	Points  float64 `json:"points,omitempty"`

	OfferID    string  `json:"offerId,omitempty"`
	Score      float64 `json:"score,omitempty"` // the arm's draw
	Mean       float64 `json:"mean,omitempty"`  // its expected reward, with a central 95 % interval
	Lower      float64 `json:"lower,omitempty"`
	Upper      float64 `json:"upper,omitempty"`
	Propensity float64 `json:"propensity,omitempty"`
}

// Score scores one customer.
func (c *Client) Score(ctx context.Context, modelID string, r ScoreRequest, opts ...Option) (ScoreResult, error) {
	return c.scoreAt(ctx, modelPath(modelID, "score"), r, opts)
}

func (c *Client) scoreAt(ctx context.Context, path string, r ScoreRequest, opts []Option) (ScoreResult, error) {
	var query url.Values
	if r.SkipExplanations {
		query = url.Values{"explain": {"false"}}
	}
	var out ScoreResult
	err := c.do(ctx, call{method: http.MethodPost, path: path, query: query, body: r, safe: true}, opts, &out)
	return out, err
}

// Offer is a candidate to rank.
type Offer struct {
	ID         string         `json:"id"`
	Name       string         `json:"name,omitempty"`
	Attributes map[string]any `json:"attributes"`
}

// OfferSet is a customer with 1 to 1000 candidates. Attributes of an offer win
// over the context's, those over the customer's.
type OfferSet struct {
	CustomerAttributes map[string]any `json:"customerAttributes,omitempty"`
	Offers             []Offer        `json:"offers"`
	CustomerID         string         `json:"customerId,omitempty"`
	DecisionID         string         `json:"decisionId,omitempty"` // the client's name of the decision, for outcomes
	Context            map[string]any `json:"context,omitempty"`
}

// Ranking is the answer for an offer set: the best candidate first.
type Ranking struct {
	ModelID    string       `json:"modelId"`
	ModelKey   string       `json:"modelKey"`
	ModelType  string       `json:"modelType"`
	CustomerID string       `json:"customerId"`
	DecisionID string       `json:"decisionId"` // the request's, or that of a logged decision
	Count      int          `json:"count"`
	Scores     []OfferScore `json:"scores"`

	// Of a family's ranking in an active experiment.
	Variant      string `json:"variant"`
	ExperimentID string `json:"experimentId"`
}

// OfferScore is one candidate's score.
type OfferScore struct {
	OfferID             string               `json:"offerId"`
	OfferName           string               `json:"offerName"`
	Score               float64              `json:"score"`
	Propensity          *float64             `json:"propensity"`          // bandits
	InteractionFeatures *InteractionFeatures `json:"interactionFeatures"` // nil: no history
}

// InteractionFeatures are the customer's history with an offer.
type InteractionFeatures struct {
	Impressions   int     `json:"impressions"`
	Positives     int     `json:"positives"`
	Negatives     int     `json:"negatives"`
	PositiveRate  float64 `json:"positiveRate"`
	LastContactAt string  `json:"lastContactAt"`
}

// ScoreOfferSet ranks offers for a customer.
func (c *Client) ScoreOfferSet(ctx context.Context, modelID string, set OfferSet, opts ...Option) (Ranking, error) {
	var out Ranking
	err := c.do(ctx, call{method: http.MethodPost, path: modelPath(modelID, "score-offer-set"), body: set, safe: true}, opts, &out)
	return out, err
}

// BatchRow is one row of a batch.
type BatchRow struct {
	CustomerID string         `json:"customerId,omitempty"`
	DecisionID string         `json:"decisionId,omitempty"`
	Attributes map[string]any `json:"attributes"`
}

// BatchResult is the answer for a batch, in the order of its rows.
type BatchResult struct {
	ModelID string     `json:"modelId"`
	Count   int        `json:"count"`
	Results []RowScore `json:"results"`
}

// RowScore is one row's score, or why there is none.
type RowScore struct {
	Index      int       `json:"index"`
	CustomerID string    `json:"customerId"`
	DecisionID string    `json:"decisionId"`
	Score      float64   `json:"score"`
	Confidence *float64  `json:"confidence"`
	Error      *RowError `json:"error"`
}

// RowError is what is wrong with one row.
type RowError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// ScoreBatch scores up to 10 000 rows, within the server's limit of a body (by
// default 1 MiB).
func (c *Client) ScoreBatch(ctx context.Context, modelID string, rows []BatchRow, opts ...Option) (BatchResult, error) {
	body := struct {
		Rows []BatchRow `json:"rows"`
	}{rows}
	var out BatchResult
	err := c.do(ctx, call{method: http.MethodPost, path: modelPath(modelID, "score-batch"), body: body, safe: true}, opts, &out)
	return out, err
}
