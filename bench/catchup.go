package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/praetor-engine/praetor/bench/nodes"
)

// CatchUpPlan says how far behind a follower is left.
type CatchUpPlan struct {
	Behind int `default:"1000000" placeholder:"N" help:"Outcomes that the follower misses (${default})."`
}

const (
	catchUpSeconds = 60  // the project's target, on two cores
	catchUpRate    = 0.5 // of the leader's rate before: the project's target
)

// catchUpFlags keep the log short, so that the follower needs a snapshot.
var catchUpFlags = []string{"--snapshot-entries=256", "--snapshot-interval=5s", "--trailing-entries=512"}

// CatchUp leaves a follower behind until it needs a snapshot, and measures how
// long it takes to be whole while the load goes on, and what that costs the load.
func (o *Options) CatchUp(ctx context.Context, plan CatchUpPlan) (*Report, error) {
	r := &Report{
		Name: "catch-up: a follower far behind, by snapshot",
		Method: fmt.Sprintf("three nodes, %d outcomes missed by one, %d a request on %d connections; the load goes on while it catches up; %v",
			plan.Behind, BulkSize, outcomeConns, catchUpFlags),
	}
	var seconds, before, during []float64
	err := o.inRounds(ctx, r, func(ctx context.Context, dir string) (err error) {
		t, err := o.startTrio(ctx, dir, 3, catchUpFlags...)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, t.Close()) }()
		leader, err := t.AwaitLeader(ctx)
		if err != nil {
			return err
		}
		behind := t.Nodes[0]
		if behind == leader {
			behind = t.Nodes[1]
		}
		if err := behind.Kill(); err != nil {
			return err
		}
		load, err := t.bulkLoad(leader)
		if err != nil {
			return err
		}
		var refused atomic.Int64
		load.Units = func(status int, body []byte) (int, error) {
			if status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout {
				refused.Add(1)
				return 0, nil
			}
			return bulkUnits(status, body)
		}
		missed, rates := int64(0), []float64{}
		for missed < int64(plan.Behind) {
			run, err := load.Closed(ctx, o.Duration)
			if err != nil {
				return err
			}
			missed += run.Units
			rates = append(rates, run.Rate())
			o.logf("  %d of %d outcomes missed, %.0f/s", missed, plan.Behind, run.Rate())
		}
		early := refused.Load()
		before = append(before, Summarize(rates).Median)
		took, slowest, rate, err := catchUp(ctx, t, behind, leader, load)
		seconds, during = append(seconds, took.Seconds()), append(during, rate)
		r.Notes = append(r.Notes, fmt.Sprintf("%d outcomes missed; whole after %.1f s with the load going on at %.0f/s, %.0f/s before; %d requests refused or in doubt before, %d meanwhile, of which the slowest answer took %.1f s",
			missed, took.Seconds(), rate, Summarize(rates).Median, early, refused.Load()-early, slowest.Seconds()))
		return err
	})
	r.Figures = []Figure{{Name: "from start to ready at the leader's index", Unit: "s", Value: Summarize(seconds), AtMost: catchUpSeconds}}
	r.Ratios = []Ratio{{Of: "outcomes acknowledged meanwhile", To: "before", Ratio: Summarize(ratios(during, before)), Target: catchUpRate}}
	return r, err
}

// catchUp starts a node under the load and waits until it is where the leader
// is.
func catchUp(ctx context.Context, t *trio, behind, leader *nodes.Node, load *Load) (took, slowest time.Duration, rate float64, err error) {
	loading, stop := context.WithCancel(ctx)
	defer stop()
	type result struct {
		run Run
		err error
	}
	done := make(chan result, 1)
	began := time.Now()
	go func() {
		run, err := load.Closed(loading, startTimeout)
		done <- result{run, err}
	}()
	waiting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := behind.Start(ctx); err != nil {
		return 0, 0, 0, err
	}
	err = nodes.Await(waiting, func(ctx context.Context) error {
		if err := behind.Ready(ctx); err != nil {
			return err
		}
		want, err := leader.Status(ctx)
		if err != nil {
			return err
		}
		have, err := behind.Status(ctx)
		if err == nil && have.AppliedIndex < want.AppliedIndex {
			err = fmt.Errorf("bench: has applied %d, the leader %d", have.AppliedIndex, want.AppliedIndex)
		}
		return err
	})
	took = time.Since(began)
	stop()
	loaded := <-done
	if err == nil && !errors.Is(loaded.err, context.Canceled) {
		err = loaded.err
	}
	return took, time.Duration(loaded.run.Latency.Max()) * time.Microsecond, loaded.run.Rate(), err
}

// bulkLoad is outcomes in bulk to one node.
func (t *trio) bulkLoad(n *nodes.Node) (*Load, error) {
	w, err := newWorkload()
	if err != nil {
		return nil, err
	}
	requests, err := w.bulk(t.key, outcomeRequests)
	if err != nil {
		return nil, err
	}
	return &Load{Addr: n.Addr, Requests: requests, Conns: outcomeConns, Units: bulkUnits}, nil
}
