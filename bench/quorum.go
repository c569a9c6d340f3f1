package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/praetor-engine/praetor/bench/nodes"
)

const (
	quorumConns = 16
	quorumSends = 20 // writes that must be refused
	// quorumTarget is the project's: a write is refused within so many seconds.
	quorumTarget = 2
)

// Quorum takes the quorum away and gives it back: how fast writes are refused,
// how fast the survivor scores, how soon all are whole again.
func (o *Options) Quorum(ctx context.Context) (*Report, error) {
	r := &Report{
		Name: "quorum: two of three nodes are lost and come back",
		Method: fmt.Sprintf("kill -9 of two nodes, default settings; %d writes to the survivor one after the other; scores in a closed loop of %d connections, before and without the quorum",
			quorumSends, quorumConns),
	}
	var refused, before, during, whole []float64
	err := o.inRounds(ctx, r, func(ctx context.Context, dir string) (err error) {
		t, err := o.startTrio(ctx, dir, 3)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, t.Close()) }()
		survivor, err := t.AwaitLeader(ctx)
		if err != nil {
			return err
		}
		load := &Load{Addr: survivor.Addr, Requests: t.scoreRequests(0), Conns: quorumConns, Units: oneUnit}
		if _, err := load.Closed(ctx, o.Duration/2); err != nil {
			return err
		}
		run, err := load.Closed(ctx, o.Duration)
		if err != nil {
			return err
		}
		before = append(before, run.Rate())
		var others []*nodes.Node
		for _, n := range t.Nodes {
			if n != survivor {
				others = append(others, n)
				if err := n.Kill(); err != nil {
					return err
				}
			}
		}
		slowest, err := refusals(ctx, survivor, t.key)
		if err != nil {
			return err
		}
		refused = append(refused, slowest.Seconds())
		if run, err = load.Closed(ctx, o.Duration); err != nil {
			return err
		}
		during = append(during, run.Rate())
		began := time.Now()
		for _, n := range others {
			if err := n.Start(ctx); err != nil {
				return err
			}
		}
		if err := t.AwaitReady(ctx); err != nil {
			return err
		}
		whole = append(whole, time.Since(began).Seconds())
		return nil
	})
	r.Figures = []Figure{
		{Name: "slowest refusal of a write without a quorum", Unit: "s", Value: Summarize(refused), AtMost: quorumTarget},
		{Name: "scores without a quorum", Unit: "1/s", Value: Summarize(during)},
		{Name: "start of the two to ready everywhere", Unit: "s", Value: Summarize(whole)},
	}
	r.Ratios = []Ratio{{Of: "scores on the survivor without a quorum", To: "scores with all nodes up", Ratio: Summarize(ratios(during, before))}}
	return r, err
}

// refusals writes to a node without a quorum, from the moment it was lost on,
// and returns how long the slowest answer took.
func refusals(ctx context.Context, n *nodes.Node, key string) (slowest time.Duration, err error) {
	for i := range quorumSends {
		began := time.Now()
		a, err := n.Do(ctx, nodes.Request{
			Method: http.MethodPost, Path: "/api/v1/respond", Key: key,
			Body: map[string]string{"customerId": "c", "outcome": "accept", "offerId": "o", "idempotencyKey": fmt.Sprintf("refused-%d", i)},
		})
		if err != nil {
			return 0, err
		}
		if a.OK() {
			return 0, fmt.Errorf("bench: a write without a quorum was acknowledged")
		}
		slowest = max(slowest, time.Since(began))
	}
	return slowest, nil
}
