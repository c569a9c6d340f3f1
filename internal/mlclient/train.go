package mlclient

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
)

const opTrain = "mlclient.Train"

var (
	errSilence = errors.New("neither rows nor an answer moved")
	errTimeout = errors.New("the training took too long")
)

// Model is the result of a training.
type Model struct {
	Text    string  // LightGBM's text; its features are f0, f1, … in the order of the columns
	Trees   int     // as the worker counted them
	Seconds float64 // of the worker's fit, without the rows' way
}

// Train sends the rows and returns the model. The function rows is called once,
// on another goroutine, and has returned when Train does; its error is returned
// as it is. progress gets shares in (0, 1], each larger than the one before; it
// may be nil.
//
// When ctx ends, the connection is closed, the worker stops at once, and ctx's
// error is returned. A worker that is not configured, cannot be reached, is
// busy, too slow, crashes or answers with something else is KindUnavailable;
// a training that it would refuse again is KindUnprocessable.
func (c *Client) Train(ctx context.Context, h Header, rows func(*RowWriter) error, progress func(float64)) (Model, error) {
	if !c.Configured() {
		return Model{}, notConfigured(opTrain)
	}
	preamble, err := h.preamble()
	if err != nil {
		return Model{}, &decision.Error{Kind: decision.KindInternal, Op: opTrain, Err: err}
	}
	within, stop := context.WithTimeoutCause(ctx, c.cfg.Timeout, errTimeout)
	defer stop()
	within, cancel := context.WithCancelCause(within)
	defer cancel(nil)
	alive := newWatch(c.cfg.Silence, func() { cancel(errSilence) })
	defer alive.stop()

	feed := startFeed(preamble, h, rows, alive)
	length := int64(len(preamble)) + int64(h.Rows)*h.rowBytes()
	model, err := c.exchange(within, feed, length, alive, progress)
	complete, rowsErr := feed.end()
	switch {
	case rowsErr != nil:
		return Model{}, rowsErr
	case err != nil:
		return Model{}, c.trainError(ctx, within, err)
	case !complete:
		return Model{}, unavailable(opTrain, "answered with a model before it had all rows", nil)
	}
	return model, nil
}

// exchange makes the request and reads the answer.
func (c *Client) exchange(ctx context.Context, body io.Reader, length int64, alive *watch, progress func(float64)) (Model, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/train", io.NopCloser(body))
	if err != nil {
		return Model{}, err
	}
	req.ContentLength = length
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Accept", "application/x-ndjson")
	// A worker that is busy or does not take the token says so before the rows
	// are on their way.
	req.Header.Set("Expect", "100-continue")
	if c.cfg.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.cfg.Token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Model{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return Model{}, c.refusal(resp)
	}
	return c.readAnswer(touching{resp.Body, alive}, progress)
}

// answerLine is a line of the answer; one of the first three is there.
type answerLine struct {
	Progress *float64     `json:"progress"`
	Model    *string      `json:"model"`
	Error    *workerError `json:"error"`
	Trees    int          `json:"trees"`
	Seconds  float64      `json:"seconds"`
}

// readAnswer reads lines until the last one, MaxAnswer bytes at most.
func (c *Client) readAnswer(body io.Reader, progress func(float64)) (Model, error) {
	limited := &io.LimitedReader{R: body, N: c.cfg.MaxAnswer}
	r := bufio.NewReaderSize(limited, 64<<10)
	done := 0.0
	for {
		text, err := r.ReadBytes('\n')
		if err != nil {
			if errors.Is(err, io.EOF) && limited.N <= 0 {
				return Model{}, unavailable(opTrain, fmt.Sprintf("answered with more than %d bytes", c.cfg.MaxAnswer), nil)
			}
			return Model{}, fmt.Errorf("the answer ended without a last line: %w", err)
		}
		var line answerLine
		if err := json.Unmarshal(bytes.TrimSpace(text), &line); err != nil {
			return Model{}, unavailable(opTrain, "answered with something that is not its JSON", err)
		}
		switch {
		case line.Error != nil:
			return Model{}, c.failure(*line.Error)
		case line.Model != nil && *line.Model != "":
			return Model{Text: *line.Model, Trees: line.Trees, Seconds: line.Seconds}, nil
		case line.Progress == nil:
			return Model{}, unavailable(opTrain, "answered with a line that is neither progress nor model nor error", nil)
		case *line.Progress > done && *line.Progress <= 1 && progress != nil:
			done = *line.Progress
			progress(done)
		}
	}
}

// trainError says why the exchange failed: ctx is the caller's, within its part
// with the time limits.
func (c *Client) trainError(ctx, within context.Context, err error) error {
	var known *decision.Error
	cause := context.Cause(within)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", opTrain, context.Cause(ctx))
	case errors.As(err, &known):
		return err
	case errors.Is(cause, errTimeout):
		return unavailable(opTrain, fmt.Sprintf("did not finish the training within %v", c.cfg.Timeout), cause)
	case errors.Is(cause, errSilence):
		return unavailable(opTrain, fmt.Sprintf("was silent for %v", c.cfg.Silence), cause)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return unavailable(opTrain, "broke off the training", withoutURL(err))
	default:
		return unavailable(opTrain, "cannot be reached, or broke off the training", withoutURL(err))
	}
}

// feed is the body of the request: the rows as the caller gives them.
type feed struct {
	*io.PipeReader
	alive *watch
	done  chan struct{}
	err   error // how the rows ended; to be read after done
}

// errStopped ends the rows when nobody takes them any more.
var errStopped = errors.New("the training has ended")

func startFeed(preamble []byte, h Header, rows func(*RowWriter) error, alive *watch) *feed {
	r, w := io.Pipe()
	f := &feed{PipeReader: r, alive: alive, done: make(chan struct{})}
	go func() {
		defer close(f.done)
		f.err = sendRows(w, preamble, h, rows)
		w.CloseWithError(f.err)
	}()
	return f
}

func sendRows(w io.Writer, preamble []byte, h Header, rows func(*RowWriter) error) error {
	if _, err := w.Write(preamble); err != nil {
		return err
	}
	rw := newRowWriter(w, h)
	if err := rows(rw); err != nil {
		return err
	}
	return rw.finish()
}

// Read notes that rows move.
func (f *feed) Read(p []byte) (int, error) {
	n, err := f.PipeReader.Read(p)
	f.alive.touch()
	return n, err
}

// end stops the rows, waits for the caller's function, and tells whether all
// were taken, or the caller's own error.
func (f *feed) end() (complete bool, err error) {
	f.CloseWithError(errStopped)
	<-f.done
	if errors.Is(f.err, errStopped) {
		return false, nil
	}
	return f.err == nil, f.err
}

// watch calls back once after a time without a touch.
type watch struct {
	timer *time.Timer
	after time.Duration
}

func newWatch(after time.Duration, silent func()) *watch {
	return &watch{timer: time.AfterFunc(after, silent), after: after}
}

func (w *watch) touch() { w.timer.Reset(w.after) }
func (w *watch) stop()  { w.timer.Stop() }

// touching notes that the answer moves.
type touching struct {
	io.Reader
	alive *watch
}

func (t touching) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	if n > 0 {
		t.alive.touch()
	}
	return n, err
}
