package engine

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
)

// maxJobsKept is how many jobs are remembered after their end, the newest.
const maxJobsKept = 1000

// maxJobsQueued is how many jobs may wait for a worker.
const maxJobsQueued = 100

// jobs runs the background work of this node. A job is known to the node that
// runs it, which others ask, and forgotten by a restart: what it achieves is in the
// log.
type jobs struct {
	mu       sync.Mutex
	byID     map[string]*job
	order    []*job          // oldest first
	training map[string]*job // model id → its training under way
	slots    chan struct{}
	working  sync.WaitGroup
	ctx      context.Context
	stop     context.CancelFunc
	place    uint64 // of the newest job
}

// job is one training.
type job struct {
	id      string
	tenant  string
	model   string
	trigger string
	once    idempotency // of the request that started it
	place   uint64      // in lists
	cancel  context.CancelFunc
	done    chan struct{} // closed at the end; then result, receipt and err stand
	result  TrainResult
	receipt Receipt
	err     error

	mu       sync.Mutex
	status   JobStatus
	progress float64
	created  decision.Time
	finished decision.Time
}

// idempotency is a request's idempotency key with what it was used for; without
// a key it is empty.
type idempotency struct {
	key         string
	fingerprint uint64
}

func newJobs(workers int) *jobs {
	ctx, cancel := context.WithCancel(context.Background())
	return &jobs{
		byID: map[string]*job{}, training: map[string]*job{}, slots: make(chan struct{}, workers), ctx: ctx, stop: cancel,
	}
}

// start queues work for a model that has none under way.
func (s *jobs) start(tenant, model, trigger string, work func(context.Context, *job) error) (*job, error) {
	return s.startOnce(idempotency{}, tenant, model, trigger, work)
}

// startOnce is start for a request that may be repeated: the same idempotency key
// finds the job that it started.
func (s *jobs) startOnce(once idempotency, tenant, model, trigger string, work func(context.Context, *job) error) (*job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j, err := s.repeated(tenant, once); j != nil || err != nil {
		return j, err
	}
	if s.ctx.Err() != nil {
		return nil, decision.Errorf(decision.KindUnavailable, "the node is stopping")
	}
	if running := s.training[model]; running != nil {
		return nil, decision.Errorf(decision.KindConflict, "the model is being trained already, by job %s", running.id)
	}
	if len(s.training) >= maxJobsQueued+cap(s.slots) {
		return nil, decision.Errorf(decision.KindUnavailable, "%d trainings wait already", maxJobsQueued)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	j := &job{
		id: newID("job"), tenant: tenant, model: model, trigger: trigger, once: once, cancel: cancel,
		done: make(chan struct{}), status: JobQueued, created: decision.TimeOf(time.Now()),
	}
	j.place = s.nextPlace(j)
	s.byID[j.id], s.training[model] = j, j
	s.order = append(s.order, j)
	s.forget()
	s.working.Go(func() { s.run(ctx, j, work) })
	return j, nil
}

// nextPlace orders the jobs of all nodes by when they were made; of one millisecond
// by 20 bits of their ids.
func (s *jobs) nextPlace(j *job) uint64 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(j.id))
	s.place = max(s.place+1, uint64(j.created)<<20|uint64(h.Sum32()>>12))
	return s.place
}

// repeated returns the job that a request with this idempotency key started in the
// last 24 hours, unless it failed: then it may be tried again.
func (s *jobs) repeated(tenant string, once idempotency) (*job, error) {
	if once.key == "" {
		return nil, nil
	}
	now := decision.TimeOf(time.Now())
	for _, j := range slices.Backward(s.order) {
		if j.once.key != once.key || j.tenant != tenant || now-j.created >= catalogue.AnswerLifetime {
			continue
		}
		if j.once.fingerprint != once.fingerprint {
			return nil, catalogue.KeyReused()
		}
		if status := j.snapshot().Status; status == JobFailed || status == JobCancelled {
			return nil, nil
		}
		return j, nil
	}
	return nil, nil
}

func (s *jobs) run(ctx context.Context, j *job, work func(context.Context, *job) error) {
	defer j.cancel()
	select {
	case s.slots <- struct{}{}:
		j.set(JobRunning)
		j.err = yielding(func() error { return guarded(ctx, j, work) })
		<-s.slots
	case <-ctx.Done():
		j.err = ctx.Err()
	}
	s.mu.Lock()
	delete(s.training, j.model)
	s.mu.Unlock()
	j.finish()
}

// guarded runs the work; a panic of a trainer fails its job and nothing else.
func guarded(ctx context.Context, j *job, work func(context.Context, *job) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &decision.Error{Kind: decision.KindInternal, Op: "engine.train", Msg: "the training failed", Err: fmt.Errorf("panic: %v", r)}
		}
	}()
	return work(ctx, j)
}

// forget drops the oldest finished jobs beyond the bound.
func (s *jobs) forget() {
	for len(s.order) > maxJobsKept && s.order[0].snapshot().FinishedAt != 0 {
		delete(s.byID, s.order[0].id)
		s.order = s.order[1:]
	}
}

// close cancels every job and waits for their ends.
func (s *jobs) close() {
	s.mu.Lock()
	s.stop()
	s.mu.Unlock()
	s.working.Wait()
}

func (s *jobs) find(tenant, id string) (*job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j := s.byID[id]; j != nil && j.tenant == tenant {
		return j, nil
	}
	return nil, decision.Errorf(decision.KindNotFound, "job %q does not exist", id)
}

// trainingOf returns the job under way of a model on this node, nil: none.
func (s *jobs) trainingOf(model string) *job {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.training[model]
}

func (j *job) set(status JobStatus) {
	j.mu.Lock()
	j.status = status
	j.mu.Unlock()
}

// report notes the share done.
func (j *job) report(done float64) {
	j.mu.Lock()
	j.progress = min(max(done, 0), 1)
	j.mu.Unlock()
}

func (j *job) finish() {
	if errors.Is(j.err, context.Canceled) {
		j.err = &decision.Error{Kind: decision.KindConflict, Reason: "cancelled", Msg: "the training was cancelled", Err: j.err}
		j.set(JobCancelled)
	} else if j.err != nil {
		j.set(JobFailed)
	} else {
		j.report(1)
		j.set(JobSucceeded)
	}
	j.mu.Lock()
	j.finished = decision.TimeOf(time.Now())
	j.mu.Unlock()
	close(j.done)
}

// snapshot returns the job as the API shows it.
func (j *job) snapshot() Job {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := Job{
		ID: j.id, ModelID: j.model, Kind: "train", Trigger: j.trigger, Status: j.status, Progress: j.progress,
		CreatedAt: j.created, FinishedAt: j.finished,
	}
	if j.finished == 0 {
		return out
	}
	if j.err != nil {
		out.Error = jobError(j.err)
	} else if j.result.Model != nil { // none of an optimization's, whose model tells
		out.Metrics, out.Version = &j.result.Metrics, j.result.Model.Version
	}
	return out
}

// jobError is what a client may know of a job's failure.
func jobError(err error) *JobError {
	out := &JobError{Code: decision.KindOf(err).String(), Message: "the training failed"}
	var e *decision.Error
	if errors.As(err, &e) && e.Msg != "" {
		out.Message = e.Msg
	}
	return out
}
