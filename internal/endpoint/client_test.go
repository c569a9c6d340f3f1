package endpoint

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/praetor-engine/praetor/internal/decision"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server at an address of this machine.
func serve(t *testing.T, address string, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("cannot listen on %s: %v", address, err)
	}
	s := httptest.NewUnstartedServer(h)
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func newClient(t *testing.T, o Options) *Client {
	t.Helper()
	c, err := NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func get(t *testing.T, c *Client, url string) (*Response, error) {
	t.Helper()
	return c.Do(t.Context(), &Request{Method: http.MethodGet, URL: url, Timeout: 5 * time.Second})
}

func reason(err error) string {
	var e *decision.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

func port(s *httptest.Server) string {
	_, p, _ := net.SplitHostPort(s.Listener.Addr().String())
	return p
}

// names is a name server for every name, as a resolver: each A query gets the
// next address, the last one for ever.
type names struct {
	mu        sync.Mutex
	addresses []string
	asked     int
}

func (n *names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go n.answer(theirs)
		return ours, nil
	}}
}

// answer speaks the name service over a stream (RFC 1035, section 4.2.2).
func (n *names) answer(c net.Conn) {
	defer c.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		q := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, q); err != nil {
			return
		}
		end := 12
		for q[end] != 0 {
			end += int(q[end]) + 1
		}
		end += 5
		a := append([]byte{q[0], q[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, q[12:end]...)
		if q[end-3] == 1 { // type A
			a[7] = 1
			ip := netip.MustParseAddr(n.next()).As4()
			a = append(a, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
			a = append(a, ip[:]...)
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...)); err != nil {
			return
		}
	}
}

func (n *names) next() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := min(n.asked, len(n.addresses)-1)
	n.asked++
	return n.addresses[i]
}

func TestSpellingsOfThisMachine(t *testing.T) {
	var hits atomic.Int32
	s := serve(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	lying := &names{addresses: []string{"127.0.0.1"}}
	c := newClient(t, Options{AllowHTTP: true, Resolver: lying.resolver()})
	hosts := []string{
		"127.0.0.1", "127.1", "127.0.1", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "017700000001", "127.0.0.1.", "[::1]",
		"[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "[0:0:0:0:0:0:0:1]", "localhost",
		"localhost.", "LOCALHOST", "a.localhost", "0.0.0.0", "0", "[::]", "[fe80::1%25lo]", "[::1%25lo]", "127.0.0.2", "127.127.127.127",
		"１２７.0.0.1", "①②⑦.0.0.1", "127。0。0。1", "innocent.example", "127.0.0.1.nip.example",
	}
	for _, host := range hosts {
		_, err := get(t, c, "http://"+host+":"+port(s)+"/")
		if r := reason(err); r != ReasonURL && r != ReasonAddress {
			t.Errorf("%s: %v, want it refused", host, err)
		}
		if err != nil && strings.Contains(err.(*decision.Error).Msg, "127") {
			t.Errorf("%s: the message %q shows the address", host, err.(*decision.Error).Msg)
		}
	}
	// Without the check of the text, the check of the connection holds alone.
	transport, err := NewTransport(Options{Resolver: lying.resolver()})
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "127.1", "2130706433", "0x7f.1", "localhost", "0.0.0.0", "::1", "::ffff:127.0.0.1", "::", "::1%lo", "innocent.example"} {
		conn, err := transport.DialContext(t.Context(), "tcp", net.JoinHostPort(host, port(s)))
		if err == nil {
			conn.Close()
			t.Errorf("%s: connected", host)
		}
	}
	if hits.Load() != 0 {
		t.Errorf("%d calls came through, want none", hits.Load())
	}
	if transport.Proxy != nil {
		t.Error("the transport takes a proxy")
	}
}

// The name means a permitted address at first, then this machine's.
func TestRebinding(t *testing.T) {
	var good, bad atomic.Int32
	first := serve(t, "127.0.0.2:0", func(w http.ResponseWriter, _ *http.Request) {
		good.Add(1)
		w.Header().Set("Connection", "close")
	})
	serve(t, "127.0.0.1:"+port(first), func(http.ResponseWriter, *http.Request) { bad.Add(1) })
	rebinding := &names{addresses: []string{"127.0.0.2", "127.0.0.1"}}
	c := newClient(t, Options{AllowHTTP: true, Allow: []string{"127.0.0.2"}, Resolver: rebinding.resolver()})
	url := "http://rebinding.example.:" + port(first) + "/"
	if res, err := get(t, c, url); err != nil || !res.OK() {
		t.Fatalf("first call: %v, %v", res, err)
	}
	if _, err := get(t, c, url); reason(err) != ReasonAddress {
		t.Errorf("second call: %v, want the address refused", err)
	}
	if good.Load() != 1 || bad.Load() != 0 {
		t.Errorf("%d and %d calls came through, want 1 and 0", good.Load(), bad.Load())
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var hits atomic.Int32
	inner := serve(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		outer := serve(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, inner.URL, status) })
		// Even the target is permitted: nothing is followed.
		c := newClient(t, Options{AllowHTTP: true, Allow: []string{"127.0.0.0/8"}})
		res, err := get(t, c, outer.URL)
		if err != nil || res.Status != status || res.OK() {
			t.Errorf("%d: %+v, %v, want the redirect itself", status, res, err)
		}
	}
	if hits.Load() != 0 {
		t.Errorf("%d redirects were followed", hits.Load())
	}
}

