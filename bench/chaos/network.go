package chaos

import (
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

func (proxied) name() string          { return "proxy" }
func (proxied) place(int) nodes.Place { return nodes.Place{} }
func (proxied) flags() []string       { return nil }

func (p proxied) advertise(id, listen string) (string, error) { return p.Listen(id, listen) }

func (r *Runner) openNetwork(l *life) (network, error) {
	return proxied{NewProxy(l.owner)}, nil
}
