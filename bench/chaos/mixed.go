package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"

	"github.com/praetor-engine/praetor/bench/nodes"
)

// mixedModels is about how many models the mixed tenant has; it stays within one
// page of a list.
const mixedModels = 16

// mixedFamilies is how many families they share.
const mixedFamilies = 3

// listed is a model in a list.
type listed struct {
	ID             string `json:"id"`
	Family         string `json:"family"`
	RegistryStatus string `json:"registryStatus"`
}

// mix makes, renames, moves, promotes and deletes models at random. Nothing is
// expected of any one request but an honest answer; what must hold is looked at
// by the sampler and at the end of the round.
func (w *work) mix(ctx context.Context, _ int, rng *rand.Rand) {
	at := rng.IntN(size)
	for w.pause(ctx, mixedPause) {
		m := w.members[at%size]
		models, err := w.list(ctx, m, w.keys[mixedTenant])
		if err != nil {
			at++
			continue
		}
		a, err := w.do(ctx, m, w.mixedRequest(rng, models), requestTimeout)
		if fateOf(&a, err) != acknowledged {
			at++
		}
	}
}

// mixedRequest draws what to do next.
func (w *work) mixedRequest(rng *rand.Rand, models []listed) nodes.Request {
	key := w.keys[mixedTenant]
	number := w.mixedMade.Add(1)
	name := fmt.Sprintf("mixed-%d", number)
	family := fmt.Sprintf("family-%d", rng.IntN(mixedFamilies))
	if len(models) < 4 || (len(models) < mixedModels && rng.IntN(4) == 0) {
		return nodes.Request{
			Method: http.MethodPost, Path: modelsPath, Key: key, IdempotencyKey: name,
			Body: map[string]any{"key": name, "name": name, "family": family, "modelType": "thompson_bandit"},
		}
	}
	m := models[rng.IntN(len(models))]
	path := modelsPath + "/" + m.ID
	switch n := rng.IntN(8); {
	case n == 0 || len(models) >= mixedModels:
		return nodes.Request{Method: http.MethodDelete, Path: path, Key: key}
	case n == 1:
		return nodes.Request{Method: http.MethodPut, Path: path, Key: key, Body: map[string]any{"name": name}}
	case n == 2:
		return nodes.Request{Method: http.MethodPut, Path: path, Key: key, Body: map[string]any{"family": family}}
	case w.features.Registry && n < 5 && number%16 == 0: // within the registry's rate
		return nodes.Request{
			Method: http.MethodPost, Path: "/api/v1/models/" + m.ID + "/registry", Key: key, IdempotencyKey: name,
			Body: map[string]any{"status": []string{"challenger", "champion", "champion"}[rng.IntN(3)], "actor": "chaos"},
		}
	}
	return nodes.Request{Method: http.MethodPut, Path: path, Key: key, Body: map[string]any{"description": name}}
}

// list reads a tenant's models as a node has them now.
func (w *life) list(ctx context.Context, m *member, key string) ([]listed, error) {
	ctx, cancel := context.WithTimeout(ctx, scoreTimeout)
	defer cancel()
	a, err := m.Do(ctx, nodes.Request{Method: http.MethodGet, Path: modelsPath + "?limit=100", Key: key})
	if err != nil {
		return nil, err
	}
	var page struct{ Data []listed }
	err = a.Decode(&page)
	return page.Data, err
}

// sample looks at the registries of one node for families with two champions, at
// every moment that it catches.
func (w *work) sample(ctx context.Context, m *member) {
	tenants := []string{mixedTenant}
	for _, r := range w.registers {
		tenants = append(tenants, r.tenant)
	}
	for n := 0; w.pause(ctx, samplePause); n++ {
		if m.down.Load() {
			continue
		}
		tenant := tenants[n%len(tenants)]
		models, err := w.list(ctx, m, w.keys[tenant])
		if err != nil {
			continue
		}
		w.samples.Add(1)
		for family, n := range championsOf(models) {
			if n > 1 {
				w.findings.addf(2, "family %s of tenant %s has %d champions on %s", family, tenant, n, m.ID())
			}
		}
	}
}

// championsOf counts the champions of each family.
func championsOf(models []listed) map[string]int {
	count := map[string]int{}
	for _, m := range models {
		if m.RegistryStatus == champion.String() {
			count[m.Family]++
		}
	}
	return count
}
