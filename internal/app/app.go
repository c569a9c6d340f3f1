// Package app is a node put together: configuration, engine, HTTP server. The
// command serve and the end-to-end tests start the same App.
package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"

	"github.com/praetor-engine/praetor/httpapi"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/engine"
)

// App is a running node.
type App struct {
	config   Config
	log      zerolog.Logger
	engine   *engine.Engine
	server   *httpapi.Server
	listener net.Listener
	scheme   string
	served   chan struct{} // closed when serving has ended, with serveErr
	serveErr error

	// DevKey is the admin key of the tenant demo, when the node was started
	// with Dev.
	DevKey string

	closeOnce sync.Once
	closeErr  error
}

// DevTenant is the tenant that Dev makes.
const DevTenant = "demo"

// Start starts a node. It listens when Start returns; Ready tells when it
// serves whole. With Dev it returns when the tenant demo has its key.
func Start(ctx context.Context, config Config, log zerolog.Logger) (_ *App, err error) {
	a := &App{config: config, log: log, scheme: "http", served: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.abandon())
		}
	}()
	operatorKey, err := config.operatorKey()
	if err != nil {
		return nil, err
	}
	httpConfig, err := config.httpConfig()
	if err != nil {
		return nil, err
	}
	if err := httpConfig.Validate(); err != nil {
		return nil, err
	}
	engineConfig, err := config.engineConfig(operatorKey)
	if err != nil {
		return nil, err
	}
	// The port first: a second node on it must not touch the data.
	if a.listener, err = net.Listen("tcp", config.Listen); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	own := []string{a.listener.Addr().String(), config.AdminListen, engineConfig.Cluster.Listen}
	if engineConfig.Endpoints, err = config.endpointOptions(own...); err != nil {
		return nil, err
	}
	if a.engine, err = engine.Open(engineConfig, log); err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), newCollector(a.engine),
	)
	if a.server, err = httpapi.New(httpConfig, a.engine, log, registry); err != nil {
		return nil, err
	}
	if config.TLSCert != "" {
		a.scheme = "https"
	}
	if config.Dev {
		if err := a.develop(ctx); err != nil {
			return nil, fmt.Errorf("set up the demo tenant: %w", err)
		}
	}
	go func() {
		defer close(a.served)
		a.serveErr = a.server.Serve(a.listener)
	}()
	return a, nil
}

// abandon closes what a Start that failed had opened.
func (a *App) abandon() error {
	var errs []error
	if a.listener != nil {
		errs = append(errs, a.listener.Close())
	}
	if a.engine != nil {
		ctx, cancel := context.WithTimeout(context.Background(), a.config.ShutdownTimeout)
		defer cancel()
		errs = append(errs, a.engine.Close(ctx))
	}
	return errors.Join(errs...)
}

// develop makes the tenant demo, if it is not there, and a fresh key for it.
func (a *App) develop(ctx context.Context) error {
	if err := a.WaitReady(ctx); err != nil {
		return err
	}
	operator := engine.Principal{Role: decision.RoleOperator, KeyName: "operator"}
	if !a.engine.TenantExists(DevTenant) {
		if _, _, err := a.engine.CreateTenant(ctx, engine.Write{Principal: operator}, DevTenant, "Demo"); err != nil {
			return err
		}
	}
	operator.TenantID = DevTenant
	suffix := make([]byte, 4)
	_, _ = rand.Read(suffix) // never fails since Go 1.24
	k, _, err := a.engine.CreateKey(ctx, engine.Write{Principal: operator}, "dev-"+hex.EncodeToString(suffix), decision.RoleAdmin.String(), 0)
	a.DevKey = k.Raw
	return err
}

// readyInterval is how often WaitReady looks.
const readyInterval = 5 * time.Millisecond

// WaitReady returns when the node is ready, or ctx ends.
func (a *App) WaitReady(ctx context.Context) error {
	tick := time.NewTicker(readyInterval)
	defer tick.Stop()
	for {
		err := a.engine.Ready()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-a.engine.Failed():
			return a.engine.Err()
		case <-ctx.Done():
			return fmt.Errorf("the node is not ready: %w", err)
		}
	}
}

// URL is where the API is.
func (a *App) URL() string { return a.scheme + "://" + a.listener.Addr().String() }

// Engine is the node's engine, for tests and benchmarks in process.
func (a *App) Engine() *engine.Engine { return a.engine }

// Wait returns when the node stopped by itself, with the reason, or ctx ends.
func (a *App) Wait(ctx context.Context) error {
	select {
	case <-a.served:
		return a.serveErr
	case <-a.engine.Failed():
		return a.engine.Err()
	case <-ctx.Done():
		return nil
	}
}

// Close stops the node: readiness off, requests in flight finished, leadership
// handed over, state kept. ctx bounds the courtesy.
func (a *App) Close(ctx context.Context) error {
	a.closeOnce.Do(func() {
		err := a.server.Shutdown(ctx)
		<-a.served
		a.closeErr = errors.Join(err, a.engine.Close(ctx))
	})
	return a.closeErr
}
