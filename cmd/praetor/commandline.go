package main

import (
	"errors"
	"io"
	"net/http"
	"syscall"

	"github.com/praetor-engine/praetor/internal/client"
	"github.com/praetor-engine/praetor/internal/demo"
)

// commandLine is every command. A flag wins over its environment variable, that
// over the default.
type commandLine struct {
	Serve       serveCommand        `cmd:"" help:"Run a node of the engine."`
	Demo        demoCommand         `cmd:"" help:"Play a market whose truth is known, or a file, and watch the models learn."`
	Models      modelsCommands      `cmd:"" help:"List, show, train and promote models."`
	Families    familiesCommands    `cmd:"" help:"List and show the families that models compete in."`
	Experiments experimentsCommands `cmd:"" help:"List and show experiments and what came of them."`
	Events      eventsCommands      `cmd:"" help:"Show what happens to the tenant's models."`
	Webhooks    webhooksCommands    `cmd:"" help:"Make, list and change the endpoints that events are sent to."`
	Evaluate    evaluateCommand     `cmd:"" help:"Tell from logged decisions what a model would have earned."`
	Warehouse   warehouseCommands   `cmd:"" help:"Say where the observations of optimizations come from: a database, files."`
	Keys        keysCommands        `cmd:"" help:"Create, list and revoke a tenant's API keys."`
	Tenants     tenantsCommands     `cmd:"" help:"Create, list and delete tenants (with the operator's key)."`
	Alerts      alertsCommand       `cmd:"" help:"List what of the models needs attention."`
	Audit       auditCommands       `cmd:"" help:"List, verify and export what was changed and by whom."`
	Cluster     clusterCommands     `cmd:"" help:"Show and change the cluster's members (with the operator's key); make their certificates."`
	Snapshot    snapshotCommands    `cmd:"" help:"Inspect and verify snapshots; replay a log."`
	Version     versionCommand      `cmd:"" help:"Print the version."`

	Optimizations optimizationsCommands `cmd:"" help:"Create, list, serve, train and judge factorial optimizations (/api/v2)."`
}

// environment is what a command has around it.
type environment struct {
	out, err io.Writer
	start    demo.Starter // starts an engine for the demo; nil: none can be
}

// explain adds to an error what to do about it, where that is known.
func explain(err error) string {
	text := err.Error()
	var refused *client.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		text += "\n  Is an engine running there? praetor serve --dev starts one; --url or PRAETOR_URL tells where it is."
	case errors.As(err, &refused) && refused.Status == http.StatusUnauthorized:
		text += "\n  The key comes from --key or PRAETOR_KEY, the operator's from --operator-key-file or PRAETOR_OPERATOR_KEY."
	}
	return text
}
