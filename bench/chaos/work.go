package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/praetor-engine/praetor/bench/nodes"
)

// work is the load of one round.
type work struct {
	*life
	round    int
	seed     uint64
	findings *findings
	history  *history

	scores, lost, stale atomic.Int64  // requests: answered, failed on a node that should answer, answered without a leader known
	samples             atomic.Int64  // looks at a registry
	slowest             atomic.Int64  // answer to a write, in nanoseconds
	retryless           atomic.Int64  // refusals for overload without Retry-After
	refusals            atomic.Int64  // answers 503 and 429 to writes
	early               atomic.Int64  // answers 401 and 404 of nodes that were starting
	stop                chan struct{} // closed when the load is to end
	group               sync.WaitGroup
}

// The load of a round, about 1 500 outcomes a second: enough that every fault
// meets writes at every step of their way.
const (
	singleWriters = 4
	singlePause   = 4 * time.Millisecond
	bulkSize      = 20
	bulkPause     = 40 * time.Millisecond
	textPause     = 30 * time.Millisecond
	// The registry permits 60 transitions a minute and tenant.
	promotePause  = 2200 * time.Millisecond
	readPause     = 50 * time.Millisecond
	mixedPause    = 60 * time.Millisecond
	scorePause    = 2 * time.Millisecond
	samplePause   = 25 * time.Millisecond
	scoreTimeout  = 2 * time.Second
	writeAttempts = 4
	retryPause    = 25 * time.Millisecond
)

// rng returns the random numbers of one worker.
func (w *work) rng(worker int) *rand.Rand { return rand.New(rand.NewPCG(w.seed, uint64(worker))) }

// start starts every worker.
func (w *work) start(ctx context.Context) {
	worker := 0
	spawn := func(f func(ctx context.Context, id int, rng *rand.Rand)) {
		id := worker
		worker++
		w.group.Go(func() { f(ctx, id, w.rng(id)) })
	}
	for range singleWriters {
		spawn(func(ctx context.Context, id int, rng *rand.Rand) { w.writeOutcomes(ctx, id, rng, 1, singlePause) })
	}
	spawn(func(ctx context.Context, id int, rng *rand.Rand) { w.writeOutcomes(ctx, id, rng, bulkSize, bulkPause) })
	for _, m := range w.members {
		spawn(func(ctx context.Context, _ int, rng *rand.Rand) { w.score(ctx, m, rng) })
		spawn(func(ctx context.Context, _ int, _ *rand.Rand) { w.sample(ctx, m) })
	}
	for _, r := range w.registers {
		for range 2 {
			spawn(func(ctx context.Context, id int, rng *rand.Rand) { w.writeText(ctx, r, id, rng) })
			spawn(func(ctx context.Context, id int, rng *rand.Rand) { w.readRegister(ctx, r, id, rng) })
			if w.features.Registry {
				spawn(func(ctx context.Context, id int, rng *rand.Rand) { w.promote(ctx, r, id, rng) })
			}
		}
	}
	spawn(w.mix)
}

// finish ends the load and waits for what is under way.
func (w *work) finish() {
	close(w.stop)
	w.group.Wait()
}

// pause waits; false: the load is to end.
func (w *work) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-w.stop:
		return false
	case <-ctx.Done():
		return false
	}
}

// do sends a request to a node and judges what no request may be answered with.
func (w *work) do(ctx context.Context, m *member, r nodes.Request, timeout time.Duration) (nodes.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	began := time.Now()
	a, err := m.Do(ctx, r)
	if err != nil {
		return a, err
	}
	if r.Method != http.MethodGet {
		took := int64(time.Since(began))
		for {
			have := w.slowest.Load()
			if took <= have || w.slowest.CompareAndSwap(have, took) {
				break
			}
		}
	}
	if a.Status == http.StatusInternalServerError {
		w.findings.addf(0, "%s %s was answered %d %s: %.200s", r.Method, routeOf(r.Path), a.Status, a.Code, a.Message)
	}
	if a.Status == http.StatusServiceUnavailable || a.Status == http.StatusTooManyRequests {
		w.refusals.Add(1)
		if a.RetryAfter == "" {
			w.retryless.Add(1)
		}
	}
	return a, nil
}

// routeOf leaves the ids out of a path, so that equal findings count up.
func routeOf(path string) string {
	b := []byte(path)
	out := b[:0]
	for i := 0; i < len(b); i++ {
		if i+6 < len(b) && string(b[i:i+6]) == "model_" {
			out = append(out, "{id}"...)
			for i+1 < len(b) && b[i+1] != '/' && b[i+1] != '?' {
				i++
			}
			continue
		}
		out = append(out, b[i])
	}
	return string(out)
}

// fateOf says what a client knows after an answer to a write: 503 and 429 mean
// that nothing entered the log, and what is wrong with a request changes nothing.
func fateOf(a *nodes.Answer, err error) fate {
	switch {
	case err != nil && nodes.NotSent(err):
		return refused
	case err != nil:
		return doubtful
	case a.OK():
		return acknowledged
	case a.Status == http.StatusServiceUnavailable || a.Status/100 == 4:
		return refused
	}
	return doubtful
}

