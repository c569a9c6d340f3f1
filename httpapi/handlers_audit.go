package httpapi

import (
	"io"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/engine"
)

// listAudit answers with a page of the tenant's audit log; the operator who
// names no tenant gets the log of what is no tenant's.
func (s *Server) listAudit(rq *request) error {
	limit, err := rq.page()
	if err != nil {
		return err
	}
	number := 1
	if rq.query.Has("page") {
		v := string(rq.query.Peek("page"))
		if number, err = strconv.Atoi(v); err != nil || number < 1 {
			return decision.Invalid("page", "must be a whole number from 1 on, got %q", clip(v))
		}
	}
	var f engine.AuditFilter
	for _, q := range []struct {
		name string
		to   *string
	}{{"entityType", &f.EntityType}, {"entityId", &f.EntityID}, {"action", &f.Action}} {
		if *q.to, err = rq.queryText(q.name); err != nil {
			return err
		}
	}
	p, err := s.engine.AuditLogs(rq.ctx, rq.tenant(), f, number, limit.Limit)
	if err != nil {
		return err
	}
	return rq.reply(fasthttp.StatusOK, p)
}

func (s *Server) verifyAudit(rq *request) error {
	v, err := s.engine.VerifyAudit(rq.ctx, rq.tenant())
	if err != nil {
		return err
	}
	return rq.reply(fasthttp.StatusOK, v)
}

// exportAudit answers with the whole log as a stream.
func (s *Server) exportAudit(rq *request) error {
	format, err := rq.queryText("format")
	if err != nil {
		return err
	}
	if format == "" {
		format = engine.AuditNDJSON
	}
	x, err := s.engine.ExportAudit(rq.ctx, strings.Clone(rq.tenant()), format)
	if err != nil {
		return err
	}
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(x.Send(w)) }() // ends with the log, or when the reader is closed
	rq.contentType = x.MediaType
	rq.replyStream = &auditStream{rq: rq, pipe: r}
	return nil
}

// auditStream is an audit log on its way to a client, who may take as long as it
// goes on. An error in the middle cuts the answer off.
type auditStream struct {
	rq   *request
	pipe *io.PipeReader
}

// Read returns the next bytes.
func (a *auditStream) Read(p []byte) (int, error) {
	cfg := &a.rq.server.cfg
	extend(a.rq.conn, cfg.ReadTimeout, cfg.WriteTimeout)
	return a.pipe.Read(p)
}

// Close ends the reading of the log and gives the request back.
func (a *auditStream) Close() error {
	if a.rq == nil {
		return nil
	}
	err := a.pipe.Close()
	a.rq.release()
	a.rq = nil
	return err
}
