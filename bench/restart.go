package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/praetor-engine/praetor/bench/nodes"
	"github.com/praetor-engine/praetor/internal/client"
)

// RestartPlan says how much a node has.
type RestartPlan struct {
	Models       int `default:"1000" placeholder:"N" help:"Models (${default})."`
	Interactions int `default:"5000000" placeholder:"N" help:"Interactions (${default})."`
}

const (
	restartSeconds = 10    // the project's target
	stallSeconds   = 0.050 // of applies during a snapshot: the project's target
)

// Restart fills a node, takes a snapshot under a trickle of writes, kills the
// node and starts it again.
func (o *Options) Restart(ctx context.Context, plan RestartPlan) (*Report, error) {
	r := &Report{
		Name: "restart: to ready with many models and interactions",
		Method: fmt.Sprintf("one node, %d models of which 3 learn, %d interactions, default settings; a snapshot by request under one writer of single outcomes; then kill -9 and a start, %d times",
			plan.Models, plan.Interactions, o.Rounds),
	}
	dir, remove, err := o.workDir()
	if err != nil {
		return nil, err
	}
	defer remove()
	if r.Machine, err = Describe(dir); err != nil {
		return nil, err
	}
	t, err := o.startTrio(ctx, dir, 1)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	n := t.Nodes[0]
	if err := t.fill(ctx, o, n, plan); err != nil {
		return nil, err
	}
	var stalls, quiet, ready []float64
	for i := range o.Rounds {
		slowest, usual, took, err := t.stall(ctx, n)
		if err != nil {
			return nil, err
		}
		stalls, quiet = append(stalls, slowest.Seconds()), append(quiet, usual.Seconds())
		if err := n.Kill(); err != nil {
			return nil, err
		}
		began := time.Now()
		if err := n.Start(ctx); err != nil {
			return nil, err
		}
		waiting, cancel := context.WithTimeout(ctx, startTimeout)
		err = n.AwaitReady(waiting)
		cancel()
		if err != nil {
			return nil, err
		}
		ready = append(ready, time.Since(began).Seconds())
		r.Notes = append(r.Notes, fmt.Sprintf("snapshot in %v", took.Round(time.Millisecond)))
		o.logf("  round %d of %d: ready after %.2f s", i+1, o.Rounds, ready[i])
	}
	r.Figures = []Figure{
		{Name: "kill -9 and start to ready", Unit: "s", Value: Summarize(ready), AtMost: restartSeconds},
		{Name: "slowest write during a snapshot", Unit: "s", Value: Summarize(stalls), AtMost: stallSeconds},
		{Name: "slowest write in as long before it", Unit: "s", Value: Summarize(quiet)},
	}
	return r, nil
}

// fill makes the models and the interactions.
func (t *trio) fill(ctx context.Context, o *Options, n *nodes.Node, plan RestartPlan) error {
	var models []client.NewModel
	for i := len(t.models); i < plan.Models; i++ {
		name := fmt.Sprintf("model-%d", i)
		models = append(models, client.NewModel{Key: name, Name: name, ModelType: "logistic_regression", Status: "active"})
	}
	if err := t.create(ctx, n, models); err != nil {
		return err
	}
	load, err := t.bulkLoad(n)
	if err != nil {
		return err
	}
	for recorded := int64(0); recorded < int64(plan.Interactions); {
		run, err := load.Closed(ctx, o.Duration)
		if err != nil {
			return err
		}
		recorded += run.Units
		o.logf("  %d of %d interactions", recorded, plan.Interactions)
	}
	return nil
}

// stall writes one outcome after the other during a snapshot, and as long
// before it, and returns the slowest of both and how long the snapshot took.
func (t *trio) stall(ctx context.Context, n *nodes.Node) (during, before, took time.Duration, err error) {
	w, err := newWorkload()
	if err != nil {
		return 0, 0, 0, err
	}
	requests, err := w.single(t.key, groupRequests)
	if err != nil {
		return 0, 0, 0, err
	}
	conn, err := Dial(n.Addr)
	if err != nil {
		return 0, 0, 0, err
	}
	defer func() { _ = conn.Close() }()
	// until writes until ended is closed and returns the slowest.
	until := func(ended <-chan struct{}) (slowest time.Duration, err error) {
		for i := 0; ; i++ {
			select {
			case <-ended:
				return slowest, nil
			default:
			}
			began := time.Now()
			status, body, err := conn.Do(requests[i%len(requests)])
			if err == nil {
				_, err = oneUnit(status, body)
			}
			if err != nil {
				return 0, err
			}
			slowest = max(slowest, time.Since(began))
		}
	}
	quiet, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if before, err = until(quiet.Done()); err != nil {
		return 0, 0, 0, err
	}
	taken, failed := make(chan struct{}), error(nil)
	began := time.Now()
	go func() {
		defer close(taken)
		a, err := n.Do(ctx, nodes.Request{Method: http.MethodPost, Path: "/api/v1/cluster/snapshot", Body: struct{}{}})
		if err == nil && !a.OK() {
			err = fmt.Errorf("bench: snapshot: %s", &a)
		}
		took, failed = time.Since(began), err
	}()
	during, err = until(taken)
	<-taken
	return during, before, took, errors.Join(err, failed)
}
