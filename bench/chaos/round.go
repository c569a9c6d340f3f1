package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/praetor-engine/praetor/bench/nodes"
)

// Round is the record of one round.
type Round struct {
	Round   int       `json:"round"`
	Life    int       `json:"life"`
	Seed    uint64    `json:"seed"` // of the run
	Fault   string    `json:"fault"`
	Skipped string    `json:"skipped,omitempty"` // why the fault could not be injected
	At      time.Time `json:"at"`
	Seconds float64   `json:"seconds"`
	Version string    `json:"version,omitempty"` // of the engine
	Network string    `json:"network"`

	Features features `json:"features"`
	Did      []string `json:"did"`
	Outcomes counts   `json:"outcomes"`
	History  verdict  `json:"history"`
	Replicas replicas `json:"replicas"`
	Samples  int64    `json:"samples"` // looks at registries for two champions
	Scores   int64    `json:"scores"`
	Lost     int64    `json:"lostScores"`
	Stale    int64    `json:"staleScores"`
	Refusals int64    `json:"refusals"` // answers 503 and 429
	// Early is how many requests nodes that were starting answered with 401 or
	// 404, as if a key or a model did not exist.
	Early int64 `json:"earlyRefusals"`

	LongestGap  float64 `json:"longestGapSeconds"`  // without an acknowledged write
	SlowestPost float64 `json:"slowestPostSeconds"` // answer to a write or a score
	Converged   float64 `json:"convergedSeconds"`   // from the end of the load to equal nodes

	Findings []Finding `json:"findings,omitempty"`
	Error    string    `json:"error,omitempty"` // the round could not be finished
}

// OK says whether the round was run to its end and found nothing.
func (r *Round) OK() bool { return r.Error == "" && len(r.Findings) == 0 && r.Skipped == "" }

// String is the round's line in the progress.
func (r *Round) String() string {
	if r.Skipped != "" {
		return fmt.Sprintf("round %d: %s: skipped: %s", r.Round, r.Fault, r.Skipped)
	}
	verdict := "ok"
	if !r.OK() {
		verdict = fmt.Sprintf("%d FINDINGS", len(r.Findings))
		if r.Error != "" {
			verdict += ", not finished: " + r.Error
		}
	}
	return fmt.Sprintf("round %d: %s: %s; %.0f s, %d acknowledged, %d in doubt (%d landed), %d refused, gap %.1f s, %d scores (%d lost), %d operations in histories, equal after %.1f s",
		r.Round, r.Fault, verdict, r.Seconds, r.Outcomes.Acknowledged, r.Outcomes.Doubtful, r.Outcomes.Landed, r.Outcomes.Refused,
		r.LongestGap, r.Scores, r.Lost, r.History.Operations, r.Converged)
}

// The parts of a round beside its fault.
const (
	warmUp      = 2 * time.Second
	afterwards  = 2 * time.Second
	briefWarmUp = time.Second
)

// round runs one round on a life.
func (r *Runner) round(ctx context.Context, l *life, number int, fault *Fault) *Round {
	began := time.Now()
	rec := &Round{
		Round: number, Life: l.number, Seed: r.Seed, Fault: fault.Name, At: began.UTC().Truncate(time.Second), Network: l.network.name(),
		Version: r.version, Features: l.features,
	}
	w := &work{
		life: l, round: number, seed: r.Seed<<20 + uint64(number), findings: &findings{}, history: newHistory(), stop: make(chan struct{}),
	}
	s := &scene{work: w, runner: r, rng: rand.New(rand.NewPCG(w.seed, 1<<32))}
	if rec.Skipped = fault.needs(s); rec.Skipped != "" {
		return rec
	}
	for _, m := range l.members {
		m.offset = m.LogSize()
	}
	err := r.play(ctx, s, fault, rec)
	for _, m := range l.members {
		m.mayEnd.Store(false)
	}
	rec.Did, rec.Findings, rec.Seconds = s.did, w.findings.all(), time.Since(began).Seconds()
	rec.Samples, rec.Scores, rec.Lost, rec.Stale, rec.Refusals = w.samples.Load(), w.scores.Load(), w.lost.Load(), w.stale.Load(), w.refusals.Load()
	rec.Early = w.early.Load()
	rec.SlowestPost = time.Duration(w.slowest.Load()).Seconds()
	if err != nil {
		rec.Error = err.Error()
	}
	return rec
}

