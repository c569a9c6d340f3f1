package chaos

import (
	"fmt"
	"time"

	"github.com/praetor-engine/praetor/bench/nodes"
)

// network is what the nodes talk over.
type network interface {
	// name is how the report calls it.
	name() string
	// place is where the node with this index runs.
	place(i int) nodes.Place
	// flags are what its nodes need.
	flags() []string
	// advertise returns the address that the others are told for a node port.
	advertise(id, listen string) (string, error)

	// Cut holds everything that one node sends to another.
	Cut(from, to string)
	// Heal mends everything.
	Heal()
	Close() error
}

// shaper is a network that can do more than cut.
type shaper interface {
	// Slow delays everything that from sends to to, and bounds its rate.
	Slow(from, to string, delay time.Duration, perSec int)
	// Reset ends the connections between two nodes with a reset.
	Reset(a, b string)
}

// proxied is loopback with a proxy before every node port.
type proxied struct{ *Proxy }

func (proxied) name() string          { return networkProxy }
func (proxied) place(int) nodes.Place { return nodes.Place{} }
func (proxied) flags() []string       { return nil }

func (p proxied) advertise(id, listen string) (string, error) { return p.Listen(id, listen) }

// The networks that can be asked for.
const (
	networkAuto       = "auto"
	networkProxy      = "proxy"
	networkNamespaces = "namespaces"
)

// openNetwork chooses a life's network: what was asked for; else namespaces and
// the proxy in turn where both are permitted, and the proxy for a fault that
// needs more than cuts.
func (r *Runner) openNetwork(l *life, first *Fault) (network, error) {
	want := r.Network
	if want == networkAuto && (l.number%2 == 0 || first.shaped || r.noNamespaces != "") {
		want = networkProxy
	}
	if want == networkProxy {
		return proxied{NewProxy(l.owner)}, nil
	}
	n, err := openNamespaces(l)
	if err == nil {
		return n, nil
	}
	if r.Network == networkNamespaces {
		return nil, err
	}
	r.noNamespaces = fmt.Sprintf("no network namespaces: %v", err)
	r.logf("%s", r.noNamespaces)
	return proxied{NewProxy(l.owner)}, nil
}
