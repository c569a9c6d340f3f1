package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// Fault is one way to harm a cluster.
type Fault struct {
	Name   string
	Expect string // what must hold all the same, beside what every round checks
	Hold   time.Duration
	// Brief is Hold in a brief run; 0: Hold.
	Brief time.Duration
	// shaped says that the fault needs a network that can do more than be cut.
	shaped bool
	// needs returns why the fault cannot be injected here; empty: it can.
	needs func(*scene) string
	// inject harms. The heal that it returns, if any, is called after Hold.
	inject func(context.Context, *scene) (heal func(context.Context) error, err error)
}

// scene is what a fault acts on.
type scene struct {
	*work
	runner *Runner
	rng    *rand.Rand
	did    []string // what was done, for the report
}

// logf notes what is done.
func (s *scene) logf(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	s.did = append(s.did, line)
	s.runner.logf("    %s", line)
}

// leader returns the member that leads, waiting for one.
func (s *scene) leader(ctx context.Context) (*member, error) {
	ctx, cancel := context.WithTimeout(ctx, convergeTimeout)
	defer cancel()
	n, err := s.cluster.AwaitLeader(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range s.members {
		if m.Node == n {
			return m, nil
		}
	}
	return nil, fmt.Errorf("chaos: %s is not a member", n.ID())
}

// follower returns a member that does not lead.
func (s *scene) follower(ctx context.Context) (*member, error) {
	leader, err := s.leader(ctx)
	if err != nil {
		return nil, err
	}
	return s.others(leader)[s.rng.IntN(size-1)], nil
}

// either returns the leader or a follower.
func (s *scene) either(ctx context.Context) (m *member, role string, err error) {
	if s.rng.IntN(2) == 0 {
		m, err = s.leader(ctx)
		return m, "leader", err
	}
	m, err = s.follower(ctx)
	return m, "follower", err
}

func (s *scene) others(m *member) []*member {
	var list []*member
	for _, o := range s.members {
		if o != m {
			list = append(list, o)
		}
	}
	return list
}

// index is the member's place in the cluster.
func (s *scene) index(m *member) int {
	for i, o := range s.members {
		if o == m {
			return i
		}
	}
	return -1
}

// kill ends a node with SIGKILL.
func (s *scene) kill(m *member) error {
	m.away()
	return m.Kill()
}

// start starts a node that was ended.
func (s *scene) start(ctx context.Context, m *member) error {
	if err := m.Start(ctx); err != nil {
		return err
	}
	return s.awaitReady(ctx, m)
}

// awaitReady waits until a node serves again; one that does not is a finding, and
// the end of the round's fault.
func (s *scene) awaitReady(ctx context.Context, m *member) error {
	ctx, cancel := context.WithTimeout(ctx, convergeTimeout)
	defer cancel()
	if err := m.AwaitReady(ctx); err != nil {
		s.findings.addf(8, "%s does not come back: %v; its log ends: %s", m.ID(), err, s.lastWords(m))
		return err
	}
	m.back()
	return nil
}

// nothing is needed.
func nothing(*scene) string { return "" }

// Faults are all faults, in the order of a run.
var Faults = []Fault{
	{Name: "kill-leader", Expect: "a new leader in seconds", Hold: 4 * time.Second, needs: nothing, inject: killOne((*scene).leader)},
	{Name: "kill-follower", Expect: "nothing that a client notices", Hold: 4 * time.Second, needs: nothing, inject: killOne((*scene).follower)},
	{Name: "kill-all", Expect: "the same state everywhere after the restart", Hold: time.Second, needs: nothing, inject: killAll},
	{Name: "pause-leader", Expect: "no write accepted by two leaders", Hold: 15 * time.Second, Brief: 4 * time.Second, needs: nothing, inject: pauseLeader},
	{Name: "rolling-restart", Expect: "no lost score", needs: nothing, inject: rollingRestart},
	{Name: "isolate-leader", Expect: "the minority refuses writes, all score", Hold: 8 * time.Second, Brief: 5 * time.Second, needs: nothing, inject: isolate((*scene).leader)},
	{Name: "isolate-follower", Expect: "the majority goes on", Hold: 8 * time.Second, Brief: 4 * time.Second, needs: nothing, inject: isolate((*scene).follower)},
	{Name: "one-way", Expect: "one leader at a time", Hold: 8 * time.Second, Brief: 4 * time.Second, needs: nothing, inject: oneWay},
	{Name: "split-all", Expect: "writes refused in bounded time, scores go on and say that they are stale", Hold: 6 * time.Second, Brief: 5 * time.Second, needs: nothing, inject: splitAll},
	{Name: "bad-network", Expect: "slower, nothing worse", Hold: 8 * time.Second, Brief: 4 * time.Second, shaped: true, needs: needsShaper, inject: badNetwork},
	{Name: "disk-full", Expect: "refused with a reason or led elsewhere, whole when space returns", Hold: 6 * time.Second, Brief: 4 * time.Second, needs: needsDisks, inject: diskFull},
	{Name: "fsync-error", Expect: "the node stops, nothing acknowledged is lost", Hold: 4 * time.Second, Brief: 3 * time.Second, needs: needsStrace, inject: fsyncError},
	{Name: "torn-write", Expect: "the node stops or refuses, starts clean", Hold: 4 * time.Second, Brief: 3 * time.Second, needs: needsPrlimit, inject: tornWrite},
	{Name: "bit-flip", Expect: "refused with the file's name, or recovered", needs: nothing, inject: bitFlip},
	{Name: "snapshot-install", Expect: "whole after it was killed in the middle", needs: nothing, inject: snapshotInstall},
	{Name: "transfer", Expect: "writes go on after each hand-over", needs: needsMembership, inject: transfer},
	{Name: "replace-voter", Expect: "whole with the new member", needs: needsMembership, inject: replaceVoter},
	{Name: "overload", Expect: "bounded memory, refusals with Retry-After, scores go on", needs: nothing, inject: overload},
}

// FaultNames are the names of all faults.
func FaultNames() []string {
	names := make([]string, len(Faults))
	for i := range Faults {
		names[i] = Faults[i].Name
	}
	return names
}
