package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/praetor-engine/praetor/internal/client"
)

// monitoringTarget is the project's: what served scores cost to monitor is below
// 5 % of the throughput.
const monitoringTarget = 0.95

// rankedOffers is how many offers a ranking has here.
const rankedOffers = 20

// monitored are the loads: scores and rankings of a scorecard, the cheapest model
// to score, so that the share of the monitoring is the greatest, and rankings of
// the cheapest bandit, whose arms are counted too.
var monitored = []struct {
	name, route string
	model       int // of scoredModels
}{{"score", "score", 1}, {"score-offer-set", "score-offer-set", 1}, {"score-offer-set of a bandit", "score-offer-set", 2}}

// Monitoring measures scores and rankings of a node that monitors what it serves
// against one that does not.
func (o *Options) Monitoring(ctx context.Context) (_ *Report, err error) {
	dir, remove, err := o.workDir()
	if err != nil {
		return nil, err
	}
	defer remove()
	r := &Report{
		Name: "monitoring: a node that monitors the scores it serves against one that does not",
		Method: fmt.Sprintf("closed loop, %d attributes, %d connections kept alive, %d customers, each node in its own process, client on the same machine",
			attributes, scoreConns, scoreRequests),
	}
	if r.Machine, err = Describe(dir); err != nil {
		return nil, err
	}
	var nodes [2]*Engine
	var ids [2][]string
	for i, flag := range []string{"--monitor-scores=262144", "--monitor-scores=0"} {
		e, err := o.StartEngine(ctx, filepath.Join(dir, strconv.Itoa(i)), "", flag)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, e.Stop()) }()
		if ids[i], err = e.createAll(ctx, scoredModels()[:3]); err != nil {
			return nil, err
		}
		nodes[i] = e
	}
	for _, m := range monitored {
		var variants [2]*variant
		for i, name := range []string{", monitored", ", not monitored"} {
			requests, err := monitoredBodies(m.route, "/api/v1/algorithm-models/"+ids[i][m.model], nodes[i].Key)
			if err != nil {
				return nil, err
			}
			variants[i] = &variant{
				name: m.name + name, pid: nodes[i].Pid(), engine: nodes[i],
				load: &Load{Addr: nodes[i].Addr, Requests: requests, Conns: scoreConns, Units: oneUnit},
			}
		}
		if err := o.alternate(ctx, variants[0], variants[1]); err != nil {
			return nil, err
		}
		r.Rows = append(r.Rows, variants[0].row("requests"), variants[1].row("requests"))
		r.Ratios = append(r.Ratios, ratio(variants[0], variants[1], monitoringTarget))
		r.Figures = append(r.Figures, Figure{
			Name: "CPU of the node, " + m.name + ": monitored / not monitored", Unit: "ratio",
			Value: Summarize(ratios(variants[0].serverCPU, variants[1].serverCPU)), AtMost: 1.05,
		})
	}
	return r, nil
}

// monitoredBodies are requests of customers with names, whose scores wait for
// outcomes.
func monitoredBodies(route, path, key string) ([][]byte, error) {
	w, err := newWorkload()
	if err != nil {
		return nil, err
	}
	offers := make([]client.Offer, rankedOffers)
	for i := range offers {
		offers[i] = client.Offer{ID: "offer-" + strconv.Itoa(i), Attributes: map[string]any{"fee": i}}
	}
	out := make([][]byte, scoreRequests)
	for i := range out {
		v, row := w.visitor()
		customer := v.Customer.ID()
		var body any = client.ScoreRequest{Attributes: row, CustomerID: customer, OfferID: "offer-0"}
		if route != "score" {
			body = client.OfferSet{CustomerAttributes: row, CustomerID: customer, Offers: offers}
		}
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("bench: %w", err)
		}
		out[i] = PrepareRequest(path+"/"+route+"?explain=false", key, b)
	}
	return out, nil
}
