package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// The formats of models on their way in and out.
const (
	FormatPraetor      = "praetor"       // everything, versions included
	FormatLightGBMText = "lightgbm_text" // LightGBM's model file
	FormatLightGBMJSON = "lightgbm_json" // the result of LightGBM's dump_model
)

// ExportModel returns a model in a format.
func (c *Client) ExportModel(ctx context.Context, id, format string, opts ...Option) (document []byte, err error) {
	err = c.do(ctx, call{method: http.MethodGet, path: modelPath(id, "export"), query: url.Values{"format": {format}}, safe: true}, opts, &document)
	return document, err
}

// Import is a model to bring in. Key and Name may be empty for FormatPraetor:
// then they stay what they were.
type Import struct {
	Format string          `json:"format"`
	Model  json.RawMessage `json:"model"` // of FormatLightGBMText a JSON string
	Key    string          `json:"key,omitempty"`
	Name   string          `json:"name,omitempty"`
}

// ImportModel makes a model of what another engine or library exported.
func (c *Client) ImportModel(ctx context.Context, in Import, opts ...Option) (m Model, err error) {
	err = c.do(ctx, call{method: http.MethodPost, path: modelsPath + "/import", body: in}, opts, &m)
	return m, err
}
