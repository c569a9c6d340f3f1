package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/praetor-engine/praetor/internal/client"
)

// operatorKeyVariable holds the operator's key. There is no flag for the key
// itself: a command line is visible to every user of a machine.
const operatorKeyVariable = "PRAETOR_OPERATOR_KEY"

// target is the engine a command talks to.
type target struct {
	URL             string        `name:"url" env:"PRAETOR_URL" default:"http://127.0.0.1:8080" group:"Connection" help:"The engine's address (${env})."`
	OperatorKeyFile string        `env:"PRAETOR_OPERATOR_KEY_FILE" type:"path" placeholder:"FILE" group:"Connection" help:"File with the operator's key (${env}), or set PRAETOR_OPERATOR_KEY to the key."`
	Timeout         time.Duration `env:"PRAETOR_TIMEOUT" default:"60s" group:"Connection" help:"Longest time for one call (${env}); 0 is no limit."`
	JSON            bool          `name:"json" env:"PRAETOR_JSON" help:"Print JSON instead of a table (${env})."`
}

// connection is a target with a tenant's key, or with the operator's key and the
// tenant to act for.
type connection struct {
	target `embed:""`
	Key    string `env:"PRAETOR_KEY" placeholder:"prk_…" group:"Connection" help:"The tenant's API key (${env})."`
	Tenant string `env:"PRAETOR_TENANT" placeholder:"ID" group:"Connection" help:"Act for this tenant with the operator's key (${env})."`
}

// operator returns a client that has the operator's key.
func (t *target) operator() (*client.Client, error) { return t.operatorFor("") }

// operatorFor returns a client that has the operator's key and acts for a tenant.
func (t *target) operatorFor(tenant string) (*client.Client, error) {
	key, err := t.operatorKey()
	if err != nil {
		return nil, err
	}
	cfg := client.DefaultConfig(t.URL, key)
	cfg.Tenant = tenant
	return client.New(cfg)
}

func (t *target) operatorKey() (string, error) {
	if t.OperatorKeyFile == "" {
		if key := os.Getenv(operatorKeyVariable); key != "" {
			return key, nil
		}
		return "", errors.New("the operator's key is needed: give --operator-key-file or set " + operatorKeyVariable)
	}
	content, err := os.ReadFile(t.OperatorKeyFile)
	if err != nil {
		return "", fmt.Errorf("--operator-key-file: %w", err)
	}
	key := strings.TrimSpace(string(content))
	if key == "" {
		return "", fmt.Errorf("--operator-key-file: %s is empty", t.OperatorKeyFile)
	}
	return key, nil
}

// open returns the client of a command with the time that its calls may take;
// done ends both.
func (t *target) open(ctx context.Context, connect func() (*client.Client, error)) (engine *client.Client, limited context.Context, done func(), err error) {
	if engine, err = connect(); err != nil {
		return nil, nil, nil, err
	}
	cancel := context.CancelFunc(func() {})
	if t.Timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, t.Timeout)
	}
	return engine, ctx, func() { cancel(); engine.Close() }, nil
}

// client returns a client of the tenant.
func (c *connection) client() (*client.Client, error) {
	if c.Tenant != "" {
		return c.operatorFor(c.Tenant)
	}
	if c.Key == "" {
		return nil, errors.New("a key is needed: give --key or set PRAETOR_KEY, or --tenant with the operator's key")
	}
	return client.New(client.DefaultConfig(c.URL, c.Key))
}
