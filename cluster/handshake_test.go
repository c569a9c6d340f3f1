package cluster

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/praetor-engine/praetor/internal/decision"
)

func TestHello(t *testing.T) {
	for _, want := range []hello{
		{},
		{kind: connRaft, from: "n1", to: "n2"},
		{kind: connNode, from: strings.Repeat("a", maxNodeID), to: "", cluster: clusterID{1, 2}, incarnation: incarnation{3}},
	} {
		b := want.encode()
		got, version, err := decodeHello(b)
		if err != nil || version != helloVersion || got != want {
			t.Errorf("got %+v, version %d, %v, want %+v", got, version, err, want)
		}
	}
}

func reseal(b []byte) []byte {
	binary.LittleEndian.PutUint32(b[168:], crc32.Checksum(b[:168], castagnoli))
	return b
}

func TestHelloRefuses(t *testing.T) {
	good := hello{kind: connRaft, from: "n1", to: "n2"}
	tests := map[string]struct {
		change func(b []byte) []byte
		want   string
	}{
		"short":                 {func(b []byte) []byte { return b[:helloSize-1] }, "want 172"},
		"other magic":           {func(b []byte) []byte { b[0] = 'G'; return b }, "begin with"},
		"flipped bit":           {func(b []byte) []byte { b[50] ^= 1; return b }, "checksum"},
		"length over the field": {func(b []byte) []byte { b[6] = 65; return reseal(b) }, "node id of 65 bytes"},
		"bytes behind the id":   {func(b []byte) []byte { b[60] = 'x'; return reseal(b) }, "node id of 2 bytes"},
		"id with a slash":       {func(b []byte) []byte { b[40] = '/'; return reseal(b) }, "want letters"},
	}
	for name, test := range tests {
		_, _, err := decodeHello(test.change(good.encode()))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, test.want)
		}
	}
	b := good.encode()
	b[4] = 9
	if _, version, err := decodeHello(reseal(b)); err != nil || version != 9 {
		t.Errorf("got version %d, %v, want the later version told", version, err)
	}
}

func FuzzHello(f *testing.F) {
	f.Add((&hello{kind: connNode, from: "n1", to: "n2", cluster: clusterID{9}}).encode())
	f.Add(make([]byte, helloSize))
	f.Add([]byte("GET / HTTP/1.1\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == helloSize { // get past the checksum
			copy(b, helloMagic)
			reseal(b)
		}
		h, version, err := decodeHello(b)
		if err != nil || version != helloVersion {
			return
		}
		if again := h.encode(); !bytes.Equal(again, b) {
			t.Errorf("got %x, want %x", again, b)
		}
	})
}

func anySize(byte, int) error { return nil }

func encodeFrame(t testing.TB, f frame) []byte {
	var b bytes.Buffer
	must(t, writeFrame(bufio.NewWriter(&b), f))
	return b.Bytes()
}

func TestFrames(t *testing.T) {
	for _, want := range []frame{
		{payload: []byte{}},
		{id: 1 << 60, op: opPropose, timeout: 5, payload: []byte("abc")},
		{id: 7, op: opPropose, payload: bytes.Repeat([]byte("x"), 3*frameChunk+5)},
	} {
		got, err := readFrame(bytes.NewReader(encodeFrame(t, want)), anySize)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got frame %d of %d bytes, %v, want frame %d of %d bytes", got.id, len(got.payload), err, want.id, len(want.payload))
		}
	}
	b := encodeFrame(t, frame{id: 1, payload: []byte("abc")})
	for i := range b {
		damaged := bytes.Clone(b)
		damaged[i] ^= 1
		if _, err := readFrame(bytes.NewReader(damaged), anySize); err == nil {
			t.Errorf("got no error with a bit flipped in byte %d", i)
		}
	}
	binary.LittleEndian.PutUint32(b, maxFrame+1)
	if _, err := readFrame(bytes.NewReader(b), anySize); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("got %v for a frame over the bound, want it refused", err)
	}
}

// A length alone must not cost memory.
func TestPayloadIsAllocatedAsItArrives(t *testing.T) {
	b := encodeFrame(t, frame{payload: []byte("abc")})
	binary.LittleEndian.PutUint32(b, maxFrame)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := readFrame(bytes.NewReader(b), anySize); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want an unexpected end", err)
	}
	runtime.ReadMemStats(&after)
	if got, want := after.TotalAlloc-before.TotalAlloc, uint64(2*frameChunk); got > want {
		t.Errorf("got %d bytes allocated for 3 that arrived, want at most %d", got, want)
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(encodeFrame(f, frame{id: 1, op: opJoin, timeout: 9, payload: []byte("abc")}))
	f.Add(make([]byte, frameHead))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := readFrame(bytes.NewReader(b), func(_ byte, size int) error {
			if size > maxSmallFrame {
				return io.ErrShortBuffer
			}
			return nil
		})
		if err != nil {
			return
		}
		if again := encodeFrame(t, got); !bytes.Equal(again, b[:len(again)]) {
			t.Errorf("got %x, want %x", again, b)
		}
	})
}

