package chaos

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/praetor-engine/praetor/bench/nodes"
)

func needsShaper(s *scene) string {
	if _, ok := s.network.(shaper); !ok { // asked for by a flag
		return "the network of this run can only be cut"
	}
	return ""
}

// mend heals the network.
func (s *scene) mend(context.Context) error {
	s.logf("the network is whole again")
	s.network.Heal()
	return nil
}

// isolate cuts a node off from the others, both ways.
func isolate(who func(*scene, context.Context) (*member, error)) func(context.Context, *scene) (func(context.Context) error, error) {
	return func(ctx context.Context, s *scene) (func(context.Context) error, error) {
		m, err := who(s, ctx)
		if err != nil {
			return nil, err
		}
		s.logf("%s is cut off", m.ID())
		for _, o := range s.others(m) {
			s.network.Cut(m.ID(), o.ID())
			s.network.Cut(o.ID(), m.ID())
		}
		return func(ctx context.Context) error {
			s.checkMinority(ctx, m)
			return s.mend(ctx)
		}, nil
	}
}

// oneWay cuts one or two ways of a node, or between two nodes, in one direction:
// it hears and is not heard, or the other way round.
func oneWay(ctx context.Context, s *scene) (func(context.Context) error, error) {
	m, role, err := s.either(ctx)
	if err != nil {
		return nil, err
	}
	others := s.others(m)
	if s.rng.IntN(3) == 0 {
		others = others[:1]
	}
	var names []string
	mute := s.rng.IntN(2) == 0
	for _, o := range others {
		names = append(names, o.ID())
		if mute {
			s.network.Cut(m.ID(), o.ID())
		} else {
			s.network.Cut(o.ID(), m.ID())
		}
	}
	what := "hears nothing from"
	if mute {
		what = "is not heard by"
	}
	s.logf("%s, the %s, %s %s", m.ID(), role, what, strings.Join(names, " and "))
	return s.mend, nil
}

// splitAll leaves every node alone: there is no quorum.
func splitAll(_ context.Context, s *scene) (func(context.Context) error, error) {
	s.logf("every node is alone")
	for _, m := range s.members {
		for _, o := range s.others(m) {
			s.network.Cut(m.ID(), o.ID())
		}
	}
	return func(ctx context.Context) error {
		for _, m := range s.members {
			s.checkMinority(ctx, m)
		}
		return s.mend(ctx)
	}, nil
}

// Bounds of what a node without a quorum may take to answer.
const (
	refusalTime   = 4 * time.Second // a write: two seconds of waiting, and the machine's own
	minorityScore = time.Second
)

// checkMinority asks a node that has been without a quorum for seconds: it must
// refuse a write in bounded time and score at once, saying that it may be stale.
func (s *scene) checkMinority(ctx context.Context, m *member) {
	began := time.Now()
	a, err := s.do(ctx, m, nodes.Request{
		Method: http.MethodPut, Path: modelsPath + "/" + s.bandits["thompson_bandit"], Key: s.keys[outcomesTenant],
		Body: map[string]string{"description": fmt.Sprintf("minority of round %d", s.round)},
	}, 2*refusalTime)
	took := time.Since(began)
	switch {
	case err != nil || took > refusalTime:
		s.findings.addf(5, "a write to %s without a quorum was not refused in %v: %v, %s", m.ID(), refusalTime, err, &a)
	case a.OK():
		s.findings.addf(1, "a write to %s without a quorum was acknowledged", m.ID())
	}
	s.logf("without a quorum %s refused a write after %v: %d %s", m.ID(), took.Round(time.Millisecond), a.Status, a.Reason)
	began = time.Now()
	a, err = s.do(ctx, m, nodes.Request{
		Method: http.MethodPost, Path: modelsPath + "/" + s.scored[0] + "/score", Key: s.keys[outcomesTenant], Body: map[string]string{"customerId": "c1"},
	}, scoreTimeout)
	if took := time.Since(began); err != nil || !a.OK() || took > minorityScore {
		s.findings.addf(5, "a score on %s without a quorum: %v, %s, after %v", m.ID(), err, &a, took)
	} else if !a.Stale {
		s.findings.addf(5, "a score on %s, which knows no leader, does not say that it may be stale", m.ID())
	}
}

// badNetwork delays, slows and resets.
func badNetwork(ctx context.Context, s *scene) (func(context.Context) error, error) {
	shape := s.network.(shaper)
	delay := time.Duration(5+s.rng.IntN(60)) * time.Millisecond
	perSec := 256<<10 + s.rng.IntN(4<<20)
	s.logf("every piece is delayed by %v and goes at %d KiB/s, connections are reset", delay, perSec>>10)
	for _, m := range s.members {
		for _, o := range s.others(m) {
			shape.Slow(m.ID(), o.ID(), delay, perSec)
		}
	}
	resetting, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for resetting.Err() == nil {
			select {
			case <-time.After(time.Duration(200+s.rng.IntN(800)) * time.Millisecond):
				m := s.members[s.rng.IntN(size)]
				shape.Reset(m.ID(), s.others(m)[s.rng.IntN(size-1)].ID())
			case <-resetting.Done():
			}
		}
	}()
	return func(ctx context.Context) error {
		stop()
		<-done
		return s.mend(ctx)
	}, nil
}
