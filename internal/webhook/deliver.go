package webhook

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/event"
)

// Node is what a deliverer needs of the node that it runs on. All methods may be
// called from any goroutine.
type Node interface {
	// Leading reports whether this node is the one to deliver.
	Leading() bool
	// Webhooks returns the endpoints as the log has them.
	Webhooks() []*Record
	// Events returns a tenant's events.
	Events(tenantID string) event.View
	Poster
	// Report puts reports into the log and returns when they are applied here.
	Report(ctx context.Context, reports []Report) error
}

// How a deliverer works.
const (
	// pollInterval is how often it looks whether the node leads and who is to be
	// tried again; new events wake it.
	pollInterval = 250 * time.Millisecond
	// reportInterval is how often it reports: what was delivered since is delivered
	// twice when the leader is lost.
	reportInterval = time.Second
	// reportTime bounds one report.
	reportTime = 10 * time.Second
	// lastReport bounds the one before the end, and lastSend how long messages that
	// are under way then may take.
	lastReport = 2 * time.Second
	lastSend   = time.Second
	// maxReports bounds the endpoints of one report.
	maxReports = 500
	// maxSending is how many endpoints are sent something at a time.
	maxSending = 64
)

// Deliverer delivers events while its node leads: to each endpoint one message at
// a time, in the order of the log; what fails is tried again, by the schedule of
// Rest, before anything behind it is sent.
type Deliverer struct {
	node    Node
	log     zerolog.Logger
	poll    time.Duration
	wake    chan struct{}
	results chan result

	delivered, failed atomic.Uint64 // messages

	// Of the goroutine that runs.
	sessions map[key]*session
	term     context.Context // ends with the leadership; nil: this node does not lead
	resign   context.CancelFunc
	sending  int
	senders  sync.WaitGroup
	first    int // of the endpoints to look at next: none is always last

	reported  time.Time
	reporting []reporting // under way; nil: none
	report    chan error
}

type key struct{ tenantID, id string }

// session is what the leader knows of an endpoint beyond the log.
type session struct {
	record  *Record
	through event.ID // delivered, or not for this endpoint
	busy    bool     // a message is under way
	Report           // since the last one
	dirty   bool     // the report has something to say
}

// result is what came of a message.
type result struct {
	s        *session
	term     context.Context
	revision uint64
	event    event.Event
	told     uint64 // missed events that the message is about
	answer   Answer
}

// reporting is a report under way.
type reporting struct {
	s *session
	Report
}

// NewDeliverer returns a deliverer for a node; Run runs it.
func NewDeliverer(n Node, log zerolog.Logger) *Deliverer {
	return &Deliverer{
		node: n, log: log, poll: pollInterval, wake: make(chan struct{}, 1), results: make(chan result, maxSending),
		sessions: map[key]*session{}, report: make(chan error, 1),
	}
}

// Wake tells that there may be something to deliver. It never waits.
func (d *Deliverer) Wake() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Figures returns how many messages this node delivered, and how many attempts
// failed.
func (d *Deliverer) Figures() (delivered, failed uint64) { return d.delivered.Load(), d.failed.Load() }

// Run delivers until ctx ends; then it gives up what is under way, and reports.
func (d *Deliverer) Run(ctx context.Context) {
	tick := time.NewTicker(d.poll)
	defer tick.Stop()
	for {
		d.step(ctx)
		select {
		case <-d.wake:
		case <-tick.C:
		case r := <-d.results:
			d.settle(&r)
		case err := <-d.report:
			d.settleReport(err)
		case <-ctx.Done():
			d.finish()
			return
		}
	}
}

// step takes up or lays down the work, and begins all that may begin.
func (d *Deliverer) step(ctx context.Context) {
	now, leading := time.Now(), d.node.Leading()
	switch {
	case leading && d.term == nil:
		// It outlives Run's own context a little: finish ends it.
		d.term, d.resign = context.WithCancel(context.WithoutCancel(ctx))
	case !leading && d.term != nil:
		d.resign()
		d.beginReport(now) // or the next leader would send all of it again
		d.term, d.sessions = nil, map[key]*session{}
	}
	if !leading {
		return
	}
	records := d.node.Webhooks()
	known := make(map[key]*session, len(records))
	for i := range records {
		r := records[(d.first+i)%len(records)]
		s := d.session(r)
		known[key{r.TenantID, r.ID}] = s
		d.send(s, now)
	}
	d.first++
	d.sessions = known
	if now.Sub(d.reported) >= reportInterval {
		d.beginReport(now)
	}
}

// session returns the endpoint's session with what the log says of it by now.
func (d *Deliverer) session(r *Record) *session {
	s := d.sessions[key{r.TenantID, r.ID}]
	switch {
	case s == nil:
		s = &session{Report: Report{TenantID: r.TenantID, ID: r.ID}}
		s.begin(r)
	case s.record.Revision != r.Revision:
		s.begin(r)
	}
	s.record = r
	if s.through.Less(r.State.Through) {
		s.through = r.State.Through
	}
	return s
}

// begin goes on from what the log says of the endpoint.
func (s *session) begin(r *Record) {
	s.record = r
	s.Revision, s.Failures, s.FailingSince, s.NextAttempt = r.Revision, r.State.Failures, r.State.FailingSince, r.State.NextAttempt
	s.LastFailure, s.FailureReason, s.FailureStatus, s.Gone = 0, "", 0, false
}

