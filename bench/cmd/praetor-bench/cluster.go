package main

import (
	"context"

	"github.com/praetor-engine/praetor/bench"
	"github.com/praetor-engine/praetor/bench/rawraft"
)

// clusterCommands measure several nodes on this machine.
type clusterCommands struct {
	Failover   failoverCommand   `cmd:"" help:"Kill the leader under writes: how long none is acknowledged, and what scoring loses."`
	Quorum     quorumCommand     `cmd:"" help:"Take the quorum away and give it back: refusals, scores, the way back."`
	CatchUp    catchUpCommand    `cmd:"" help:"A follower far behind: seconds until it is whole by snapshot, and the load's rate meanwhile."`
	Restart    restartCommand    `cmd:"" help:"Restart to ready with many models and interactions, and what a snapshot stalls."`
	Replicated replicatedCommand `cmd:"" help:"Three nodes beside one, and beside the Raft library alone."`
}

type failoverCommand struct{ common }

// Run measures.
func (c *failoverCommand) Run(ctx context.Context, s streams) error {
	return c.measure(s, func(o *bench.Options) (*bench.Report, error) { return o.Failover(ctx) })
}

type quorumCommand struct{ common }

// Run measures.
func (c *quorumCommand) Run(ctx context.Context, s streams) error {
	return c.measure(s, func(o *bench.Options) (*bench.Report, error) { return o.Quorum(ctx) })
}

type catchUpCommand struct {
	common
	bench.CatchUpPlan `embed:""`
}

// Run measures.
func (c *catchUpCommand) Run(ctx context.Context, s streams) error {
	return c.measure(s, func(o *bench.Options) (*bench.Report, error) { return o.CatchUp(ctx, c.CatchUpPlan) })
}

type restartCommand struct {
	common
	bench.RestartPlan `embed:""`
}

// Run measures.
func (c *restartCommand) Run(ctx context.Context, s streams) error {
	return c.measure(s, func(o *bench.Options) (*bench.Report, error) { return o.Restart(ctx, c.RestartPlan) })
}

type replicatedCommand struct{ common }

// Run measures.
func (c *replicatedCommand) Run(ctx context.Context, s streams) error {
	return c.measure(s, func(o *bench.Options) (*bench.Report, error) { return o.Replicated(ctx) })
}

type raftCommand struct{}

// Run serves.
func (*raftCommand) Run(ctx context.Context, s streams) error {
	return rawraft.Serve(ctx, s.in, s.out)
}
