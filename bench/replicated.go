package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"

	"github.com/praetor-engine/praetor/bench/nodes"
	"github.com/praetor-engine/praetor/bench/rawraft"
	"github.com/praetor-engine/praetor/cluster"
	"github.com/praetor-engine/praetor/snapshot"
)

// RaftCommand is the child that is the Raft library alone.
const RaftCommand = "raft"

// rawTarget is the project's: three nodes reach so much of the bytes a second
// that the Raft library alone reaches.
const rawTarget = 0.5

// replicatedFlags keep the log whole, to be read for its entries' sizes.
var replicatedFlags = []string{"--snapshot-entries=" + strconv.Itoa(keepLog/2), "--snapshot-bytes=" + strconv.Itoa(keepLog), "--trailing-entries=" + strconv.Itoa(keepLog)}

// Replicated measures bulk and single outcomes on three nodes beside one, and
// beside the Raft library alone with entries of the same size.
func (o *Options) Replicated(ctx context.Context) (_ *Report, err error) {
	r := &Report{
		Name: "replicated: three nodes beside one, and beside the Raft library alone",
		Method: fmt.Sprintf("closed loop to the leader, fsync on, client on the same machine; in bulk %d outcomes a request on %d connections, single on one connection; the library applies entries of the size that the node's log has, from %d clients in the leader's process",
			BulkSize, outcomeConns, outcomeConns),
	}
	dir, remove, err := o.workDir()
	if err != nil {
		return nil, err
	}
	defer remove()
	if r.Machine, err = Describe(dir); err != nil {
		return nil, err
	}
	var bulk, single []*variant
	var one *trio
	for _, size := range []int{3, 1} {
		name := fmt.Sprintf("%d nodes", size)
		if size == 1 {
			name = "1 node"
		}
		if err := os.MkdirAll(dirOf(dir, name), 0o700); err != nil {
			return nil, err
		}
		t, err := o.startTrio(ctx, dirOf(dir, name), size, replicatedFlags...)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, t.Close()) }()
		one = t
		leader, err := t.AwaitLeader(ctx)
		if err != nil {
			return nil, err
		}
		load, err := t.bulkLoad(leader)
		if err != nil {
			return nil, err
		}
		bulk = append(bulk, &variant{name: name + ", bulk", pid: leader.Process().Pid(), load: load})
		w, err := newWorkload()
		if err != nil {
			return nil, err
		}
		requests, err := w.single(t.key, groupRequests)
		if err != nil {
			return nil, err
		}
		single = append(single, &variant{
			name: name + ", single", pid: leader.Process().Pid(),
			load: &Load{Addr: leader.Addr, Requests: requests, Conns: 1, Units: oneUnit},
		})
	}
	if err := o.alternate(ctx, append(append([]*variant{}, bulk...), single...)...); err != nil {
		return nil, err
	}
	for _, v := range append(append([]*variant{}, bulk...), single...) {
		r.Rows = append(r.Rows, v.row("outcomes"))
	}
	r.Ratios = []Ratio{ratio(bulk[0], bulk[1], 0), ratio(single[0], single[1], 0)}
	entries, err := measureLog(one.Nodes[0])
	if err != nil {
		return nil, err
	}
	return r, o.besideRaft(ctx, r, dir, bulk[0], entries)
}

// logSizes is what a node's log holds: entries of outcomes in bulk.
type logSizes struct{ entries, commands, bytes int64 }

// sizer is a machine that weighs the entries of several commands or of a large
// one: those of bulk requests.
type sizer struct{ sizes logSizes }

// largeCommand is more than any single outcome and less than any bulk request.
const largeCommand = 8 << 10

func (s *sizer) Apply(e *cluster.Entry) cluster.Applied {
	size, large := 0, false
	for _, c := range e.Commands {
		size += len(c)
		large = large || len(c) > largeCommand
	}
	if large {
		s.sizes.entries++
		s.sizes.commands += int64(len(e.Commands))
		s.sizes.bytes += int64(size)
	}
	return cluster.Applied{}
}

func (*sizer) Capture(uint64) (cluster.Capture, error) {
	return nil, errors.New("bench: nothing to capture")
}
func (*sizer) Restore(*snapshot.Source) error { return nil }