// wrong notes an answer that a correct request must not get. A node that has
// just been started does not know every key and model yet.
func (w *work) wrong(m *member, what string, a *nodes.Answer) {
	if m.down.Load() && (a.Status == http.StatusUnauthorized || a.Status == http.StatusNotFound) {
		w.early.Add(1)
		return
	}
	w.findings.addf(0, "%s was answered %s", what, a)
}

const (
	offersScored = 8
	customers    = 2000
)

// draw makes outcomes that nobody has sent before.
func (w *work) draw(rng *rand.Rand, worker int, number *int, n int) []outcome {
	list := make([]outcome, n)
	for i := range list {
		o := &list[i]
		o.CustomerID = "c" + strconv.Itoa(rng.IntN(customers))
		o.OfferID = "o" + strconv.Itoa(rng.IntN(offersScored))
		o.Outcome = outcomeNegative
		if rng.IntN(3) == 0 {
			o.Outcome = outcomePositive
		}
		o.IdempotencyKey = fmt.Sprintf("r%d-w%d-%d", w.round, worker, *number)
		o.Attributes = map[string]any{"age": 18 + rng.IntN(70), "segment": string(rune('a' + rng.IntN(4)))}
		*number++
	}
	return list
}

// outcomesRequest sends outcomes, one by itself or several in bulk.
func (w *life) outcomesRequest(list []outcome, bulk bool) nodes.Request {
	r := nodes.Request{Method: http.MethodPost, Path: "/api/v1/respond", Key: w.keys[outcomesTenant]}
	if bulk {
		r.Path += "/bulk"
		r.Body = map[string]any{"outcomes": list}
	} else {
		r.Body = list[0]
	}
	return r
}

// writeOutcomes sends outcomes until the load ends, as a careful client: what is
// refused goes to the next node with the same keys.
func (w *work) writeOutcomes(ctx context.Context, worker int, rng *rand.Rand, n int, pause time.Duration) {
	number, at := 0, rng.IntN(size)
	for w.pause(ctx, pause) {
		list := w.draw(rng, worker, &number, n)
		w.ledger.note(list, w.send(ctx, list, &at), time.Now())
	}
}

// send sends outcomes to one node after another, at remembering the one that
// took them.
func (w *work) send(ctx context.Context, list []outcome, at *int) fate {
	known := refused
	r := w.outcomesRequest(list, len(list) > 1)
	for range writeAttempts {
		a, err := w.do(ctx, w.members[*at%size], r, requestTimeout)
		f := fateOf(&a, err)
		if f == acknowledged {
			w.checkBulk(list, &a)
			return acknowledged
		}
		if err == nil && a.Status/100 == 4 && a.Status != http.StatusTooManyRequests {
			w.wrong(w.members[*at%size], "an outcome", &a)
		}
		if f == doubtful {
			known = doubtful
		}
		*at++
		if !w.pause(ctx, retryPause) {
			break
		}
	}
	return known
}

// checkBulk holds the answer to a bulk request against what was sent.
func (w *work) checkBulk(list []outcome, a *nodes.Answer) {
	if len(list) == 1 {
		return
	}
	var counts struct{ Succeeded, Duplicates, Failed int }
	if err := a.Decode(&counts); err != nil || counts.Failed != 0 || counts.Succeeded+counts.Duplicates != len(list) {
		w.findings.addf(4, "%d outcomes in bulk were answered %+v, %v", len(list), counts, err)
	}
}

// score scores on one node until the load ends. A request that fails although
// nobody has taken the node away is lost.
func (w *work) score(ctx context.Context, m *member, rng *rand.Rand) {
	for w.pause(ctx, scorePause) {
		epoch := m.epoch.Load()
		if m.down.Load() {
			continue
		}
		r := nodes.Request{
			Method: http.MethodPost, Path: modelsPath + "/" + w.scored[rng.IntN(len(w.scored))] + "/score", Key: w.keys[outcomesTenant],
			Body: map[string]any{"customerId": "c" + strconv.Itoa(rng.IntN(customers)), "attributes": map[string]any{"age": rng.IntN(90)}},
		}
		a, err := w.do(ctx, m, r, scoreTimeout)
		switch {
		case err == nil && a.OK():
			w.scores.Add(1)
			if a.Stale {
				w.stale.Add(1)
			}
		case m.down.Load() || m.epoch.Load() != epoch || m.mayEnd.Load() || ctx.Err() != nil:
		default:
			w.lost.Add(1)
			why := fmt.Sprint(err)
			if err == nil {
				why = a.String()
			}
			w.findings.addf(5, "a score on %s, which serves, failed: %.200s", m.ID(), why)
		}
	}
}

