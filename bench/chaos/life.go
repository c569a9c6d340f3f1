package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/praetor-engine/praetor/bench/nodes"
)

// size is how many nodes a cluster has.
const size = 3

// The tenants of a life, and what happens in them.
const (
	outcomesTenant = "outcomes" // outcomes, exactly counted, and scores
	mixedTenant    = "mixed"    // models made, renamed, moved, promoted and deleted at random
	registers      = 3          // tenants with a family and a text whose histories are checked
	members        = 4          // of a register's family
)

// life is a cluster and what its clients know of it.
type life struct {
	number  int
	dir     string
	cluster *nodes.Cluster
	network network
	disks   *disks // nil: the nodes have no file systems of their own
	members []*member

	keys      map[string]string // by tenant
	features  features
	ledger    *ledger
	scored    []string // ids of the models that are scored
	bandits   map[string]string
	registers []*register
	mixedMade atomic.Int64
	replaced  int // nodes so far, by others with new ids
}

// member is a node with what the clients may expect of it.
type member struct {
	*nodes.Node
	// down says that the harness has taken the node away: that requests fail is
	// then its own doing. epoch counts how often.
	down  atomic.Bool
	epoch atomic.Int64
	// mayEnd says that the fault may make the node stop by itself.
	mayEnd atomic.Bool
	offset int64 // where its log was when the round began
}

// away notes that requests to the node may fail from now on.
func (m *member) away() {
	m.down.Store(true)
	m.epoch.Add(1)
}

// back notes that the node is expected to answer again.
func (m *member) back() {
	m.epoch.Add(1)
	m.down.Store(false)
}

// features are the routes that the server's OpenAPI document lists and that not
// every version has.
type features struct {
	Registry bool `json:"registry"` // POST /api/v1/models/{id}/registry
	Families bool `json:"families"`
	Transfer bool `json:"transfer"`
}

// register is a tenant whose text and family are registers.
type register struct {
	tenant, key string
	text        string   // the model whose description is the text
	family      []string // ids of the members
}

// snapshotFlags make snapshots and short logs a matter of seconds.
var nodeFlags = []string{
	"--log-format=json", "--log-level=info",
	"--snapshot-entries=" + strconv.Itoa(snapshotEntries), "--snapshot-interval=500ms", "--trailing-entries=" + strconv.Itoa(2*snapshotEntries),
	"--shutdown-timeout=10s",
}

const snapshotEntries = 256

// startLife founds a cluster in an empty directory and makes what the workers
// need.
func (r *Runner) startLife(ctx context.Context, number int, first *Fault) (_ *life, err error) {
	l := &life{
		number: number, dir: filepath.Join(r.work, "life-"+strconv.Itoa(number)),
		keys: map[string]string{}, ledger: newLedger(), bandits: map[string]string{},
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("chaos: life %d: %w", number, err), l.close())
		}
	}()
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return nil, err
	}
	if l.disks, err = r.mountDisks(ctx, l.dir); err != nil {
		return nil, err
	}
	if l.network, err = r.openNetwork(l, first); err != nil {
		return nil, err
	}
	places := make([]nodes.Place, size)
	for i := range places {
		places[i] = l.network.place(i)
		if l.disks != nil {
			places[i].Data = l.disks.mounts[i]
		}
	}
	l.cluster, err = nodes.New(nodes.Config{
		Command: []string{r.Praetor, "serve"}, Flags: append(append([]string{}, nodeFlags...), l.network.flags()...),
		Dir: l.dir, Places: places, Advertise: l.network.advertise,
	})
	if err != nil {
		return nil, err
	}
	for _, n := range l.cluster.Nodes {
		l.members = append(l.members, &member{Node: n})
	}
	if err := l.cluster.Start(ctx); err != nil {
		return nil, err
	}
	setup, cancel := context.WithTimeout(ctx, convergeTimeout)
	defer cancel()
	if err := l.cluster.AwaitReady(setup); err != nil {
		return nil, err
	}
	if err := l.readFeatures(setup); err != nil {
		return nil, err
	}
	return l, l.setUp(setup)
}

// close ends the cluster and gives back what it took of the system.
func (l *life) close() error {
	var errs []error
	if l.cluster != nil {
		errs = append(errs, l.cluster.Close())
	}
	if l.network != nil {
		errs = append(errs, l.network.Close())
	}
	if l.disks != nil {
		errs = append(errs, l.disks.unmount())
	}
	return errors.Join(errs...)
}

