package cluster

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/praetor-engine/praetor/internal/decision"
)

var (
	errStopped = errors.New("node is stopping")
	// errAgain is wrapped by refusals of what certainly never entered the log and
	// is worth another try, with another leader or in another term.
	errAgain = errors.New("try again")
)

// Reasons refine KindUnavailable for the API.
const (
	ReasonOverloaded = "overloaded" // too many proposals are pending
	ReasonNotLeader  = "not_leader" // another node leads, or none is known
	ReasonLevel      = "level"      // a node's build is too old for the command
)

func unavailable(reason string, err error, format string, args ...any) error {
	return &decision.Error{Kind: decision.KindUnavailable, Op: "cluster.Propose", Reason: reason, Msg: fmt.Sprintf(format, args...), Err: err}
}

func indeterminate(err error, format string, args ...any) error {
	return &decision.Error{Kind: decision.KindIndeterminate, Op: "cluster.Propose", Msg: fmt.Sprintf(format, args...), Err: err}
}

// again is unavailable, and worth another try.
func again(err error, format string, args ...any) error {
	if err == nil {
		err = errAgain
	} else {
		err = fmt.Errorf("%w: %w", errAgain, err)
	}
	return unavailable(ReasonNotLeader, err, format, args...)
}

// classify says whether an entry that Raft gave back can have entered the log.
// Only the errors known to come before the append say no.
func (n *Node) classify(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader):
		if id, address := n.Leader(); id != "" && id != n.cfg.NodeID {
			return again(err, "this node does not lead; node %s at %s does", id, address)
		}
		return again(err, "no leader is known; nothing was written, try again")
	case errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return again(err, "the leadership is being handed over; nothing was written, try again")
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return unavailable(ReasonOverloaded, err, "the log did not take the write within %v; nothing was written, try again", n.cfg.WriteTimeout)
	}
	return indeterminate(err, "the write may or may not have been accepted; a retry with the same idempotency key tells which")
}
