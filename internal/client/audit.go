package client

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const auditPath = "/api/v1/audit-logs"

// AuditEntry is one change.
type AuditEntry struct {
	ID            string          `json:"id"`
	Action        string          `json:"action"`
	EntityType    string          `json:"entityType"`
	EntityID      string          `json:"entityId"`
	EntityName    string          `json:"entityName"`
	Before        json.RawMessage `json:"before"` // the members that differ, null where there was nothing
	After         json.RawMessage `json:"after"`
	Actor         string          `json:"actor"` // who the client said it was, else the key's name
	KeyID         string          `json:"keyId"` // the key that it was done with
	TenantID      string          `json:"tenantId"`
	RequestID     string          `json:"requestId"`
	Timestamp     time.Time       `json:"timestamp"`
	PrevHash      string          `json:"prevHash"`
	IntegrityHash string          `json:"integrityHash"`
}

// AuditPage is a page of the audit log, newest first.
type AuditPage struct {
	Logs  []AuditEntry `json:"logs"`
	Total int64        `json:"total"`
	Page  int          `json:"page"`
	Limit int          `json:"limit"`
}

// AuditOptions ask for a page of the audit log; empty fields permit all.
type AuditOptions struct {
	EntityType, EntityID, Action string
	Page                         int // from 1; 0 is the first
	Limit                        int // 1–100; 0 is the server's default, 50
}

// AuditLogs lists the audit log of the key's tenant, or with the operator's key
// and no tenant the log of what is no tenant's.
func (c *Client) AuditLogs(ctx context.Context, o AuditOptions, opts ...Option) (p AuditPage, err error) {
	query := url.Values{}
	for name, v := range map[string]string{"entityType": o.EntityType, "entityId": o.EntityID, "action": o.Action} {
		if v != "" {
			query.Set(name, v)
		}
	}
	for name, n := range map[string]int{"page": o.Page, "limit": o.Limit} {
		if n != 0 {
			query.Set(name, strconv.Itoa(n))
		}
	}
	err = c.do(ctx, call{method: http.MethodGet, path: auditPath, query: query, safe: true}, opts, &p)
	return p, err
}

// AuditVerification is what a check of an audit log found.
type AuditVerification struct {
	Intact     bool   `json:"intact"`
	Verified   int    `json:"verified"`             // entries in order, from the oldest on
	BrokenAtID string `json:"brokenAtId,omitempty"` // the first that is not; empty where entries are missing at the end
}

// VerifyAudit has the server check every entry it keeps.
func (c *Client) VerifyAudit(ctx context.Context, opts ...Option) (v AuditVerification, err error) {
	err = c.do(ctx, call{method: http.MethodGet, path: auditPath + "/verify", safe: true}, opts, &v)
	return v, err
}

// ExportAudit copies the whole audit log to w, oldest entry first, as ndjson or
// csv. An error means that what w got is not complete.
func (c *Client) ExportAudit(ctx context.Context, format string, w io.Writer, opts ...Option) error {
	return c.download(ctx, call{method: http.MethodGet, path: auditPath + "/export", query: url.Values{"format": {format}}, safe: true}, opts, w)
}
