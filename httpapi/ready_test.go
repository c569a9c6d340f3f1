package httpapi

import (
	"errors"
	"testing"
)

// A node that has not caught up does not say of a key that it is wrong.
func TestUnknownKeyOfANodeThatIsNotReady(t *testing.T) {
	s := startServer(t, nil, testRoutes)
	if r := s.do(get, "/items", "unknown", ""); r.status != 401 {
		t.Errorf("ready: got %d, want 401", r.status)
	}
	s.gate.ready = errors.New("catching up")
	if r := s.do(get, "/items", "unknown", ""); r.status != 503 {
		t.Errorf("not ready: got %d %s, want 503", r.status, r.body)
	}
	if r := s.do(get, "/items", "viewer@t1", ""); r.status != 200 {
		t.Errorf("not ready, a known key: got %d %s, want 200", r.status, r.body)
	}
	if r := s.do(get, "/items", "", ""); r.status != 401 {
		t.Errorf("no key: got %d, want 401", r.status)
	}
}
