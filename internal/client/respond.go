package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

const respondPath = "/api/v1/respond"

// Outcome is what a customer did. CustomerID and Outcome, the key of an outcome
// type, are required.
type Outcome struct {
	CustomerID  string `json:"customerId"`
	Outcome     string `json:"outcome"`
	OfferID     string `json:"offerId,omitempty"`
	CategoryID  string `json:"categoryId,omitempty"`
	ChannelID   string `json:"channelId,omitempty"`
	PlacementID string `json:"placementId,omitempty"`
	Direction   string `json:"direction,omitempty"` // inbound or outbound
	ModelID     string `json:"modelId,omitempty"`   // the model that made the decision
	DecisionID  string `json:"decisionId,omitempty"`
	// IdempotencyKey makes the outcome count once, however often it is sent.
	IdempotencyKey  string         `json:"idempotencyKey,omitempty"`
	Timestamp       time.Time      `json:"timestamp,omitzero"` // zero: now
	ConversionValue *float64       `json:"conversionValue,omitempty"`
	Attributes      map[string]any `json:"attributes,omitempty"`
	Context         map[string]any `json:"context,omitempty"`
}

// Recorded is the answer to an outcome.
type Recorded struct {
	InteractionID  string    `json:"interactionId"`
	CustomerID     string    `json:"customerId"`
	OfferID        string    `json:"offerId"`
	ChannelID      string    `json:"channelId"`
	CategoryID     string    `json:"categoryId"`
	Outcome        string    `json:"outcome"`
	Classification string    `json:"classification"` // positive, negative or neutral
	Status         string    `json:"status"`
	Timestamp      time.Time `json:"timestamp"`
	Duplicate      bool      `json:"duplicate"` // its idempotency key was used before
}

// Respond records one outcome. When it returns without an error, the outcome is
// durable and the models that learn from it have learned.
func (c *Client) Respond(ctx context.Context, o Outcome, opts ...Option) (Recorded, error) {
	var out Recorded
	err := c.do(ctx, call{method: http.MethodPost, path: respondPath, body: o, keyed: o.IdempotencyKey != ""}, opts, &out)
	return out, err
}

// BulkRecorded is the answer to many outcomes.
type BulkRecorded struct {
	Processed  int         `json:"processed"`
	Succeeded  int         `json:"succeeded"`
	Failed     int         `json:"failed"`
	Duplicates int         `json:"duplicates"`
	Errors     []BulkError `json:"errors"`
}

// BulkError is what is wrong with one of many outcomes.
type BulkError struct {
	Index   int
	Code    string
	Message string
}

// UnmarshalJSON reads {index, error} where error is a message or an object with
// code and message.
func (e *BulkError) UnmarshalJSON(b []byte) error {
	var raw struct {
		Index int             `json:"index"`
		Error json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	*e = BulkError{Index: raw.Index}
	if json.Unmarshal(raw.Error, &e.Message) == nil {
		return nil
	}
	var object struct{ Code, Message string }
	if err := json.Unmarshal(raw.Error, &object); err != nil {
		return err
	}
	e.Code, e.Message = object.Code, object.Message
	return nil
}

// RespondBulk records 1 to 1000 outcomes in their order, each by itself: what
// failed is in the result's errors, also when all of them did. The call is safe
// to repeat when every outcome has an idempotency key.
func (c *Client) RespondBulk(ctx context.Context, outcomes []Outcome, opts ...Option) (BulkRecorded, error) {
	body := struct {
		Outcomes []Outcome `json:"outcomes"`
	}{outcomes}
	keyed := true
	for i := range outcomes {
		keyed = keyed && outcomes[i].IdempotencyKey != ""
	}
	var out BulkRecorded
	err := c.do(ctx, call{method: http.MethodPost, path: respondPath + "/bulk", body: body, keyed: keyed}, opts, &out)
	var failure *Error
	if errors.As(err, &failure) && failure.Status == http.StatusUnprocessableEntity && failure.body != nil {
		if json.Unmarshal(failure.body, &out) == nil && out.Processed > 0 {
			return out, nil
		}
	}
	return out, err
}
