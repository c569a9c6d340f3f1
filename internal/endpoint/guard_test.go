package endpoint

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
)

func TestPublic(t *testing.T) {
	for _, text := range []string{"1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1", "198.17.0.1", "192.0.1.1", "223.255.255.255", "2606:4700::1111", "2a00::1", "2001:200::1"} {
		if !public(netip.MustParseAddr(text)) {
			t.Errorf("public(%s) = false, want true", text)
		}
	}
	for _, text := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1",
		"172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9",
		"224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "168.63.129.16",
		"::", "::1", "::7f00:1", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1",
		"fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1",
	} {
		if public(netip.MustParseAddr(text)) {
			t.Errorf("public(%s) = true, want false", text)
		}
	}
}

func mustGuard(t *testing.T, o Options) *guard {
	g, err := o.guard()
	if err != nil {
		t.Fatal(err)
	}
	g.local = func() ([]net.Addr, error) { return []net.Addr{&net.IPNet{IP: net.ParseIP("5.6.7.8")}}, nil }
	return g
}

func TestCheck(t *testing.T) {
	g := mustGuard(t, Options{
		Allow: []string{"10.1.0.0/16", "127.0.0.2", "::ffff:192.168.0.7", "fd00:1::/32", "ML.internal."},
		Own:   []netip.AddrPort{netip.MustParseAddrPort("10.1.0.9:7000"), netip.MustParseAddrPort("[::]:8080")},
	})
	cases := []struct {
		network, to, host string
		want              bool
	}{
		{"tcp4", "1.1.1.1:443", "", true},
		{"tcp4", "1.1.1.1:80", "", true},
		{"tcp4", "1.1.1.1:8443", "", true},
		{"tcp4", "1.1.1.1:25", "", false},
		{"udp4", "1.1.1.1:443", "", false},
		{"tcp6", "[::ffff:127.0.0.1]:443", "", false},
		{"tcp6", "[::ffff:1.1.1.1]:443", "", true},
		{"tcp6", "[fe80::1%eth0]:443", "", false},
		{"tcp4", "10.1.2.3:22", "", true},
		{"tcp4", "10.2.2.3:443", "", false},
		{"tcp4", "127.0.0.2:443", "", true},
		{"tcp4", "127.0.0.1:443", "", false},
		{"tcp4", "192.168.0.7:443", "", true},
		{"tcp6", "[fd00:1::5]:443", "", true},
		{"tcp6", "[fd00:2::5]:443", "", false},
		// A listed name may be private or here, never link-local.
		{"tcp4", "10.2.2.3:443", "ml.internal", true},
		{"tcp4", "127.0.0.1:9000", "ML.INTERNAL.", true},
		{"tcp4", "1.1.1.1:25", "ml.internal", true},
		{"tcp4", "169.254.169.254:80", "ml.internal", false},
		{"tcp4", "0.0.0.0:443", "ml.internal", false},
		{"tcp4", "10.2.2.3:443", "other.internal", false},
		// Ours is never called, listed or not.
		{"tcp4", "10.1.0.9:7000", "", false},
		{"tcp4", "10.1.0.9:7001", "", true},
		{"tcp4", "127.0.0.2:8080", "", false},
		{"tcp4", "127.0.0.1:8080", "ml.internal", false},
		{"tcp4", "5.6.7.8:8080", "", false},
		{"tcp4", "5.6.7.9:8080", "", true},
	}
	for _, c := range cases {
		err := g.check(c.network, netip.MustParseAddrPort(c.to), g.lists(c.host))
		if (err == nil) != c.want {
			t.Errorf("check(%s %s, host %q) = %v, want permitted %v", c.network, c.to, c.host, err, c.want)
		}
		if err != nil && !errors.Is(err, errAddress) {
			t.Errorf("check(%s) = %v, want errAddress", c.to, err)
		}
	}
	g.local = func() ([]net.Addr, error) { return nil, errors.New("no addresses") }
	if g.check("tcp4", netip.MustParseAddrPort("5.6.7.9:8080"), false) == nil {
		t.Error("an address that may be ours was permitted")
	}
}

func TestListsThatAreNotValid(t *testing.T) {
	_, err := NewClient(Options{Allow: []string{"10.0.0.0/8", "10.0.0.0/99", "https://x", "", "fe80::1%eth0"}})
	var e *decision.Error
	if !errors.As(err, &e) || len(e.Details) != 4 || e.Details[0].Path != "allow[1]" {
		t.Errorf("NewClient = %v, want problems with entries 1 to 4", err)
	}
	if _, err := NewTransport(Options{Allow: []string{"*"}}); err == nil {
		t.Error("NewTransport took a wildcard")
	}
}
