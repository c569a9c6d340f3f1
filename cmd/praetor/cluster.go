package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/praetor-engine/praetor/cluster"
	"github.com/praetor-engine/praetor/internal/client"
)

type clusterCommands struct {
	Status   clusterStatus   `cmd:"" help:"Show the members: who leads, how far each is, what is wrong with it."`
	Join     clusterJoin     `cmd:"" help:"Make a running node a member."`
	Remove   clusterRemove   `cmd:"" help:"Take a node out of the cluster for ever."`
	Transfer clusterTransfer `cmd:"" help:"Hand the leadership to another voter."`
	Certs    clusterCerts    `cmd:"" help:"Make a private CA and certificates of nodes, for tests and small set-ups."`
}

// withOperator makes a call with the operator's key and shows what became of
// the cluster.
func (t *target) withOperator(ctx context.Context, env *environment, f func(context.Context, *client.Client) (client.ClusterStatus, error)) error {
	return t.showCluster(ctx, env, t.operator, f)
}

// showCluster makes a call and shows the cluster.
func (t *target) showCluster(ctx context.Context, env *environment, connect func() (*client.Client, error), f func(context.Context, *client.Client) (client.ClusterStatus, error)) error {
	engine, ctx, done, err := t.open(ctx, connect)
	if err != nil {
		return err
	}
	defer done()
	s, err := f(ctx, engine)
	if err != nil {
		return err
	}
	if t.JSON {
		return printJSON(env.out, s)
	}
	return printCluster(env, &s)
}

func printCluster(env *environment, s *client.ClusterStatus) error {
	rows := make([][]string, len(s.Nodes))
	for i, n := range s.Nodes {
		state, applied, contact := "healthy", "–", "–"
		if !n.Healthy {
			state = n.Problem
		}
		if n.AppliedIndex != nil {
			applied = strconv.FormatUint(*n.AppliedIndex, 10)
		}
		if n.LastContactMs != nil && *n.LastContactMs >= 0 {
			contact = (time.Duration(*n.LastContactMs) * time.Millisecond).String()
		}
		rows[i] = []string{n.ID, n.Address, n.Role, applied, contact, n.Version, state}
	}
	leader := s.Leader
	if leader == "" {
		leader = "nobody"
	}
	fmt.Fprintf(env.out, "term %d, led by %s\n\n", s.Term, leader)
	return printTable(env.out, []string{"NODE", "ADDRESS", "ROLE", "APPLIED", "HEARD THE LEADER", "BUILD", "STATE"}, rows)
}

type clusterStatus struct {
	connection `embed:""`
}

// Run shows the members, which an administrator of a tenant may see, too.
func (c *clusterStatus) Run(ctx context.Context, env *environment) error {
	connect := c.operator
	if c.OperatorKeyFile == "" && os.Getenv(operatorKeyVariable) == "" {
		connect = c.client
	}
	return c.showCluster(ctx, env, connect, func(ctx context.Context, engine *client.Client) (client.ClusterStatus, error) {
		return engine.Cluster(ctx)
	})
}

type clusterJoin struct {
	target   `embed:""`
	ID       string `arg:"" help:"The node's id."`
	Address  string `arg:"" help:"HOST:PORT of its node port."`
	Nonvoter bool   `help:"Without a vote: it serves scores and does not count for a quorum."`
}

// Run adds the node.
func (c *clusterJoin) Run(ctx context.Context, env *environment) error {
	return c.withOperator(ctx, env, func(ctx context.Context, engine *client.Client) (client.ClusterStatus, error) {
		return engine.JoinNode(ctx, c.ID, c.Address, !c.Nonvoter)
	})
}

type clusterRemove struct {
	target `embed:""`
	ID     string `arg:"" help:"The node's id; it cannot come back."`
}

// Run removes the node.
func (c *clusterRemove) Run(ctx context.Context, env *environment) error {
	return c.withOperator(ctx, env, func(ctx context.Context, engine *client.Client) (client.ClusterStatus, error) {
		return engine.RemoveNode(ctx, c.ID)
	})
}

type clusterTransfer struct {
	target `embed:""`
	ID     string `arg:"" optional:"" help:"The voter that shall lead; none: the most current one."`
}

// Run hands the leadership over.
func (c *clusterTransfer) Run(ctx context.Context, env *environment) error {
	return c.withOperator(ctx, env, func(ctx context.Context, engine *client.Client) (client.ClusterStatus, error) {
		return engine.TransferLeadership(ctx, c.ID)
	})
}

type clusterCerts struct {
	Dir   string        `arg:"" type:"path" help:"Directory of the files; ca.pem and ca-key.pem there are used when they exist."`
	Nodes []string      `arg:"" help:"The nodes' ids."`
	For   time.Duration `default:"8760h" help:"How long the certificates are valid (${default})."`
}

// caLifetime is how long a CA is valid: it must outlive what it issues.
const caLifetime = 10 * 365 * 24 * time.Hour

// Run writes ca.pem, ca-key.pem, and for each node ID.pem and ID-key.pem. What
// is there already is not replaced.
func (c *clusterCerts) Run(env *environment) error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	ca, err := c.authority()
	if err != nil {
		return err
	}
	for _, id := range c.Nodes {
		cert, key, err := ca.Issue(id, nil, c.For)
		if err != nil {
			return err
		}
		if err := c.write(id+".pem", cert, 0o644); err != nil {
			return err
		}
		if err := c.write(id+"-key.pem", key, 0o600); err != nil {
			return err
		}
	}
	fmt.Fprintf(env.out, "%s: ca.pem for every node, and for each its certificate and key; ca-key.pem is the key to the cluster, keep it away from the nodes\n\n", c.Dir)
	for _, id := range c.Nodes {
		fmt.Fprintf(env.out, "  praetor serve --node-id %[2]s --node-tls-ca %[1]s/ca.pem --node-tls-cert %[1]s/%[2]s.pem --node-tls-key %[1]s/%[2]s-key.pem …\n", c.Dir, id)
	}
	return nil
}

// authority reads the CA of the directory, or makes one.
func (c *clusterCerts) authority() (*cluster.CA, error) {
	cert, err := os.ReadFile(filepath.Join(c.Dir, "ca.pem"))
	if err == nil {
		key, err := os.ReadFile(filepath.Join(c.Dir, "ca-key.pem"))
		if err != nil {
			return nil, err
		}
		return cluster.LoadCA(cert, key)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	ca, err := cluster.NewCA("praetor cluster", caLifetime)
	if err != nil {
		return nil, err
	}
	key, err := ca.KeyPEM()
	if err != nil {
		return nil, err
	}
	if err := c.write("ca-key.pem", key, 0o600); err != nil {
		return nil, err
	}
	return ca, c.write("ca.pem", ca.CertPEM(), 0o644)
}

// write writes a file that must not be there yet.
func (c *clusterCerts) write(name string, content []byte, mode os.FileMode) error {
	f, err := os.OpenFile(filepath.Join(c.Dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
