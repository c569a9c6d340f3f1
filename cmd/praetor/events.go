package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/praetor-engine/praetor/internal/client"
)

type eventsCommands struct {
	Tail eventsTail `cmd:"" help:"Show what happens to the tenant's models, as it happens."`
}

type eventsTail struct {
	connection `embed:""`
	Types      []string `placeholder:"TYPE,…" help:"Only these types, or groups of them such as registry.*."`
	After      string   `placeholder:"ID" help:"Begin behind this event, or with oldest: with the oldest that is kept."`
	Count      int      `short:"n" placeholder:"N" help:"End after so many."`
}

// Run shows events until the count is reached or the command is stopped. --timeout
// does not concern it.
func (c *eventsTail) Run(ctx context.Context, env *environment) error {
	engine, err := c.client()
	if err != nil {
		return err
	}
	defer engine.Close()
	shown := 0
	for e, err := range engine.StreamEvents(ctx, client.EventOptions{Types: c.Types, After: c.After}) {
		if err != nil {
			return err
		}
		if c.JSON {
			if err := json.NewEncoder(env.out).Encode(e); err != nil {
				return err
			}
		} else {
			printEvent(env.out, &e)
		}
		if shown++; shown == c.Count {
			return nil
		}
	}
	return nil
}

// printEvent writes an event in a line: its time, its type, and what it is about in
// the order in which the server tells it.
func printEvent(w io.Writer, e *client.Event) {
	if e.Type == client.EventReset {
		fmt.Fprintf(w, "%-20s %-30s events before this are not kept any more %s\n", "", e.Type, e.Data)
		return
	}
	fmt.Fprintf(w, "%-20s %-30s %s\n", e.Timestamp.UTC().Format("2006-01-02 15:04:05"), e.Type, strings.Join(told(e.Data), " "))
}

// told returns the simple members of an object as name=value.
func told(data json.RawMessage) (all []string) {
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.UseNumber()
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return all
		}
		var v any
		if err := dec.Decode(&v); err != nil {
			return all
		}
		switch v.(type) {
		case map[string]any, []any:
		case nil:
			all = append(all, fmt.Sprintf("%v=none", name))
		default:
			all = append(all, fmt.Sprintf("%v=%v", name, v))
		}
	}
	return all
}
