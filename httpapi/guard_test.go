package httpapi

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Two readers of one byte stream must not see different requests in it.
func TestSmuggling(t *testing.T) {
	ts := startServer(t, nil, testRoutes)
	const head = "POST /echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer viewer@t1\r\nContent-Type: application/json\r\n"
	const second = "GET /admin HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin@t1\r\n\r\n"
	for _, tc := range []struct{ name, request string }{
		{"both", head + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + second},
		{"both, other order", head + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + second},
		{"both, other case", head + "content-length: 4\r\ntransfer-ENCODING: chunked\r\n\r\n0\r\n\r\n" + second},
		{"two lengths", head + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}" + second},
		{"two equal lengths", head + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}" + second},
		{"two codings", head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + second},
		{"other coding", head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + second},
		{"space before the colon", head + "Content-Length : 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + second},
		{"length list", head + "Content-Length: 2, 2\r\n\r\n{}" + second},
		{"negative length", head + "Content-Length: -2\r\n\r\n{}" + second},
	} {
		got := ts.raw(tc.request)
		if !strings.HasPrefix(got, "HTTP/1.1 400 ") || strings.Count(got, "HTTP/1.1 ") != 1 {
			t.Errorf("%s: got %q, want one 400", tc.name, got)
		}
	}
	// What is not read of one request is not taken for the next one.
	got := ts.raw("GET /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: " + fmt.Sprint(len(second)) + "\r\n\r\n" + second +
		"GET /public HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if strings.Count(got, "HTTP/1.1 ") != 2 || !strings.Contains(got, "HTTP/1.1 200") || strings.Contains(got, "t1") {
		t.Errorf("body of a refused GET: got %q", got)
	}
}

func TestTargets(t *testing.T) {
	ts := startServer(t, nil, testRoutes)
	for _, tc := range []struct {
		target string
		want   int
	}{
		{"/items/../admin", 400}, {"/items/..", 400}, {"/items/.", 400}, {"//items", 400}, {"/items//", 400}, {"/items//x", 400},
		{"/items/%2e%2e/admin", 400}, {"/items/.%2E", 400}, {"/items/a%2fb", 400}, {"/items/a%2Fb", 400}, {"/items/a%5cb", 400},
		{"/items/a%00", 400}, {"/items/a%0a", 400}, {"/items/a%", 400}, {"/items/a%zz", 400}, {"/items/a\\b", 400}, {"/items/\xff", 400},
		{"/items/a#b", 400}, {"http://x/admin", 400}, {"*", 400},
		{"/items/a..b", 200}, {"/items/a%20b", 200}, {"/items/%c3%a9", 200},
	} {
		got := ts.raw("GET " + tc.target + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer viewer@t1\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(got, fmt.Sprintf("HTTP/1.1 %d ", tc.want)) {
			t.Errorf("%q: got %.120q, want %d", tc.target, got, tc.want)
		}
	}
	if b := ts.do(get, "/items/a%20b", "viewer@t1", "").body; !bytes.Contains(b, []byte(`"id":"a b"`)) {
		t.Errorf("got %s, want the parameter decoded", b)
	}
}

func TestHeaderTooLarge(t *testing.T) {
	ts := startServer(t, func(c *Config) { c.MaxHeaderBytes = 2048 }, testRoutes)
	got := ts.raw("GET /public HTTP/1.1\r\nHost: x\r\nX-Filler: " + strings.Repeat("f", 8192) + "\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 431 ") || !strings.Contains(got, "HEADER_TOO_LARGE") {
		t.Errorf("got %.200q, want 431 in our envelope", got)
	}
}

func TestSlowRequests(t *testing.T) {
	ts := startServer(t, func(c *Config) { c.ReadTimeout = 50 * time.Millisecond }, testRoutes)
	const head = "POST /echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer viewer@t1\r\nContent-Type: application/json\r\n"
	for name, request := range map[string]string{
		"header":             "GET /public HTTP/1.1\r\nHost: x\r\n",
		"body":               head + "Content-Length: 10\r\n\r\n{",
		"body beyond 8 KiB":  head + "Content-Length: 20000\r\n\r\n" + strings.Repeat(" ", 9000),
		"chunked":            head + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
		"body of an unknown": strings.Replace(head, "viewer@t1", "nobody", 1) + "Content-Length: 20000\r\n\r\n" + strings.Repeat(" ", 9000),
	} {
		got := ts.raw(request)
		want := "HTTP/1.1 408 "
		if strings.HasPrefix(name, "body of") {
			want = "HTTP/1.1 401 "
		}
		if !strings.HasPrefix(got, want) || !strings.Contains(got, `"requestId"`) {
			t.Errorf("%s: got %q, want %s in our envelope", name, got, want)
		}
	}
}

// Announced lengths must not cost memory, whatever the route permits.
func TestAnnouncedBodies(t *testing.T) {
	ts := startServer(t, func(c *Config) { c.MaxConnsPerIP = 1000 }, testRoutes)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const n = 200
	conns := make([]net.Conn, n)
	for i := range conns {
		c, err := net.Dial("tcp", ts.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST /import HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin@t1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			4<<20, strings.Repeat(" ", firstRead+1))
		conns[i] = c
	}
	waitFor(t, func() bool {
		return strings.Contains(string(ts.do(get, "/metrics", "", "").body), fmt.Sprintf("praetor_http_in_flight_requests %d", n+1))
	})
	runtime.ReadMemStats(&after)
	if got := int64(after.HeapAlloc) - int64(before.HeapAlloc); got > n*96<<10 {
		t.Errorf("%d connections that announced 4 MiB each hold %d KiB, want under 96 KiB each", n, got>>10)
	}
}

func TestBodies(t *testing.T) {
	ts := startServer(t, nil, testRoutes)
	body := strings.Repeat("x", 60<<10)
	for range 2 { // the connection is usable again after each
		if r := ts.do(post, "/echo", "viewer@t1", body); r.status != 200 || !strings.Contains(string(r.body), body) {
			t.Fatalf("got %d and %d bytes", r.status, len(r.body))
		}
		if r := ts.do(post, "/import", "admin@t1", strings.Repeat(" ", 2<<20)); r.status != 200 || !strings.Contains(string(r.body), fmt.Sprint(2<<20)) {
			t.Fatalf("the route's own bound: got %d %s", r.status, r.body)
		}
		if r := ts.do(post, "/echo", "viewer@t1", strings.Repeat("x", 300<<10)); r.status != 413 {
			t.Fatalf("got %d, want 413", r.status)
		}
	}
	const head = "POST /echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer viewer@t1\r\nContent-Type: application/json\r\nConnection: close\r\n"
	if got := ts.raw(head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"); !strings.Contains(got, `"body":"abcde"`) {
		t.Errorf("chunked: got %q", got)
	}
	chunks := strings.Repeat("1000\r\n"+strings.Repeat("x", 0x1000)+"\r\n", 40)
	if got := ts.raw(head + "Transfer-Encoding: chunked\r\n\r\n" + chunks + "0\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 413 ") {
		t.Errorf("chunked and too large: got %.100q", got)
	}
	if got := ts.raw(head + "Content-Length: 99999999999\r\n\r\n" + strings.Repeat(" ", firstRead)); !strings.HasPrefix(got, "HTTP/1.1 413 ") {
		t.Errorf("a huge announcement: got %.100q", got)
	}
	if got := ts.raw(head + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}"); !strings.Contains(got, `"body":"{}"`) {
		t.Errorf("100-continue: got %q", got)
	}
}

func TestConnectionLimits(t *testing.T) {
	for _, tc := range []struct {
		name         string
		conns, perIP int
		status, code string
	}{
		{"all", 2, 10, "503", "UNAVAILABLE"},
		{"per IP", 10, 2, "429", "RATE_LIMITED"},
	} {
		ts := startServer(t, func(c *Config) { c.MaxConns, c.MaxConnsPerIP = tc.conns, tc.perIP }, testRoutes)
		var held []net.Conn
		for range 2 {
			c, err := net.Dial("tcp", ts.addr)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(c, "GET /public HTTP/1.1\r\nHost: x\r\n\r\n")
			if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			held = append(held, c)
		}
		c, err := net.Dial("tcp", ts.addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		got, _ := io.ReadAll(c)
		c.Close()
		if !strings.HasPrefix(string(got), "HTTP/1.1 "+tc.status) || !strings.Contains(string(got), tc.code) {
			t.Errorf("%s: got %q, want %s", tc.name, got, tc.status)
		}
		for _, c := range held {
			c.Close()
		}
		waitFor(t, func() bool {
			got := ts.raw("GET /public HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			return strings.HasPrefix(got, "HTTP/1.1 200 ")
		})
	}
}
