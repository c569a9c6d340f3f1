package httpapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/engine"
)

// registryAnswer is the answer of GET on a model's registry entry.
type registryAnswer struct {
	ModelID   string                  `json:"modelId"`
	ModelName string                  `json:"modelName"`
	ModelType decision.ModelType      `json:"modelType"`
	Registry  catalogue.RegistryEntry `json:"registry"`
}

func (s *Server) getRegistry(rq *request) error {
	m, entry, err := s.engine.Registry(rq.tenant(), rq.params[0])
	if err != nil {
		return err
	}
	return rq.reply(fasthttp.StatusOK, registryAnswer{ModelID: m.ID, ModelName: m.Name, ModelType: m.ModelType, Registry: entry})
}

// setRegistry changes a model's standing. A body that is not valid goes to the
// engine too: it counts against the limit like any other.
func (s *Server) setRegistry(rq *request) error {
	t, err := rq.transition()
	t.Invalid = err
	standing, receipt, err := s.engine.Transition(rq.ctx, rq.write(), rq.param(0), t)
	rq.registryQuota(standing.Quota, decision.KindOf(err) == decision.KindRateLimited)
	if err != nil {
		if len(standing.Breaches) > 0 {
			b, err := json.Marshal(standing.Breaches)
			if err != nil {
				return err
			}
			rq.extra = `,"rollbackGuardBreaches":` + string(b)
		}
		return err
	}
	rq.wrote(receipt)
	return rq.reply(fasthttp.StatusOK, standing)
}

// registryPolicy is the RateLimit-Policy of the registry.
var registryPolicy = fmt.Sprintf(`"registry";q=%d;w=%d`, catalogue.RegistryRequests, catalogue.RegistryWindow/1000)

// registryQuota tells the client what is left; nil is a request that the log did
// not count.
func (rq *request) registryQuota(q *catalogue.Quota, refused bool) {
	if q == nil {
		return
	}
	rq.ratePolicy = registryPolicy
	rq.rateLimit = `"registry";r=` + strconv.Itoa(q.Remaining) + ";t=" + strconv.Itoa(q.Seconds())
	if refused {
		rq.retryAfter = max(q.Seconds(), 1)
	}
}

// maxSnapshot is how many metrics a promotion may bring: one for each input, and
// those of the whole model.
const maxSnapshot = 600

// transition reads the body of POST on a model's registry entry.
func (rq *request) transition() (t engine.Transition, err error) {
	if err := rq.beginBody(); err != nil {
		return t, err
	}
	if rq.enterObject() {
		for rq.nextField() {
			switch rq.key {
			case "status":
				t.To = decision.RegistryStatus(rq.oneOf("draft", "challenger", "champion", "archived"))
			case "actor":
				t.Actor = strings.Clone(rq.optionalStr(maxName))
			case "metricsSnapshot":
				t.Metrics = rq.metrics(maxSnapshot)
			case "bypassRollbackGuard":
				t.BypassGuard = rq.boolean()
			case "rollbackThresholds":
				rq.thresholds(&t)
			default:
				rq.unknown()
			}
		}
		rq.need("status")
	}
	return t, rq.decoder.err()
}

// thresholds reads what the rollback guard permits.
func (rq *request) thresholds(t *engine.Transition) {
	if !rq.enterObject() {
		return
	}
	for rq.nextField() {
		switch rq.key {
		case "maxAucDrop":
			t.MaxAUCDrop = rq.threshold()
		case "maxPsi":
			t.MaxPSI = rq.threshold()
		case "maxErrorRate":
			t.MaxErrorRate = rq.threshold()
		default:
			rq.unknown()
		}
	}
}

func (d *decoder) threshold() *float64 {
	v := d.float()
	if v < 0 {
		d.wrongf("must be a number from 0 on, got %v", v)
	}
	return &v
}

// metrics reads an object of numbers.
func (d *decoder) metrics(most int) map[string]float64 {
	raw := d.rawObject(most)
	if raw == nil {
		return nil
	}
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		d.wrongf("must be an object of numbers")
		return nil
	}
	all := make(map[string]float64, len(fields))
	var wrong []string
	for name, v := range fields {
		f, ok := v.(float64)
		if all[name] = f; !ok {
			wrong = append(wrong, name)
		}
	}
	slices.Sort(wrong)
	for _, name := range wrong {
		d.invalid(clip(name), "must be a number")
	}
	return all
}

func (s *Server) listFamilies(rq *request) error {
	p, err := rq.page()
	if err != nil {
		return err
	}
	l, err := s.engine.Families(rq.tenant(), p)
	if err != nil {
		return err
	}
	return replyList(rq, p, l)
}

func (s *Server) getFamily(rq *request) error {
	f, err := s.engine.Family(rq.tenant(), rq.params[0])
	if err != nil {
		return err
	}
	return rq.reply(fasthttp.StatusOK, f)
}
