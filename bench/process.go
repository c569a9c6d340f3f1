package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// Process is a server in a process of its own. It tells its address on its
// standard output, and ends by itself when its standard input does: nothing is
// left behind by a client that was killed.
type Process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	ended chan struct{}
	err   error // how it ended
}

// startTimeout bounds how long a server may take to tell its address: a restart
// reads its log first.
const startTimeout = 2 * time.Minute

// startProcess starts command, writes input to it as a line of JSON unless it
// is nil, and reads a line of JSON from it into hello.
func startProcess(ctx context.Context, command []string, input, hello any) (*Process, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("bench: start %s: %w", command[0], err)
	}
	p := &Process{cmd: cmd, stdin: stdin, ended: make(chan struct{})}
	stuck := time.AfterFunc(startTimeout, func() { _ = cmd.Process.Kill() })
	if input != nil {
		err = json.NewEncoder(stdin).Encode(input)
	}
	line, readErr := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil && readErr == nil {
		err = json.Unmarshal(line, hello)
	}
	stuck.Stop()
	go func() {
		_, _ = io.Copy(io.Discard, stdout)
		p.err = cmd.Wait()
		close(p.ended)
	}()
	if err = errors.Join(err, readErr); err != nil {
		return nil, fmt.Errorf("bench: %v did not start: %w", command[1], errors.Join(err, p.Kill()))
	}
	return p, nil
}

// Pid is the process's id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Stop asks the process to end and waits for it.
func (p *Process) Stop() error {
	_ = p.stdin.Close()
	<-p.ended
	return p.err
}

// Kill ends the process at once, as kill -9 does, and waits for it.
func (p *Process) Kill() error {
	err := p.cmd.Process.Kill()
	<-p.ended
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// untilEOF returns a context that ends when in does: the parent is gone.
func untilEOF(ctx context.Context, in io.Reader) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	return ctx, cancel
}
