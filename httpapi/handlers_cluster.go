package httpapi

import (
	"context"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/engine"
)

func (s *Server) clusterStatus(rq *request) error {
	return rq.reply(fasthttp.StatusOK, s.engine.ClusterStatus(rq.ctx))
}

// nodeBody reads the body of a change of the cluster.
func (rq *request) nodeBody(withAddress bool) (id, address string, voter bool, err error) {
	voter = true
	if err := rq.beginBody(); err != nil {
		return "", "", false, err
	}
	if rq.enterObject() {
		for rq.nextField() {
			switch {
			case rq.key == "id":
				id = *rq.ownText(1, maxName)
			case rq.key == "address" && withAddress:
				address = *rq.ownText(1, maxName)
			case rq.key == "voter" && withAddress:
				voter = rq.boolean()
			default:
				rq.unknown()
			}
		}
		if withAddress {
			rq.need("id", "address")
		}
	}
	return id, address, voter, rq.decoder.err()
}

// membershipTime is how long a change of the members may take: a node that joins
// gets its vote when it has caught up.
const membershipTime = 5 * time.Minute

// changeCluster makes a change and answers with what became of the cluster.
func (s *Server) changeCluster(rq *request, change func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(rq.ctx, membershipTime)
	defer cancel()
	if err := change(ctx); err != nil {
		return err
	}
	s.awaitLeader(ctx)
	return rq.reply(fasthttp.StatusOK, s.engine.ClusterStatus(ctx))
}

// A change of the members or of the leader is over when a leader is known again;
// leaderWait is how long an answer waits for that.
const (
	leaderWait = 3 * time.Second
	leaderPoll = 10 * time.Millisecond
)

func (s *Server) awaitLeader(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaderWait)
	defer cancel()
	tick := time.NewTicker(leaderPoll)
	defer tick.Stop()
	for s.gate.Stale() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Server) joinNode(rq *request) error {
	id, address, voter, err := rq.nodeBody(true)
	if err != nil {
		return err
	}
	return s.changeCluster(rq, func(ctx context.Context) error { return s.engine.JoinNode(ctx, id, address, voter) })
}

func (s *Server) removeNode(rq *request) error {
	id, _, _, err := rq.nodeBody(false)
	if err != nil {
		return err
	}
	if id == "" {
		return decision.Invalid("id", "is required")
	}
	return s.changeCluster(rq, func(ctx context.Context) error { return s.engine.RemoveNode(ctx, id) })
}

func (s *Server) transferLeadership(rq *request) error {
	id, _, _, err := rq.nodeBody(false)
	if err != nil {
		return err
	}
	return s.changeCluster(rq, func(ctx context.Context) error { return s.engine.TransferLeadership(ctx, id) })
}

// snapshotAnswer tells which part of the log a snapshot holds at least.
type snapshotAnswer struct {
	AppliedIndex uint64 `json:"appliedIndex"`
}

func (s *Server) takeDigest(rq *request) error {
	if err := rq.noFields(); err != nil {
		return err
	}
	d, err := s.engine.Digest(rq.ctx)
	if err != nil {
		return err
	}
	return rq.reply(fasthttp.StatusOK, d)
}

func (s *Server) takeSnapshot(rq *request) error {
	if err := rq.noFields(); err != nil {
		return err
	}
	index := s.engine.AppliedIndex()
	if err := s.engine.TakeSnapshot(rq.ctx); err != nil {
		return err
	}
	return rq.reply(fasthttp.StatusOK, snapshotAnswer{AppliedIndex: index})
}

// backupStream is a backup on its way to a client, who may take as long as it
// goes on.
type backupStream struct {
	rq     *request
	backup engine.Backup
}

func (s *Server) backup(rq *request) error {
	b, err := s.engine.Backup(rq.ctx)
	if err != nil {
		return err
	}
	rq.contentType, rq.appliedIndex, rq.replySize = mediaBytes, b.Index, int(b.Size)
	rq.replyStream = &backupStream{rq: rq, backup: b}
	return nil
}

// Read returns the next bytes.
func (b *backupStream) Read(p []byte) (int, error) {
	cfg := &b.rq.server.cfg
	extend(b.rq.conn, cfg.ReadTimeout, cfg.WriteTimeout)
	return b.backup.Read(p)
}

// Close gives the snapshot and the request back.
func (b *backupStream) Close() error {
	if b.rq == nil {
		return nil
	}
	err := b.backup.Close()
	b.rq.release()
	b.rq = nil
	return err
}
