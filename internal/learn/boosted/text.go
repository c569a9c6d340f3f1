package boosted

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// parseText reads LightGBM's model text: a header of key=value lines, a block of
// key=value lines per tree, "end of trees", and sections of which only the list
// of categorical features and pandas_categorical matter here. Keys that scoring
// does not need are skipped.
func parseText(s string) (*model, error) {
	if len(s) > maxBytes {
		return nil, problemf("", "got %d bytes, want at most %d", len(s), maxBytes)
	}
	r := lines{rest: s}
	m := &model{sigma: 1}
	trees, err := m.readHeader(&r)
	if err != nil {
		return nil, r.at(err)
	}
	for strings.HasPrefix(r.line, "Tree=") {
		if len(m.trees) == maxTrees {
			return nil, r.at(problemf("", "has more than %d trees", maxTrees))
		}
		t, err := readTree(&r, len(m.names))
		if err != nil {
			return nil, r.at(fmt.Errorf("tree %d: %w", len(m.trees), err))
		}
		m.trees = append(m.trees, t)
	}
	switch {
	case r.line != "end of trees":
		return nil, r.at(problemf("", `got %s, want "end of trees"; the text is cut off or damaged`, quote(r.line)))
	case trees >= 0 && trees != len(m.trees):
		return nil, r.at(problemf("tree_sizes", "lists %d trees, got %d", trees, len(m.trees)))
	}
	if err := m.readTail(&r); err != nil {
		return nil, r.at(err)
	}
	return m, m.checkSize()
}

// lines reads a text line by line, without its empty lines.
type lines struct {
	rest   string
	line   string
	number int
}

// next goes to the next line that is not empty; it returns false at the end.
func (l *lines) next() bool {
	for l.rest != "" {
		l.line, l.rest, _ = strings.Cut(l.rest, "\n")
		l.line = strings.TrimSuffix(l.line, "\r")
		l.number++
		if l.line != "" {
			return true
		}
	}
	l.line = ""
	return false
}

func (l *lines) at(err error) error { return fmt.Errorf("line %d: %w", l.number, err) }

// quote shows a piece of the client's text, at most as long as a line bears.
func quote(s string) string {
	const longest = 40
	if len(s) > longest {
		s = s[:longest] + "…"
	}
	return strconv.Quote(s)
}

// readHeader reads up to the first tree and returns how many trees are announced,
// −1 when that is not said.
func (m *model) readHeader(r *lines) (trees int, err error) {
	if !r.next() || r.line != "tree" {
		return 0, problemf("", `got %s, want the line "tree", with which LightGBM's model text starts`, quote(r.line))
	}
	keys := make(map[string]string)
	for r.next() && !strings.HasPrefix(r.line, "Tree=") && r.line != "end of trees" {
		key, value, _ := strings.Cut(r.line, "=")
		keys[key] = value
	}
	switch v := keys["version"]; v {
	case "v2", "v3", "v4":
	default:
		return 0, problemf("version", "got %s, want v2, v3 or v4", quote(v))
	}
	if err := m.setNames(strings.Split(keys["feature_names"], " ")); err != nil {
		return 0, err
	}
	for _, key := range []string{"num_class", "num_tree_per_iteration"} {
		n := 1
		if v, ok := keys[key]; ok {
			if n, err = strconv.Atoi(v); err != nil {
				return 0, problemf(key, "got %s, want a number", quote(v))
			}
		}
		if err := setClasses(key, n); err != nil {
			return 0, err
		}
	}
	if v, ok := keys["max_feature_idx"]; ok && v != strconv.Itoa(len(m.names)-1) {
		return 0, problemf("max_feature_idx", "got %s, want %d, one less than there are feature_names", quote(v), len(m.names)-1)
	}
	_, m.average = keys["average_output"]
	if err := m.setObjective(keys["objective"]); err != nil {
		return 0, err
	}
	if err := m.readInfos(keys["feature_infos"]); err != nil {
		return 0, err
	}
	if sizes, ok := keys["tree_sizes"]; ok {
		return len(strings.Fields(sizes)), nil
	}
	return -1, nil
}

// readInfos reads feature_infos: "none", "[least:most]" or the codes "3:1:2" of
// each feature.
func (m *model) readInfos(s string) error {
	if s == "" {
		return nil
	}
	infos := strings.Split(s, " ")
	if len(infos) != len(m.names) {
		return problemf("feature_infos", "got %d, want %d, one per feature", len(infos), len(m.names))
	}
	for i, text := range infos {
		switch {
		case text == "none":
		case strings.HasPrefix(text, "["):
			m.infos[i].kind = numericalInfo
		default:
			m.infos[i].kind = categoricalInfo
			for code := range strings.SplitSeq(text, ":") {
				n, err := strconv.Atoi(code)
				if err != nil {
					return problemf("feature_infos", "got %s, want none, [least:most] or codes", quote(text))
				}
				m.infos[i].highest = max(m.infos[i].highest, n)
			}
		}
	}
	return nil
}

// readTail reads what follows the trees.
func (m *model) readTail(r *lines) error {
	for r.next() {
		if v, ok := strings.CutPrefix(r.line, "[categorical_feature: "); ok {
			m.readParametric(strings.TrimSuffix(v, "]"))
		}
		if v, ok := strings.CutPrefix(r.line, "pandas_categorical:"); ok {
			return m.setPandas(json.RawMessage(v))
		}
	}
	return nil
}

// readParametric reads the parameter categorical_feature where it is a list of
// indexes; other forms (names) are left to feature_infos.
func (m *model) readParametric(s string) {
	if s == "" {
		return
	}
	var features []int
	for item := range strings.SplitSeq(s, ",") {
		i, err := strconv.Atoi(item)
		if err != nil || i < 0 || i >= len(m.names) || len(features) > 0 && i <= features[len(features)-1] {
			return
		}
		features = append(features, i)
	}
	m.parametric = features
}
