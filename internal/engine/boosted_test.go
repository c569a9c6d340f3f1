package engine

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/mlclient"
)

// stump is a model in LightGBM's text: one split of f0 at 0.5, margins −1 and 1.
const stump = `tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=0
objective=binary sigmoid:1
feature_names=f0
feature_infos=[0:1]
tree_sizes=300

Tree=0
num_leaves=2
num_cat=0
split_feature=0
split_gain=1
threshold=0.5
decision_type=2
left_child=-1
right_child=-2
leaf_value=-1 1
leaf_weight=10 10
leaf_count=10 10
internal_value=0
internal_weight=20
internal_count=20
is_linear=0
shrinkage=1


end of trees
`

// worker plays the ML worker: it answers every training with a text, or, when
// that is empty, breaks off.
func worker(t *testing.T, text string) (url string, headers *[]string) {
	t.Helper()
	headers = new([]string)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"status":"ok","protocol":1,"capabilities":["lightgbm"]}`)
	})
	mux.HandleFunc("POST /train", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || len(body) < 4 {
			t.Errorf("the body has %d bytes, %v", len(body), err)
			return
		}
		*headers = append(*headers, string(body[4:4+binary.LittleEndian.Uint32(body)]))
		w.Header().Set("Content-Type", "application/x-ndjson")
		if text == "" {
			_, _ = io.WriteString(w, `{"progress":0.5}`+"\n")
			return
		}
		line, _ := json.Marshal(map[string]any{"model": text, "trees": 1, "seconds": 0.1})
		_, _ = w.Write(append(line, '\n'))
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL, headers
}

func withWorker(url string) func(*Config) {
	return func(c *Config) { c.Worker = mlclient.DefaultConfig(url, "") }
}

func TestBoostedIsTrainedByTheWorker(t *testing.T) {
	url, headers := worker(t, stump)
	n := fresh(t, withWorker(url))
	m := n.model("m", decision.GradientBoosted, "config", `{"numTrees":7}`)
	n.record(mixed(300)...)
	r := n.train(m.ID)
	if r.Model.Version != 2 || r.Metrics.Evaluation != learn.EvaluationHoldout || r.SampleCount == 0 {
		t.Errorf("Train() = %+v, %+v", r.Model, r.Metrics)
	}
	if len(*headers) != 2 || !strings.Contains((*headers)[1], `"numTrees":7`) {
		t.Fatalf("the worker was asked %d times, want 2, with the model's parameters: %v", len(*headers), *headers)
	}
	state, err := n.ModelDetail(n.ctx, n.tenant, m.ID, true)
	if err != nil || !strings.Contains(string(state.ModelState), "end of trees") {
		t.Errorf("ModelDetail() = %.200s, %v, want the worker's text", state.ModelState, err)
	}
	n = n.restart(t)
	if got := n.get(m.ID); got.Version != 2 {
		t.Errorf("version after a restart = %d, want 2", got.Version)
	}
	if again, err := n.ModelDetail(n.ctx, n.tenant, m.ID, true); err != nil || string(again.ModelState) != string(state.ModelState) {
		t.Errorf("the state after a restart: %.200s, %v", again.ModelState, err)
	}
}

// Whatever is wrong with the worker, the model stays as it was, and the message
// names what to look at.
func TestBoostedWithoutAWorkingWorker(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	lying, _ := worker(t, "tree\nnothing of the sort\n")
	crashing, _ := worker(t, "")
	for name, url := range map[string]string{"none": "", "down": gone.URL, "lying": lying, "crashing": crashing} {
		n := fresh(t, withWorker(url))
		m := n.model("m", decision.GradientBoosted)
		n.record(mixed(60)...)
		_, _, err := n.Train(n.ctx, n.w(), m.ID)
		wantError(t, "Train() with a worker that is "+name, err, decision.KindUnavailable, "")
		if err == nil || !strings.Contains(err.Error(), "ML_WORKER_URL") {
			t.Errorf("%s: Train() = %v, want it to name ML_WORKER_URL", name, err)
		}
		if got := n.get(m.ID); got.Version != 1 || got.Status != decision.StatusDraft {
			t.Errorf("%s: the model is %+v, want it untouched", name, got)
		}
		n.stop()
	}
}
