package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/praetor-engine/praetor/internal/client"
	"github.com/praetor-engine/praetor/internal/engine"
)

const operatorKey = "operator-key-of-the-crash-test"

// buildBinary builds the command as it is released.
func buildBinary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "praetor")
	build := exec.Command("go", "build", "-tags", "hashicorpmetrics", "-o", path, "github.com/praetor-engine/praetor/cmd/praetor")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// process is a node in a process of its own.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	url string
	log *bytes.Buffer // what it wrote after it was up; read it when it has ended
	end chan error
}

// serve starts the binary and waits until the node is ready.
func serve(t *testing.T, binary, data string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(binary, "serve", "--listen", "127.0.0.1:0", "--data", data, "--log-format", "json"), log: &bytes.Buffer{}, end: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), "PRAETOR_OPERATOR_KEY="+operatorKey)
	out, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	lines := bufio.NewReader(out)
	for p.url == "" {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			t.Fatalf("the node ended before it was up: %v\n%s", err, p.log)
		}
		p.log.Write(line)
		var entry struct{ URL string }
		if json.Unmarshal(line, &entry) == nil {
			p.url = entry.URL
		}
	}
	go func() {
		_, _ = io.Copy(p.log, lines)
		p.end <- p.cmd.Wait()
	}()
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for status, _ := get(t, p.url+"/readyz"); status != http.StatusOK; status, _ = get(t, p.url+"/readyz") {
		if <-tick.C; time.Now().After(deadline) {
			t.Fatal("the node does not get ready")
		}
	}
	return p
}

// kill ends the process as a power failure would, and waits for its end.
func (p *process) kill() {
	if p.end == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.end
	p.end = nil
}

// terminate asks the process to end and returns what it ended with.
func (p *process) terminate() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	select {
	case err := <-p.end:
		p.end = nil
		if err != nil {
			p.t.Errorf("the node ended with %v, want 0\n%s", err, p.log)
		}
	case <-time.After(limit):
		p.t.Fatal("the node does not end")
	}
}

const (
	loadRequests    = 400
	loadSize        = 500
	loadConcurrency = 8
	loadOffers      = 5
)

// bulk is the n-th request of the load. Every outcome has a label and a key.
func bulk(n int) []client.Outcome {
	all := make([]client.Outcome, loadSize)
	for i := range all {
		kind := "dismiss"
		if (n+i)%3 == 0 {
			kind = "click"
		}
		all[i] = client.Outcome{
			CustomerID: fmt.Sprintf("c%d", (n*31+i)%5000), Outcome: kind, OfferID: fmt.Sprintf("o%d", i%loadOffers),
			IdempotencyKey: fmt.Sprintf("%d-%d", n, i), Attributes: map[string]any{"x": float64((n+i)%17) / 17},
		}
	}
	return all
}

// load sends the requests with the given numbers and returns those that were
// acknowledged and those whose fate is unknown. It calls each after every
// acknowledged one, with how many there are, and stops at the first error.
func load(t *testing.T, c *client.Client, numbers []int, each func(done int)) (acknowledged, unknown []int, duplicates int) {
	var mu sync.Mutex
	var stopped atomic.Bool
	var working sync.WaitGroup
	queue := make(chan int, len(numbers))
	for _, n := range numbers {
		queue <- n
	}
	close(queue)
	for range loadConcurrency {
		working.Go(func() {
			for n := range queue {
				if stopped.Load() {
					mu.Lock()
					unknown = append(unknown, n)
					mu.Unlock()
					continue
				}
				r, err := c.RespondBulk(t.Context(), bulk(n))
				mu.Lock()
				if err != nil {
					stopped.Store(true)
					unknown = append(unknown, n)
				} else {
					if r.Failed != 0 || r.Processed != loadSize {
						t.Errorf("request %d = %+v, want all of it recorded", n, r)
					}
					acknowledged = append(acknowledged, n)
					duplicates += r.Duplicates
				}
				done := len(acknowledged)
				mu.Unlock()
				each(done)
			}
		})
	}
	working.Wait()
	return acknowledged, unknown, duplicates
}

// kill -9 during a bulk load of 200 000 outcomes: after the restart and the
// repetition of what was not answered, every outcome counts once; and what the
// models learned is what a replay of the log from its beginning gives.
func TestKillDuringBulkLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and kills the real binary")
	}
	binary, data := buildBinary(t), filepath.Join(t.TempDir(), "data")
	p := serve(t, binary, data)
	models, key := prepare(t, p.url)

	all := make([]int, loadRequests)
	for i := range all {
		all[i] = i
	}
	kill := sync.OnceFunc(func() { _ = p.cmd.Process.Kill() })
	before, unknown, _ := load(t, newClient(t, p.url, key, ""), all, func(done int) {
		if done >= loadRequests/2 {
			kill()
		}
	})
	p.kill()
	if len(before) < loadRequests/2 || len(unknown) == 0 {
		t.Fatalf("%d requests acknowledged, %d not: the kill was not in the middle", len(before), len(unknown))
	}

	p = serve(t, binary, data)
	c := newClient(t, p.url, key, "")
	recorded := total(t, p.url, key)
	if low := int64(len(before) * loadSize); recorded < low || recorded > low+loadConcurrency*loadSize {
		t.Errorf("%d interactions after the restart, want the %d acknowledged and at most %d more", recorded, low, loadConcurrency*loadSize)
	}
	// A repetition of what was acknowledged counts nothing.
	r, err := c.RespondBulk(t.Context(), bulk(before[0]))
	if err != nil || r.Duplicates != loadSize {
		t.Errorf("an acknowledged request again = %+v, %v, want duplicates only", r, err)
	}
	after, failed, duplicates := load(t, c, unknown, func(int) {})
	if len(failed) > 0 {
		t.Fatalf("%d requests failed after the restart", len(failed))
	}
	t.Logf("%d requests acknowledged before the kill, %d after it; %d outcomes had landed unanswered", len(before), len(after), duplicates)
	if got, want := int64(duplicates), recorded-int64(len(before)*loadSize); got != want {
		t.Errorf("%d duplicates among what was repeated, want the %d that had landed", got, want)
	}
	const outcomes = loadRequests * loadSize
	if got := total(t, p.url, key); got != outcomes {
		t.Errorf("%d interactions, want %d", got, outcomes)
	}
	checkEvidence(t, c, models, outcomes)
	p.terminate()
	compareWithReplay(t, binary, data)
}