func FuzzMessages(f *testing.F) {
	f.Add((&joinRequest{peer: Peer{"n1", "a:1"}, voter: true}).encode())
	f.Add((&PeerStatus{Role: "leader", Term: 3, Detail: []byte("x")}).encode())
	f.Add(encodeFailure(again(nil, "no")))
	f.Add(encodeRecord("n1", incarnation{1}))
	f.Add(encodeState(5, map[string]rosterEntry{"n1": {incarnation{2}, removed}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if j, err := decodeJoin(b); err == nil {
			if j2, err := decodeJoin(j.encode()); err != nil || j2 != j {
				t.Errorf("got %+v, %v, want %+v", j2, err, j)
			}
		}
		var p, p2 PeerStatus
		if p.decode(b) == nil {
			if err := p2.decode(p.encode()); err != nil || !reflect.DeepEqual(p, p2) {
				t.Errorf("got %+v, %v, want %+v", p2, err, p)
			}
		}
		decodeFailure("n1", b)
		if id, i, err := decodeRecord(string(b)); err == nil && !bytes.Equal(encodeRecord(id, i), b) && len(id) < 0x80 {
			t.Errorf("got %x, want %x", encodeRecord(id, i), b)
		}
		if at, roster, err := decodeState(string(b)); err == nil {
			at2, roster2, err := decodeState(string(encodeState(at, roster)))
			if err != nil || at2 != at || len(roster) > 0 && !reflect.DeepEqual(roster, roster2) {
				t.Errorf("got %d %v, %v, want %d %v", at2, roster2, err, at, roster)
			}
		}
	})
}

func TestFailureCrossesTheWire(t *testing.T) {
	want := again(nil, "node %s does not lead", "n1")
	got := decodeFailure("n2", encodeFailure(want))
	var e *decision.Error
	if !errors.As(got, &e) || e.Kind != decision.KindUnavailable || e.Reason != ReasonNotLeader || e.Msg != "node n1 does not lead" || !errors.Is(got, errAgain) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := decodeFailure("n2", []byte{1}); !strings.Contains(got.Error(), "failure told by node n2") {
		t.Errorf("got %v for damage, want the node named", got)
	}
}

// The section of a snapshot that the first release wrote is still read.
func TestStateFixtures(t *testing.T) {
	at, roster, err := decodeState("\x01\x05\x00\x00\x00\x00\x00\x00\x00")
	if err != nil || at != 5 || len(roster) != 0 {
		t.Errorf("got %d, %v, %v, want 5 and nobody", at, roster, err)
	}
	at, roster, err = decodeState("\x02\x05\x00\x00\x00\x00\x00\x00\x00\x01\x02n1" + strings.Repeat("\x07", 16) + "\x02")
	want := map[string]rosterEntry{"n1": {incarnation([]byte(strings.Repeat("\x07", 16))), removed}}
	if err != nil || at != 5 || !reflect.DeepEqual(roster, want) {
		t.Errorf("got %d, %v, %v, want 5, %v", at, roster, err, want)
	}
	if _, _, err := decodeState("\x03\x05\x00\x00\x00\x00\x00\x00\x00"); err == nil || !strings.Contains(err.Error(), "version is 3") {
		t.Errorf("got %v, want the version named", err)
	}
}

// pair is two ports on loopback.
func pair(t *testing.T, change func(a, b *port)) (a, b *port) {
	t.Helper()
	make1 := func(id string) *port {
		l, err := ListenTCP("127.0.0.1:0")
		must(t, err)
		return newPort(l, "", &self{id: id, incarnation: incarnation{id[1]}}, nil, zerolog.Nop())
	}
	a, b = make1("n1"), make1("n2")
	b.serve = func(c net.Conn, peer string) { io.Copy(c, io.MultiReader(strings.NewReader(peer+" "), c)) }
	if change != nil {
		change(a, b)
	}
	a.start()
	b.start()
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func TestPortHandshake(t *testing.T) {
	other := func(p *port, c byte) { id := clusterID{c}; p.self.cluster.Store(&id) }
	tests := map[string]struct {
		kind   byte
		id     string
		change func(a, b *port)
		want   string // empty: accepted
	}{
		"node":                 {connNode, "n2", nil, ""},
		"whoever answers":      {connNode, "", nil, ""},
		"same cluster":         {connNode, "n2", func(a, b *port) { other(a, 1); other(b, 1) }, ""},
		"cluster not known":    {connNode, "n2", func(a, b *port) { other(a, 1) }, ""},
		"wrong node":           {connNode, "n3", nil, `got node "n2", want node "n3"`},
		"wrong cluster":        {connNode, "n2", func(a, b *port) { other(a, 1); other(b, 2) }, "it belongs to another cluster"},
		"unknown kind":         {9, "n2", nil, "it does not know this kind of connection"},
		"removed there":        {connNode, "n2", func(a, b *port) { b.verdict = func(string, incarnation) refusal { return wasRemoved } }, "this node id was removed"},
		"other data there":     {connRaft, "n2", func(a, b *port) { b.verdict = func(string, incarnation) refusal { return wrongData } }, "with other data"},
		"removed as seen here": {connNode, "n2", func(a, b *port) { a.verdict = func(string, incarnation) refusal { return wasRemoved } }, "as this node knows"},
		"itself":               {connNode, "", func(a, b *port) { b.self.id = "n1" }, "it has this node's own id"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var told *RefusedError
			a, b := pair(t, func(a, b *port) {
				a.unwanted = func(r *RefusedError) { told = r }
				if test.change != nil {
					test.change(a, b)
				}
			})
			c, h, err := a.dial(test.kind, test.id, b.Addr().String(), time.Second)
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got %v, want an error with %q", err, test.want)
				}
				if wanted := strings.HasSuffix(name, " there"); wanted != (told != nil) {
					t.Errorf("got told %v, want %v", told, wanted)
				}
				return
			}
			must(t, err)
			defer c.Close()
			if h.from != "n2" || h.incarnation != b.self.incarnation {
				t.Errorf("got %+v, want n2 and its data", h)
			}
			got := make([]byte, 3)
			_, err = io.ReadFull(c, got)
			if err != nil || string(got) != "n1 " {
				t.Errorf("got %q, %v, want the dialler's name", got, err)
			}
		})
	}
}

