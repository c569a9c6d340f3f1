package nodes

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// Process is a child process. Where the system can, it ends with its parent.
type Process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	ended chan struct{}
	err   error // how it ended
}

// Launch starts a command and keeps its standard input open; commands that mind
// it end when it does, so that nothing is left behind by a parent that was
// killed.
func Launch(cmd *exec.Cmd) (*Process, error) {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("nodes: %w", err)
	}
	cmd.SysProcAttr = endWithParent()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("nodes: start %s: %w", cmd.Path, err)
	}
	p := &Process{cmd: cmd, stdin: stdin, ended: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// Pid is the process's id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Stdin is the process's standard input.
func (p *Process) Stdin() io.Writer { return p.stdin }

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Err is how the process ended; valid once Ended is closed.
func (p *Process) Err() error { return p.err }

// Running says whether the process has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Stop asks the process to end by closing its standard input, and waits for it.
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

// Signal sends a signal; to a process that has ended it does nothing.
func (p *Process) Signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("nodes: %w", err)
	}
	return nil
}
