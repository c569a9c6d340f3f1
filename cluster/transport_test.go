package cluster

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/rs/zerolog"
)

// The stores are closed after the transport: a heartbeat that is being handled then
// must not meet a closed one.
func TestCloseWaitsForHeartbeats(t *testing.T) {
	listener, err := ListenTCP("127.0.0.1:0")
	must(t, err)
	p := newPort(listener, "", &self{id: "n1", incarnation: incarnation{1}}, nil, zerolog.Nop())
	trans := newTransport(p, time.Second, hclog.NewNullLogger())
	entered, release, ended := make(chan struct{}), make(chan struct{}), atomic.Bool{}
	answers := make(chan raft.RPCResponse, 2)
	go trans.heartbeat(raft.RPC{RespChan: answers}, func(rpc raft.RPC) {
		close(entered)
		<-release
		ended.Store(true)
		rpc.Respond(nil, nil)
	})
	<-entered
	closed := make(chan error, 1)
	go func() { closed <- trans.Close() }()
	select {
	case <-closed:
		t.Fatal("closed while a heartbeat was being handled")
	case <-time.After(20 * time.Millisecond): // what should not happen has had its chance
	}
	close(release)
	must(t, <-closed)
	if !ended.Load() {
		t.Error("closed before the heartbeat was handled")
	}
	<-answers
	trans.heartbeat(raft.RPC{RespChan: answers}, func(raft.RPC) { t.Error("a heartbeat was handled after the close") })
	if a := <-answers; !errors.Is(a.Error, raft.ErrTransportShutdown) {
		t.Errorf("got %v, want %v", a.Error, raft.ErrTransportShutdown)
	}
}
