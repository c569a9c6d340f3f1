package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Train trains the model on the tenant's history and waits for it. It returns
// the model with its new version and metrics.
func (c *Client) Train(ctx context.Context, id string, opts ...Option) (Model, error) {
	var out Model
	err := c.do(ctx, call{method: http.MethodPost, path: modelPath(id, "train"), body: struct{}{}}, opts, &out)
	return out, err
}

// The statuses of a job.
const (
	JobQueued    = "queued"
	JobRunning   = "running"
	JobSucceeded = "succeeded"
	JobFailed    = "failed"
	JobCancelled = "cancelled"
)

// Job is a training in the background.
type Job struct {
	ID         string     `json:"jobId"`
	ModelID    string     `json:"modelId"`
	Trigger    string     `json:"trigger"` // request, schedule or evolution
	Status     string     `json:"status"`
	Progress   float64    `json:"progress"` // share done, 0 to 1
	Error      *JobError  `json:"error"`
	Metrics    Metrics    `json:"metrics"`
	Version    uint64     `json:"version"`
	CreatedAt  time.Time  `json:"createdAt"`
	FinishedAt *time.Time `json:"finishedAt"`
}

// JobError is why a job failed.
type JobError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Done reports whether the job has ended, well or not.
func (j *Job) Done() bool {
	return j.Status == JobSucceeded || j.Status == JobFailed || j.Status == JobCancelled
}

// StartTraining starts a training in the background.
func (c *Client) StartTraining(ctx context.Context, id string, opts ...Option) (Job, error) {
	var out Job
	err := c.do(ctx, call{
		method: http.MethodPost, path: modelPath(id, "train"), query: url.Values{"async": {"true"}}, body: struct{}{},
	}, opts, &out)
	return out, err
}

const jobsPath = "/api/v1/jobs"

// Job returns a job as it stands.
func (c *Client) Job(ctx context.Context, id string, opts ...Option) (Job, error) {
	var out Job
	err := c.do(ctx, call{method: http.MethodGet, path: jobsPath + "/" + url.PathEscape(id), safe: true}, opts, &out)
	return out, err
}

// CancelJob asks a job to end.
func (c *Client) CancelJob(ctx context.Context, id string, opts ...Option) error {
	return c.do(ctx, call{method: http.MethodDelete, path: jobsPath + "/" + url.PathEscape(id)}, opts, nil)
}

// WaitJob asks for the job every interval until it has ended, and tells report
// (unless nil) how it stands each time.
func (c *Client) WaitJob(ctx context.Context, id string, interval time.Duration, report func(Job)) (Job, error) {
	for {
		job, err := c.Job(ctx, id)
		if err != nil {
			return job, err
		}
		if report != nil {
			report(job)
		}
		if job.Done() {
			return job, nil
		}
		if err := pause(ctx, interval); err != nil {
			return job, err
		}
	}
}
