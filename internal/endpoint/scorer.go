package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/external"
)

// Scorer asks the endpoints of models of type external_endpoint. It is safe for
// concurrent use.
type Scorer struct {
	client   *Client
	breakers breakers
}

// NewScorer returns a scorer that calls through the client.
func NewScorer(c *Client) *Scorer {
	return &Scorer{client: c, breakers: breakers{now: time.Now, byKey: make(map[string]*sharedBreaker)}}
}

// Check checks a configuration as a client sends it, with the rules of this
// server that its text can be held against. The learner's own check has no
// server's configuration: replicas must agree on it.
func (s *Scorer) Check(config json.RawMessage) error {
	c, err := external.ReadConfig(config)
	if err != nil {
		return err
	}
	u, err := external.ParseURL(c.URL)
	if err == nil {
		err = s.client.CheckURL(u)
	}
	if err != nil {
		return decision.Invalid("config.endpoint", "%s", err)
	}
	return nil
}

// Query is what is to be scored: a customer's offers, or without any the
// customer alone.
type Query struct {
	TenantID, ModelID, RequestID string
	CustomerID                   string
	Attributes                   decision.Row
	Candidates                   []Candidate
}

// Candidate is an offer.
type Candidate struct {
	ID, Name   string
	Attributes decision.Row
}

// Score is the score of one candidate, in [0, 1]. Degraded tells that it is the
// fallback, because the endpoint gave none.
type Score struct {
	Value    float64
	Degraded bool
}

// Answer has a score for every candidate in their order, or one when there is
// none.
type Answer struct {
	Scores   []Score
	Degraded bool  // any of them is
	Err      error // why, for the log; a decision.Error with a reason of this package
}

// Score asks the endpoint. It always answers: whatever the endpoint does not say,
// or not in time, or not in the configured shape, is the fallback score.
func (s *Scorer) Score(ctx context.Context, c *external.Config, q *Query) Answer {
	key := q.TenantID + "\x00" + q.ModelID + "\x00" + c.URL
	b := s.breakers.acquire(key)
	defer s.breakers.release(key, b)
	ticket, ok := b.Allow()
	if !ok {
		return degraded(c, q, failure(ReasonOpen, "the endpoint failed repeatedly and is not called for a while", nil))
	}
	outcome := Abandoned // also when the call panics, so that a probe is never lost
	defer func() { b.Done(ticket, outcome) }()
	answer := s.ask(ctx, c, q)
	var e *decision.Error
	switch {
	case answer.Err == nil:
		outcome = Succeeded
	case errors.As(answer.Err, &e) && e.Reason == ReasonCancelled:
	default:
		outcome = Failed
	}
	return answer
}

// Forget drops what is known of a deleted model's endpoint.
func (s *Scorer) Forget(tenantID, modelID string) {
	s.breakers.forget(tenantID + "\x00" + modelID + "\x00")
}

func (s *Scorer) ask(ctx context.Context, c *external.Config, q *Query) Answer {
	body, err := encodeQuery(q)
	if err != nil {
		return degraded(c, q, failure(ReasonAnswer, "the request could not be encoded", err))
	}
	header := http.Header{
		"Content-Type": {"application/json"}, "Accept": {"application/json"}, "User-Agent": {"praetor"}, "X-Tenant-Id": {q.TenantID},
	}
	if c.Token != "" {
		header["Authorization"] = []string{"Bearer " + string(c.Token)}
	}
	res, err := s.client.Do(ctx, &Request{Method: http.MethodPost, URL: c.URL, Header: header, Body: body, Timeout: c.Timeout})
	if err != nil {
		return degraded(c, q, err)
	}
	if !res.OK() {
		return degraded(c, q, failure(ReasonStatus, "the endpoint answered with an error", statusError(res.Status)))
	}
	scores, err := decodeScores(c, q, res.Body)
	if err != nil {
		return degraded(c, q, failure(ReasonAnswer, "the endpoint's answer has not the configured shape", err))
	}
	answer := Answer{Scores: scores}
	useful := false
	for _, s := range scores {
		answer.Degraded = answer.Degraded || s.Degraded
		useful = useful || !s.Degraded
	}
	if !useful {
		answer.Err = failure(ReasonAnswer, "the endpoint's answer has none of the scores asked for", nil)
	}
	return answer
}

// degraded answers with nothing but fallbacks.
func degraded(c *external.Config, q *Query, err error) Answer {
	a := Answer{Scores: make([]Score, max(len(q.Candidates), 1)), Degraded: true, Err: err}
	for i := range a.Scores {
		a.Scores[i] = Score{Value: c.Fallback, Degraded: true}
	}
	return a
}
