package chaos

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func needsDisks(s *scene) string {
	if s.disks == nil {
		return s.runner.noDisks
	}
	return ""
}

func needsStrace(s *scene) string { return s.runner.noStrace }

func needsPrlimit(*scene) string {
	if _, err := exec.LookPath("prlimit"); err != nil {
		return "there is no prlimit"
	}
	return ""
}

// diskFull takes all space of a node's disk, and gives it back.
func diskFull(ctx context.Context, s *scene) (func(context.Context) error, error) {
	m, role, err := s.either(ctx)
	if err != nil {
		return nil, err
	}
	m.mayEnd.Store(true)
	s.logf("the disk of %s, the %s, is full", m.ID(), role)
	if err := s.disks.fill(s.index(m)); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		ended := s.ended(m)
		s.logf("the disk has space again; the node %s", ended)
		if err := s.disks.free(s.index(m)); err != nil {
			return err
		}
		return s.restore(ctx, m)
	}, nil
}

// ended says what became of a node that may stop by itself.
func (s *scene) ended(m *member) string {
	if m.Alive() {
		return "went on"
	}
	return "had stopped: " + s.lastWords(m)
}

// restore starts a node that has stopped by itself.
func (s *scene) restore(ctx context.Context, m *member) error {
	if m.Alive() {
		return nil
	}
	m.away()
	return s.start(ctx, m)
}

// fsyncError has every fsync of a node fail.
func fsyncError(ctx context.Context, s *scene) (func(context.Context) error, error) {
	m, role, err := s.either(ctx)
	if err != nil {
		return nil, err
	}
	m.mayEnd.Store(true)
	after := 1 + s.rng.IntN(20)
	s.logf("from its %dth on, every fsync of %s, the %s, fails", after, m.ID(), role)
	detach, err := inject(ctx, m.Process().Pid(), fmt.Sprintf("inject=fsync,fdatasync:error=EIO:when=%d+", after))
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		stopped := false
		select {
		case <-m.Process().Ended():
			stopped = true
		case <-time.After(fsyncPatience):
		case <-ctx.Done():
		}
		detach()
		s.logf("the node %s", s.ended(m))
		if !stopped && m.Alive() {
			s.findings.addf(6, "%s, the %s, goes on after fsync has failed for seconds", m.ID(), role)
			if err := s.kill(m); err != nil {
				return err
			}
		}
		return s.restore(ctx, m)
	}, nil
}

// fsyncPatience is how much longer than the fault's time a node may take to stop.
const fsyncPatience = 5 * time.Second

// inject has strace tamper with the system calls of a running process until the
// function that it returns is called. It returns when the calls are tampered
// with.
func inject(ctx context.Context, pid int, what string) (detach func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, "strace", "-f", "-qq", "-o", os.DevNull, "-e", "trace=fsync,fdatasync", "-e", what, "-p", strconv.Itoa(pid))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that it detaches
	cmd.WaitDelay = 5 * time.Second
	cmd.SysProcAttr = nil
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("chaos: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	detach = func() {
		cancel()
		<-ended
	}
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		if tracer(pid) == cmd.Process.Pid {
			return detach, nil
		}
		select {
		case <-ended:
			cancel()
			return nil, fmt.Errorf("chaos: strace could not attach to process %d", pid)
		case <-time.After(10 * time.Millisecond):
		}
	}
	detach()
	return nil, fmt.Errorf("chaos: strace did not attach to process %d", pid)
}

// tracer is the process that traces another; 0: none.
func tracer(pid int) int {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }()
	for s := bufio.NewScanner(f); s.Scan(); {
		if value, ok := strings.CutPrefix(s.Text(), "TracerPid:"); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(value)) // 0: none
			return n
		}
	}
	return 0
}

// tornWrite bounds how long the files of a node may become, below what its log
// has already: a write that crosses the bound is cut there, the next fails.
func tornWrite(ctx context.Context, s *scene) (func(context.Context) error, error) {
	m, role, err := s.either(ctx)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(filepath.Join(m.Data(), "raft.db"))
	if err != nil {
		return nil, fmt.Errorf("chaos: %w", err)
	}
	limit := info.Size()/16 + s.rng.Int64N(max(1, info.Size()*3/4))
	m.mayEnd.Store(true)
	s.logf("no file of %s, the %s, may be written beyond byte %d; its log has %d", m.ID(), role, limit, info.Size())
	if err := command(ctx, "prlimit", "--pid", strconv.Itoa(m.Process().Pid()), fmt.Sprintf("--fsize=%d:", limit)); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		s.logf("the node %s", s.ended(m))
		// The limit lasts as long as the process.
		if err := s.kill(m); err != nil {
			return err
		}
		return s.start(ctx, m)
	}, nil
}
