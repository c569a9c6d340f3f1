package learners

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
)

//go:embed reference/reference.py
var referenceScript string

// reference is the Python process that fits the libraries' models.
type reference struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

// task is one fit; the script has their names.
type task struct {
	Fit    string `json:"fit"`
	Data   string `json:"data"` // folder of a matrix
	Worker string `json:"worker,omitempty"`
}

// fitted is what a fit gave. AUC and LogLoss are 0 for rows without a test part.
type fitted struct {
	Library string  `json:"library"`
	Seconds float64 `json:"seconds"`
	AUC     float64 `json:"auc"`
	LogLoss float64 `json:"logLoss"`
}

func startReference(ctx context.Context, python string) (*reference, error) {
	cmd := exec.CommandContext(ctx, python, "-c", referenceScript)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("learners: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("learners: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("learners: start the reference libraries: %w", err)
	}
	return &reference{cmd: cmd, in: in, out: json.NewDecoder(out)}, nil
}

// fit has a model fitted and waits for it.
func (r *reference) fit(t task) (fitted, error) {
	var f fitted
	if err := json.NewEncoder(r.in).Encode(t); err != nil {
		return f, fmt.Errorf("reference %s: %w", t.Fit, err)
	}
	if err := r.out.Decode(&f); err != nil {
		return f, fmt.Errorf("reference %s: %w", t.Fit, err)
	}
	return f, nil
}

// stop ends the process by ending its input.
func (r *reference) stop() error {
	if err := r.in.Close(); err != nil {
		return err
	}
	return r.cmd.Wait()
}
