package boosted

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// byHand is a dump as the API's documentation writes one, with no more than is
// needed.
const byHand = `{"feature_names":["credit_score","segment"],"trees":[{"tree_structure":{
	"split_feature":0,"threshold":700,"decision_type":"<=","default_left":true,"missing_type":"NaN",
	"left_child":{"leaf_value":-1},
	"right_child":{"split_feature":1,"threshold":"1||2","decision_type":"==","left_child":{"leaf_value":2},"right_child":{"leaf_value":0.5}}}}],
	"columns":[{"name":"credit_score"},{"name":"segment","categorical":true,"categories":["Silver","Gold","Platinum"]}]}`

func number(name string, v float64) decision.Field {
	return decision.Field{Name: name, Kind: decision.Number, Num: v}
}

func text(name, v string) decision.Field {
	return decision.Field{Name: name, Kind: decision.Text, Text: v}
}

func rawOf(l learn.Learner, row ...decision.Field) float64 {
	var res learn.Result
	l.Publish().Score(&learn.Request{Row: decision.Row(row).Sort()}, &res)
	return res.Raw
}

func TestHandMadeDump(t *testing.T) {
	l := mustNew(t, json.RawMessage(byHand))
	cases := []struct {
		row  decision.Row
		want float64
	}{
		{decision.Row{number("credit_score", 760), text("segment", "Gold")}, 2},
		{decision.Row{number("credit_score", 760), text("segment", "Silver")}, 0.5},
		{decision.Row{number("credit_score", 760), text("segment", "Lead")}, 0.5},
		{decision.Row{number("credit_score", 760)}, 0.5},
		{decision.Row{number("credit_score", 700), text("segment", "Gold")}, -1},
		{decision.Row{text("segment", "Gold")}, -1},
		{decision.Row{text("credit_score", "760"), text("segment", "Gold")}, -1}, // a numeric string is missing
		{decision.Row{{Name: "credit_score", Kind: decision.Bool, Num: 1}}, -1},
	}
	for _, c := range cases {
		if got := rawOf(l, c.row...); got != c.want {
			t.Errorf("raw of %v = %v, want %v", c.row, got, c.want)
		}
	}
	var res learn.Result
	l.Publish().Score(&learn.Request{Row: decision.Row{number("credit_score", 760), text("segment", "Gold")}, Explain: true}, &res)
	if want := 1 / (1 + math.Exp(-2)); math.Abs(res.Score-want) > 1e-15 {
		t.Errorf("score = %v, want %v", res.Score, want)
	}
	// Without counts every leaf is one row: the mean is 0.5.
	if res.Baseline != 0.5 || len(res.Explanations) != 2 {
		t.Errorf("baseline = %v, explanations = %v, want 0.5 and two", res.Baseline, res.Explanations)
	}
}

func TestColumns(t *testing.T) {
	model := modelText("a b c", "split_feature=0 1 2", "threshold=1.5 0.5 0.5", "decision_type=10 2 2")
	state, _ := json.Marshal(textJSON{model, []Column{
		{Name: "plan", Categorical: true, Categories: []string{"basic", "8001", "true"}},
		{Name: "tags", Member: "vip"}, {Name: "tags", Member: "new"},
	}})
	l := mustNew(t, state)
	set := func(members ...string) decision.Row {
		row := decision.Row{}
		for _, m := range members {
			row = append(row, decision.Field{Name: "tags", Kind: decision.Member, Text: m})
		}
		if len(row) == 0 {
			row = append(row, decision.Field{Name: "tags", Kind: decision.EmptySet})
		}
		return row
	}
	// The tree: plan ≤ 1.5 → 1; else vip ≤ 0.5 → 2; else new ≤ 0.5 → 3; else 4.
	cases := []struct {
		row  decision.Row
		want float64
	}{
		{append(set("vip"), text("plan", "basic")), 1},
		{append(set("vip"), number("plan", 8001)), 1},
		{append(set("vip"), text("plan", "other")), 1}, // missing goes left
		{append(set(), decision.Field{Name: "plan", Kind: decision.Bool, Num: 1}), 2},
		{append(set("old"), text("plan", "true")), 2},
		{append(set("vip"), text("plan", "true")), 3},
		{append(set("new", "vip"), text("plan", "true")), 4},
		{decision.Row{text("plan", "true"), text("tags", "vip")}, 2}, // no set: missing is 0 there
		{decision.Row{text("plan", "true")}, 2},
	}
	for _, c := range cases {
		if got := rawOf(l, c.row...); got != c.want {
			t.Errorf("raw of %v = %v, want %v", c.row, got, c.want)
		}
	}
	var res learn.Result
	l.Publish().Score(&learn.Request{Row: append(set("vip"), text("plan", "true")).Sort(), Explain: true}, &res)
	if len(res.Explanations) != 2 {
		t.Errorf("explanations = %v, want one for plan and one for tags", res.Explanations)
	}
	binary := l.AppendState(nil)
	loaded, err := Load(learn.Spec{}, string(binary))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := loaded.StateJSON(); err != nil || !sameJSON(t, got, state) {
		t.Errorf("StateJSON() = %s, %v, want %s", got, err, state)
	}
}

