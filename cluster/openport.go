package cluster

import (
	"fmt"
	"net"

	"github.com/hashicorp/raft"
)

// openTransport returns Raft's transport and the address of this node in it. A
// node alone without a listener has no port that anybody could talk to.
func (n *Node) openTransport() (raft.Transport, raft.ServerAddress, error) {
	layer := n.cfg.Transport
	if layer == nil && n.cfg.Listen == "" {
		local, t := raft.NewInmemTransport(raft.ServerAddress(n.cfg.NodeID))
		return t, local, nil
	}
	var source *tlsSource
	if n.cfg.TLS != nil {
		var err error
		if source, err = newTLSSource(*n.cfg.TLS, n.log); err != nil {
			return nil, "", err
		}
	}
	if layer == nil {
		var err error
		if layer, err = ListenTCP(n.cfg.Listen); err != nil {
			return nil, "", fmt.Errorf("node port: %w", err)
		}
	}
	p := newPort(layer, n.cfg.advertised(), n.self, source, n.log)
	p.verdict, p.unwanted, p.serve = n.fsm.roster.verdict, n.unwanted, n.serve
	n.net = newTransport(p, max(2*n.cfg.times(false).heartbeat, minPatience), newBridge(n.log))
	n.links = newLinks(func(id, address string) (net.Conn, hello, error) {
		return p.dial(connNode, id, address, dialTimeout)
	})
	return n.net, n.net.LocalAddr(), nil
}

// openPort lets the others in, now that there is something to talk to.
func (n *Node) openPort() {
	leads := func(id string, term uint64) bool {
		return n.raft.State() == raft.Leader && n.raft.CurrentTerm() == term && n.knows(id)
	}
	n.net.leads.Store(&leads)
	n.net.port.start()
	n.onClose(func() error { n.links.close(); return nil })
	n.work.Go(n.belong)
	n.work.Go(func() {
		select {
		case <-n.failed: // whatever Raft still does: nobody hears this node again
			n.net.Close()
		case <-n.stop:
		}
	})
}
