package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"

	"github.com/praetor-engine/praetor/internal/client"
)

const (
	serveConns    = 256
	serveRequests = 65_536
	// serveTarget is the project's, for the row with the exposure recorded.
	serveTarget = 0.4
)

// page is an optimization of a page: 24 variants, 12 contexts.
func page() client.NewOptimization {
	return client.NewOptimization{
		Name: "page", ModelType: "cmab", HoldoutPercentage: 10,
		TrainingDataConfig: client.TrainingDataConfig{
			DesignFactors: []client.Factor{
				{Name: "headline", Dtype: "str", Levels: []any{"short", "long", "question", "none"}},
				{Name: "image", Dtype: "str", Levels: []any{"people", "product", "none"}},
				{Name: "badge", Dtype: "bool", Levels: []any{false, true}},
			},
			ContextFactors: []client.Factor{
				{Name: "device", Dtype: "str", Levels: []any{"desktop", "mobile", "tablet"}},
				{Name: "returning", Dtype: "bool", Levels: []any{false, true}},
			},
			Reward:      client.RewardConfig{Name: "signup", Type: "bool"},
			Attribution: client.AttributionConfig{Type: "last_touch", ConversionWindowHours: 1},
		},
	}
}

// Serve measures POST …/serve, whose exposure is on disk before the answer, against a
// bare server that answers a constant of the same size.
func (o *Options) Serve(ctx context.Context) (_ *Report, err error) {
	dir, remove, err := o.workDir()
	if err != nil {
		return nil, err
	}
	defer remove()
	r := &Report{
		Name: "serve: POST …/serve with a durable exposure against a bare fasthttp server",
		Method: fmt.Sprintf("closed loop, %d connections kept alive, %d visitors, one node, fsync on, each server in its own process, client on the same machine",
			serveConns, serveRequests),
	}
	if r.Machine, err = Describe(dir); err != nil {
		return nil, err
	}
	e, err := o.StartEngine(ctx, filepath.Join(dir, "engine"), "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Stop()) }()
	made, err := e.CreateOptimization(ctx, page())
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	if err := e.teachPage(ctx, &made); err != nil {
		return nil, err
	}
	path := "/api/v2/optimizations/" + made.ID + "/serve"
	recorded, err := serveBodies(path, e.Key, false)
	if err != nil {
		return nil, err
	}
	dry, err := serveBodies(path, e.Key, true)
	if err != nil {
		return nil, err
	}
	answer, err := answerTo(e.Addr, recorded[0])
	if err != nil {
		return nil, err
	}
	bare, addr, err := o.startBare(ctx, answer)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, bare.Stop()) }()
	if err := sameAnswer(addr, recorded[0], answer); err != nil {
		return nil, err
	}
	load := func(name, addr string, pid int, engine *Engine, requests [][]byte) *variant {
		return &variant{name: name, pid: pid, engine: engine, load: &Load{Addr: addr, Requests: requests, Conns: serveConns, Units: oneUnit}}
	}
	v := load("serve, exposure on disk", e.Addr, e.Pid(), e, recorded)
	d := load("serve, dry run", e.Addr, e.Pid(), e, dry)
	b := load(fmt.Sprintf("bare, %d bytes", len(answer.Body)), addr, bare.Pid(), nil, recorded)
	if err := o.alternate(ctx, v, b, d); err != nil {
		return nil, err
	}
	r.Rows = []Row{v.row("requests"), d.row("requests"), b.row("requests")}
	r.Ratios = []Ratio{ratio(v, b, serveTarget), ratio(d, b, 0)}
	note, err := e.entriesNote(ctx, "the node")
	if err != nil {
		return nil, err
	}
	r.Notes = append(r.Notes, note)
	return r, nil
}

// teachPage records observations and trains the model.
func (e *Engine) teachPage(ctx context.Context, o *client.Optimization) error {
	rng := rand.New(rand.NewPCG(seed, 5))
	design := o.TrainingDataConfig.DesignFactors
	for batch := range 8 {
		var exposures []client.Exposure
		var rewards []client.Reward
		for i := range 500 {
			who := fmt.Sprintf("taught-%d-%d", batch, i)
			variant := client.Combination{}
			for _, f := range design {
				variant[f.Name] = f.Levels[rng.IntN(len(f.Levels))]
			}
			exposures = append(exposures, client.Exposure{AnonymousID: who, OptimizationID: o.ID, Variant: variant, Context: visitorContext(rng)})
			if rng.Float64() < 0.3 {
				rewards = append(rewards, client.Reward{AnonymousID: who, Name: "signup"})
			}
		}
		if _, err := e.RecordExposures(ctx, exposures); err != nil {
			return fmt.Errorf("bench: teach: %w", err)
		}
		if _, err := e.RecordRewards(ctx, rewards); err != nil {
			return fmt.Errorf("bench: teach: %w", err)
		}
	}
	if _, err := e.TrainOptimizationModel(ctx, o.ModelID, nil); err != nil {
		return fmt.Errorf("bench: train: %w", err)
	}
	return nil
}

func visitorContext(rng *rand.Rand) map[string]any {
	return map[string]any{"device": []string{"desktop", "mobile", "tablet"}[rng.IntN(3)], "returning": rng.IntN(2) == 1}
}

// serveBodies are serves of as many visitors.
func serveBodies(path, key string, dry bool) ([][]byte, error) {
	rng := rand.New(rand.NewPCG(seed, 6))
	out := make([][]byte, serveRequests)
	for i := range out {
		b, err := json.Marshal(client.ServeRequest{AnonymousID: fmt.Sprintf("%08x-%04x-4bad-9cab-%012x", rng.Uint32(), rng.Uint32N(1<<16), i), Context: visitorContext(rng), DryRun: dry})
		if err != nil {
			return nil, fmt.Errorf("bench: %w", err)
		}
		out[i] = PrepareRequest(path, key, b)
	}
	return out, nil
}
