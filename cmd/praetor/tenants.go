package main

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/praetor-engine/praetor/internal/client"
)

type tenantsCommands struct {
	Create tenantsCreate `cmd:"" help:"Create a tenant."`
	List   tenantsList   `cmd:"" help:"List the tenants."`
	Delete tenantsDelete `cmd:"" help:"Delete a tenant with its models, keys and history."`
}

type tenantsCreate struct {
	target `embed:""`
	Name   string `arg:"" help:"The tenant's name."`
	ID     string `name:"id" help:"Its id; the engine chooses one otherwise."`
}

// Run creates the tenant and says how to go on.
func (c *tenantsCreate) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.operator)
	if err != nil {
		return err
	}
	defer done()
	tenant, err := engine.CreateTenant(ctx, c.ID, c.Name, client.IdempotencyKey(rand.Text()))
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.out, tenant)
	}
	fmt.Fprintf(env.out, "created tenant %s (%s)\n\nIts first key:\n  praetor keys create admin --role admin --tenant %s\n", tenant.ID, tenant.Name, tenant.ID)
	return nil
}

type tenantsList struct {
	target `embed:""`
}

// Run lists the tenants.
func (c *tenantsList) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.operator)
	if err != nil {
		return err
	}
	defer done()
	return printList(env.out, c.JSON, engine.AllTenants(ctx), []string{"ID", "NAME", "CREATED"}, func(t client.Tenant) []string {
		return []string{t.ID, t.Name, moment(&t.CreatedAt)}
	})
}

type tenantsDelete struct {
	target `embed:""`
	ID     string `arg:"" help:"The tenant's id."`
	Yes    bool   `help:"Delete it indeed; nothing of the tenant can be brought back."`
}

// Run deletes the tenant when it was confirmed.
func (c *tenantsDelete) Run(ctx context.Context, env *environment) error {
	if !c.Yes {
		return fmt.Errorf("this deletes tenant %s with its models, keys and history for good; add --yes to do it", c.ID)
	}
	engine, ctx, done, err := c.open(ctx, c.operator)
	if err != nil {
		return err
	}
	defer done()
	if err := engine.DeleteTenant(ctx, c.ID, client.IdempotencyKey(rand.Text())); err != nil {
		return err
	}
	return printDone(env, c.JSON, "deleted", "tenant", c.ID)
}

// printDone tells that something is gone.
func printDone(env *environment, asJSON bool, done, what, id string) error {
	if asJSON {
		return printJSON(env.out, map[string]string{"id": id, "status": done})
	}
	_, err := fmt.Fprintln(env.out, done, what, id)
	return err
}