func TestOwnListenerIsNotCalled(t *testing.T) {
	s := serve(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) {})
	at := netip.MustParseAddrPort(s.Listener.Addr().String())
	for _, own := range []netip.AddrPort{at, netip.AddrPortFrom(netip.IPv4Unspecified(), at.Port()), netip.AddrPortFrom(netip.IPv6Unspecified(), at.Port())} {
		c := newClient(t, Options{AllowHTTP: true, Allow: []string{"127.0.0.0/8"}, Own: []netip.AddrPort{own}})
		if _, err := get(t, c, s.URL); err == nil {
			t.Errorf("own %s: it was called", own)
		}
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
	s.EnableHTTP2 = true
	s.Config.ErrorLog = nil
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	o := Options{Allow: []string{"127.0.0.1"}, RootCAs: roots}
	res, err := get(t, newClient(t, o), s.URL)
	if err != nil || string(res.Body) != "HTTP/2.0" {
		t.Errorf("https: %v, %v", res, err)
	}
	o.RootCAs = x509.NewCertPool()
	if _, err := get(t, newClient(t, o), s.URL); reason(err) != ReasonUnreachable {
		t.Errorf("https with an unknown certificate: %v, want it unreachable", err)
	}
	if _, err := get(t, newClient(t, o), strings.Replace(s.URL, "https", "http", 1)); reason(err) != ReasonURL {
		t.Errorf("http: %v, want the URL refused", err)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	block := strings.Repeat("x", 64<<10)
	cases := []struct {
		name, want string
		handler    http.HandlerFunc
	}{
		{"slow drip", ReasonTimeout, func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				io.WriteString(w, "x")
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(5 * time.Millisecond):
				}
			}
		}},
		{"no answer", ReasonTimeout, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		{"endless body", ReasonTooLarge, func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, block); err != nil {
					return
				}
			}
		}},
		{"announced body", ReasonTooLarge, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1048577")
			w.(http.Flusher).Flush()
		}},
		{"body of one byte too many", ReasonTooLarge, func(w http.ResponseWriter, _ *http.Request) {
			for range 16 {
				io.WriteString(w, block)
			}
			io.WriteString(w, "x")
		}},
		{"largest body", "", func(w http.ResponseWriter, _ *http.Request) {
			for range 16 {
				io.WriteString(w, block)
			}
		}},
		{"huge header", ReasonUnreachable, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Big", block) }},
		{"broken body", ReasonUnreachable, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "x")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}},
	}
	c := newClient(t, Options{AllowHTTP: true, Allow: []string{"127.0.0.1"}})
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			s := serve(t, "127.0.0.1:0", tc.handler)
			timeout := 10 * time.Second
			if tc.want == ReasonTimeout {
				timeout = 100 * time.Millisecond
			}
			start := time.Now()
			_, err := c.Do(t.Context(), &Request{Method: http.MethodPost, URL: s.URL, Timeout: timeout})
			if got := reason(err); got != tc.want {
				t.Errorf("Do = %v, want reason %q", err, tc.want)
			}
			if took := time.Since(start); tc.want == ReasonTimeout && took > 5*time.Second {
				t.Errorf("it took %v, want about %v", took, timeout)
			}
		})
	}
}

func TestNotHTTP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			bufio.NewReader(conn).ReadString('\n')
			io.WriteString(conn, "SSH-2.0-OpenSSH\r\n")
			conn.Close()
		}
	}()
	c := newClient(t, Options{AllowHTTP: true, Allow: []string{"127.0.0.1"}})
	_, err = get(t, c, "http://"+l.Addr().String()+"/")
	if reason(err) != ReasonUnreachable || strings.Contains(err.(*decision.Error).Msg, "SSH") {
		t.Errorf("Do = %v, want it unreachable, without what was answered in the message", err)
	}
	l.Close()
	<-done
	if _, err = get(t, c, "http://"+l.Addr().String()+"/"); reason(err) != ReasonUnreachable {
		t.Errorf("Do of a closed port = %v, want it unreachable", err)
	}
}

func TestConnectionsAreReused(t *testing.T) {
	var connections atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") }))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	c := newClient(t, Options{AllowHTTP: true, Allow: []string{"127.0.0.1"}})
	for range 10 {
		if _, err := get(t, c, s.URL); err != nil {
			t.Fatal(err)
		}
	}
	if got := connections.Load(); got != 1 {
		t.Errorf("%d connections for 10 calls, want 1", got)
	}
}

func TestCallerGivesUp(t *testing.T) {
	arrived := make(chan struct{})
	s := serve(t, "127.0.0.1:0", func(_ http.ResponseWriter, r *http.Request) { close(arrived); <-r.Context().Done() })
	c := newClient(t, Options{AllowHTTP: true, Allow: []string{"127.0.0.1"}})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	if _, err := c.Do(ctx, &Request{Method: http.MethodPost, URL: s.URL, Timeout: time.Minute}); reason(err) != ReasonCancelled {
		t.Errorf("Do = %v, want it cancelled", err)
	}
}

func BenchmarkScorer(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, `{"scores":[{"offerId":"a","score":0.5}]}`)
	}))
	defer s.Close()
	client, err := NewClient(Options{AllowHTTP: true, Allow: []string{"127.0.0.1"}})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	scorer, c, q := NewScorer(client), config(b, s.URL, ""), query("a")
	b.ReportAllocs()
	for b.Loop() {
		if a := scorer.Score(b.Context(), c, q); a.Err != nil {
			b.Fatal(a.Err)
		}
	}
}
