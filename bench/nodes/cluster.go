package nodes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// OperatorKey is the operator's key of every cluster: it guards nothing here.
const OperatorKey = "operator-key-of-a-test-cluster"

// Place is where a node of a cluster runs.
type Place struct {
	Wrap []string // put before the command, such as ip netns exec NAME
	Host string   // address of its listeners; empty: 127.0.0.1
	Data string   // directory of its data directories; empty: Config.Dir
}

// Config describes a cluster.
type Config struct {
	Command []string // serves a node, such as bin/praetor serve
	Flags   []string // of every node
	Dir     string   // data and logs
	Places  []Place  // one for each node

	// Advertise returns the address that the others are told for the node port of
	// the node with this id; nil: the node's own.
	Advertise func(id, listen string) (string, error)
}

// Cluster is nodes that found a cluster together.
type Cluster struct {
	Nodes []*Node

	cfg Config
}

// Node is a member, running or not. Its methods are for one goroutine at a time,
// but for Do, Alive and Process.
type Node struct {
	Addr string // host:port of the HTTP API

	self    atomic.Pointer[identity]
	place   Place
	running atomic.Pointer[Process]
	log     *os.File
}

// identity is what changes when a node is replaced by another at its place.
type identity struct {
	id        string
	port      string // host:port that the node port listens on
	advertise string // host:port that the others dial
	data      string
	logFile   string
	command   []string
}

// ID is the node's id.
func (n *Node) ID() string { return n.self.Load().id }

// Advertise is the host:port under which the others reach the node.
func (n *Node) Advertise() string { return n.self.Load().advertise }

// Data is the node's data directory.
func (n *Node) Data() string { return n.self.Load().data }

// LogFile is where the node's output goes.
func (n *Node) LogFile() string { return n.self.Load().logFile }

// New chooses addresses and directories; nothing runs yet.
func New(cfg Config) (*Cluster, error) {
	c := &Cluster{cfg: cfg}
	var peers []string
	for i, place := range cfg.Places {
		if place.Host == "" {
			place.Host = "127.0.0.1"
		}
		n := &Node{place: place}
		var err error
		if n.Addr, err = fixedAddr(place.Host); err != nil {
			return nil, err
		}
		who, err := c.identify("n"+strconv.Itoa(i+1), place)
		if err != nil {
			return nil, err
		}
		n.self.Store(who)
		peers = append(peers, who.id+"="+who.advertise)
		c.Nodes = append(c.Nodes, n)
	}
	for _, n := range c.Nodes {
		flags := []string{}
		if len(peers) > 1 {
			flags = append(flags, "--peers="+strings.Join(peers, ","))
		}
		c.command(n, n.self.Load(), flags...)
	}
	return c, nil
}

// identify makes an identity at a place.
func (c *Cluster) identify(id string, place Place) (who *identity, err error) {
	who = &identity{id: id, data: filepath.Join(c.cfg.Dir, id), logFile: filepath.Join(c.cfg.Dir, id+".log")}
	if place.Data != "" {
		who.data = filepath.Join(place.Data, id)
	}
	if who.port, err = fixedAddr(place.Host); err != nil {
		return nil, err
	}
	who.advertise = who.port
	if c.cfg.Advertise != nil {
		who.advertise, err = c.cfg.Advertise(id, who.port)
	}
	return who, err
}

// command makes the command line of an identity.
func (c *Cluster) command(n *Node, who *identity, flags ...string) {
	line := append(append([]string{}, n.place.Wrap...), c.cfg.Command...)
	line = append(line, "--node-id="+who.id, "--data="+who.data, "--listen="+n.Addr, "--raft-listen="+who.port)
	who.command = append(append(line, flags...), c.cfg.Flags...)
}

// Replace puts another node in the place of one that does not run: with another
// id, an empty data directory, and told to join the others. It does not start
// it.
func (c *Cluster) Replace(n *Node, id string) error {
	if n.Alive() {
		return fmt.Errorf("nodes: %s runs", n.ID())
	}
	who, err := c.identify(id, n.place)
	if err != nil {
		return err
	}
	var join []string
	for _, o := range c.Nodes {
		if o != n {
			join = append(join, o.Advertise())
		}
	}
	c.command(n, who, "--join="+strings.Join(join, ","), "--advertise="+who.advertise)
	n.self.Store(who)
	return nil
}

// The ports of nodes lie below those that the system gives to connections, so
// that nobody takes a node's port while it is down.
const (
	lowPort  = 20_000
	highPort = 32_000
)

// fixedAddr returns an address that nobody listens on; an address that is not
// this machine's yet is taken on trust.
func fixedAddr(host string) (string, error) {
	var err error
	for range 100 {
		addr := net.JoinHostPort(host, strconv.Itoa(lowPort+rand.IntN(highPort-lowPort)))
		var ln net.Listener
		if ln, err = net.Listen("tcp", addr); err == nil {
			return addr, ln.Close()
		}
		if errors.Is(err, syscall.EADDRNOTAVAIL) {
			return addr, nil
		}
	}
	return "", fmt.Errorf("nodes: no free port on %s: %w", host, err)
}

