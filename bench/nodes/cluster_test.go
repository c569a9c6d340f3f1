package nodes

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

func testCluster(t *testing.T, command ...string) *Cluster {
	t.Helper()
	c, err := New(Config{
		Command: command, Flags: []string{"--flag"}, Dir: t.TempDir(), Places: make([]Place, 3),
		Advertise: func(id, listen string) (string, error) { return id + ":" + listen, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return c
}

// line is what a node is started with.
func line(n *Node) string { return strings.Join(n.self.Load().command, " ") }

func TestEveryNodeHasTheSamePeers(t *testing.T) {
	c := testCluster(t, "serve")
	_, want, _ := strings.Cut(line(c.Nodes[0]), "--peers=")
	seen := map[string]bool{}
	for _, n := range c.Nodes {
		if _, got, _ := strings.Cut(line(n), "--peers="); got != want {
			t.Errorf("%s has the peers %q, want %q", n.ID(), got, want)
		}
		if !strings.Contains(want, n.ID()+"="+n.Advertise()) {
			t.Errorf("the peers are %q, want %s at %s among them", want, n.ID(), n.Advertise())
		}
		for _, s := range []string{n.ID(), n.Addr, n.self.Load().port, n.Data(), n.LogFile()} {
			if seen[s] {
				t.Errorf("two nodes have %s", s)
			}
			seen[s] = true
		}
	}
	if c.Node("n2") != c.Nodes[1] || c.Node("n9") != nil {
		t.Error("Node() finds the wrong node")
	}
}

func TestReplace(t *testing.T) {
	c := testCluster(t, "serve")
	n := c.Nodes[1]
	addr, data := n.Addr, n.Data()
	if err := c.Replace(n, "n4"); err != nil {
		t.Fatal(err)
	}
	if n.ID() != "n4" || n.Addr != addr || n.Data() == data {
		t.Errorf("got %s at %s with %s, want n4 at the same address with another directory", n.ID(), n.Addr, n.Data())
	}
	want := "--join=" + c.Nodes[0].Advertise() + "," + c.Nodes[2].Advertise()
	if got := line(n); !strings.Contains(got, want) || strings.Contains(got, "--peers") || !strings.Contains(got, "--flag") {
		t.Errorf("its command is %q, want %q in it and no peers", got, want)
	}
}

func TestLifeOfAProcess(t *testing.T) {
	c := testCluster(t, "sh", "-c", "echo said; exec cat")
	n := c.Nodes[0]
	if n.Alive() || n.Kill() != nil {
		t.Error("a node that was never started is alive, or cannot be killed")
	}
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := n.Start(t.Context()); err == nil {
		t.Error("Start() of a node that runs succeeded")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := Await(ctx, func(context.Context) error {
		text, err := n.LogFrom(0, 1<<10)
		if err == nil && text != "said\n" {
			err = errors.New(text)
		}
		return err
	})
	if err != nil {
		t.Fatalf("its log has %v, want what it said", err)
	}
	if err := n.Kill(); err != nil || n.Alive() {
		t.Errorf("Kill() = %v, and it is alive: %v", err, n.Alive())
	}
	if err := n.AwaitReady(ctx); !errors.Is(err, ErrEnded) {
		t.Errorf("AwaitReady() of a process that has ended = %v, want %v", err, ErrEnded)
	}
}

func TestAwaitKeepsTheReason(t *testing.T) {
	reason := errors.New("reason")
	ctx, cancel := context.WithCancel(t.Context())
	first := true
	err := Await(ctx, func(ctx context.Context) error {
		if first {
			first = false
			return reason
		}
		cancel()
		return ctx.Err()
	})
	if !errors.Is(err, reason) {
		t.Errorf("Await() = %v, want what was wrong before its time was over", err)
	}
}

func TestNotSent(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &Node{Addr: ln.Addr().String()}
	n.self.Store(&identity{id: "n"})
	done := make(chan struct{})
	go func() {
		defer close(done)
		if c, err := ln.Accept(); err == nil {
			c.Close()
		}
	}()
	if _, err := n.Do(t.Context(), Request{Method: "POST", Path: "/", Body: 1}); err == nil || NotSent(err) {
		t.Errorf("a connection that broke gives %v, which may have been sent", err)
	}
	<-done
	ln.Close()
	if _, err := n.Do(t.Context(), Request{Method: "POST", Path: "/"}); !NotSent(err) {
		t.Errorf("a node that is down gives %v, which was not sent", err)
	}
}

func TestPortsAreBelowThoseOfConnections(t *testing.T) {
	c := testCluster(t, "serve")
	for _, n := range c.Nodes {
		_, port, err := net.SplitHostPort(n.Addr)
		if err != nil || port >= "32000" || port < "20000" {
			t.Errorf("%s listens on %s (%v), want a port from %d to %d", n.ID(), n.Addr, err, lowPort, highPort)
		}
	}
}
