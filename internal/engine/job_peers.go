package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/praetor-engine/praetor/internal/decision"
)

// A job is known to the node that runs it alone. A client, and a balancer before it,
// knows nothing of that: whichever node is asked asks the others.

// jobQuestion is what nodes ask each other about their jobs. The words are on the
// wire between builds: append only.
type jobQuestion struct {
	What   string `json:"what"`
	Tenant string `json:"tenant"`
	Job    string `json:"job,omitempty"`
	Model  string `json:"model,omitempty"`
	Before uint64 `json:"before,omitempty"`
	Limit  int    `json:"limit,omitempty"`
}

// The questions.
const (
	askJob      = "job"      // the job; refused as not found
	askCancel   = "cancel"   // likewise, and cancel it
	askTraining = "training" // the job under way of the model, if there is one
	askJobs     = "jobs"     // the newest Limit jobs of the tenant before Before
)

// jobAnswer is what one node knows.
type jobAnswer struct {
	Jobs  []listedJob `json:"jobs"`
	Total int64       `json:"total,omitempty"` // of a list
}

// listedJob is a job with its place in lists: newer jobs have greater ones.
type listedJob struct {
	Job
	Place uint64 `json:"place"`
}

// answer answers another node.
func (e *Engine) answer(_ context.Context, question []byte) ([]byte, error) {
	var q jobQuestion
	if err := json.Unmarshal(question, &q); err != nil {
		return nil, decision.Errorf(decision.KindBadRequest, "a question of another node: %v", err)
	}
	a, err := e.jobs.answer(&q)
	if err != nil {
		return nil, err
	}
	return json.Marshal(a)
}

func (s *jobs) answer(q *jobQuestion) (a jobAnswer, err error) {
	switch q.What {
	case askJob, askCancel:
		j, err := s.find(q.Tenant, q.Job)
		if err != nil {
			return a, err
		}
		if q.What == askCancel {
			j.cancel()
		}
		a.Jobs = []listedJob{{j.snapshot(), j.place}}
	case askTraining:
		if j := s.trainingOf(q.Model); j != nil && j.tenant == q.Tenant {
			a.Jobs = []listedJob{{j.snapshot(), j.place}}
		}
	case askJobs:
		return s.list(q.Tenant, q.Before, q.Limit), nil
	default:
		return a, decision.Errorf(decision.KindBadRequest, "this build does not know the question %q", q.What)
	}
	return a, nil
}

// list returns a tenant's newest jobs before a place; 0: all.
func (s *jobs) list(tenant string, before uint64, limit int) (a jobAnswer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range slices.Backward(s.order) {
		if j.tenant != tenant {
			continue
		}
		a.Total++
		if len(a.Jobs) < limit && (before == 0 || j.place < before) {
			a.Jobs = append(a.Jobs, listedJob{j.snapshot(), j.place})
		}
	}
	return a
}

// peerAnswer is what one other node knows, or why that is not known.
type peerAnswer struct {
	node string
	jobAnswer
	err error
}

// askPeers asks all other nodes.
func (e *Engine) askPeers(ctx context.Context, q *jobQuestion) ([]peerAnswer, error) {
	question, err := json.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("engine: ask about jobs: %w", err)
	}
	answers := e.node.Ask(ctx, question)
	peers := make([]peerAnswer, len(answers))
	for i, a := range answers {
		peers[i] = peerAnswer{node: a.ID, err: a.Err}
		if a.Err == nil {
			peers[i].err = json.Unmarshal(a.Reply, &peers[i].jobAnswer)
		}
	}
	return peers, nil
}

// askJob has the node that knows a job answer for it.
func (e *Engine) askJob(ctx context.Context, q *jobQuestion) (Job, error) {
	own, err := e.jobs.answer(q)
	if err == nil {
		return own.Jobs[0].Job, nil
	}
	peers, askErr := e.askPeers(ctx, q)
	if askErr != nil {
		return Job{}, askErr
	}
	silent := ""
	for i := range peers {
		switch p := &peers[i]; {
		case p.err == nil && len(p.Jobs) == 1:
			return p.Jobs[0].Job, nil
		case decision.KindOf(p.err) != decision.KindNotFound:
			silent = p.node
		}
	}
	if silent != "" {
		return Job{}, decision.Errorf(decision.KindUnavailable, "no node that answers knows job %q, and node %s does not answer", q.Job, silent)
	}
	return Job{}, err
}

// trainedElsewhere refuses a training of a model that another node trains. Two nodes
// that begin at once may both pass; then the log takes the first result and discards
// the other.
func (e *Engine) trainedElsewhere(ctx context.Context, tenant, model string) error {
	peers, err := e.askPeers(ctx, &jobQuestion{What: askTraining, Tenant: tenant, Model: model})
	if err != nil {
		return err
	}
	for i := range peers {
		if p := &peers[i]; p.err == nil && len(p.Jobs) > 0 {
			return decision.Errorf(decision.KindConflict, "the model is being trained already, by job %s on node %s", p.Jobs[0].ID, p.node)
		}
	}
	return nil
}

// Job returns a job, whichever node runs it.
func (e *Engine) Job(ctx context.Context, tenant, id string) (Job, error) {
	return e.askJob(ctx, &jobQuestion{What: askJob, Tenant: tenant, Job: id})
}

// CancelJob asks a job to end and returns it as it then is; one that has ended
// stays as it is.
func (e *Engine) CancelJob(ctx context.Context, tenant, id string) (Job, error) {
	return e.askJob(ctx, &jobQuestion{What: askCancel, Tenant: tenant, Job: id})
}

// Jobs lists a tenant's jobs of all nodes that answer, the newest first.
func (e *Engine) Jobs(ctx context.Context, tenant string, page Page) (List[Job], error) {
	if err := checkLimit(page.Limit); err != nil {
		return List[Job]{}, err
	}
	before, err := parseCursor(page.Cursor)
	if err != nil {
		return List[Job]{}, err
	}
	q := &jobQuestion{What: askJobs, Tenant: tenant, Before: before, Limit: page.Limit + 1}
	all := e.jobs.list(tenant, before, q.Limit)
	peers, err := e.askPeers(ctx, q)
	if err != nil {
		return List[Job]{}, err
	}
	for i := range peers {
		if p := &peers[i]; p.err == nil {
			all.Jobs, all.Total = append(all.Jobs, p.Jobs...), all.Total+p.Total
		}
	}
	slices.SortFunc(all.Jobs, func(a, b listedJob) int { return cmp.Compare(b.Place, a.Place) })
	list := List[Job]{Items: []Job{}, Total: all.Total}
	if list.HasMore = len(all.Jobs) > page.Limit; list.HasMore {
		all.Jobs = all.Jobs[:page.Limit]
		list.Cursor = formatCursor(all.Jobs[page.Limit-1].Place)
	}
	for i := range all.Jobs {
		list.Items = append(list.Items, all.Jobs[i].Job)
	}
	return list, nil
}
