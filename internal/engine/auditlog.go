package engine

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/praetor-engine/praetor/internal/audit"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/wire"
)

// auditChain is a log as its readers know it: published once its newest entry is
// on disk, and before an entry that is not kept any more is removed from there.
type auditChain struct {
	ordinal uint32
	audit.Chain
}

// refreshAudits publishes every chain as the catalogue has it.
func (m *machine) refreshAudits() {
	m.directory.audits.Clear()
	m.catalogue.EachAudit(func(ordinal uint32, chain audit.Chain) {
		m.directory.audits.Store(chain.TenantID, auditChain{ordinal, chain})
	})
}

// auditChain returns a tenant's chain, one without entries where nothing was
// audited yet; the empty tenant is the operator.
func (d *directory) auditChain(tenant string) auditChain {
	if c, ok := d.audits.Load(tenant); ok {
		return c.(auditChain)
	}
	return auditChain{Chain: audit.NewChain(tenant)}
}

// auditFigures returns how many entries all logs keep, and how many they dropped.
func (d *directory) auditFigures() (kept, dropped uint64) {
	d.audits.Range(func(_, c any) bool {
		chain := c.(auditChain)
		kept, dropped = kept+chain.Length-chain.Dropped, dropped+chain.Dropped
		return true
	})
	return kept, dropped
}

// AuditFilter narrows a list of audit entries; empty fields permit all.
type AuditFilter struct {
	EntityType, EntityID, Action string
}

func (f *AuditFilter) matches(s audit.Subject) bool {
	return (f.EntityType == "" || f.EntityType == s.EntityType) && (f.EntityID == "" || f.EntityID == s.EntityID) &&
		(f.Action == "" || f.Action == s.Action)
}

// AuditPage is a page of the audit log, newest first.
type AuditPage struct {
	Logs  []*audit.Entry `json:"logs"`
	Total uint64         `json:"total"` // that match
	Page  int            `json:"page"`
	Limit int            `json:"limit"`
}

// maxAuditPage bounds the number of a page: beyond it lies nothing that is kept.
const maxAuditPage = 1_000_000_000

// AuditLogs lists the entries of a tenant's audit log, or with an empty tenant
// the operator's. Pages are numbered from 1. With a filter it looks at every
// entry, at about a microsecond each.
func (e *Engine) AuditLogs(ctx context.Context, tenant string, filter AuditFilter, page, limit int) (AuditPage, error) {
	out := AuditPage{Logs: []*audit.Entry{}, Page: page, Limit: limit}
	if err := checkLimit(limit); err != nil {
		return out, err
	}
	if page < 1 || page > maxAuditPage {
		return out, decision.Invalid("page", "want 1 to %d, got %d", maxAuditPage, page)
	}
	chain := e.machine.directory.auditChain(tenant)
	from, to := uint64(page-1)*uint64(limit), uint64(page)*uint64(limit) // places among those that match
	newest, all := chain.Length, filter == AuditFilter{}
	if all {
		if out.Total = chain.Length - chain.Dropped; from >= out.Total {
			return out, nil
		}
		newest -= from
	}
	met := uint64(0)
	err := e.machine.history.AuditEntries(ctx, chain.ordinal, chain.Dropped+1, newest, true, func(_ uint64, stored string) (bool, error) {
		if !all {
			r := wire.NewReader(stored)
			if subject := audit.ReadSubject(&r); r.Err() != nil || !filter.matches(subject) {
				return true, r.Err()
			}
			if met++; met <= from || met > to {
				return true, nil
			}
		}
		entry, err := readAuditEntry(stored)
		out.Logs = append(out.Logs, entry)
		return !all || len(out.Logs) < limit, err
	})
	if !all {
		out.Total = met
	}
	return out, auditError(err)
}

func readAuditEntry(stored string) (*audit.Entry, error) {
	r := wire.NewReader(stored)
	entry := audit.ReadEntry(&r)
	return entry, r.Close()
}

// auditError makes an error of the storage one that may leave the engine.
func auditError(err error) error {
	var known *decision.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	return &decision.Error{Kind: decision.KindInternal, Op: "engine.audit", Msg: "the audit log cannot be read", Err: err}
}

// auditBatch is how many entries are read at a time by what reads a whole log:
// nothing holds on to the storage while a client takes its time.
const auditBatch = 256

// errAuditMoved is that the oldest entries were dropped before they were read.
var errAuditMoved = decision.Errorf(decision.KindUnavailable, "the oldest entries were dropped while the audit log was read; try again")

// auditEntries yields the entries that a chain keeps, the oldest first.
func (e *Engine) auditEntries(ctx context.Context, chain auditChain) iter.Seq2[*audit.Entry, error] {
	return func(yield func(*audit.Entry, error) bool) {
		for next := chain.Dropped + 1; next <= chain.Length; next += auditBatch {
			last := min(next+auditBatch-1, chain.Length)
			batch := make([]*audit.Entry, 0, auditBatch)
			err := e.machine.history.AuditEntries(ctx, chain.ordinal, next, last, false, func(_ uint64, stored string) (bool, error) {
				entry, err := readAuditEntry(stored)
				batch = append(batch, entry)
				return true, err
			})
			if err == nil && e.machine.directory.auditChain(chain.TenantID).Dropped >= next {
				err = errAuditMoved
			}
			if err != nil {
				yield(nil, auditError(err))
				return
			}
			for _, entry := range batch {
				if !yield(entry, nil) {
					return
				}
			}
		}
	}
}

// VerifyAudit checks a tenant's audit log from its oldest entry to its newest,
// at some tens of microseconds an entry.
func (e *Engine) VerifyAudit(ctx context.Context, tenant string) (audit.Verification, error) {
	for {
		chain := e.machine.directory.auditChain(tenant)
		v, err := chain.Verify(e.auditEntries(ctx, chain))
		if !errors.Is(err, errAuditMoved) {
			return v, err
		}
		if ctx.Err() != nil {
			return v, ctx.Err()
		}
	}
}

// The formats of an exported audit log.
const (
	AuditNDJSON = "ndjson"
	AuditCSV    = "csv"
)

// AuditExport is an audit log as it leaves the engine.
type AuditExport struct {
	MediaType string
	entries   iter.Seq2[*audit.Entry, error]
	write     func(io.Writer, iter.Seq2[*audit.Entry, error]) error
}

// ExportAudit returns a tenant's whole audit log, oldest entry first.
func (e *Engine) ExportAudit(ctx context.Context, tenant, format string) (*AuditExport, error) {
	x := &AuditExport{entries: e.auditEntries(ctx, e.machine.directory.auditChain(tenant))}
	switch format {
	case AuditNDJSON:
		x.MediaType, x.write = "application/x-ndjson", audit.WriteNDJSON
	case AuditCSV:
		x.MediaType, x.write = "text/csv; charset=utf-8", audit.WriteCSV
	default:
		return nil, decision.Invalid("format", "want %s or %s, got %.40q", AuditNDJSON, AuditCSV, format)
	}
	return x, nil
}

// Send writes the log. It is for one call.
func (x *AuditExport) Send(w io.Writer) error { return x.write(w, x.entries) }
