package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/praetor-engine/praetor/bench/nodes"
)

func needsMembership(s *scene) string {
	if !s.features.Transfer {
		return "the server has no routes for members"
	}
	return ""
}

// change asks for a change of the cluster until it is answered; a change that
// had taken effect before its answer was lost is refused when asked for again,
// so what counts is whether done holds.
func (s *scene) change(ctx context.Context, path string, body map[string]any, done func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, convergeTimeout)
	defer cancel()
	return nodes.Await(ctx, func(ctx context.Context) error {
		if err := done(ctx); err == nil {
			return nil
		}
		short, cancel := context.WithTimeout(ctx, convergeTimeout/2)
		defer cancel()
		for _, m := range s.members {
			if m.down.Load() {
				continue
			}
			a, err := m.Do(short, nodes.Request{Method: http.MethodPost, Path: "/api/v1/cluster/" + path, Body: body})
			if err == nil && a.OK() {
				return done(ctx)
			}
			if err == nil && a.Status == http.StatusInternalServerError {
				s.findings.addf(0, "cluster/%s was answered %s", path, &a)
			}
		}
		return fmt.Errorf("chaos: cluster/%s %v was not carried out", path, body)
	})
}

const transfers = 4

// transfer hands the leadership over again and again.
func transfer(ctx context.Context, s *scene) (func(context.Context) error, error) {
	for range transfers {
		leader, err := s.leader(ctx)
		if err != nil {
			return nil, err
		}
		to := s.others(leader)[s.rng.IntN(size-1)]
		began := time.Now()
		err = s.change(ctx, "transfer", map[string]any{"id": to.ID()}, func(ctx context.Context) error {
			if n := s.cluster.Leader(ctx); n == nil || n.ID() == leader.ID() {
				return errors.New("chaos: the leadership has not moved")
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		s.logf("the leadership is handed from %s to %s in %v", leader.ID(), to.ID(), time.Since(began).Round(time.Millisecond))
		s.pause(ctx, time.Second)
	}
	return nil, nil
}

// replaceVoter removes a node for ever, wipes it, and has another join in its
// place under a new id.
func replaceVoter(ctx context.Context, s *scene) (func(context.Context) error, error) {
	m, role, err := s.either(ctx)
	if err != nil {
		return nil, err
	}
	old, data := m.ID(), m.Data()
	m.mayEnd.Store(true)
	m.away()
	s.logf("%s, the %s, is removed and wiped", old, role)
	err = s.change(ctx, "remove", map[string]any{"id": old}, func(ctx context.Context) error {
		members, err := s.roles(ctx, m)
		if _, ok := members[old]; ok && err == nil {
			err = errors.New("chaos: it is still a member")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	s.pause(ctx, time.Second)
	if err := s.kill(m); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(data); err != nil {
		return nil, fmt.Errorf("chaos: %w", err)
	}
	s.replaced++
	id := fmt.Sprintf("n%d", size+s.replaced)
	if err := s.cluster.Replace(m.Node, id); err != nil {
		return nil, err
	}
	m.offset = 0
	began := time.Now()
	if err := s.start(ctx, m); err != nil {
		return nil, err
	}
	joining, cancel := context.WithTimeout(ctx, convergeTimeout)
	defer cancel()
	err = nodes.Await(joining, func(ctx context.Context) error {
		members, err := s.roles(ctx, m)
		if err == nil && members[id] != "voter" && members[id] != "leader" {
			err = fmt.Errorf("chaos: %s is %q, want a voter", id, members[id])
		}
		return err
	})
	if err != nil {
		s.findings.addf(8, "a node that joined in the place of another has no vote after %v: %v", convergeTimeout, err)
		return nil, err
	}
	s.logf("%s joined in its place and has a vote after %v", id, time.Since(began).Round(time.Millisecond))
	return nil, nil
}

// roles are the members as a node other than without sees them.
func (s *scene) roles(ctx context.Context, without *member) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	leader := s.cluster.Leader(ctx)
	if leader == nil || leader == without.Node {
		leader = s.others(without)[0].Node
	}
	a, err := leader.Do(ctx, nodes.Request{Method: http.MethodGet, Path: "/api/v1/cluster"})
	if err != nil {
		return nil, err
	}
	var status struct {
		Nodes []struct{ ID, Role string }
	}
	if err := a.Decode(&status); err != nil {
		return nil, err
	}
	members := map[string]string{}
	for _, n := range status.Nodes {
		members[n.ID] = n.Role
	}
	return members, nil
}
