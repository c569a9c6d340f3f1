package client

import (
	"context"
	"io"
	"net/http"
)

// ClusterStatus is the cluster as its members describe themselves.
type ClusterStatus struct {
	Leader       string       `json:"leader"` // empty when none is known
	Term         uint64       `json:"term"`
	AppliedIndex uint64       `json:"appliedIndex"` // of the node that answers
	Nodes        []NodeStatus `json:"nodes"`
}

// NodeStatus is one member; what is nil is not known, since it does not answer.
type NodeStatus struct {
	ID            string  `json:"id"`
	Address       string  `json:"address"`
	Role          string  `json:"role"` // leader, voter or nonvoter
	AppliedIndex  *uint64 `json:"appliedIndex"`
	LastContactMs *int64  `json:"lastContactMs"` // since it heard the leader
	Healthy       bool    `json:"healthy"`
	Problem       string  `json:"problem,omitempty"`
	Version       string  `json:"version,omitempty"`
}

const clusterPath = "/api/v1/cluster"

// Cluster returns the cluster's members. Admins and the operator.
func (c *Client) Cluster(ctx context.Context, opts ...Option) (s ClusterStatus, err error) {
	err = c.do(ctx, call{method: http.MethodGet, path: clusterPath, safe: true}, opts, &s)
	return s, err
}

// JoinNode makes a running node a member, with a vote when it has caught up, or
// without one. Operator only, as all changes of the cluster; they may be
// repeated.
func (c *Client) JoinNode(ctx context.Context, id, address string, voter bool, opts ...Option) (ClusterStatus, error) {
	return c.changeCluster(ctx, "/join", map[string]any{"id": id, "address": address, "voter": voter}, opts)
}

// RemoveNode takes a node out of the cluster for ever.
func (c *Client) RemoveNode(ctx context.Context, id string, opts ...Option) (ClusterStatus, error) {
	return c.changeCluster(ctx, "/remove", map[string]any{"id": id}, opts)
}

// TransferLeadership hands the leadership to a voter, to the most current one
// when id is empty.
func (c *Client) TransferLeadership(ctx context.Context, id string, opts ...Option) (ClusterStatus, error) {
	body := map[string]any{}
	if id != "" {
		body["id"] = id
	}
	return c.changeCluster(ctx, "/transfer", body, opts)
}

// Backup writes everything that the node has applied to w, as `praetor snapshot
// restore` reads it. Operator only.
func (c *Client) Backup(ctx context.Context, w io.Writer, opts ...Option) error {
	return c.download(ctx, call{method: http.MethodGet, path: clusterPath + "/backup"}, opts, w)
}

func (c *Client) changeCluster(ctx context.Context, change string, body map[string]any, opts []Option) (s ClusterStatus, err error) {
	err = c.do(ctx, call{method: http.MethodPost, path: clusterPath + change, body: body, safe: true}, opts, &s)
	return s, err
}
