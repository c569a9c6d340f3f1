package httpapi

import (
	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/decision"
)

func (s *Server) listKeys(rq *request) error {
	p, err := rq.page()
	if err != nil {
		return err
	}
	l, err := s.engine.Keys(rq.tenant(), p)
	if err != nil {
		return err
	}
	return replyList(rq, p, l)
}

func (s *Server) createKey(rq *request) error {
	var name, role string
	var expires decision.Time
	if err := rq.beginBody(); err != nil {
		return err
	}
	if rq.enterObject() {
		for rq.nextField() {
			switch rq.key {
			case "name":
				name = *rq.ownText(1, maxName)
			case "role":
				role = rq.oneOf("viewer", "editor", "admin")
			case "expiresAt":
				if rq.null() {
					continue
				}
				at, ok := rq.time()
				if ok && at <= decision.TimeOf(s.now()) {
					rq.wrongf("must be in the future, got %s", at)
				}
				expires = at
			default:
				rq.unknown()
			}
		}
		rq.need("name", "role")
	}
	if err := rq.decoder.err(); err != nil {
		return err
	}
	key, receipt, err := s.engine.CreateKey(rq.ctx, rq.write(), name, role, expires)
	if err != nil {
		return err
	}
	rq.wrote(receipt)
	return rq.reply(fasthttp.StatusCreated, key)
}

func (s *Server) revokeKey(rq *request) error {
	receipt, err := s.engine.RevokeKey(rq.ctx, rq.write(), rq.param(0))
	return rq.replyDeleted(receipt, err)
}

func (s *Server) listTenants(rq *request) error {
	p, err := rq.page()
	if err != nil {
		return err
	}
	l, err := s.engine.Tenants(p)
	if err != nil {
		return err
	}
	return replyList(rq, p, l)
}

func (s *Server) createTenant(rq *request) error {
	var id, name string
	if err := rq.beginBody(); err != nil {
		return err
	}
	if rq.enterObject() {
		for rq.nextField() {
			switch rq.key {
			case "id":
				id = *rq.ownText(1, maxName)
			case "name":
				name = *rq.ownText(1, maxName)
			default:
				rq.unknown()
			}
		}
		rq.need("name")
	}
	if err := rq.decoder.err(); err != nil {
		return err
	}
	t, receipt, err := s.engine.CreateTenant(rq.ctx, rq.write(), id, name)
	if err != nil {
		return err
	}
	rq.wrote(receipt)
	return rq.reply(fasthttp.StatusCreated, t)
}

func (s *Server) deleteTenant(rq *request) error {
	receipt, err := s.engine.DeleteTenant(rq.ctx, rq.write(), rq.param(0))
	return rq.replyDeleted(receipt, err)
}
