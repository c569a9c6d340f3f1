package httpapi

import (
	"strconv"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/engine"
	"github.com/praetor-engine/praetor/internal/factorial/posterior"
	"github.com/praetor-engine/praetor/internal/jsontext"
)

func (s *Server) serveVariant(rq *request) error {
	if err := rq.serveBody(false); err != nil {
		return err
	}
	return s.serveFrom(rq, rq.params[0])
}

// bestVariant is a serve whose body names the optimization. Without a key nobody
// knows before the body is read whether it is permitted, so until then the answer to
// everything is that a key is needed.
func (s *Server) bestVariant(rq *request) error {
	err := rq.serveBody(true)
	if rq.keyless {
		tenant, ok := s.publicTenant(rq.serve.optimization)
		if !ok {
			return errNoKey
		}
		rq.principal = publicPrincipal(tenant)
		if err := rq.limitPublic(rq.serve.optimization); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	return s.serveFrom(rq, rq.serve.optimization)
}

// publicTenant returns the tenant of an optimization that serves without a key.
func (s *Server) publicTenant(id string) (string, bool) {
	if s.engine == nil || id == "" {
		return "", false
	}
	return s.engine.PublicTenant(id)
}

// publicPrincipal is who asks without a key.
func publicPrincipal(tenant string) engine.Principal {
	return engine.Principal{TenantID: tenant, KeyName: "public", Role: decision.RoleViewer}
}

// serveFrom answers what is in the serve memory. Unless it is a dry run the exposure
// is on a quorum's disks before the answer is sent.
func (s *Server) serveFrom(rq *request, id string) error {
	o, err := s.engine.Optimizer(rq.tenant(), id)
	if err != nil {
		return err
	}
	m := &rq.serve
	cell := m.cell(o.Plan.Space)
	served := o.Serve(m.visitor, cell, decision.TimeOf(s.now()))
	if !m.dryRun {
		receipt, err := s.engine.Expose(&o, served, m.visitor, cell)
		if err != nil {
			return err
		}
		rq.wrote(receipt)
	}
	rq.out = rq.appendServed(rq.out, &o, served)
	return nil
}

func (rq *request) appendServed(dst []byte, o *engine.Optimizer, v posterior.Served) []byte {
	dst = append(append(dst, `{"optimization_id":"`...), o.ID...)
	dst = append(append(dst, `","model_id":"`...), o.Model.ID...)
	dst = o.Plan.AppendVariant(append(dst, `","variant":`...), v.Variant)
	dst = jsontext.AppendCount(dst, "variant_number", v.Variant+1)
	dst = strconv.AppendBool(append(dst, `,"is_holdout":`...), v.Holdout)
	dst = jsontext.AppendNumber(dst, "propensity", v.Propensity)
	return rq.appendMeta(dst)
}