// measureLog stops a node and reads its log.
func measureLog(n *nodes.Node) (logSizes, error) {
	if err := n.Kill(); err != nil {
		return logSizes{}, err
	}
	var s sizer
	if _, err := cluster.Replay(n.Data(), &s); err != nil {
		return logSizes{}, err
	}
	if s.sizes.entries == 0 {
		return logSizes{}, errors.New("bench: the log has no bulk entries")
	}
	return s.sizes, nil
}

// besideRaft measures the library alone in as many rounds and compares bytes a
// second.
func (o *Options) besideRaft(ctx context.Context, r *Report, dir string, three *variant, log logSizes) (err error) {
	perEntry := int(log.bytes / log.entries)
	perOutcome := float64(log.bytes) / float64(log.commands) / BulkSize
	members, stop, err := o.startRaft(ctx, dir)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return err
	}
	var raw, ours []float64
	for i := range o.Rounds {
		run, err := three.load.Closed(ctx, o.Duration)
		if err != nil {
			return err
		}
		ours = append(ours, run.Rate()*perOutcome/(1<<20))
		rate, err := runRaft(ctx, members, perEntry, o)
		if err != nil {
			return err
		}
		raw = append(raw, rate*float64(perEntry)/(1<<20))
		o.logf("  round %d of %d: %.1f MiB/s, the library alone %.1f MiB/s", i+1, o.Rounds, ours[i], raw[i])
	}
	r.Figures = []Figure{
		{Name: "three nodes, bulk", Unit: "MiB/s of log", Value: Summarize(ours)},
		{Name: fmt.Sprintf("the Raft library alone, entries of %d bytes", perEntry), Unit: "MiB/s of log", Value: Summarize(raw)},
	}
	r.Ratios = append(r.Ratios, Ratio{Of: "three nodes, bulk", To: "the Raft library alone, bytes a second", Ratio: Summarize(ratios(ours, raw)), Target: rawTarget})
	r.Notes = append(r.Notes, fmt.Sprintf("an entry of the log has %.1f bulk requests and %d bytes, an outcome %.0f bytes",
		float64(log.commands)/float64(log.entries), perEntry, perOutcome))
	return nil
}

// startRaft starts three processes with the library alone.
func (o *Options) startRaft(ctx context.Context, dir string) (urls []string, stop func() error, err error) {
	var processes []*nodes.Process
	stop = func() error {
		var errs []error
		for _, p := range processes {
			errs = append(errs, p.Kill())
		}
		return errors.Join(errs...)
	}
	peers := map[string]string{}
	for i := range 3 {
		if peers["r"+strconv.Itoa(i)], err = freeAddr(); err != nil {
			return nil, stop, err
		}
	}
	for id := range peers {
		data := dirOf(dir, id)
		if err := os.MkdirAll(data, 0o700); err != nil {
			return nil, stop, err
		}
		var h hello
		p, err := startProcess(ctx, []string{o.Self, RaftCommand}, rawraft.Config{ID: id, Dir: data, Peers: peers}, &h)
		if err != nil {
			return nil, stop, err
		}
		processes, urls = append(processes, p), append(urls, h.URL)
	}
	return urls, stop, nil
}

// runRaft runs the library's leader and returns entries a second.
func runRaft(ctx context.Context, urls []string, bytes int, o *Options) (rate float64, err error) {
	query := url.Values{"bytes": {strconv.Itoa(bytes)}, "clients": {strconv.Itoa(outcomeConns)}, "for": {o.Duration.String()}}.Encode()
	waiting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err = nodes.Await(waiting, func(ctx context.Context) error {
		for _, u := range urls {
			var result rawraft.Result
			body, err := fetch(ctx, u+"/?"+query)
			if err != nil {
				return err
			}
			err = json.NewDecoder(body).Decode(&result)
			_ = body.Close()
			if err != nil {
				return err
			}
			if result.Leader {
				rate = float64(result.Entries) / result.Seconds
				return nil
			}
		}
		return errors.New("bench: no member leads")
	})
	return rate, err
}
