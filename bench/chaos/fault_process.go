package chaos

import (
	"context"
	"errors"
	"sync"
	"syscall"
)

// killOne kills the node that who chooses, and starts it again.
func killOne(who func(*scene, context.Context) (*member, error)) func(context.Context, *scene) (func(context.Context) error, error) {
	return func(ctx context.Context, s *scene) (func(context.Context) error, error) {
		m, err := who(s, ctx)
		if err != nil {
			return nil, err
		}
		s.logf("kill -9 %s", m.ID())
		if err := s.kill(m); err != nil {
			return nil, err
		}
		return func(ctx context.Context) error { return s.start(ctx, m) }, nil
	}
}

// killAll kills every node at once.
func killAll(_ context.Context, s *scene) (func(context.Context) error, error) {
	s.logf("kill -9 all nodes at once")
	var group sync.WaitGroup
	errs := make([]error, size)
	for i, m := range s.members {
		m.away()
		group.Go(func() { errs[i] = m.Kill() })
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		if err := s.cluster.Start(ctx); err != nil {
			return err
		}
		for _, m := range s.members {
			if err := s.awaitReady(ctx, m); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// pauseLeader stops the leader in its tracks, and lets it go on as if no time had
// passed.
func pauseLeader(ctx context.Context, s *scene) (func(context.Context) error, error) {
	m, err := s.leader(ctx)
	if err != nil {
		return nil, err
	}
	s.logf("SIGSTOP %s, the leader", m.ID())
	m.away()
	if err := m.Process().Signal(syscall.SIGSTOP); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		s.logf("SIGCONT %s", m.ID())
		if err := m.Process().Signal(syscall.SIGCONT); err != nil {
			return err
		}
		return s.awaitReady(ctx, m)
	}, nil
}

// rollingRestart restarts every node as an operator would, one after the other.
func rollingRestart(ctx context.Context, s *scene) (func(context.Context) error, error) {
	for _, i := range s.rng.Perm(size) {
		m := s.members[i]
		s.logf("SIGTERM %s, then a restart", m.ID())
		m.away()
		stopping, cancel := context.WithTimeout(ctx, convergeTimeout)
		err := m.Terminate(stopping)
		cancel()
		if err != nil {
			s.findings.addf(8, "%s did not stop cleanly: %v; its log ends: %s", m.ID(), err, s.lastWords(m))
		}
		if err := s.start(ctx, m); err != nil {
			return nil, err
		}
	}
	return nil, nil
}