// Start starts the node's process. It does not wait for anything.
func (n *Node) Start(ctx context.Context) error {
	if n.Alive() {
		return fmt.Errorf("nodes: %s runs already", n.ID())
	}
	if err := n.closeLog(); err != nil {
		return err
	}
	log, err := os.OpenFile(n.LogFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("nodes: %w", err)
	}
	n.log = log
	line := n.self.Load().command
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Env = append(os.Environ(), "PRAETOR_OPERATOR_KEY="+OperatorKey)
	cmd.Stdout, cmd.Stderr = log, log
	p, err := Launch(cmd)
	if err == nil {
		n.running.Store(p)
	}
	return err
}

func (n *Node) closeLog() error {
	if n.log == nil {
		return nil
	}
	err := n.log.Close()
	n.log = nil
	return err
}

// Alive says whether the node's process runs.
func (n *Node) Alive() bool {
	p := n.Process()
	return p != nil && p.Running()
}

// Process is the node's process, running or not; nil before the first start.
func (n *Node) Process() *Process { return n.running.Load() }

// Kill ends the node as kill -9 does.
func (n *Node) Kill() error {
	p := n.Process()
	if p == nil {
		return nil
	}
	return p.Kill()
}

// Terminate asks the node to end, as an operator would, and waits for it.
func (n *Node) Terminate(ctx context.Context) error {
	p := n.Process()
	if p == nil {
		return nil
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.Ended():
		return p.Err()
	case <-ctx.Done():
		return fmt.Errorf("nodes: %s did not end: %w", n.ID(), errors.Join(ctx.Err(), n.Kill()))
	}
}

// LogSize is how long the node's log is now, to read on from later.
func (n *Node) LogSize() int64 {
	info, err := os.Stat(n.LogFile())
	if err != nil {
		return 0
	}
	return info.Size()
}

// LogFrom returns what the node has logged since its log was so long, at most
// limit bytes from the end.
func (n *Node) LogFrom(offset, limit int64) (string, error) {
	f, err := os.Open(n.LogFile())
	if err != nil {
		return "", fmt.Errorf("nodes: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("nodes: %w", err)
	}
	offset = max(offset, info.Size()-limit)
	b, err := io.ReadAll(io.NewSectionReader(f, offset, info.Size()-offset))
	return string(b), err
}

// Start starts every node that does not run.
func (c *Cluster) Start(ctx context.Context) error {
	for _, n := range c.Nodes {
		if !n.Alive() {
			if err := n.Start(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close kills every node.
func (c *Cluster) Close() error {
	var errs []error
	for _, n := range c.Nodes {
		errs = append(errs, n.Kill(), n.closeLog())
	}
	return errors.Join(errs...)
}

// Node returns the node with an id; nil: there is none.
func (c *Cluster) Node(id string) *Node {
	for _, n := range c.Nodes {
		if n.ID() == id {
			return n
		}
	}
	return nil
}

// pollInterval is how often a condition is looked at.
const pollInterval = 20 * time.Millisecond

// Await asks until ok answers nil, and returns its last error when ctx ends.
func Await(ctx context.Context, ok func(context.Context) error) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var last error
	for {
		err := ok(ctx)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil { // not only that its own time is over
			last = err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return last
		}
	}
}

// AwaitReady waits until the node is ready; a process that ends is an error.
func (n *Node) AwaitReady(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	process := n.Process()
	go func() {
		select {
		case <-process.Ended():
			cancel(ErrEnded)
		case <-ctx.Done():
		}
	}()
	err := Await(ctx, n.Ready)
	if err != nil {
		err = fmt.Errorf("nodes: %s is not ready: %w", n.ID(), errors.Join(context.Cause(ctx), err))
	}
	return err
}

// ErrEnded is a wait for a process that has ended.
var ErrEnded = errors.New("the process has ended")

// AwaitReady waits until every node is ready.
func (c *Cluster) AwaitReady(ctx context.Context) error {
	for _, n := range c.Nodes {
		if err := n.AwaitReady(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Leader returns the node that most say is the leader and says so itself; nil:
// none.
func (c *Cluster) Leader(ctx context.Context) *Node {
	for _, n := range c.Nodes {
		if s, err := n.Status(ctx); err == nil && s.Leader == n.ID() {
			return n
		}
	}
	return nil
}

// AwaitLeader waits for a leader.
func (c *Cluster) AwaitLeader(ctx context.Context) (leader *Node, err error) {
	err = Await(ctx, func(ctx context.Context) error {
		if leader = c.Leader(ctx); leader == nil {
			return errNoLeader
		}
		return nil
	})
	return leader, err
}

var errNoLeader = errors.New("nodes: no node leads")