// writeText writes the register's text.
func (w *work) writeText(ctx context.Context, r *register, worker int, rng *rand.Rand) {
	at := rng.IntN(size)
	for n := 0; w.pause(ctx, textPause); n++ {
		value := fmt.Sprintf("r%d-w%d-%d", w.round, worker, n)
		call := w.history.now()
		m := w.members[at%size]
		a, err := w.do(ctx, m, nodes.Request{
			Method: http.MethodPut, Path: modelsPath + "/" + r.text, Key: r.key, Body: map[string]string{"description": value},
		}, requestTimeout)
		switch fateOf(&a, err) {
		case acknowledged:
			w.history.add(r.tenant+"/text", worker, call, textInput{write: true, value: value}, nil, true)
		case doubtful:
			w.history.add(r.tenant+"/text", worker, call, textInput{write: true, value: value}, nil, false)
			at++
		case refused:
			if err == nil && a.Status/100 == 4 && a.Status != http.StatusTooManyRequests {
				w.wrong(m, "a text", &a)
			}
			at++
		}
	}
}

// readRegister reads the text and the members' statuses, linearizably.
func (w *work) readRegister(ctx context.Context, r *register, worker int, rng *rand.Rand) {
	at := rng.IntN(size)
	for w.pause(ctx, readPause) {
		member := rng.IntN(members + 1)
		ok := false
		if member == members || !w.features.Registry {
			ok = w.readText(ctx, r, worker, w.members[at%size])
		} else {
			ok = w.readMember(ctx, r, worker, w.members[at%size], member)
		}
		if !ok || rng.IntN(8) == 0 {
			at++
		}
	}
}

const strong = "?consistency=strong"

func (w *work) readText(ctx context.Context, r *register, worker int, m *member) bool {
	call := w.history.now()
	a, err := w.do(ctx, m, nodes.Request{Method: http.MethodGet, Path: modelsPath + "/" + r.text + strong, Key: r.key}, requestTimeout)
	if err != nil || !a.OK() {
		return false
	}
	var model struct{ Description string }
	if err := a.Decode(&model); err != nil {
		w.findings.addf(0, "a model could not be read: %v", err)
		return false
	}
	w.history.add(r.tenant+"/text", worker, call, textInput{}, model.Description, true)
	return true
}

func (w *work) readMember(ctx context.Context, r *register, worker int, m *member, member int) bool {
	call := w.history.now()
	s, err := w.statusOf(ctx, m, r, member)
	if err != nil {
		return false
	}
	w.history.add(r.tenant+"/family", worker, call, familyInput{member: member}, familyOutput{known: true, ok: true, previous: s, demoted: -1}, true)
	return true
}

// statusOf reads a member's status, linearizably.
func (w *life) statusOf(ctx context.Context, m *member, r *register, member int) (status, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	a, err := m.Do(ctx, nodes.Request{Method: http.MethodGet, Path: "/api/v1/models/" + r.family[member] + "/registry" + strong, Key: r.key})
	if err != nil {
		return 0, err
	}
	var entry struct {
		Registry struct{ Status string }
	}
	if err := a.Decode(&entry); err != nil {
		return 0, err
	}
	s, ok := statuses[entry.Registry.Status]
	if !ok {
		return 0, fmt.Errorf("chaos: got status %q of a model", entry.Registry.Status)
	}
	return s, nil
}

// promote moves members of a family between statuses, mostly to its top. A
// request in doubt is sent again with its key until its answer is known.
func (w *work) promote(ctx context.Context, r *register, worker int, rng *rand.Rand) {
	at := rng.IntN(size)
	for n := 0; w.pause(ctx, promotePause); n++ {
		in := familyInput{member: rng.IntN(members), target: champion}
		if rng.IntN(4) == 0 {
			in.target = []status{draft, challenger, archived}[rng.IntN(3)]
		}
		request := nodes.Request{
			Method: http.MethodPost, Path: "/api/v1/models/" + r.family[in.member] + "/registry", Key: r.key,
			IdempotencyKey: fmt.Sprintf("r%d-w%d-%d", w.round, worker, n),
			Body:           map[string]any{"status": in.target.String(), "actor": "chaos"},
		}
		call := w.history.now()
		known := refused
		for {
			a, err := w.do(ctx, w.members[at%size], request, requestTimeout)
			if err == nil && (a.OK() || a.Status == http.StatusBadRequest) {
				w.history.add(r.tenant+"/family", worker, call, in, w.transition(r, &a), true)
				break
			}
			if fateOf(&a, err) == doubtful {
				known = doubtful
			}
			at++
			if (known == refused && err == nil) || !w.pause(ctx, retryPause) {
				if known == doubtful {
					w.history.add(r.tenant+"/family", worker, call, in, familyOutput{demoted: -1}, false)
				}
				break
			}
		}
	}
}

// transition reads the answer to a promotion.
func (w *work) transition(r *register, a *nodes.Answer) familyOutput {
	out := familyOutput{known: true, ok: a.OK(), demoted: -1}
	if !a.OK() {
		if a.Reason != "invalid_transition" {
			w.findings.addf(0, "a promotion was answered %s", a)
		}
		return out
	}
	var t struct {
		PreviousStatus    string
		DemotedChampionID string
	}
	if err := a.Decode(&t); err != nil {
		w.findings.addf(0, "a promotion's answer could not be read: %v", err)
	}
	out.previous = statuses[t.PreviousStatus]
	for i, id := range r.family {
		if id == t.DemotedChampionID {
			out.demoted = i
		}
	}
	return out
}
