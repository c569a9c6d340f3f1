package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/praetor-engine/praetor/internal/client"
)

type keysCommands struct {
	Create keysCreate `cmd:"" help:"Create a key; it is shown this once."`
	List   keysList   `cmd:"" help:"List the keys, without their secrets."`
	Revoke keysRevoke `cmd:"" help:"Revoke a key at once."`
}

type keysCreate struct {
	connection `embed:""`
	Name       string        `arg:"" help:"What the key is for."`
	Role       string        `required:"" enum:"admin,editor,viewer" help:"What it may do: ${enum}."`
	ExpiresIn  time.Duration `placeholder:"720h" help:"When it ends; never otherwise."`
}

// Run creates the key and shows it.
func (c *keysCreate) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	wanted := client.NewKey{Name: c.Name, Role: c.Role}
	if c.ExpiresIn != 0 {
		if c.ExpiresIn < 0 {
			return fmt.Errorf("--expires-in: got %s, want a time from now", c.ExpiresIn)
		}
		end := time.Now().UTC().Add(c.ExpiresIn).Truncate(time.Second)
		wanted.ExpiresAt = &end
	}
	key, err := engine.CreateKey(ctx, wanted, client.IdempotencyKey(rand.Text()))
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.out, key)
	}
	fmt.Fprintf(env.out, "created %s key %s (%s), expires %s\n\n  %s\n\nThe engine keeps only a hash of it: this is the one time it is shown.\n",
		key.Role, key.ID, key.Name, moment(key.ExpiresAt), key.Secret)
	return nil
}

type keysList struct {
	connection `embed:""`
}

// Run lists the keys.
func (c *keysList) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	titles := []string{"ID", "NAME", "ROLE", "STARTS WITH", "CREATED", "EXPIRES"}
	return printList(env.out, c.JSON, engine.AllKeys(ctx), titles, func(k client.Key) []string {
		return []string{k.ID, k.Name, k.Role, k.Prefix, moment(&k.CreatedAt), moment(k.ExpiresAt)}
	})
}

type keysRevoke struct {
	connection `embed:""`
	ID         string `arg:"" help:"The key's id, as keys list shows it."`
}

// Run revokes the key.
func (c *keysRevoke) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	if err := engine.RevokeKey(ctx, c.ID, client.IdempotencyKey(rand.Text())); err != nil {
		return err
	}
	return printDone(env, c.JSON, "revoked", "key", c.ID)
}
