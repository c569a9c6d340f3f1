package engine

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
)

// export returns a model in praetor's own format.
func (n *node) export(id string) (Document, Export) {
	n.t.Helper()
	d, err := n.ExportModel(n.ctx, n.tenant, id, FormatPraetor)
	if err != nil {
		n.t.Fatalf("ExportModel() = %v", err)
	}
	var x Export
	if err := json.Unmarshal(d.Body, &x); err != nil {
		n.t.Fatalf("the export is not JSON: %v", err)
	}
	return d, x
}

// What is exported and imported again is the same model: the same state to the
// byte, the same scores, the same versions to restore, the same life from there
// on, also when it is brought to another engine.
func TestExportAndImport(t *testing.T) {
	from, to := fresh(t), fresh(t)
	from.record(mixed(400)...)
	for _, kind := range decision.ModelTypes {
		t.Run(string(kind), func(t *testing.T) {
			var pairs []string
			switch kind {
			case decision.ExternalEndpoint:
				pairs = []string{"config", `{"endpoint":"https://scores.example/"}`}
			case decision.GradientBoosted:
				pairs = []string{"modelState", string(goldenState(t))}
			case decision.Scorecard:
				pairs = []string{"config", `{"rules":[{"field":"x","operator":"gt","value":0.5,"points":10}]}`}
			}
			m := from.model("k-"+string(kind), kind, pairs...)
			if kind != decision.ExternalEndpoint && kind != decision.GradientBoosted {
				from.train(m.ID)
				from.record(mixed(30)...)
				from.train(m.ID)
				from.record(mixed(20)...)
			}
			document, exported := from.export(m.ID)
			got, _, err := to.ImportModel(to.ctx, to.w(), Import{Format: FormatPraetor, Model: document.Body})
			if err != nil {
				t.Fatalf("ImportModel() = %v", err)
			}
			_, imported := to.export(got.ID)
			imported.Model.ID, imported.Model.CreatedAt, imported.Model.UpdatedAt = exported.Model.ID, exported.Model.CreatedAt, exported.Model.UpdatedAt
			if a, b := encoded(t, exported), encoded(t, imported); a != b {
				t.Errorf("imported:\n%s\nexported:\n%s", b, a)
			}
			if a, b := from.binary(m.ID), to.binary(got.ID); a != b {
				t.Errorf("the imported state has other bytes: %d and %d of them", len(b), len(a))
			}
			row := number("x", 0.3)
			if !kind.Bandit() && kind != decision.ExternalEndpoint {
				if a, b := from.score(m.ID, "o1", row), to.score(got.ID, "o1", row); a != b {
					t.Errorf("score = %v, want %v", b, a)
				}
			}
			for _, v := range exported.Versions {
				want, _, err := from.RestoreVersion(from.ctx, from.w(), m.ID, v.Version.Version)
				if err != nil {
					t.Fatalf("RestoreVersion(%d) = %v", v.Version.Version, err)
				}
				if _, _, err := to.RestoreVersion(to.ctx, to.w(), got.ID, v.Version.Version); err != nil {
					t.Fatalf("RestoreVersion(%d) of the imported = %v", v.Version.Version, err)
				}
				if a, b := from.state(want.ID), to.state(got.ID); a != b {
					t.Errorf("version %d: state %s, want %s", v.Version.Version, b, a)
				}
			}
		})
	}
	to = to.restart(t)
	for _, m := range to.all() {
		if fault := to.fault(m.ID); fault != nil {
			t.Errorf("after a restart %s is faulted: %v", m.Key, fault)
		}
	}
}

