package learners

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/praetor-engine/praetor/bench"
	"github.com/praetor-engine/praetor/internal/client"
)

// startNode starts an engine and records outcomes in it.
func (m *measurement) startNode(ctx context.Context, name string, outcomes []client.Outcome, flags ...string) (*bench.Engine, error) {
	e, err := m.StartEngine(ctx, filepath.Join(m.dir, name), "", flags...)
	if err != nil {
		return nil, err
	}
	for len(outcomes) > 0 {
		n := min(bench.BulkSize, len(outcomes))
		recorded, err := e.RespondBulk(ctx, outcomes[:n])
		if err == nil && recorded.Succeeded != n {
			err = fmt.Errorf("got %d outcomes recorded, want %d", recorded.Succeeded, n)
		}
		if err != nil {
			return nil, errors.Join(err, e.Kill())
		}
		outcomes = outcomes[n:]
	}
	return e, nil
}

// jobInterval is how often a training's job is asked whether it has ended.
const jobInterval = 20 * time.Millisecond

// trainJob trains a model and returns how long its job took.
func trainJob(ctx context.Context, e *bench.Engine, model string) (time.Duration, error) {
	j, err := e.StartTraining(ctx, model)
	if err != nil {
		return 0, err
	}
	if j, err = e.WaitJob(ctx, j.ID, jobInterval, nil); err != nil {
		return 0, err
	}
	if j.Status != client.JobSucceeded {
		return 0, fmt.Errorf("training: got status %s: %+v", j.Status, j.Error)
	}
	return j.FinishedAt.Sub(j.CreatedAt), nil
}

// startWorker starts the project's ML worker with its own environment and waits
// until it is ready.
func (m *measurement) startWorker(ctx context.Context) (url string, stop func() error, err error) {
	port, err := freePort()
	if err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(m.cfg.Worker, ".venv", "bin", "python"), "-m", "praetor_mlworker")
	cmd.Dir, cmd.Stderr = m.cfg.Worker, os.Stderr
	cmd.Env = append(os.Environ(), fmt.Sprintf("ML_WORKER_PORT=%d", port))
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("the ML worker (make mlworker makes its environment): %w", err)
	}
	stop = func() error {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		return cmd.Wait()
	}
	url = fmt.Sprintf("http://127.0.0.1:%d", port)
	if err := awaitWorker(ctx, url); err != nil {
		return "", nil, errors.Join(err, stop())
	}
	return url, stop, nil
}

func freePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return ln.Addr().(*net.TCPAddr).Port, ln.Close()
}

func awaitWorker(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/health", nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("got status %d", res.StatusCode)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the ML worker is not ready: %w", err)
		case <-time.After(jobInterval):
		}
	}
}
