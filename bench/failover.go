package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/praetor-engine/praetor/bench/nodes"
)

const (
	failoverRate  = 2000 // writes a second
	failoverConns = 64
	scoreRate     = 1000 // a second and survivor
	survivorConns = 8
	failoverLead  = 3 * time.Second // load before the kill
	failoverTail  = 6 * time.Second // and after it
	// failoverTarget is the project's: writes resume within so many seconds.
	failoverTarget = 3
)

// Failover kills the leader under single writes at a fixed rate, and measures
// how long nothing is acknowledged and what scoring on the survivors loses.
func (o *Options) Failover(ctx context.Context) (*Report, error) {
	r := &Report{
		Name: "failover: kill -9 of the leader under writes",
		Method: fmt.Sprintf("three nodes, default settings; %d single outcomes/s due on %d connections over all nodes, resent elsewhere when refused; %d scores/s due on each survivor",
			failoverRate, failoverConns, scoreRate),
	}
	var gaps, lost, rates []float64
	err := o.inRounds(ctx, r, func(ctx context.Context, dir string) error {
		gap, lostScores, scored, rate, err := o.failoverRound(ctx, dir, r)
		gaps, lost, rates = append(gaps, gap.Seconds()), append(lost, float64(lostScores)), append(rates, rate)
		if lostScores > 0 {
			r.Faults = append(r.Faults, fmt.Sprintf("%d of %d scores on the survivors were lost", lostScores, scored))
		}
		return err
	})
	r.Figures = []Figure{
		{Name: "longest time without an acknowledged write", Unit: "s", Value: Summarize(gaps), AtMost: failoverTarget},
		{Name: "writes acknowledged in the last 2 s", Unit: "1/s", Value: Summarize(rates)},
		{Name: "scores lost on the survivors", Unit: "requests", Value: Summarize(lost)},
	}
	return r, err
}

func (o *Options) failoverRound(ctx context.Context, dir string, r *Report) (gap time.Duration, lost int64, scored int, rate float64, err error) {
	t, err := o.startTrio(ctx, dir, 3)
	if err != nil {
		return 0, 0, 0, 0, err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	leader, err := t.AwaitLeader(ctx)
	if err != nil {
		return 0, 0, 0, 0, err
	}
	w, err := newWorkload()
	if err != nil {
		return 0, 0, 0, 0, err
	}
	requests, err := w.single(t.key, groupRequests)
	if err != nil {
		return 0, 0, 0, 0, err
	}
	var all []string
	var scores []*stream
	loading, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan struct{})
	running := 1
	for _, n := range t.Nodes {
		all = append(all, n.Addr)
		if n != leader {
			s := &stream{addrs: only(n), requests: t.scoreRequests(0), conns: survivorConns, rate: scoreRate}
			scores = append(scores, s)
			running++
			go func() { s.run(loading); done <- struct{}{} }()
		}
	}
	writes := &stream{addrs: func() []string { return all }, requests: requests, conns: failoverConns, rate: failoverRate, retry: true}
	go func() { writes.run(loading); done <- struct{}{} }()
	if err := wait(ctx, failoverLead); err != nil {
		return 0, 0, 0, 0, err
	}
	killed := time.Now()
	if err := leader.Kill(); err != nil {
		return 0, 0, 0, 0, err
	}
	if err := wait(ctx, failoverTail); err != nil {
		return 0, 0, 0, 0, err
	}
	ended := time.Now()
	stop()
	for range running {
		<-done
	}
	for _, s := range scores {
		lost += s.failures()
		scored += len(s.acked)
	}
	r.Notes = append(r.Notes, fmt.Sprintf("%d/s acknowledged before the kill; refused or cut off and sent again after it: %v; %d scores on the survivors, %d lost",
		writes.between(killed.Add(-2*time.Second), killed)/2, writes.failed, scored, lost))
	return writes.longestGap(killed, ended), lost, scored, float64(writes.between(ended.Add(-2*time.Second), ended)) / 2, nil
}

// only sends to one node.
func only(n *nodes.Node) func() []string { return func() []string { return []string{n.Addr} } }
