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

	"github.com/praetor-engine/praetor/bench/nodes"
)

// startTimeout bounds how long a server may take to tell its address: a restart
// reads its log first.
const startTimeout = 2 * time.Minute

// startProcess starts command, writes input to it as a line of JSON unless it
// is nil, and reads a line of JSON from it into hello: a server tells its
// address on its standard output, and ends when its standard input does.
func startProcess(ctx context.Context, command []string, input, hello any) (*nodes.Process, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stderr = os.Stderr
	stdout, end := io.Pipe()
	cmd.Stdout = end
	p, err := nodes.Launch(cmd)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	go func() {
		<-p.Ended()
		_ = end.Close()
	}()
	stuck := time.AfterFunc(startTimeout, func() { _ = cmd.Process.Kill() })
	if input != nil {
		err = json.NewEncoder(p.Stdin()).Encode(input)
	}
	line, readErr := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil && readErr == nil {
		err = json.Unmarshal(line, hello)
	}
	stuck.Stop()
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	if err = errors.Join(err, readErr); err != nil {
		return nil, fmt.Errorf("bench: %v did not start: %w", command[1], errors.Join(err, p.Kill()))
	}
	return p, nil
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
