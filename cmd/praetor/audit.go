package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/praetor-engine/praetor/internal/client"
)

type auditCommands struct {
	List   auditList   `cmd:"" help:"List what was changed, newest first."`
	Verify auditVerify `cmd:"" help:"Check that the log is as it was written."`
	Export auditExport `cmd:"" help:"Write the whole log, oldest first."`
}

// auditConnection reaches a tenant's audit log, or without a key and a tenant the
// operator's own.
type auditConnection struct {
	connection `embed:""`
}

func (c *auditConnection) client() (*client.Client, error) {
	if c.Key == "" && c.Tenant == "" {
		return c.operator()
	}
	return c.connection.client()
}

type auditList struct {
	auditConnection `embed:""`
	EntityType      string `placeholder:"TYPE" help:"Only about things of this type, such as algorithmModel."`
	EntityID        string `name:"entity-id" placeholder:"ID" help:"Only about this one."`
	Action          string `help:"Only of this action, such as transition."`
	Page            int    `default:"1" help:"Which page (${default})."`
	Limit           int    `default:"50" help:"Entries a page, at most 100 (${default})."`
}

// Run lists a page.
func (c *auditList) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	p, err := engine.AuditLogs(ctx, client.AuditOptions{EntityType: c.EntityType, EntityID: c.EntityID, Action: c.Action, Page: c.Page, Limit: c.Limit})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.out, p)
	}
	rows := make([][]string, len(p.Logs))
	for i, e := range p.Logs {
		rows[i] = []string{e.ID, e.Timestamp.UTC().Format("2006-01-02 15:04:05"), e.Actor, e.Action, e.EntityType, e.EntityID, e.EntityName}
	}
	if err := printTable(env.out, []string{"ID", "AT", "ACTOR", "ACTION", "TYPE", "ENTITY", "NAME"}, rows); err != nil {
		return err
	}
	fmt.Fprintf(env.out, "\n%d of %d entries, page %d\n", len(p.Logs), p.Total, p.Page)
	return nil
}

type auditVerify struct {
	auditConnection `embed:""`
}

// Run checks the log; one that is not intact is an error.
func (c *auditVerify) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	v, err := engine.VerifyAudit(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		if err := printJSON(env.out, v); err != nil {
			return err
		}
	}
	switch {
	case v.BrokenAtID != "":
		return fmt.Errorf("the audit log is broken at %s, after %d entries in order", v.BrokenAtID, v.Verified)
	case !v.Intact:
		return fmt.Errorf("the audit log is broken: entries are missing after %d in order", v.Verified)
	case !c.JSON:
		fmt.Fprintf(env.out, "intact: %d entries\n", v.Verified)
	}
	return nil
}

type auditExport struct {
	auditConnection `embed:""`
	Format          string `default:"ndjson" enum:"ndjson,csv" help:"${enum} (${default}); to verify the chain elsewhere take ndjson."`
	Output          string `short:"o" type:"path" placeholder:"FILE" help:"Where to write it; standard output otherwise."`
}

// Run writes the log.
func (c *auditExport) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	if c.Output == "" {
		return engine.ExportAudit(ctx, c.Format, env.out)
	}
	f, err := os.Create(c.Output)
	if err != nil {
		return err
	}
	return errors.Join(engine.ExportAudit(ctx, c.Format, f), f.Close())
}
