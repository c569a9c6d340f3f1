package chaos

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// echo serves connections with what they send until the test ends.
func echo(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return ln.Addr().String()
}

// through is a proxy before node b, whose callers are all node a, and a
// connection through it.
func through(t *testing.T) (*Proxy, net.Conn) {
	t.Helper()
	p := NewProxy(func(net.Addr) string { return "a" })
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	addr, err := p.Listen("b", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return p, c
}

func send(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatalf("write = %v", err)
	}
}

// receive reads what is sent back within a time.
func receive(t *testing.T, c net.Conn, n int, within time.Duration) (string, error) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(c, b)
	return string(b), err
}

const (
	patience = 10 * time.Second      // for what must come
	silence  = 50 * time.Millisecond // in which what is held must not come
)

func want(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if got, err := receive(t, c, len(s), patience); err != nil || got != s {
		t.Fatalf("got %q, %v, want %q", got, err, s)
	}
}

func TestCutLinkDeliversLate(t *testing.T) {
	for _, cut := range [][2]string{{"a", "b"}, {"b", "a"}} {
		p, c := through(t)
		send(t, c, "before")
		want(t, c, "before")
		p.Cut(cut[0], cut[1])
		send(t, c, "during")
		if got, err := receive(t, c, 1, silence); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("cut %v: got %q, %v over a cut link, want nothing", cut, got, err)
		}
		p.Heal()
		want(t, c, "during")
	}
}

func TestOtherLinksStay(t *testing.T) {
	p, c := through(t)
	p.Cut("a", "c")
	p.Cut("c", "b")
	send(t, c, "x")
	want(t, c, "x")
}

func TestConnectionOverACutLinkIsMadeLate(t *testing.T) {
	p := NewProxy(func(net.Addr) string { return "a" })
	defer p.Close()
	addr, err := p.Listen("b", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	p.Cut("b", "a")
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send(t, c, "hello")
	if _, err := receive(t, c, 1, silence); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v over a cut link, want nothing", err)
	}
	p.Heal()
	want(t, c, "hello")
}

func TestReset(t *testing.T) {
	p, c := through(t)
	send(t, c, "x")
	want(t, c, "x")
	p.Reset("b", "c") // others
	send(t, c, "y")
	want(t, c, "y")
	p.Reset("b", "a")
	if _, err := receive(t, c, 1, patience); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v after a reset, want a broken connection", err)
	}
}

func TestSlow(t *testing.T) {
	p, c := through(t)
	const delay = 30 * time.Millisecond
	p.Slow("a", "b", delay, 0)
	began := time.Now()
	send(t, c, "x")
	want(t, c, "x")
	if took := time.Since(began); took < delay {
		t.Errorf("an answer took %v over a link with a delay of %v", took, delay)
	}
}

func TestUnreachableTarget(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := ln.Addr().String()
	ln.Close()
	p := NewProxy(func(net.Addr) string { return "a" })
	defer p.Close()
	addr, err := p.Listen("b", target)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return // reset before the dial returned
	}
	defer c.Close()
	if _, err := receive(t, c, 1, patience); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v from a target that is down, want a broken connection", err)
	}
}

// Whoever is not known could get around a cut.
func TestUnknownCaller(t *testing.T) {
	p := NewProxy(func(net.Addr) string { return "" })
	defer p.Close()
	addr, err := p.Listen("b", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := receive(t, c, 1, patience); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want a closed connection", err)
	}
}

func TestOwnsPort(t *testing.T) {
	c, err := net.Dial("tcp4", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	own := c.LocalAddr().(*net.TCPAddr)
	if !ownsPort(os.Getpid(), own) {
		t.Skip("the system does not tell whose a connection is")
	}
	if ownsPort(1, own) && os.Getpid() != 1 {
		t.Error("another process owns the test's connection")
	}
	if ownsPort(os.Getpid(), &net.TCPAddr{IP: own.IP, Port: 1}) {
		t.Error("the test owns a connection from port 1")
	}
}