// prepare makes the tenant, its key and one model of every type that learns from
// outcomes.
func prepare(t *testing.T, url string) (models map[string]string, key string) {
	t.Helper()
	if _, err := newClient(t, url, operatorKey, "").CreateTenant(t.Context(), "acme", "Acme"); err != nil {
		t.Fatal(err)
	}
	k, err := newClient(t, url, operatorKey, "acme").CreateKey(t.Context(), client.NewKey{Name: "load", Role: "admin"})
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, url, k.Secret, "")
	models = map[string]string{}
	for _, kind := range []string{"epsilon_greedy", "thompson_bandit", "online_learner", "bayesian"} {
		m, err := c.CreateModel(t.Context(), client.NewModel{
			Key: kind, Name: kind, ModelType: kind, LearningConfig: map[string]any{"autoLearn": true},
		})
		if err != nil {
			t.Fatal(err)
		}
		models[kind] = m.ID
	}
	return models, k.Secret
}

// total is how many interactions the tenant has.
func total(t *testing.T, url, key string) int64 {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/api/v1/interaction-history?limit=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var list struct{ Pagination client.Pagination }
	if err := json.NewDecoder(answer.Body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	return list.Pagination.Total
}

// checkEvidence adds up what the models learned.
func checkEvidence(t *testing.T, c *client.Client, models map[string]string, outcomes float64) {
	t.Helper()
	state := func(kind string, v any) {
		t.Helper()
		m, err := c.ModelWithState(t.Context(), models[kind])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(m.ModelState, v); err != nil {
			t.Fatal(err)
		}
	}
	var epsilon struct {
		Arms map[string]struct{ TotalReward, Pulls float64 }
	}
	state("epsilon_greedy", &epsilon)
	var pulls, reward float64
	for _, a := range epsilon.Arms {
		pulls, reward = pulls+a.Pulls, reward+a.TotalReward
	}
	if pulls != outcomes || len(epsilon.Arms) != loadOffers {
		t.Errorf("epsilon_greedy has %v pulls on %d arms, want %v on %d", pulls, len(epsilon.Arms), outcomes, loadOffers)
	}
	clicks := 0.0
	for n := range loadRequests {
		for i := range loadSize {
			if (n+i)%3 == 0 {
				clicks++
			}
		}
	}
	if reward != clicks {
		t.Errorf("epsilon_greedy has a reward of %v, want the %v clicks", reward, clicks)
	}
	var thompson struct {
		Arms map[string]struct{ Alpha, Beta float64 }
	}
	state("thompson_bandit", &thompson)
	evidence := 0.0
	for _, a := range thompson.Arms {
		evidence += a.Alpha + a.Beta - 2 // the prior is Beta(1, 1)
	}
	if math.Abs(evidence-outcomes) > 1e-6*outcomes {
		t.Errorf("thompson_bandit has evidence of %v outcomes, want %v", evidence, outcomes)
	}
	var bayes struct{ Counts struct{ Samples float64 } }
	state("bayesian", &bayes)
	if bayes.Counts.Samples != outcomes {
		t.Errorf("bayesian counted %v outcomes, want %v", bayes.Counts.Samples, outcomes)
	}
	var online struct{ Progressive struct{ Count float64 } }
	state("online_learner", &online)
	if online.Progressive.Count != outcomes {
		t.Errorf("online_learner learned from %v outcomes, want %v", online.Progressive.Count, outcomes)
	}
}

// compareWithReplay compares the state of a stopped node with what its log says.
func compareWithReplay(t *testing.T, binary, data string) {
	t.Helper()
	out, err := exec.Command(binary, "snapshot", "replay", data).Output()
	if err != nil {
		t.Fatalf("snapshot replay: %v\n%s", err, out)
	}
	var replayed engine.Digest
	if err := json.Unmarshal(out, &replayed); err != nil {
		t.Fatalf("snapshot replay printed %s: %v", out, err)
	}
	config := engine.DefaultConfig(data)
	config.Cluster.NodeID = "node-1"
	e, err := engine.Open(config, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	defer func() {
		if err := e.Close(ctx); err != nil {
			t.Errorf("Close() = %v", err)
		}
	}()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for e.Ready() != nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the engine does not get ready")
		}
	}
	restored, err := e.Digest(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(replayed.Models) != 4 {
		t.Errorf("the replay has %d models, want 4", len(replayed.Models))
	}
	for id, want := range replayed.Models {
		if got := restored.Models[id]; got != want {
			t.Errorf("model %s has digest %s, want the replay's %s", id, got, want)
		}
	}
	if got, want := restored.Interactions["acme"], replayed.Interactions["acme"]; got != want {
		t.Errorf("%d interactions, want the replay's %d", got, want)
	}
	if got, want := restored.Registry, replayed.Registry; got != want {
		t.Errorf("the registry with its audit chains has digest %s, want the replay's %s", got, want)
	}
	if v, err := e.VerifyAudit(ctx, "acme"); err != nil || !v.Intact || v.Verified == 0 {
		t.Errorf("VerifyAudit() = %+v, %v, want it intact", v, err)
	}
}
