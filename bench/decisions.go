package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/praetor-engine/praetor/internal/client"
)

// decisionsTarget is what remains of the throughput where every decision is
// logged: a record is written for each, and both cores are shared with the client.
const decisionsTarget = 0.8

// Decisions measures scores and rankings of a model whose decisions are all logged
// against one of the same node whose are not. The model is a scorecard, the
// cheapest to score, so the share of the logging is the greatest.
func (o *Options) Decisions(ctx context.Context) (_ *Report, err error) {
	dir, remove, err := o.workDir()
	if err != nil {
		return nil, err
	}
	defer remove()
	r := &Report{
		Name: "decision log: a model whose decisions are all logged against one whose are not",
		Method: fmt.Sprintf("closed loop, %d attributes, %d connections kept alive, rankings of %d offers, both models in one node, client on the same machine",
			attributes, scoreConns, rankedOffers),
	}
	if r.Machine, err = Describe(dir); err != nil {
		return nil, err
	}
	node, err := o.StartEngine(ctx, filepath.Join(dir, "node"), "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, node.Stop()) }()
	specs := append(scoredModels()[1:2:2], scoredModels()[1])
	specs[0].Key, specs[1].Key = "logged", "silent"
	ids, err := node.createAll(ctx, specs)
	if err != nil {
		return nil, err
	}
	if _, err := node.Client.SetDecisionLog(ctx, ids[0], false, client.DecisionLogFields{Enabled: true}); err != nil {
		return nil, err
	}
	for _, route := range []string{"score", "score-offer-set"} {
		var variants [2]*variant
		for i, name := range []string{", logged", ", not logged"} {
			requests, err := monitoredBodies(route, "/api/v1/algorithm-models/"+ids[i], node.Key)
			if err != nil {
				return nil, err
			}
			variants[i] = &variant{
				name: route + name, pid: node.Pid(), engine: node,
				load: &Load{Addr: node.Addr, Requests: requests, Conns: scoreConns, Units: oneUnit},
			}
		}
		if err := o.alternate(ctx, variants[0], variants[1]); err != nil {
			return nil, err
		}
		r.Rows = append(r.Rows, variants[0].row("requests"), variants[1].row("requests"))
		r.Ratios = append(r.Ratios, ratio(variants[0], variants[1], decisionsTarget))
		r.Figures = append(r.Figures, Figure{
			Name: "CPU of the node, " + route + ": logged / not logged", Unit: "ratio",
			Value: Summarize(ratios(variants[0].serverCPU, variants[1].serverCPU)),
		})
	}
	return r, o.dropped(ctx, node, r)
}

// dropped adds the share of the records that the log had no room for.
func (o *Options) dropped(ctx context.Context, node *Engine, r *Report) error {
	var written, dropped float64
	for name, v := range map[string]*float64{"records": &written, "dropped": &dropped} {
		var err error
		if *v, err = node.Metric(ctx, "praetor_decision_log_"+name+"_total"); err != nil {
			return err
		}
	}
	r.Figures = append(r.Figures, Figure{
		Name: "records that found no room", Unit: "share", Value: Summarize([]float64{dropped / max(written+dropped, 1)}),
	})
	return nil
}
