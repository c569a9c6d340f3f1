package engine

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/factorial"
	"github.com/praetor-engine/praetor/internal/optimization"
)

// page is an optimization of two design factors and one of the context.
func page(model string, holdout float64) *optimization.Definition {
	level := factorial.StringOf
	return &optimization.Definition{
		Name: "page", ModelType: model, HoldoutPercentage: holdout, Excluded: []factorial.Combination{},
		TrainingDataConfig: optimization.TrainingDataConfig{
			DesignFactors: []factorial.Factor{
				{Name: "headline", Type: factorial.String, Levels: []factorial.Value{level("short"), level("long"), level("none")}},
				{Name: "badge", Type: factorial.Bool, Levels: []factorial.Value{factorial.BoolOf(false), factorial.BoolOf(true)}},
			},
			ContextFactors: []factorial.Factor{{Name: "device", Type: factorial.String, Levels: []factorial.Value{level("desktop"), level("mobile")}}},
			Reward:         optimization.Reward{Name: "signup", Type: optimization.BoolReward},
			Attribution:    optimization.Attribution{Type: "last_touch", ConversionWindowHours: 24},
		},
	}
}

func (n *node) optimization(d *optimization.Definition) *OptimizationDetail {
	n.t.Helper()
	o, _, err := n.CreateOptimization(n.ctx, n.w(), d)
	if err != nil {
		n.t.Fatalf("CreateOptimization() = %v", err)
	}
	return o
}

// serve serves a visitor and records it.
func (n *node) serveVariant(id, visitor string, cell uint64) (variant int, propensity float64) {
	n.t.Helper()
	o, err := n.Optimizer("t1", id)
	if err != nil {
		n.t.Fatal(err)
	}
	s := o.Serve(visitor, cell, now())
	if _, err := n.Expose(&o, s, visitor, cell); err != nil {
		n.t.Fatal(err)
	}
	return s.Variant, s.Propensity
}

// seen ingests exposures of long ago of the variants, n each, a share of them with a
// reward that grows with the variant.
func (n *node) seen(o *OptimizationDetail, each int, run string) {
	n.t.Helper()
	rt, err := n.machine.directory.optimization("t1", o.ID)
	if err != nil {
		n.t.Fatal(err)
	}
	space := rt.plan.Space
	at := now() - 100*24*3600_000
	var exposures, rewards []IngestEvent
	for v := range space.Variants() {
		levels := factorial.Combination{}
		for f := range space.Design {
			levels[space.Design[f].Name] = space.Level(v, f)
		}
		for i := range each {
			who := fmt.Sprint(run, "-", v, "-", i)
			exposures = append(exposures, IngestEvent{AnonymousID: who, OptimizationID: o.ID, Variant: levels, At: at})
			if i*10 < each*(v+1) {
				rewards = append(rewards, IngestEvent{AnonymousID: who, RewardName: "signup", Value: 1, At: at + 1000})
			}
		}
	}
	for _, events := range [][]IngestEvent{exposures, rewards} {
		for len(events) > 0 {
			k := min(len(events), MaxEvents)
			r, _, err := n.Ingest(n.ctx, n.w(), events[0].RewardName != "", events[:k], now())
			if err != nil || r.Accepted != k {
				n.t.Fatalf("Ingest() = %+v, %v, want %d accepted", r, err, k)
			}
			events = events[k:]
		}
	}
}

func (n *node) trainedModel(modelID string) *optimization.Model {
	n.t.Helper()
	m, _, err := n.TrainOptimizationModel(n.ctx, n.w(), modelID, nil)
	if err != nil {
		n.t.Fatalf("TrainOptimizationModel() = %v", err)
	}
	return m
}

