package client

import (
	"context"
	"net/http"
	"time"
)

// DecisionLog is which decisions are logged of a model or a family.
type DecisionLog struct {
	Enabled   bool       `json:"enabled"`
	SamplePct float64    `json:"samplePct"`
	Format    string     `json:"format"` // ndjson or parquet
	Features  bool       `json:"features"`
	UpdatedAt *time.Time `json:"updatedAt"`
	Source    string     `json:"source"` // model or family, whose setting it is; default: nobody's
}

// DecisionLogFields are what is set; what is nil has its default.
type DecisionLogFields struct {
	Enabled   bool     `json:"enabled"`
	SamplePct *float64 `json:"samplePct,omitempty"`
	Format    *string  `json:"format,omitempty"`
	Features  *bool    `json:"features,omitempty"`
}

func decisionLogPath(of string, family bool) string {
	if family {
		return familyPath(of, "decision-log")
	}
	return modelPath(of, "decision-log")
}

// DecisionLog returns what is logged of a model, or of a family.
func (c *Client) DecisionLog(ctx context.Context, of string, family bool, opts ...Option) (out DecisionLog, err error) {
	err = c.do(ctx, call{method: http.MethodGet, path: decisionLogPath(of, family), safe: true}, opts, &out)
	return out, err
}

// SetDecisionLog changes what is logged of a model, or of a family.
func (c *Client) SetDecisionLog(ctx context.Context, of string, family bool, f DecisionLogFields, opts ...Option) (out DecisionLog, err error) {
	err = c.do(ctx, call{method: http.MethodPut, path: decisionLogPath(of, family), body: f}, opts, &out)
	return out, err
}

// DeleteDecisionLog takes the setting of a model, or of a family, away.
func (c *Client) DeleteDecisionLog(ctx context.Context, of string, family bool, opts ...Option) error {
	return c.do(ctx, call{method: http.MethodDelete, path: decisionLogPath(of, family)}, opts, nil)
}