// modelText is a tree that grows to the right, with leaf values 1, 2, …
func modelText(names string, splits ...string) string {
	n := len(strings.Fields(strings.TrimPrefix(splits[0], "split_feature=")))
	b := fmt.Sprintf("tree\nversion=v4\nfeature_names=%s\n\nTree=0\nnum_leaves=%d\nnum_cat=0\n%s\nleft_child=", names, n+1, strings.Join(splits, "\n"))
	for i := range n {
		b += fmt.Sprint(-i-1, " ")
	}
	b += "\nright_child="
	for i := range n {
		if i == n-1 {
			b += fmt.Sprint(-n - 1)
		} else {
			b += fmt.Sprint(i+1, " ")
		}
	}
	b += "\nleaf_value="
	for i := range n + 1 {
		b += fmt.Sprint(i+1, " ")
	}
	return b + "\n\nend of trees\n"
}

func TestUntrained(t *testing.T) {
	for _, raw := range []json.RawMessage{nil, json.RawMessage("null"), json.RawMessage("{}")} {
		l := mustNew(t, raw)
		var res learn.Result
		l.Publish().Score(&learn.Request{Row: decision.Row{number("a", 1)}, Explain: true}, &res)
		if res.Score != 0.5 || res.Raw != 0 || !res.HasRaw || len(res.Explanations) != 0 {
			t.Errorf("%s: result = %+v, want 0.5", raw, res)
		}
		if got, err := l.StateJSON(); err != nil || string(got) != "{}" {
			t.Errorf("%s: StateJSON() = %s, %v, want {}", raw, got, err)
		}
		if _, err := Load(learn.Spec{}, string(l.AppendState(nil))); err != nil {
			t.Errorf("%s: Load() = %v", raw, err)
		}
	}
}

func TestPublish(t *testing.T) {
	l := mustNew(t, json.RawMessage(byHand))
	view := l.Publish()
	if l.Publish() != view {
		t.Error("Publish() gave another view without a change")
	}
}

func TestConfig(t *testing.T) {
	opts := &learn.TrainOptions{Seed: 1<<40 + 5}
	got, err := ReadParams(&learn.Spec{}, opts)
	if want := (Params{100, 31, 0.1, 20, 1, 5}); err != nil || got != want {
		t.Errorf("ReadParams() = %+v, %v, want %+v", got, err, want)
	}
	got, err = ReadParams(&learn.Spec{Config: json.RawMessage(`{"numTrees":5,"numLeaves":7,"learningRate":0.5,"minDataInLeaf":1,"featureFraction":0.8,"seed":9}`)}, opts)
	if want := (Params{5, 7, 0.5, 1, 0.8, 9}); err != nil || got != want {
		t.Errorf("ReadParams() = %+v, %v, want %+v", got, err, want)
	}
	_, err = New(learn.Spec{Config: json.RawMessage(`{"numTrees":0,"numLeaves":1,"learningRate":0,"minDataInLeaf":-1,"featureFraction":2,"seed":-1}`)}, nil)
	var e *decision.Error
	if !errors.As(err, &e) || len(e.Details) != 6 || e.Details[0].Path != "config.numTrees" {
		t.Errorf("New() = %v, want six problems", err)
	}
	_, err = New(learn.Spec{Config: json.RawMessage(`{"numTrees":10000,"numLeaves":4096}`)}, nil)
	if err == nil || !strings.Contains(err.Error(), "config.numLeaves: got 10000 trees of 4096 leaves") {
		t.Errorf("New() = %v, want the number of leaves refused", err)
	}
}

