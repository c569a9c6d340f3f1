package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"
)

const familiesPath = "/api/v1/families"

// RegistryEntry is a model's standing in its family.
type RegistryEntry struct {
	ModelID   string `json:"modelId"`
	ModelName string `json:"modelName"`
	ModelType string `json:"modelType"`
	Registry  struct {
		Status             string             `json:"status"` // draft, challenger, champion or archived
		Family             string             `json:"family"`
		PromotedAt         *time.Time         `json:"promotedAt"` // nil: its standing was never asked to change
		PromotedBy         *string            `json:"promotedBy"`
		PreviousStatus     string             `json:"previousStatus"`
		MetricsAtPromotion map[string]float64 `json:"metricsAtPromotion"`
	} `json:"registry"`
}

// Transition asks for another standing.
type Transition struct {
	Status          string             `json:"status"`
	Actor           string             `json:"actor,omitempty"` // empty: the name of the key
	MetricsSnapshot map[string]float64 `json:"metricsSnapshot,omitempty"`
	// BypassRollbackGuard permits what the rollback guard would refuse.
	BypassRollbackGuard bool             `json:"bypassRollbackGuard,omitempty"`
	RollbackThresholds  *GuardThresholds `json:"rollbackThresholds,omitempty"`
}

// GuardThresholds are what the rollback guard permits; nil is the server's
// default.
type GuardThresholds struct {
	MaxAUCDrop   *float64 `json:"maxAucDrop,omitempty"`
	MaxPSI       *float64 `json:"maxPsi,omitempty"`
	MaxErrorRate *float64 `json:"maxErrorRate,omitempty"`
}

// Standing is what a transition did.
type Standing struct {
	ModelID           string        `json:"modelId"`
	PreviousStatus    string        `json:"previousStatus"`
	NewStatus         string        `json:"newStatus"`
	DemotedChampionID string        `json:"demotedChampionId,omitempty"` // the champion before, now a challenger
	Breaches          []GuardBreach `json:"rollbackGuardBreaches,omitempty"`
}

// GuardBreach is a signal beyond its threshold.
type GuardBreach struct {
	Signal    string  `json:"signal"`
	Value     float64 `json:"value"`
	Threshold float64 `json:"threshold"`
}

// Family is a family with its champion and its members, the newest first.
type Family struct {
	Family   string         `json:"family"`
	Champion *Champion      `json:"champion"` // nil: there is none
	Members  []FamilyMember `json:"members"`
	History  []FamilyEvent  `json:"history,omitempty"` // of a single family; the newest first
}

// Champion is the model that decides for a family.
type Champion struct {
	ModelID            string             `json:"modelId"`
	Key                string             `json:"key"`
	Name               string             `json:"name"`
	ModelType          string             `json:"modelType"`
	Status             string             `json:"status"`
	Version            uint64             `json:"version"`
	PromotedAt         *time.Time         `json:"promotedAt"`
	PromotedBy         *string            `json:"promotedBy"`
	MetricsAtPromotion map[string]float64 `json:"metricsAtPromotion"`
}

// FamilyMember is a model of a family.
type FamilyMember struct {
	ModelID        string `json:"modelId"`
	Key            string `json:"key"`
	Name           string `json:"name"`
	ModelType      string `json:"modelType"`
	RegistryStatus string `json:"registryStatus"`
}

// FamilyEvent is a change of a member's standing.
type FamilyEvent struct {
	At             time.Time `json:"at"`
	Change         string    `json:"change"` // transition, displaced, joined, left or deleted
	ModelID        string    `json:"modelId"`
	ModelKey       string    `json:"modelKey"`
	PreviousStatus string    `json:"previousStatus"`
	NewStatus      string    `json:"newStatus"`
	Actor          string    `json:"actor"`
}

func registryPath(id string) string { return "/api/v1/models/" + url.PathEscape(id) + "/registry" }

func familyPath(name, action string) string {
	path := familiesPath + "/" + url.PathEscape(name)
	if action != "" {
		path += "/" + action
	}
	return path
}

// Registry returns a model's standing in its family.
func (c *Client) Registry(ctx context.Context, id string, opts ...Option) (out RegistryEntry, err error) {
	err = c.do(ctx, call{method: http.MethodGet, path: registryPath(id), safe: true}, opts, &out)
	return out, err
}

// Transition changes a model's standing in its family. Admin only.
func (c *Client) Transition(ctx context.Context, id string, t Transition, opts ...Option) (out Standing, err error) {
	err = c.do(ctx, call{method: http.MethodPost, path: registryPath(id), body: t}, opts, &out)
	return out, err
}

// Families returns a page of the tenant's families, without their histories.
func (c *Client) Families(ctx context.Context, lo ListOptions, opts ...Option) (Page[Family], error) {
	return list[Family](ctx, c, familiesPath, lo, opts)
}

// AllFamilies walks all families of the tenant.
func (c *Client) AllFamilies(ctx context.Context) iter.Seq2[Family, error] {
	return all(ctx, c.Families)
}

// Family returns a family with its history.
func (c *Client) Family(ctx context.Context, name string, opts ...Option) (out Family, err error) {
	err = c.do(ctx, call{method: http.MethodGet, path: familyPath(name, ""), safe: true}, opts, &out)
	return out, err
}

// ScoreFamily scores one customer by the champion of a family, or in an active
// experiment by the customer's variant; the result names it.
func (c *Client) ScoreFamily(ctx context.Context, family string, r ScoreRequest, opts ...Option) (ScoreResult, error) {
	return c.scoreAt(ctx, familyPath(family, "score"), r, opts)
}

// ScoreFamilyOfferSet ranks offers for a customer by the champion of a family, or in an
// active experiment by the customer's variant.
func (c *Client) ScoreFamilyOfferSet(ctx context.Context, family string, set OfferSet, opts ...Option) (out Ranking, err error) {
	err = c.do(ctx, call{method: http.MethodPost, path: familyPath(family, "score-offer-set"), body: set, safe: true}, opts, &out)
	return out, err
}
