package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// MonitoringFigures are what is known of a model over some days; nil: not known.
type MonitoringFigures struct {
	Date            string           `json:"date,omitempty"` // of a day
	Responses       uint64           `json:"responses"`
	Positives       uint64           `json:"positives"`
	Rate            *float64         `json:"rate"`
	Served          uint64           `json:"served"`
	Joined          uint64           `json:"joined"`
	JoinedPositives uint64           `json:"joinedPositives"`
	AUC             *float64         `json:"auc"`
	LogLoss         *float64         `json:"logLoss"`
	PSI             *float64         `json:"psi"`
	Calibration     []CalibrationBin `json:"calibration"`
}

// CalibrationBin says what became of the scores in a range.
type CalibrationBin struct {
	From      float64 `json:"from"`
	To        float64 `json:"to"`
	Samples   int     `json:"samples"`
	Positives int     `json:"positives"`
	MeanScore float64 `json:"meanScore"`
	Rate      float64 `json:"rate"`
}

// Monitoring is what a model did since it serves.
type Monitoring struct {
	ModelID        string              `json:"modelId"`
	ModelKey       string              `json:"modelKey"`
	ModelType      string              `json:"modelType"`
	From           string              `json:"from"`
	To             string              `json:"to"`
	LastResponseAt *time.Time          `json:"lastResponseAt"`
	Total          MonitoringFigures   `json:"total"`
	Days           []MonitoringFigures `json:"days"` // newest first
	Reference      *struct {
		From     string `json:"from"`
		To       string `json:"to"`
		Scores   uint64 `json:"scores"`
		Complete bool   `json:"complete"`
	} `json:"reference"`
	Predictors []struct {
		Field  string  `json:"field"`
		Member string  `json:"member,omitempty"`
		PSI    float64 `json:"psi"`
	} `json:"predictors"`
	PredictorsAt *time.Time `json:"predictorsAt"`
	Alerts       []Alert    `json:"alerts"`
	Bandit       *Bandit    `json:"bandit"` // nil: not a bandit
}

// Bandit is the health of a model that chooses among arms.
type Bandit struct {
	Allocation Allocation   `json:"allocation"` // of the week
	Days       []Allocation `json:"days"`       // newest first
	Arms       []struct {
		OfferID         string  `json:"offerId"`
		Served          uint64  `json:"served"`
		Share           float64 `json:"share"`
		Rate            float64 `json:"rate"`
		Lower           float64 `json:"lower"`
		Upper           float64 `json:"upper"`
		Evidence        float64 `json:"evidence"`
		ProbabilityBest float64 `json:"probabilityBest"`
	} `json:"arms"` // the most served first
	Verdict *struct {
		Converged       bool    `json:"converged"`
		Because         string  `json:"because"`
		OfferID         string  `json:"offerId"`
		ProbabilityBest float64 `json:"probabilityBest"`
		Rate            float64 `json:"rate"`
		Lower           float64 `json:"lower"`
		Upper           float64 `json:"upper"`
		ExpectedLoss    float64 `json:"expectedLoss"`
		LossBound       float64 `json:"lossBound"`
		Evidence        float64 `json:"evidence"`
	} `json:"verdict"`
	Collapse *struct {
		Since   time.Time `json:"since"`
		Entropy float64   `json:"entropy"`
		OfferID string    `json:"offerId"`
		Share   float64   `json:"share"`
		Cause   string    `json:"cause"`
		Message string    `json:"message"`
	} `json:"collapse"`
}

// Allocation is how decisions were spread over a bandit's arms.
type Allocation struct {
	Date        string   `json:"date,omitempty"` // of a day
	Served      uint64   `json:"served"`
	Forced      uint64   `json:"forced"`
	Eligible    int      `json:"eligible"`
	Entropy     *float64 `json:"entropy"`
	Leader      string   `json:"leader,omitempty"`
	LeaderShare float64  `json:"leaderShare"`
}

// Alert is a rule that a model breaks, or broke.
type Alert struct {
	ID                 string     `json:"id"`
	State              string     `json:"state"` // open or closed
	OpenedAt           time.Time  `json:"openedAt"`
	ClosedAt           *time.Time `json:"closedAt"`
	ClosedBecause      string     `json:"closedBecause,omitempty"`
	ModelID            string     `json:"modelId"`
	ModelKey           string     `json:"modelKey,omitempty"`
	Family             string     `json:"family,omitempty"`
	Rule               string     `json:"rule"`
	Severity           string     `json:"severity"`
	Threshold          float64    `json:"threshold"`
	GoodWhen           string     `json:"goodWhen"`
	NeedsAttentionWhen string     `json:"needsAttentionWhen"`
	Field              string     `json:"field,omitempty"`
	Member             string     `json:"member,omitempty"`
	Since              time.Time  `json:"since"`
	Value              float64    `json:"value"`
	Message            string     `json:"message"`
}

// Monitoring reports on a model's last days; 0 is the server's default, 14.
func (c *Client) Monitoring(ctx context.Context, id string, days int, opts ...Option) (m Monitoring, err error) {
	query := url.Values{}
	if days != 0 {
		query.Set("days", strconv.Itoa(days))
	}
	err = c.do(ctx, call{method: http.MethodGet, path: modelPath(id, "monitoring"), query: query, safe: true}, opts, &m)
	return m, err
}

// Alerts lists the alerts that stand, by model.
func (c *Client) Alerts(ctx context.Context, lo ListOptions, opts ...Option) (Page[Alert], error) {
	return list[Alert](ctx, c, "/api/v1/alerts", lo, opts)
}

// AllAlerts is every page of Alerts.
func (c *Client) AllAlerts(ctx context.Context) iter.Seq2[Alert, error] { return all(ctx, c.Alerts) }
