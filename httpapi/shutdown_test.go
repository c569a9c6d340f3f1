package httpapi

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

func TestShutdownFinishesRequests(t *testing.T) {
	started, finish := make(chan struct{}), make(chan struct{})
	ts := startServer(t, nil, func(s *Server) []*route {
		return append(testRoutes(s), &route{method: get, path: "/slow", access: public, handle: func(rq *request) error {
			close(started)
			<-finish
			return rq.reply(200, "done")
		}})
	})
	answers := make(chan *reply, 1)
	go func() { answers <- ts.do(get, "/slow", "", "") }()
	<-started
	ts.Drain()
	if r := ts.do(get, "/readyz", "", ""); r.status != 503 {
		t.Errorf("readyz while draining: got %d", r.status)
	}
	if r := ts.do(get, "/healthz", "", ""); r.status != 200 {
		t.Errorf("healthz while draining: got %d", r.status)
	}
	http.DefaultClient.CloseIdleConnections()
	stopped := make(chan error, 1)
	go func() { stopped <- ts.Shutdown(context.Background()) }()
	waitFor(t, func() bool {
		c, err := net.Dial("tcp", ts.addr)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	select {
	case err := <-stopped:
		t.Fatalf("shutdown returned %v before the request had ended", err)
	default:
	}
	close(finish)
	if r := <-answers; r.status != 200 {
		t.Errorf("the request in flight: got %d", r.status)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestShutdownGivesUp(t *testing.T) {
	started, finish := make(chan struct{}), make(chan struct{})
	ts := startServer(t, nil, func(*Server) []*route {
		return []*route{{method: get, path: "/slow", access: public, handle: func(rq *request) error {
			close(started)
			<-rq.ctx.Done() // Shutdown cancels what it will not wait for
			close(finish)
			return nil
		}}}
	})
	go func() {
		resp, err := http.Get("http://" + ts.addr + "/slow")
		if err == nil {
			resp.Body.Close()
		}
	}()
	<-started
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := ts.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's error", err)
	}
	<-finish
}

// A server that was shut down before it served does not begin to.
func TestShutdownBeforeServe(t *testing.T) {
	s, err := newServer(DefaultConfig(), &fakeGate{}, zerolog.Nop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: got %v", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(ln); err != nil {
		t.Errorf("Serve: got %v, want nil", err)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener: got %v, want it closed", err)
	}
}
