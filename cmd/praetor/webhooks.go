package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/praetor-engine/praetor/internal/client"
)

type webhooksCommands struct {
	List    webhooksList    `cmd:"" help:"List the webhooks and how they are served."`
	Show    webhooksShow    `cmd:"" help:"Show a webhook."`
	Create  webhooksCreate  `cmd:"" help:"Make a webhook and show its secret, this once."`
	Enable  webhooksEnable  `cmd:"" help:"Enable a webhook: it goes on where it stopped."`
	Disable webhooksDisable `cmd:"" help:"Disable a webhook."`
	Rotate  webhooksRotate  `cmd:"" help:"Give a webhook another secret and show it, this once."`
	Test    webhooksTest    `cmd:"" help:"Have a message sent to a webhook now."`
	Delete  webhooksDelete  `cmd:"" help:"Delete a webhook."`
}

type webhooksList struct {
	connection `embed:""`
}

// Run lists the webhooks.
func (c *webhooksList) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	titles := []string{"ID", "URL", "TYPES", "STATE", "DELIVERED", "PENDING", "LAST SUCCESS"}
	return printList(env.out, c.JSON, engine.AllWebhooks(ctx), titles, func(w client.Webhook) []string {
		d := &w.Delivery
		return []string{w.ID, w.URL, typesOf(&w), stateOf(&w), fmt.Sprint(d.Delivered), fmt.Sprint(d.Pending), moment(d.LastSuccessAt)}
	})
}

func typesOf(w *client.Webhook) string {
	if len(w.EventTypes) == 0 {
		return "all"
	}
	return strings.Join(slices.Sorted(slices.Values(w.EventTypes)), ",")
}

// stateOf says how a webhook fares.
func stateOf(w *client.Webhook) string {
	switch f := w.Delivery.LastFailure; {
	case !w.Enabled && w.DisabledReason != "request":
		return "disabled: " + w.DisabledReason
	case !w.Enabled:
		return "disabled"
	case w.Delivery.ConsecutiveFailures > 0 && f != nil && f.Status > 0:
		return fmt.Sprintf("failing: HTTP %d", f.Status)
	case w.Delivery.ConsecutiveFailures > 0 && f != nil:
		return "failing: " + f.Reason
	}
	return "ok"
}

// webhookCommand is a command about one webhook.
type webhookCommand struct {
	connection `embed:""`
	Webhook    string `arg:"" help:"The webhook's id."`
}

// do has f done for the webhook and shows what it returns.
func (c *webhookCommand) do(ctx context.Context, env *environment, f func(context.Context, *client.Client) (client.Webhook, error)) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	w, err := f(ctx, engine)
	if err != nil {
		return err
	}
	return printWebhook(env.out, c.JSON, &w)
}

func printWebhook(out io.Writer, asJSON bool, w *client.Webhook) error {
	if asJSON {
		return printJSON(out, w)
	}
	line := func(name, format string, args ...any) {
		fmt.Fprintf(out, "%-14s %s\n", name, fmt.Sprintf(format, args...))
	}
	d := &w.Delivery
	line("id", "%s", w.ID)
	line("url", "%s", w.URL)
	if w.Description != "" {
		line("description", "%s", w.Description)
	}
	line("types", "%s", typesOf(w))
	line("state", "%s", stateOf(w))
	line("delivered", "%d, through %s", d.Delivered, d.Through)
	line("pending", "%d", d.Pending)
	line("last success", "%s", moment(d.LastSuccessAt))
	if d.ConsecutiveFailures > 0 {
		line("failing since", "%s, %d times; again at %s", moment(d.FailingSince), d.ConsecutiveFailures, moment(d.NextAttemptAt))
	}
	if w.PreviousSecretUntil != nil {
		line("old secret", "signs until %s", moment(w.PreviousSecretUntil))
	}
	if w.Secret != "" {
		line("secret", "%s   (shown this once)", w.Secret)
	}
	return nil
}

type webhooksShow struct {
	webhookCommand `embed:""`
}

// Run shows the webhook.
func (c *webhooksShow) Run(ctx context.Context, env *environment) error {
	return c.do(ctx, env, func(ctx context.Context, engine *client.Client) (client.Webhook, error) {
		return engine.Webhook(ctx, c.Webhook)
	})
}

type webhooksCreate struct {
	connection  `embed:""`
	Endpoint    string   `arg:"" name:"endpoint" help:"The URL to send events to."`
	Types       []string `placeholder:"TYPE,…" help:"Only these types, or groups of them such as registry.*."`
	Description string   `help:"What it is for."`
}

// Run makes the webhook.
func (c *webhooksCreate) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	w, err := engine.CreateWebhook(ctx, client.WebhookFields{URL: &c.Endpoint, EventTypes: c.Types, Description: &c.Description})
	if err != nil {
		return err
	}
	return printWebhook(env.out, c.JSON, &w)
}

type webhooksEnable struct {
	webhookCommand `embed:""`
}

// Run enables the webhook.
func (c *webhooksEnable) Run(ctx context.Context, env *environment) error {
	return c.enable(ctx, env, true)
}

type webhooksDisable struct {
	webhookCommand `embed:""`
}

// Run disables the webhook.
func (c *webhooksDisable) Run(ctx context.Context, env *environment) error {
	return c.enable(ctx, env, false)
}

func (c *webhookCommand) enable(ctx context.Context, env *environment, on bool) error {
	return c.do(ctx, env, func(ctx context.Context, engine *client.Client) (client.Webhook, error) {
		return engine.UpdateWebhook(ctx, c.Webhook, client.WebhookFields{Enabled: &on})
	})
}

type webhooksRotate struct {
	webhookCommand `embed:""`
	Overlap        time.Duration `default:"24h" help:"How long the secret before goes on to sign beside the new one; 0 ends it at once (${default})."`
}

// Run rotates the secret.
func (c *webhooksRotate) Run(ctx context.Context, env *environment) error {
	return c.do(ctx, env, func(ctx context.Context, engine *client.Client) (client.Webhook, error) {
		return engine.RotateWebhookSecret(ctx, c.Webhook, c.Overlap)
	})
}

type webhooksTest struct {
	webhookCommand `embed:""`
}

// Run has a message sent; one that is not taken is an error.
func (c *webhooksTest) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	t, err := engine.TestWebhook(ctx, c.Webhook)
	if err != nil {
		return err
	}
	if c.JSON {
		if err := printJSON(env.out, t); err != nil {
			return err
		}
	}
	switch {
	case !t.Delivered && t.Status > 0:
		return fmt.Errorf("the webhook answered with status %d after %d ms, want 2xx", t.Status, t.DurationMs)
	case !t.Delivered:
		return fmt.Errorf("the webhook did not answer: %s after %d ms", t.Reason, t.DurationMs)
	case !c.JSON:
		fmt.Fprintf(env.out, "delivered in %d ms: status %d\n", t.DurationMs, t.Status)
	}
	return nil
}

type webhooksDelete struct {
	webhookCommand `embed:""`
}

// Run deletes the webhook.
func (c *webhooksDelete) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	if err := engine.DeleteWebhook(ctx, c.Webhook); err != nil {
		return err
	}
	fmt.Fprintf(env.out, "deleted webhook %s\n", c.Webhook)
	return nil
}
