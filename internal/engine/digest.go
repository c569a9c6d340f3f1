package engine

import (
	"context"
	"fmt"
	"hash/fnv"
	"os"

	"github.com/rs/zerolog"

	"github.com/praetor-engine/praetor/actors"
	"github.com/praetor-engine/praetor/cluster"
	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/event"
	"github.com/praetor-engine/praetor/internal/history"
	"github.com/praetor-engine/praetor/internal/monitor"
	"github.com/praetor-engine/praetor/internal/optimization"
	"github.com/praetor-engine/praetor/internal/webhook"
)

// Digest is a fingerprint of everything learned as of one log index, to compare
// replicas with each other and a restored node with a replay of its log.
type Digest struct {
	Index        uint64            `json:"index"`
	Models       map[string]string `json:"models"`       // id → FNV-1a 64 of the state, or fault@index
	Interactions map[string]int64  `json:"interactions"` // tenant → recorded and kept
	Registry     string            `json:"registry"`     // FNV-1a 64 of everything else that is replicated but outcomes
	Monitoring   string            `json:"monitoring"`   // FNV-1a 64 of what is known of the models' service
}

// pendingDigest is a digest whose models are still answering.
type pendingDigest struct {
	index        uint64
	models       []capturedModel
	interactions map[string]int64
	catalogue    *catalogue.Capture
	book         *monitor.Capture
	registry     *optimization.Registry
	events       *event.Capture
	webhooks     *webhook.Capture
}

// applyDigest marks the cut; the states come from the actors afterwards, so the
// log does not wait.
func applyDigest(m *machine, ctx *entryContext, _ string, _ nothing) (*pendingDigest, error) {
	d := &pendingDigest{
		index: ctx.index, models: append(m.captureModels(), m.captureOptimizations((*actors.Optimization).Digest)...),
		interactions: map[string]int64{}, catalogue: m.catalogue.Capture(), book: m.book.Capture(), registry: m.optimizations.Capture(),
	}
	d.events, d.webhooks = m.events.Capture(), m.webhooks.Capture()
	for id, t := range m.tenants {
		d.interactions[id] = m.history.Count(t.Ordinal)
	}
	return d, nil
}

func (p *pendingDigest) wait(ctx context.Context) (Digest, error) {
	d := Digest{Index: p.index, Models: map[string]string{}, Interactions: p.interactions}
	registry, err := p.catalogue.Registry()
	if err != nil {
		return d, err
	}
	experiments, err := p.catalogue.AppendExperimentsDigest(nil)
	if err != nil {
		return d, err
	}
	optimizations, err := p.registry.Append(nil)
	if err != nil {
		return d, err
	}
	webhooks, err := p.webhooks.Encode()
	if err != nil {
		return d, err
	}
	d.Registry = fingerprint(registry, experiments, optimizations, p.events.Append(nil), webhooks)
	d.Monitoring = fingerprint(p.book.Append(nil))
	for _, c := range p.models {
		select {
		case captured := <-c.state:
			d.Models[c.id] = digestOf(captured)
		case <-ctx.Done():
			return d, decision.Errorf(decision.KindUnavailable, "model %s did not answer in time", c.id)
		}
	}
	return d, nil
}

func digestOf(c actors.Captured) string {
	if c.Fault != nil {
		return fmt.Sprintf("fault@%d", c.Fault.Index)
	}
	return fingerprint(c.State, c.Evidence)
}

func fingerprint(parts ...[]byte) string {
	h := fnv.New64a()
	for _, b := range parts {
		_, _ = h.Write(b)
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// Digest returns the digest at a place in the log that it makes, so that all
// writes acknowledged before are in it.
func (e *Engine) Digest(ctx context.Context) (Digest, error) {
	p, _, err := do[*pendingDigest](ctx, e, &command.Header{Kind: command.KindDigest}, nothing{})
	if err != nil {
		return Digest{}, err
	}
	return p.wait(ctx)
}

// Replay applies the whole log of a stopped node, from its first entry and
// without any snapshot, and returns the digest of what comes out. Nothing of
// the node's is written. A log whose beginning a snapshot has replaced cannot
// be replayed.
func Replay(ctx context.Context, dataDir string, log zerolog.Logger) (d Digest, err error) {
	scratch, err := os.MkdirTemp("", "praetor-replay-")
	if err != nil {
		return d, fmt.Errorf("engine: replay: %w", err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	options := history.DefaultOptions()
	options.Logger = log
	store, err := history.Open(scratch, options)
	if err != nil {
		return d, fmt.Errorf("engine: replay: %w", err)
	}
	m := newMachine(store, actors.NewSystem(log, nil), log)
	defer func() { _ = m.close() }()
	index, err := cluster.Replay(dataDir, m)
	if err != nil {
		return d, fmt.Errorf("engine: replay: %w", err)
	}
	p, err := applyDigest(m, &entryContext{index: index}, "", nothing{})
	if err != nil {
		return d, err
	}
	return p.wait(ctx)
}
