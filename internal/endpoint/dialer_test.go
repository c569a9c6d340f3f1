package endpoint

import (
	"context"
	"net"
	"testing"
)

func TestDialer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	strict, err := NewDialer(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, network := range []string{"tcp", "unix"} {
		if c, err := strict.DialContext(context.Background(), network, ln.Addr().String()); !Refused(err) {
			t.Errorf("network %s to this machine: got %v, %v, want a refusal", network, c, err)
		}
	}
	if strict.Plain() {
		t.Error("without AllowHTTP no connection may be plain")
	}
	open, err := NewDialer(Options{AllowHTTP: true, Allow: []string{"127.0.0.0/8"}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := open.DialContext(context.Background(), "tcp", ln.Addr().String())
	if err != nil || !open.Plain() {
		t.Fatalf("a listed address: got %v, plain %v", err, open.Plain())
	}
	_ = c.Close()
	if _, err := NewDialer(Options{Allow: []string{"*"}}); err == nil {
		t.Error("an entry that is none: want an error")
	}
}