// owner tells which node a connection comes from; empty: none that runs. The
// system's table changes while it is read, so a look may miss the connection.
func (l *life) owner(from net.Addr) string {
	const looks = 20
	addr, ok := from.(*net.TCPAddr)
	for range looks {
		for _, m := range l.members {
			if p := m.Process(); ok && p != nil && ownsPort(p.Pid(), addr) {
				return m.ID()
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	return ""
}

func (l *life) readFeatures(ctx context.Context) error {
	a, err := l.members[0].Do(ctx, nodes.Request{Method: http.MethodGet, Path: "/openapi.json"})
	if err != nil {
		return err
	}
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := a.Decode(&doc); err != nil {
		return err
	}
	has := func(path, method string) bool { return doc.Paths[path][method] != nil }
	l.features = features{
		Registry: has("/api/v1/models/{id}/registry", "post"),
		Families: has("/api/v1/families", "get"),
		Transfer: has("/api/v1/cluster/transfer", "post"),
	}
	return nil
}

// setUp makes the tenants and the models of a life.
func (l *life) setUp(ctx context.Context) error {
	tenants := []string{outcomesTenant, mixedTenant}
	for i := range registers {
		tenants = append(tenants, "register-"+strconv.Itoa(i))
	}
	for _, t := range tenants {
		err := nodes.Await(ctx, func(ctx context.Context) error {
			leader, err := l.cluster.AwaitLeader(ctx)
			if err == nil {
				l.keys[t], err = leader.CreateTenant(ctx, t)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, kind := range []string{"epsilon_greedy", "thompson_bandit", "online_learner", "bayesian"} {
		id, err := l.createModel(ctx, l.keys[outcomesTenant], kind, "outcomes", kind)
		if err != nil {
			return err
		}
		l.bandits[kind] = id
		l.scored = append(l.scored, id)
	}
	for i := range registers {
		reg := &register{tenant: "register-" + strconv.Itoa(i)}
		reg.key = l.keys[reg.tenant]
		var err error
		if reg.text, err = l.createModel(ctx, reg.key, "text", "text", "epsilon_greedy"); err != nil {
			return err
		}
		for j := range members {
			id, err := l.createModel(ctx, reg.key, "member-"+strconv.Itoa(j), "family", "epsilon_greedy")
			if err != nil {
				return err
			}
			reg.family = append(reg.family, id)
			if !l.features.Registry {
				continue
			}
			a, _, err := l.persist(ctx, nodes.Request{
				Method: http.MethodPost, Path: "/api/v1/models/" + id + "/registry", Key: reg.key,
				IdempotencyKey: fmt.Sprintf("life-%d-challenger-%d", l.number, j), Body: map[string]any{"status": challenger.String()},
			})
			if err != nil {
				return err
			}
			if !a.OK() {
				return fmt.Errorf("chaos: make a challenger: %s", &a)
			}
		}
		l.registers = append(l.registers, reg)
	}
	return nil
}

func (l *life) createModel(ctx context.Context, key, name, family, kind string) (id string, err error) {
	body := map[string]any{
		"key": name, "name": name, "family": family, "modelType": kind, "status": "active",
		"learningConfig": map[string]any{"autoLearn": true},
	}
	a, _, err := l.persist(ctx, nodes.Request{Method: http.MethodPost, Path: modelsPath, Key: key, Body: body, IdempotencyKey: fmt.Sprintf("life-%d-%s", l.number, name)})
	if err != nil {
		return "", err
	}
	var m struct{ ID string }
	err = a.Decode(&m)
	return m.ID, err
}

const modelsPath = "/api/v1/algorithm-models"

// persist sends a request to one node after another until one answers what is
// not temporary, and says how often that took. Writes must have an idempotency key.
func (l *life) persist(ctx context.Context, r nodes.Request) (a nodes.Answer, tries int, err error) {
	err = nodes.Await(ctx, func(ctx context.Context) error {
		var err error
		short, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		a, err = l.members[tries%len(l.members)].Do(short, r)
		tries++
		if err == nil && temporary(&a) {
			err = fmt.Errorf("chaos: %s %s: %s", r.Method, r.Path, &a)
		}
		return err
	})
	return a, tries, err
}

// temporary says whether an answer invites to try again, here or elsewhere.
func temporary(a *nodes.Answer) bool {
	return a.Status == http.StatusServiceUnavailable || a.Status == http.StatusGatewayTimeout || a.Status == http.StatusTooManyRequests
}

// requestTimeout is how long a client waits for an answer; a write without a
// quorum must be refused well before.
const requestTimeout = 5 * time.Second

// findings are the promises that a round found broken.
type findings struct {
	mu   sync.Mutex
	list []Finding
}

// Finding is one promise found broken.
type Finding struct {
	Promise int    `json:"promise"` // number in Promises; 0: none of them
	What    string `json:"what"`
	Times   int    `json:"times"`
}

// maxFindings bounds what one round reports.
const maxFindings = 40

// addf notes that a promise is broken; the same words count up.
func (f *findings) addf(promise int, format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.list {
		if f.list[i].Promise == promise && f.list[i].What == what {
			f.list[i].Times++
			return
		}
	}
	if len(f.list) < maxFindings {
		f.list = append(f.list, Finding{Promise: promise, What: what, Times: 1})
	}
}

func (f *findings) all() []Finding {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Finding(nil), f.list...)
}