// The state after a restart, from the log alone, from a snapshot and from both, is
// the one before; visitors keep their variants, and a replay gives it again.
func TestOptimizationsAfterARestart(t *testing.T) {
	n := fresh(t)
	a, b := n.optimization(page("cmab", 10)), n.optimization(page("mab", 0))
	n.seen(a, 40, "a")
	n.trainedModel(a.Model.ID)
	if _, _, err := n.DeleteOptimizationModel(n.ctx, n.w(), b.Model.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := n.CreateOptimizationModel(n.ctx, n.w(), b.ID); err != nil {
		t.Fatal(err)
	}
	given := map[string]int{}
	give := func(from, to int) {
		for i := range to - from {
			v := fmt.Sprint("v", from+i)
			given[v], _ = n.serveVariant(a.ID, v, uint64(i%3))
		}
	}
	give(0, 50)
	same := func(what string) {
		t.Helper()
		want := n.digest()
		n = n.restart(t)
		wantEqual(t, what, n.digest(), want)
		o, err := n.Optimizer("t1", a.ID)
		if err != nil {
			t.Fatal(err)
		}
		for v, variant := range given {
			if got := o.Serve(v, 0, now()).Variant; got != variant {
				t.Fatalf("%s: %s gets variant %d, had %d", what, v, got, variant)
			}
		}
	}
	same("from the log alone")
	n.snapshot()
	same("from a snapshot")
	give(50, 100)
	n.seen(b, 3, "b")
	n.trainedModel(a.Model.ID) // other observations: another table
	same("from a snapshot and the log after it")
	want := n.digest()
	if len(want.Models) != 2 {
		t.Errorf("the digest has %d models, want the 2 optimizations", len(want.Models))
	}
}

// Every node serves a visitor alike, whichever it was that recorded the exposure and
// wherever the model was trained.
func TestOptimizationsOnThreeNodes(t *testing.T) {
	nodes := trio(t)
	o := nodes[0].optimization(page("cmab", 10))
	var last Receipt
	sync := func() {
		t.Helper()
		for _, n := range nodes {
			if err := n.WaitApplied(n.ctx, last.Index); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := nodes[1].Barrier(nodes[1].ctx); err != nil {
		t.Fatal(err)
	}
	nodes[1].seen(o, 30, "a")
	if _, r, err := nodes[2].TrainOptimizationModel(nodes[2].ctx, nodes[2].w(), o.Model.ID, map[string]float64{"badge": 0.5}); err != nil {
		t.Fatal(err)
	} else {
		last = r
	}
	sync()
	given := map[string]int{}
	for i := range 60 {
		n, v := nodes[i%3], fmt.Sprint("v", i)
		x, err := n.Optimizer("t1", o.ID)
		if err != nil {
			t.Fatal(err)
		}
		s := x.Serve(v, 0, now())
		given[v] = s.Variant
		if last, err = n.Expose(&x, s, v, 0); err != nil {
			t.Fatal(err)
		}
	}
	nodes[2].seen(o, 30, "b")
	_, r, err := nodes[1].TrainOptimizationModel(nodes[1].ctx, nodes[1].w(), o.Model.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	last = r
	sync()
	for i, n := range nodes {
		x, err := n.Optimizer("t1", o.ID)
		if err != nil {
			t.Fatal(err)
		}
		for v, variant := range given {
			if got := x.Serve(v, 0, now()).Variant; got != variant {
				t.Errorf("node %d: %s gets variant %d, had %d before the training", i, v, got, variant)
			}
		}
	}
	first := nodes[0].digest()
	for i, n := range nodes[1:] {
		got := n.digest()
		got.Index = first.Index
		wantEqual(t, fmt.Sprint("digest of node ", i+1), got, first)
	}
}

// One training of a model at a time, and what a change of the model meanwhile makes
// of it.
func TestTrainingsOfOneModel(t *testing.T) {
	n := fresh(t)
	o := n.optimization(page("mab", 0))
	begin := func(node string) (*begunTraining, error) {
		got, _, err := do[*begunTraining](n.ctx, n.Engine, n.ptr().header(command.KindBeginOptimizationTraining), command.BeginOptimizationTraining{ModelID: o.Model.ID, Node: node})
		return got, err
	}
	_, _, err := n.TrainOptimizationModel(n.ctx, n.w(), o.Model.ID, nil)
	if decision.KindOf(err) != decision.KindConflict || !strings.Contains(err.Error(), "no observations") {
		t.Errorf("without observations: got %v, want a conflict", err)
	}
	if m, _ := n.OptimizationModel("t1", o.Model.ID); m.Model.Status != optimization.ModelCreated {
		t.Errorf("after it the model is %s, want created", m.Model.Status)
	}
	n.seen(o, 20, "a")
	begun, err := begin("another")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := n.TrainOptimizationModel(n.ctx, n.w(), o.Model.ID, nil); decision.KindOf(err) != decision.KindConflict {
		t.Errorf("beside another: got %v, want a conflict", err)
	}
	if m, _ := n.OptimizationModel("t1", o.Model.ID); m.Model.Status != optimization.ModelTraining {
		t.Errorf("meanwhile the model is %s, want training", m.Model.Status)
	}
	if err := n.endTraining(n.ctx, n.w(), o.Model.ID, begun.model.Run+1, ""); decision.KindOf(err) != decision.KindConflict {
		t.Errorf("the end of another training: got %v, want a conflict", err)
	}
	if err := n.endTraining(n.ctx, n.w(), o.Model.ID, begun.model.Run, "the disk is gone"); err != nil {
		t.Fatal(err)
	}
	if m, _ := n.OptimizationModel("t1", o.Model.ID); m.Model.Status != optimization.ModelFailed || m.Model.Problem != "the disk is gone" {
		t.Errorf("after a failure: got %+v", m.Model)
	}
	// A training of this node that nobody works on: its process was killed.
	if _, err = begin(n.config.Cluster.NodeID); err != nil {
		t.Fatal(err)
	}
	trainer := &optimizationTrainer{engine: n.Engine, tried: map[string]time.Time{}}
	trainer.look(n.ctx, time.Now())
	if m, _ := n.OptimizationModel("t1", o.Model.ID); m.Model.Status != optimization.ModelFailed || m.Model.Run != 0 {
		t.Errorf("after it was taken back: got %+v", m.Model)
	}
	if m := n.trainedModel(o.Model.ID); m.Status != optimization.ModelTrained || m.Problem != "" || m.Summary.Exposures != 120 {
		t.Errorf("trained: got %+v", m)
	}
	// The result of a training whose model is gone.
	if begun, err = begin("another"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := n.DeleteOptimizationModel(n.ctx, n.w(), o.Model.ID); err != nil {
		t.Fatal(err)
	}
	_, _, err = do[*optimization.Model](n.ctx, n.Engine, n.ptr().header(command.KindInstallOptimizationTraining), command.InstallOptimizationTraining{ModelID: o.Model.ID, Run: begun.model.Run})
	if decision.KindOf(err) != decision.KindConflict {
		t.Errorf("the result for a deleted model: got %v, want a conflict", err)
	}
	if _, _, err := n.TrainOptimizationModel(n.ctx, n.w(), o.Model.ID, nil); decision.KindOf(err) != decision.KindConflict {
		t.Errorf("an archived model: got %v, want a conflict", err)
	}
}

// ptr is a write that has an address.
func (n *node) ptr() *Write { w := n.w(); return &w }

func TestAutoTrain(t *testing.T) {
	n := fresh(t)
	d := page("mab", 0)
	d.AutoTrain = &optimization.AutoTrain{EveryObservations: 120}
	o := n.optimization(d)
	trainer := &optimizationTrainer{engine: n.Engine, tried: map[string]time.Time{}}
	status := func() *optimization.Model { m, _ := n.OptimizationModel("t1", o.Model.ID); return m.Model }
	n.seen(o, 19, "a")
	trainer.look(n.ctx, time.Now())
	if m := status(); m.Summary != nil || len(trainer.tried) != 0 {
		t.Errorf("after 114 exposures: got %+v", m)
	}
	n.seen(o, 1, "b")
	trainer.look(n.ctx, time.Now())
	until(t, n.ctx, func() bool { return status().Status == optimization.ModelTrained })
	if s := status().Summary; s.Exposures != 120 || s.Seen != 120 {
		t.Errorf("after 120 exposures: got %+v", s)
	}
	trainer.tried = map[string]time.Time{}
	trainer.look(n.ctx, time.Now())
	if len(trainer.tried) != 0 {
		t.Error("trained again without anything new")
	}
	// By time, but not without anything new.
	patch := &optimization.Patch{AutoTrain: &optimization.AutoTrain{EveryMinutes: 5}}
	if _, _, err := n.UpdateOptimization(n.ctx, n.w(), o.ID, patch); err != nil {
		t.Fatal(err)
	}
	trainer.look(n.ctx, time.Now().Add(time.Hour))
	if len(trainer.tried) != 0 {
		t.Error("trained again without anything new")
	}
	n.seen(o, 1, "c")
	trainer.look(n.ctx, time.Now())
	if len(trainer.tried) != 0 {
		t.Error("trained again at once")
	}
	trainer.look(n.ctx, time.Now().Add(time.Hour))
	until(t, n.ctx, func() bool { s := status().Summary; return s != nil && s.Exposures == 126 })
}

// A deleted tenant leaves nothing, and a group has exposures of many tenants.
func TestOptimizationsOfADeletedTenant(t *testing.T) {
	n := fresh(t)
	n.newTenant("t2")
	mine := n.optimization(page("mab", 0))
	w := n.w()
	w.Principal.TenantID = "t2"
	theirs, _, err := n.CreateOptimization(n.ctx, w, page("mab", 0))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 200 {
		tenant, id := "t1", mine.ID
		if i%2 == 1 {
			tenant, id = "t2", theirs.ID
		}
		all.Go(func() {
			o, err := n.Optimizer(tenant, id)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := n.Expose(&o, o.Serve(fmt.Sprint(i), 0, now()), fmt.Sprint(i), 0); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, id := range []string{mine.ID, theirs.ID} {
		if seen := (*n.machine.directory.optimizations.Load())[id].handle.Published().View.Seen; seen != 100 {
			t.Errorf("got %d exposures, want 100", seen)
		}
	}
	if _, err := n.Optimizer("t1", theirs.ID); decision.KindOf(err) != decision.KindNotFound {
		t.Errorf("another tenant's optimization: got %v, want not found", err)
	}
	if _, err := n.DeleteTenant(n.ctx, n.w(), "t2"); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Optimizer("t2", theirs.ID); decision.KindOf(err) != decision.KindNotFound {
		t.Errorf("a deleted tenant's optimization: got %v, want not found", err)
	}
	if d := n.digest(); len(d.Models) != 1 {
		t.Errorf("the digest has %v, want one optimization", d.Models)
	}
	if len(n.OptimizationModels("t2")) != 0 || len(n.Optimizations("t2", OrderCreated, true)) != 0 {
		t.Error("a deleted tenant has optimizations")
	}
}

// optimizationAuditCases has the changes of optimizations that are audited, like
// auditCases.
func optimizationAuditCases(n *node) []auditCase {
	var o *OptimizationDetail
	keep := func(d *OptimizationDetail, _ Receipt, err error) error {
		if err == nil {
			o = d
		}
		return err
	}
	return []auditCase{
		{"create an optimization", func(w Write) (string, error) {
			err := keep(n.CreateOptimization(n.ctx, w, page("mab", 10)))
			return o.ID, err
		}, "t1", "create", auditOptimization, `null`, `{"name":"page","status":"live","holdout_percentage":10}`, "", 0},
		{"update an optimization", func(w Write) (string, error) {
			public := true
			return o.ID, keep(n.UpdateOptimization(n.ctx, w, o.ID, &optimization.Patch{PublicServe: &public}))
		}, "t1", "update", auditOptimization, `{"public_serve":false}`, `{"public_serve":true}`, "", 0},
		{"train its model", func(w Write) (string, error) {
			n.seen(o, 2, "a") // what visitors do leaves no entry
			n.serveVariant(o.ID, "v", 0)
			_, _, err := n.TrainOptimizationModel(n.ctx, w, o.Model.ID, nil)
			return o.Model.ID, err
		}, "t1", "train", auditOptimizationModel, `{}`, `{"status":"trained"}`, "", 0},
		{"delete its model", func(w Write) (string, error) {
			_, _, err := n.DeleteOptimizationModel(n.ctx, w, o.Model.ID)
			return o.Model.ID, err
		}, "t1", "delete", auditOptimizationModel, `{"status":"trained"}`, `{"status":"archived"}`, "", 0},
		{"create a model for it", func(w Write) (string, error) {
			err := keep(n.CreateOptimizationModel(n.ctx, w, o.ID))
			return o.Model.ID, err
		}, "t1", "create", auditOptimizationModel, `null`, `{"status":"created"}`, "", 0},
	}
}

func TestServingAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	n := fresh(t)
	o := n.optimization(page("cmab", 10))
	n.seen(o, 20, "a")
	n.trainedModel(o.Model.ID)
	at, i := now(), 0
	visitors := make([]string, 1000)
	for i := range visitors {
		visitors[i] = fmt.Sprint("visitor-", i)
	}
	if allocs := testing.AllocsPerRun(1000, func() {
		x, err := n.Optimizer("t1", o.ID)
		if err != nil {
			t.Fatal(err)
		}
		x.Serve(visitors[i%len(visitors)], uint64(i%3), at)
		i++
	}); allocs != 0 {
		t.Errorf("%v allocations to serve, want 0", allocs)
	}
}

// BenchmarkServe is a serve in process, without the recording.
func BenchmarkServe(b *testing.B) {
	n := fresh(b)
	o := n.optimization(page("cmab", 10))
	n.seen(o, 20, "a")
	n.trainedModel(o.Model.ID)
	at := now()
	b.ReportAllocs()
	for b.Loop() {
		x, err := n.Optimizer("t1", o.ID)
		if err != nil {
			b.Fatal(err)
		}
		x.Serve("visitor-1", 1, at)
	}
}