func TestStateProblemsHavePaths(t *testing.T) {
	good := modelText("a b", "split_feature=0 1", "threshold=1 2", "decision_type=2 2")
	node := `{"split_feature":0,"threshold":1,"left_child":{"leaf_value":1},"right_child":%s}`
	dump := func(right string) string {
		return `{"feature_names":["a"],"tree_info":[{"tree_structure":{"leaf_value":1}},{"tree_structure":` + fmt.Sprintf(node, right) + `}]}`
	}
	inText := func(old, new string) string {
		raw, _ := json.Marshal(map[string]string{"model": strings.Replace(good, old, new, 1)})
		return string(raw)
	}
	cases := []struct{ name, state, path, message string }{
		{"no object", `[1]`, "modelState", "got [1], want an object"},
		{"no model", `{"weights":{}}`, "modelState", `want LightGBM's dump with "tree_info", or its text as "model"`},
		{"two models", `{"model":"","tree_info":[]}`, "modelState", "got model and tree_info, want one of them"},
		{"model is no text", `{"model":1}`, "modelState.model", "got 1, want a string"},
		{"no names", `{"tree_info":[{"tree_structure":{"leaf_value":1}}]}`, "modelState.feature_names", "got 0 names, want 1 to 100000"},
		{"no trees", `{"feature_names":["a"],"tree_info":[]}`, "modelState", "has no trees"},
		{"no structure", `{"feature_names":["a"],"tree_info":[{}]}`, "modelState.tree_info[0].tree_structure", "is missing"},
		{"classes", `{"feature_names":["a"],"num_class":3,"tree_info":[{"tree_structure":{"leaf_value":1}}]}`, "modelState.num_class", "got 3, want 1: a model of several classes has no single score"},
		{"one child", dump(`{"left_child":{"leaf_value":1}}`), "modelState.tree_info[1].tree_structure.right_child", "has one child, want left_child and right_child"},
		{"no value", dump(`{}`), "modelState.tree_info[1].tree_structure.right_child.leaf_value", "is missing: a node has children or a leaf_value"},
		{"threshold", dump(fmt.Sprintf(strings.Replace(node, `"threshold":1`, `"threshold":"x"`, 1), `{"leaf_value":1}`)), "modelState.tree_info[1].tree_structure.right_child.threshold", `got "x", want a number`},
		{"categories", dump(fmt.Sprintf(strings.Replace(node, `"threshold":1`, `"decision_type":"==","threshold":"1|2"`, 1), `{"leaf_value":1}`)), "modelState.tree_info[1].tree_structure.right_child.threshold", `got "1|2", want categories such as "1||5"`},
		{"missing type", dump(fmt.Sprintf(strings.Replace(node, `"threshold":1`, `"missing_type":"?","threshold":1`, 1), `{"leaf_value":1}`)), "modelState.tree_info[1].tree_structure.right_child.missing_type", `got "?", want None, Zero or NaN`},
		{"type", dump(`{"leaf_value":"1"}`), "modelState.tree_info[1].tree_structure.right_child.leaf_value", "got a JSON string, want another type"},
		{"feature", strings.Replace(dump(`{"leaf_value":1}`), `"split_feature":0`, `"split_feature":1`, 1), "modelState.tree_info[1]", "split_feature is 1, want 0 to 0"},
		{"not a text", inText("tree\n", "forest\n"), "modelState.model", `line 1: got "forest", want the line "tree", with which LightGBM's model text starts`},
		{"version", inText("v4", "v9"), "modelState.model", `line 5: version: got "v9", want v2, v3 or v4`},
		{"cut off", inText("\nend of trees", ""), "modelState.model", `line 14: got "", want "end of trees"; the text is cut off or damaged`},
		{"few values", inText("leaf_value=1 2 3", "leaf_value=1 2"), "modelState.model", "line 15: tree 0: leaf_value: got 2 values, want 3"},
		{"many values", inText("leaf_value=1 2 3", "leaf_value=1 2 3 4"), "modelState.model", "line 15: tree 0: leaf_value: got more than 3 values"},
		{"infinite", inText("leaf_value=1", "leaf_value=inf"), "modelState.model", `line 15: tree 0: leaf_value: got "inf", want a number`},
		{"a cycle", inText("right_child=1", "right_child=0"), "modelState.model", "line 15: tree 0: child 0 has two parents"},
		{"a loose leaf", inText("left_child=-1", "left_child=-2"), "modelState.model", "line 15: tree 0: child -2 has two parents"},
		{"missing type 3", inText("decision_type=2", "decision_type=14"), "modelState.model", "line 15: tree 0: decision_type: got 14, want 0 to 11"},
		{"no set", inText("decision_type=2", "decision_type=1"), "modelState.model", "line 15: tree 0: threshold: got 1, want the number of one of 0 sets of categories"},
		{"columns", strings.Replace(byHand, `{"name":"credit_score"},`, "", 1), "modelState.columns", "got 1, want 2, one per feature of the model"},
		{"same column", strings.Replace(byHand, `{"name":"credit_score"}`, `{"name":"segment"}`, 1), "modelState.columns[1].name", `got "segment" twice`},
		{"pandas", `{"feature_names":["a","b"],"pandas_categorical":[["x"]],"tree_info":[{"tree_structure":{"leaf_value":1}}]}`, "modelState.pandas_categorical",
			`has 1 lists of categories, and the model does not tell which features they belong to; give "columns"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(learn.Spec{}, json.RawMessage(c.state))
			var e *decision.Error
			if !errors.As(err, &e) || e.Kind != decision.KindBadRequest {
				t.Fatalf("New() = %v, want a bad request", err)
			}
			if got, want := e.Details[0], (decision.Detail{Path: c.path, Message: c.message}); got != want {
				t.Errorf("New() = %v, want %v", got, want)
			}
		})
	}
}

func TestDepthIsBounded(t *testing.T) {
	for _, c := range []struct {
		depth int
		ok    bool
	}{{maxDepth, true}, {maxDepth + 1, false}} {
		features := strings.Repeat("0 ", c.depth)
		state := modelText("a", "split_feature="+features, "threshold="+strings.Repeat("1 ", c.depth), "decision_type="+features)
		if _, err := parseText(state); (err == nil) != c.ok {
			t.Errorf("text of depth %d: %v", c.depth, err)
		}
		open := `{"split_feature":0,"threshold":1,"left_child":{"leaf_value":1},"right_child":`
		dump := `{"feature_names":["a"],"tree_info":[{"tree_structure":` + strings.Repeat(open, c.depth) + `{"leaf_value":1}` + strings.Repeat("}", c.depth) + `}]}`
		if _, err := New(learn.Spec{}, json.RawMessage(dump)); (err == nil) != c.ok {
			t.Errorf("dump of depth %d: %v", c.depth, err)
		}
	}
}

func TestLoadRefusesDamage(t *testing.T) {
	good := mustNew(t, json.RawMessage(byHand)).AppendState(nil)
	for name, binary := range map[string]string{
		"empty": "", "version": "\x02" + string(good[1:]), "form": "\x01\x07", "cut": string(good[:len(good)-1]),
		"more": string(good) + "x", "no model": "\x01\x01\x03abc\x00", "no UTF-8": "\x01\x01\x01\xff\x00",
	} {
		if _, err := Load(learn.Spec{}, binary); err == nil {
			t.Errorf("%s: Load() succeeded", name)
		}
	}
}

// TestExplanationsAreBounded wants a model refused of which one explanation would
// take minutes.
func TestExplanationsAreBounded(t *testing.T) {
	var names, features strings.Builder
	for i := range maxDepth {
		fmt.Fprintf(&names, "f%d ", i)
		fmt.Fprintf(&features, "%d ", i)
	}
	zeros := strings.Repeat("0 ", maxDepth)
	one := modelText(strings.TrimSpace(names.String()), "split_feature="+features.String(), "threshold="+zeros, "decision_type="+zeros)
	head, rest, _ := strings.Cut(one, "Tree=0")
	body, _, _ := strings.Cut(rest, "end of trees")
	_, err := State(head+strings.Repeat("Tree=0"+body, 30)+"end of trees\n", nil)
	if err == nil || !strings.Contains(err.Error(), "too deep to explain") {
		t.Errorf("State() = %v, want the depth refused", err)
	}
}

// scoreAnything scores a row that has something for every field of the model.
func scoreAnything(t *testing.T, l learn.Learner) {
	rng := rand.New(rand.NewPCG(5, 6))
	f := l.Publish().(*forest)
	var row decision.Row
	for _, in := range f.inputs.fields {
		row = append(row, number(in.name, rng.NormFloat64()*10))
	}
	var res learn.Result
	for _, r := range []decision.Row{nil, row.Sort()} {
		f.Score(&learn.Request{Row: r, Explain: true}, &res)
		if !(res.Score >= 0 && res.Score <= 1) || math.IsNaN(res.Raw) || math.IsInf(res.Raw, 0) {
			t.Fatalf("score %v, raw %v", res.Score, res.Raw)
		}
	}
}

func FuzzState(f *testing.F) {
	f.Add([]byte(byHand))
	f.Add([]byte(goldenStates(f, "constant")["dump"]))
	f.Add([]byte(`{"feature_names":["a","b"],"feature_infos":{"b":{"values":[0,1]}},"objective":"binary sigmoid:2","average_output":true,` +
		`"tree_info":[{"tree_structure":{"leaf_value":1}}],"pandas_categorical":[["x",2.5]]}`))
	small, _ := json.Marshal(textJSON{modelText("a b", "split_feature=0 1", "threshold=1 2", "decision_type=2 8"), []Column{{Name: "x"}, {Name: "y", Member: "m"}}})
	f.Add([]byte(small))
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := New(learn.Spec{}, raw)
		if err != nil {
			return
		}
		scoreAnything(t, l)
		binary := l.AppendState(nil)
		again, err := Load(learn.Spec{}, string(binary))
		if err != nil {
			t.Fatalf("Load() = %v", err)
		}
		if got := again.AppendState(nil); string(got) != string(binary) {
			t.Fatalf("the state changed from %q to %q", binary, got)
		}
	})
}

func FuzzText(f *testing.F) {
	f.Add(modelText("a b", "split_feature=0 1", "threshold=1 2", "decision_type=2 9"))
	f.Add(randomModel(rand.New(rand.NewPCG(1, 1)), 2, 8, 6))
	f.Add(modelText("a b", "split_feature=0 1", "threshold=1 2", "decision_type=2 2") + "[categorical_feature: 1]\npandas_categorical:[[\"x\", true]]\n")
	f.Fuzz(func(t *testing.T, s string) {
		binary, err := State(s, nil)
		if err != nil {
			return
		}
		l, err := Load(learn.Spec{}, string(binary))
		if err != nil {
			t.Fatalf("Load() = %v", err)
		}
		scoreAnything(t, l)
	})
}

func FuzzLoad(f *testing.F) {
	f.Add(mustNew(f, json.RawMessage(byHand)).AppendState(nil))
	f.Add([]byte{stateVersion, byte(formNone)})
	f.Fuzz(func(t *testing.T, binary []byte) {
		l, err := Load(learn.Spec{}, string(binary))
		if err == nil {
			scoreAnything(t, l)
		}
	})
}