// goldenState is a small LightGBM model in the API's shape.
func goldenState(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("../learn/boosted/testdata/lightgbm/missing_nan.txt")
	if err != nil {
		t.Fatal(err)
	}
	state, err := json.Marshal(map[string]string{"model": string(text)})
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func encoded(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// binary is a model's learned state as it is in snapshots.
func (n *node) binary(id string) string {
	n.t.Helper()
	mr, err := n.machine.directory.model(n.tenant, id)
	if err != nil {
		n.t.Fatal(err)
	}
	return string((<-mr.handle.Capture()).State)
}

func (n *node) fault(id string) error {
	mr, err := n.machine.directory.model(n.tenant, id)
	if err != nil {
		return err
	}
	if f := mr.handle.Published().Fault; f != nil {
		return f.Err()
	}
	return nil
}

func (n *node) all() []*catalogue.Model {
	n.t.Helper()
	l, err := n.Models(n.tenant, Page{Limit: 100})
	if err != nil {
		n.t.Fatal(err)
	}
	return l.Items
}

func TestImportLightGBM(t *testing.T) {
	n := fresh(t)
	text, err := os.ReadFile("../learn/boosted/testdata/lightgbm/missing_nan.txt")
	if err != nil {
		t.Fatal(err)
	}
	dump, err := os.ReadFile("../learn/boosted/testdata/lightgbm/missing_nan.dump.json")
	if err != nil {
		t.Fatal(err)
	}
	named := func(key string) catalogue.ModelFields { return catalogue.ModelFields{Key: &key, Name: &key} }
	models := map[Format]json.RawMessage{FormatLightGBMText: json.RawMessage(encoded(t, string(text))), FormatLightGBMJSON: dump}
	for format, model := range models {
		m, _, err := n.ImportModel(n.ctx, n.w(), Import{Format: format, Model: model, Fields: named(string(format))})
		if err != nil {
			t.Fatalf("%s: ImportModel() = %v", format, err)
		}
		d, err := n.ExportModel(n.ctx, "t1", m.ID, format)
		if err != nil {
			t.Fatalf("%s: ExportModel() = %v", format, err)
		}
		if format == FormatLightGBMText && string(d.Body) != string(text) {
			t.Errorf("the text changed on its way")
		}
		for other := range models {
			if _, err := n.ExportModel(n.ctx, "t1", m.ID, other); (err == nil) != (other == format) {
				t.Errorf("%s: ExportModel(%s) = %v", format, other, err)
			}
		}
	}
	key := "k"
	for _, c := range []struct {
		in   Import
		path string
	}{
		{Import{Format: "onnx", Model: dump}, "format"},
		{Import{Format: FormatLightGBMText, Model: dump, Fields: named("k")}, "model"},
		{Import{Format: FormatLightGBMJSON, Model: []byte(`"x"`), Fields: named("k")}, "model"},
		{Import{Format: FormatLightGBMText, Model: []byte(`"tree\nnonsense"`), Fields: named("k")}, "model.model"},
		{Import{Format: FormatLightGBMJSON, Model: []byte(`{"tree_info":[{"tree_structure":7}]}`), Fields: named("k")}, "model.tree_info"},
		{Import{Format: FormatLightGBMText, Model: models[FormatLightGBMText], Fields: catalogue.ModelFields{Key: &key}}, "name"},
	} {
		_, _, err := n.ImportModel(n.ctx, n.w(), c.in)
		wantError(t, fmt.Sprintf("ImportModel(%s, %.30s)", c.in.Format, c.in.Model), err, decision.KindBadRequest, "")
		if err != nil && !strings.Contains(err.Error(), c.path) {
			t.Errorf("ImportModel(%s, %.30s) = %v, want the path %s", c.in.Format, c.in.Model, err, c.path)
		}
	}
	if got := len(n.all()); got != len(models) {
		t.Errorf("there are %d models, want %d: a refused import leaves nothing", got, len(models))
	}
}

// A wrong export is refused whole, with the place of what is wrong.
func TestImportNamesWhatIsWrong(t *testing.T) {
	n := fresh(t)
	n.record(mixed(100)...)
	m := n.model("m", decision.LogisticRegression)
	n.train(m.ID)
	document, _ := n.export(m.ID)
	for _, c := range []struct{ change, to, path string }{
		{`"formatVersion":1`, `"formatVersion":9`, "model.formatVersion"},
		{`"format":"praetor"`, `"format":"other"`, "model.formatVersion"},
		{`"key":"m"`, `"key":""`, "model.model.key"},
		{`"modelType":"logistic_regression"`, `"modelType":"perceptron"`, "model.model.modelType"},
		{`"weights":{`, `"weights":7,"x":{`, "model.modelState"},
		{`"reason":"train"`, `"reason":"magic"`, "versions"},
		{`"version":2`, `"version":0`, "version"},
		{`"config":{}`, `"config":{"epochs":-1}`, "model.model.config.epochs"},
		{`"key":"m"`, `"key":"m"`, "key"}, // it is there already
	} {
		changed := strings.Replace(string(document.Body), c.change, c.to, 1)
		if c.change != c.to && changed == string(document.Body) {
			t.Fatalf("%s is not in the export %s", c.change, document.Body)
		}
		_, _, err := n.ImportModel(n.ctx, n.w(), Import{Format: FormatPraetor, Model: []byte(changed)})
		wantError(t, "ImportModel() with "+c.to, err, decision.KindBadRequest, "")
		if err != nil && !strings.Contains(err.Error(), c.path) {
			t.Errorf("ImportModel() with %s = %v, want the path %s", c.to, err, c.path)
		}
	}
	key, config := "other", json.RawMessage(`{"l1":-3}`)
	_, _, err := n.ImportModel(n.ctx, n.w(), Import{Format: FormatPraetor, Model: document.Body, Fields: catalogue.ModelFields{Key: &key, Config: config}})
	wantError(t, "ImportModel() with a wrong field beside the export", err, decision.KindBadRequest, "config.l1")
	if got := len(n.all()); got != 1 {
		t.Errorf("there are %d models, want 1: a refused import leaves nothing", got)
	}
	got, _, err := n.ImportModel(n.ctx, n.w(), Import{Format: FormatPraetor, Model: document.Body, Fields: catalogue.ModelFields{Key: &key}})
	if err != nil || got.Key != key || got.Version != 2 || got.RegistryStatus != decision.RegistryDraft {
		t.Errorf("ImportModel() under another key = %+v, %v", got, err)
	}
}
