package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// A stream that ends is opened again behind its last event, or heartbeat; one that
// is refused is not.
func TestStreamEventsGoesOn(t *testing.T) {
	frame := func(id string) string {
		return fmt.Sprintf("id: %s\nevent: model.reset\ndata: {\"id\":%q,\ndata:\"type\":\"model.reset\",\"data\":{}}\n\n", id, id)
	}
	bodies := []string{
		"retry: 1\n: heartbeat\nid: evt_0\n\n" + frame("evt_1") + ": heartbeat\nid: evt_2\n\n",
		"", // nothing at all
		"id: evt_3\nevent: reset\ndata: {\"after\":\"evt_2\"}\n\n" + frame("evt_4") + "id: evt_5\nevent: cut off",
	}
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query().Get("types")+" "+r.Header.Get("Last-Event-ID"))
		if n := len(asked); n <= len(bodies) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, bodies[n-1])
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":{"code":"UNAUTHORIZED","message":"no","status":401}}`)
	}))
	defer s.Close()
	c, err := New(DefaultConfig(s.URL, "k"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got []string
	var end error
	for e, err := range c.StreamEvents(context.Background(), EventOptions{Types: []string{"model.*"}}) {
		if end = err; err == nil {
			got = append(got, e.Type+" "+e.ID)
		}
	}
	if want := []string{"model.reset evt_1", "reset evt_3", "model.reset evt_4"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if want := []string{"model.* ", "model.* evt_2", "model.* evt_2", "model.* evt_5"}; !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
	var refused *Error
	if !errors.As(end, &refused) || refused.Status != http.StatusUnauthorized {
		t.Errorf("it ends with %v, want the refusal", end)
	}
	// Whoever has enough is left alone.
	asked = nil
	for range c.StreamEvents(context.Background(), EventOptions{}) {
		break
	}
	if len(asked) != 1 {
		t.Errorf("asked %d times, want once", len(asked))
	}
	asked, bodies[0] = nil, "data: {\n\n"
	for _, err := range c.StreamEvents(context.Background(), EventOptions{}) {
		end = err
		break
	}
	if end == nil || !strings.Contains(end.Error(), "client") {
		t.Errorf("a stream of nonsense ends with %v", end)
	}
}
