package engine

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/praetor-engine/praetor/actors"
	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/evidence"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/types"
	"github.com/praetor-engine/praetor/internal/monitor"
	"github.com/praetor-engine/praetor/internal/webhook"
)

// directory is what every request looks up: keys and models. Its maps are
// immutable and replaced whole when a key or a model comes or goes, so looking
// up takes no lock; what changes often hangs behind a pointer of the entry.
type directory struct {
	principals atomic.Pointer[map[catalogue.KeyHash]*catalogue.Principal]
	pepper     atomic.Pointer[peppered]
	models     atomic.Pointer[map[string]*modelRuntime]
	tenants    atomic.Pointer[map[string]catalogue.Tenant]
	champions  atomic.Pointer[map[familyKey]*modelRuntime]
	audits     sync.Map // of auditChain, by tenant; "" is the operator

	experiments   atomic.Pointer[running]
	optimizations atomic.Pointer[map[string]*optimizationRuntime]
	decisionLogs  atomic.Pointer[decisionLogs] // nil: nothing is logged
	events        sync.Map                     // of event.View, by tenant
	webhooks      atomic.Pointer[[]*webhook.Record]
}

// familyKey names a family of a tenant.
type familyKey struct{ tenantID, family string }

// modelRuntime is a model in this process: its actor and its metadata.
type modelRuntime struct {
	id       string
	tenantID string
	ordinal  uint32 // of the tenant
	handle   *actors.Model
	record   atomic.Pointer[catalogue.ModelRecord]
	learns   bool           // of the apply goroutine: outcomes concern it
	spec     learn.Spec     // the same
	track    *monitor.Track // of the scores that are served
}

func (mr *modelRuntime) set(rec *catalogue.ModelRecord, spec learn.Spec) {
	mr.record.Store(rec)
	mr.spec = spec
	t, ok := types.Of(spec.Type)
	mr.learns = ok && (t.Learns(&spec) || evidenceOf(&rec.Model).Mode != evidence.Off)
}

// model finds a tenant's model; another tenant's is as good as absent.
func (d *directory) model(tenantID, id string) (*modelRuntime, error) {
	if all := d.models.Load(); all != nil {
		if mr := (*all)[id]; mr != nil && mr.tenantID == tenantID {
			return mr, nil
		}
	}
	return nil, decision.Errorf(decision.KindNotFound, "algorithm model %q does not exist", id)
}

// champion finds the champion of a tenant's family. A family without one is as
// good as absent.
func (d *directory) champion(tenantID, family string) (*modelRuntime, error) {
	if all := d.champions.Load(); all != nil {
		if mr := (*all)[familyKey{tenantID, family}]; mr != nil {
			return mr, nil
		}
	}
	return nil, decision.Errorf(decision.KindNotFound, "family %q has no champion", family)
}

// put adds (or with nil removes) a model.
func (d *directory) put(id string, mr *modelRuntime) {
	next := map[string]*modelRuntime{}
	if old := d.models.Load(); old != nil {
		next = maps.Clone(*old)
	}
	if mr == nil {
		delete(next, id)
	} else {
		next[id] = mr
	}
	d.models.Store(&next)
}

// tenant finds a tenant.
func (d *directory) tenant(id string) (catalogue.Tenant, error) {
	if all := d.tenants.Load(); all != nil {
		if t, ok := (*all)[id]; ok {
			return t, nil
		}
	}
	return catalogue.Tenant{}, decision.Errorf(decision.KindNotFound, "tenant %q does not exist", id)
}

// clear forgets everything but the pepper.
func (d *directory) clear() {
	d.principals.Store(nil)
	d.models.Store(nil)
	d.champions.Store(nil)
	d.experiments.Store(nil)
	d.optimizations.Store(nil)
	d.decisionLogs.Store(nil)
	d.tenants.Store(nil)
	d.audits.Clear()
	d.events.Clear()
	d.webhooks.Store(nil)
}

func (m *machine) refreshTenants() {
	next := make(map[string]catalogue.Tenant, len(m.tenants))
	for id, t := range m.tenants {
		next[id] = t.Tenant
	}
	m.directory.tenants.Store(&next)
}

// refreshChampions publishes who is champion, the experiments that this may have
// ended, and which decisions are logged, as the catalogue has it.
func (m *machine) refreshChampions() {
	next := map[familyKey]*modelRuntime{}
	m.catalogue.EachChampion(func(tenantID, family, modelID string) {
		next[familyKey{tenantID, family}] = m.tenants[tenantID].models[modelID]
	})
	m.directory.champions.Store(&next)
	m.refreshExperiments()
	m.refreshDecisionLogs()
}

func (m *machine) refreshKeys() {
	principals := m.catalogue.Principals()
	m.directory.principals.Store(&principals)
}