// send begins to send the endpoint what comes next, if anything does and may.
func (d *Deliverer) send(s *session, now time.Time) {
	if !s.record.Enabled || s.busy || s.Gone || decision.TimeOf(now) < s.NextAttempt || d.sending >= maxSending {
		return
	}
	e, told, ok := d.next(s)
	if !ok {
		return
	}
	s.busy = true
	d.sending++
	r, term := s.record, d.term
	d.senders.Go(func() {
		a := Attempt(term, d.node, r, &e, now)
		d.results <- result{s: s, term: term, revision: r.Revision, event: e, told: told, answer: a}
	})
}

// next returns what the endpoint is to be sent next: first that events were missed,
// if some were. The number of the newest of those stands for the notice.
func (d *Deliverer) next(s *session) (e event.Event, told uint64, ok bool) {
	if st := &s.record.State; st.Missed > s.Told {
		told = st.Missed - s.Told
		data := json.RawMessage(`{"missed":` + strconv.FormatUint(told, 10) + `}`)
		return event.Event{ID: st.Through, Type: event.Dropped, TenantID: s.TenantID, At: decision.TimeOf(time.Now()), Data: data}, told, true
	}
	view := d.node.Events(s.TenantID)
	rest, _ := view.After(s.through)
	for i := range rest {
		if s.record.EventTypes.Matches(rest[i].Type) {
			return rest[i], 0, true
		}
		s.through = rest[i].ID
	}
	return e, 0, false
}

// settle takes what came of a message into account.
func (d *Deliverer) settle(r *result) {
	s, a := r.s, &r.answer
	d.sending--
	s.busy = false
	now := decision.TimeOf(time.Now())
	log := d.log.With().Str("tenant", s.TenantID).Str("webhook", s.ID).Logger()
	switch {
	case a.OK():
		d.delivered.Add(1)
		if s.Failures > 0 {
			log.Info().Uint64("failures", s.Failures).Msg("a webhook takes messages again")
		}
		if r.told > 0 {
			s.Told += r.told
		} else if s.through.Less(r.event.ID) {
			s.through = r.event.ID
		}
		s.Delivered++
		s.LastSuccess, s.Failures, s.FailingSince, s.NextAttempt, s.dirty = now, 0, 0, 0, true
	case a.Abandoned || r.term.Err() != nil || r.revision != s.Revision:
		// It says nothing about the endpoint as it is now.
	default:
		d.failed.Add(1)
		if s.Failures++; s.Failures == 1 {
			s.FailingSince = now
			log.Warn().Int("status", a.Status).Str("reason", a.Reason).Msg("a webhook did not take a message; trying again")
		}
		rest := max(Rest(s.Failures, rand.Float64()), min(a.RetryAfter, maxRest))
		s.NextAttempt = now + decision.Time(rest.Milliseconds())
		s.LastFailure, s.FailureReason, s.FailureStatus = now, a.Reason, a.Status
		s.Gone, s.dirty = a.Status == http.StatusGone, true
	}
}

// beginReport puts what there is to report into the log, unless a report is under
// way.
func (d *Deliverer) beginReport(now time.Time) {
	if d.reporting != nil {
		return
	}
	if d.reporting = d.gather(); d.reporting == nil {
		return
	}
	d.reported = now
	all := reportsOf(d.reporting)
	d.senders.Go(func() {
		// Not the term's context: what was done was done.
		ctx, cancel := context.WithTimeout(context.Background(), reportTime)
		defer cancel()
		d.report <- d.node.Report(ctx, all)
	})
}

func (d *Deliverer) gather() (all []reporting) {
	for _, s := range d.sessions {
		if !s.dirty || len(all) == maxReports {
			continue
		}
		s.Through, s.dirty = s.through, false
		all = append(all, reporting{s, s.Report})
	}
	return all
}

func reportsOf(all []reporting) []Report {
	reports := make([]Report, len(all))
	for i := range all {
		reports[i] = all[i].Report
	}
	return reports
}

// settleReport takes what was reported off, or will report it again.
func (d *Deliverer) settleReport(err error) {
	for _, r := range d.reporting {
		if err != nil {
			r.s.dirty = true
			continue
		}
		r.s.Delivered -= r.Delivered
		r.s.Told -= r.Told
	}
	if err != nil {
		d.log.Warn().Err(err).Msg("what was delivered to webhooks cannot be reported; trying again")
	}
	d.reporting = nil
}

// finish waits a little for what is under way, gives up the rest, and reports what
// was done.
func (d *Deliverer) finish() {
	if d.term == nil {
		d.senders.Wait()
		return
	}
	patience := time.AfterFunc(lastSend, d.resign)
	for d.sending > 0 {
		r := <-d.results
		d.settle(&r)
	}
	patience.Stop()
	d.resign()
	d.senders.Wait()
	if d.reporting != nil {
		d.settleReport(<-d.report)
	}
	all := d.gather()
	if len(all) == 0 || !d.node.Leading() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastReport)
	defer cancel()
	if err := d.node.Report(ctx, reportsOf(all)); err != nil {
		d.log.Warn().Err(err).Msg("the last deliveries to webhooks were not reported; the next leader sends them again")
	}
}
