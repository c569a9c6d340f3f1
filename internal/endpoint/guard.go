package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
)

// errAddress is wrapped by every refusal of an address.
var errAddress = errors.New("address not permitted")

// guard judges addresses. It is immutable.
type guard struct {
	prefixes []netip.Prefix  // listed: permitted whatever they are
	hosts    map[string]bool // listed: may be in a private network or this machine
	own      []netip.AddrPort
	local    func() ([]net.Addr, error) // addresses of this machine
}

// refused are the parts of the IPv4 space that are not public unicast, from the
// IANA special-purpose address registry, and the parts of 2000::/3 that are not.
// All IPv6 outside of 2000::/3 is refused as well.
var refused = prefixes(
	"0.0.0.0/8",         // this network
	"10.0.0.0/8",        // private
	"100.64.0.0/10",     // carrier-grade NAT; a cloud's metadata at 100.100.100.200
	"127.0.0.0/8",       // loopback
	"168.63.129.16/32",  // a cloud's metadata, though publicly assigned
	"169.254.0.0/16",    // link-local; clouds' metadata at 169.254.169.254
	"172.16.0.0/12",     // private
	"192.0.0.0/24",      // protocol assignments; a cloud's metadata at 192.0.0.192
	"192.0.2.0/24",      // documentation
	"192.88.99.0/24",    // 6to4 relays
	"192.168.0.0/16",    // private
	"198.18.0.0/15",     // benchmarks
	"198.51.100.0/24",   // documentation
	"203.0.113.0/24",    // documentation
	"224.0.0.0/3",       // multicast, reserved, broadcast
	"2001::/23",         // protocol assignments, Teredo among them
	"2001:db8::/32",     // documentation
	"2002::/16",         // 6to4, which carries an IPv4 address
	"2620:4f:8000::/48", // AS112
	"3fff::/20",         // documentation
)

var globalIPv6 = netip.MustParsePrefix("2000::/3")

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		out[i] = netip.MustParsePrefix(text)
	}
	return out
}

// public reports whether a, unmapped, is public unicast.
func public(a netip.Addr) bool {
	if a.Is6() && !globalIPv6.Contains(a) {
		return false // NAT64 64:ff9b::/96, fc00::/7, fe80::/10, ff00::/8, ::/8
	}
	return a.IsGlobalUnicast() && !within(refused, a)
}

func within(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// lists reports whether the server's configuration lists the host by name.
func (g *guard) lists(host string) bool {
	return g.hosts[strings.ToLower(strings.TrimSuffix(host, "."))]
}

// check judges the address of a connection about to be made to a host; listed
// tells that the server's configuration lists the host's name.
func (g *guard) check(network string, to netip.AddrPort, listed bool) error {
	a := to.Addr()
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("%w: network %s", errAddress, network)
	}
	if a.Zone() != "" {
		return fmt.Errorf("%w: %s has a zone", errAddress, a)
	}
	a = a.Unmap()
	switch {
	case a.IsUnspecified() || a.IsMulticast():
		return fmt.Errorf("%w: %s", errAddress, a)
	case g.isOwn(netip.AddrPortFrom(a, to.Port())):
		return fmt.Errorf("%w: %s is this server", errAddress, to)
	case within(g.prefixes, a):
		return nil
	case listed && (a.IsLoopback() || a.IsPrivate()):
		return nil
	case !public(a):
		return fmt.Errorf("%w: %s is not public", errAddress, a)
	case !listed && to.Port() != 443 && to.Port() != 80 && to.Port() < 1024:
		// The ports of mail, remote shells, name service and file shares.
		return fmt.Errorf("%w: port %d", errAddress, to.Port())
	}
	return nil
}

// isOwn reports whether the engine listens on the address.
func (g *guard) isOwn(to netip.AddrPort) bool {
	for _, own := range g.own {
		if own.Port() != to.Port() {
			continue
		}
		at := own.Addr().Unmap()
		if at == to.Addr() || (at.IsUnspecified() && (to.Addr().IsLoopback() || g.isLocal(to.Addr()))) {
			return true
		}
	}
	return false
}

func (g *guard) isLocal(a netip.Addr) bool {
	addrs, err := g.local()
	if err != nil {
		return true // unknown, so refused
	}
	for _, addr := range addrs {
		if n, ok := addr.(*net.IPNet); ok {
			if local, ok := netip.AddrFromSlice(n.IP); ok && local.Unmap() == a {
				return true
			}
		}
	}
	return false
}

// dial connects to a host and port. The address is checked between resolving and
// connecting, for every address that the name has.
func (g *guard) dial(ctx context.Context, d net.Dialer, network, hostPort string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAddress, err)
	}
	listed := g.lists(host)
	d.ControlContext = func(_ context.Context, network, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("%w: %w", errAddress, err)
		}
		return g.check(network, to, listed)
	}
	return d.DialContext(ctx, network, hostPort)
}