// play is the load, the fault, and the checks.
func (r *Runner) play(ctx context.Context, s *scene, fault *Fault, rec *Round) error {
	model, err := s.beginRegisters(ctx)
	if err != nil {
		return err
	}
	warm, after, hold := warmUp, afterwards, fault.Hold
	if r.Brief {
		warm, after = briefWarmUp, briefWarmUp
		if fault.Brief > 0 {
			hold = fault.Brief
		}
	}
	s.ledger.begin(time.Now())
	s.work.start(ctx)
	err = s.harm(ctx, fault, warm, hold, after)
	rec.LongestGap = s.ledger.longestGap(time.Now()).Seconds()
	s.network.Heal() // whatever happened
	s.finish()
	if err != nil {
		return err
	}
	ended := time.Now()
	if _, err := s.converge(ctx, s.findings); err != nil {
		s.findings.addf(8, "the nodes were not ready and equal %v after the round: %v", convergeTimeout, err)
		return err
	}
	rec.Converged = time.Since(ended).Seconds()
	if rec.Outcomes, err = s.count(ctx, s.findings); err != nil {
		return err
	}
	if rec.Replicas, err = s.compare(ctx, s.findings); err != nil {
		return err
	}
	rec.History = s.history.check(model)
	for _, name := range rec.History.Illegal {
		s.findings.addf(1, "the history of %s is not linearizable", name)
		file := filepath.Join(s.dir, fmt.Sprintf("history-%d-%s.txt", s.round, strings.ReplaceAll(name, "/", "-")))
		if err := s.history.dump(file, name, model(name)); err != nil {
			return fmt.Errorf("chaos: %w", err)
		}
	}
	if n := s.retryless.Load(); n > 0 {
		s.findings.addf(0, "%d refusals came without Retry-After", n)
	}
	return nil
}

// harm injects and heals within the load.
func (s *scene) harm(ctx context.Context, fault *Fault, warm, hold, after time.Duration) error {
	if !s.pause(ctx, warm) {
		return ctx.Err()
	}
	heal, err := fault.inject(ctx, s)
	if err != nil {
		return fmt.Errorf("inject: %w", err)
	}
	s.pause(ctx, hold)
	if heal != nil {
		if err := heal(ctx); err != nil {
			return fmt.Errorf("heal: %w", err)
		}
	}
	s.pause(ctx, after)
	return ctx.Err()
}

// beginRegisters gives every register a known value to begin the round with, and
// returns the model of each.
func (s *scene) beginRegisters(ctx context.Context) (func(register string) porcupine.Model, error) {
	ctx, cancel := context.WithTimeout(ctx, convergeTimeout)
	defer cancel()
	text := fmt.Sprintf("begin-%d", s.round)
	families := map[string]string{}
	for _, r := range s.registers {
		a, _, err := s.persist(ctx, nodes.Request{
			Method: http.MethodPut, Path: modelsPath + "/" + r.text, Key: r.key, Body: map[string]string{"description": text}, IdempotencyKey: text,
		})
		if err == nil && !a.OK() {
			err = errors.New(a.String())
		}
		if err != nil {
			return nil, fmt.Errorf("chaos: begin a register: %w", err)
		}
		state := make([]byte, 0, members)
		for i := range members {
			err := nodes.Await(ctx, func(ctx context.Context) error {
				leader, err := s.leader(ctx)
				if err != nil {
					return err
				}
				status, err := s.statusOf(ctx, leader, r, i)
				if err == nil {
					state = append(state, byte(status))
				}
				return err
			})
			if err != nil {
				return nil, fmt.Errorf("chaos: begin a register: %w", err)
			}
		}
		families[r.tenant] = string(state)
	}
	return func(register string) porcupine.Model {
		tenant, kind, _ := strings.Cut(register, "/")
		if kind == "text" {
			return textModel(text)
		}
		return familyModel(families[tenant])
	}, nil
}