// What is no handshake is dropped without an answer, and strangers that say
// nothing keep nobody out.
func TestPortSurvivesStrangers(t *testing.T) {
	a, b := pair(t, nil)
	var idle []net.Conn
	for i := range 3 * maxStrangers {
		c, err := net.Dial("tcp", b.Addr().String())
		must(t, err)
		idle = append(idle, c)
		if i%3 == 0 {
			fmt.Fprintf(c, "%c GET / HTTP/1.1\r\n\r\n%s", i, strings.Repeat("x", helloSize))
			if n, err := io.Copy(io.Discard, c); n > 0 {
				t.Errorf("got %d bytes of an answer, %v, want none", n, err)
			}
		}
	}
	c, _, err := a.dial(connNode, "n2", b.Addr().String(), time.Second)
	if err != nil {
		t.Fatalf("got %v among idle strangers, want a connection", err)
	}
	c.Close()
	b.mu.Lock()
	if n := len(b.strangers); n > maxStrangers {
		t.Errorf("got %d strangers, want at most %d", n, maxStrangers)
	}
	b.mu.Unlock()
	for _, c := range idle {
		c.Close()
	}
}

// A member's session ends on bytes that are no frames; others go on.
func TestMalformedFrames(t *testing.T) {
	t.Parallel()
	c := newTrio(t, nil)
	c.start(t, 0, 1, 2)
	lead := c.leader(t)
	n, follower := c.nodes[lead], c.nodes[(lead+1)%3]
	ready(t, follower)
	send := func(b []byte) error {
		conn, _, err := follower.net.port.dial(connNode, c.cfgs[lead].NodeID, c.cfgs[lead].Listen, time.Second)
		must(t, err)
		defer conn.Close()
		_, err = conn.Write(b)
		must(t, err)
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, err = io.Copy(io.Discard, conn)
		return err
	}
	for _, b := range [][]byte{bytes.Repeat([]byte{0xff}, 64), append(encodeFrame(t, frame{op: opPing}), bytes.Repeat([]byte{1}, 64)...)} {
		if err := send(b); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("got %v, want the connection ended", err)
		}
	}
	conn, err := follower.links.to(c.cfgs[lead].NodeID, c.cfgs[lead].Listen)
	must(t, err)
	for op, payload := range map[byte][]byte{opPropose: []byte("no entry"), opJoin: []byte("no join"), 99: nil} {
		got := make(chan error, 1)
		_, err := conn.start(op, time.Second, payload, func(_ []byte, err error) { got <- err })
		must(t, err)
		if err := <-got; decision.KindOf(err) != decision.KindBadRequest {
			t.Errorf("operation %d: got %v, want a bad request", op, err)
		}
	}
	if err := n.Err(); err != nil {
		t.Errorf("got failure %v of the leader", err)
	}
	c.quiesce(t)
}
