package boosted

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/encode"
	"github.com/praetor-engine/praetor/internal/wire"
)

// state is the model as it was given: what scoring does not need, gains,
// importances and parameters, is still there when it is exported.
type state struct {
	form    form
	source  string
	columns []Column // beside a text; nil for its own names and categories
}

// form says what a source is; the numbers are on disk.
type form byte

const (
	formNone form = 0 // untrained
	formText form = 1
	formDump form = 2 // compact JSON
)

// textJSON is the API's modelState of a model text.
type textJSON struct {
	Model   string   `json:"model"`
	Columns []Column `json:"columns,omitempty"`
}

// readState reads the API's modelState; problems are noted at their paths.
func readState(raw json.RawMessage, p *decision.Problems) (state, *forest) {
	o := encode.ReadObject(raw, "modelState", p)
	var s state
	var m *model
	var columns []Column
	dumped := o.Has("tree_info") || o.Has("trees")
	switch {
	case len(o.Keys()) == 0:
		return s, untrained()
	case o.Has("model") && dumped:
		p.Addf("modelState", "got model and tree_info, want one of them")
		return s, nil
	case o.Has("model"):
		s = state{form: formText, source: o.Text("model", "", maxBytes)}
		m = readText(s.source, p)
		columns = readColumns(o, p)
		s.columns = columns
	case dumped:
		var compact bytes.Buffer
		_ = json.Compact(&compact, raw) // it was read before
		s = state{form: formDump, source: compact.String()}
		m, columns = parseDump(raw, p)
	default:
		p.Addf("modelState", `want LightGBM's dump with "tree_info", or its text as "model"`)
		return s, nil
	}
	if p.Err() != nil {
		return s, nil
	}
	f, err := newForest(m, columns)
	notePlace(p, err)
	return s, f
}

func readText(text string, p *decision.Problems) *model {
	m, err := parseText(text)
	if err != nil {
		p.Addf("modelState.model", "%v", err)
	}
	return m
}

// notePlace notes an error of newForest where the client can find it.
func notePlace(p *decision.Problems, err error) {
	var at *problem
	if errors.As(err, &at) {
		p.Addf(strings.TrimSuffix("modelState."+at.place, "."), "%s", at.text)
	}
}

func readColumns(o encode.Object, p *decision.Problems) []Column {
	raw := o.Raw("columns")
	if raw == nil {
		return nil
	}
	columns := []Column{}
	if err := json.Unmarshal(raw, &columns); err != nil {
		p.Addf(o.Path("columns"), "got %s, want a list of {name, member?, categorical?, categories?}", encode.Excerpt(raw))
	}
	return columns
}

// compile makes the forest of a state that was decoded or trained.
func (s *state) compile() (*forest, error) {
	switch s.form {
	case formNone:
		return untrained(), nil
	case formText:
		if !utf8.ValidString(s.source) {
			return nil, errors.New("the model is not valid UTF-8")
		}
		m, err := parseText(s.source)
		if err != nil {
			return nil, err
		}
		return newForest(m, s.columns)
	}
	var p decision.Problems
	m, columns := parseDump([]byte(s.source), &p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	return newForest(m, columns)
}

func (s *state) json() (json.RawMessage, error) {
	switch s.form {
	case formNone:
		return json.RawMessage("{}"), nil
	case formDump:
		return json.RawMessage(s.source), nil
	}
	raw, err := json.Marshal(textJSON{s.source, s.columns})
	if err != nil {
		return nil, fmt.Errorf("gradient_boosted state: %w", err)
	}
	return raw, nil
}

// The binary state:
//
//	byte     version, 1
//	byte     form: 0 untrained, 1 text, 2 dump; unless it is 0:
//	  string   the text or the dump
//	  uvarint  number of columns (of a dump 0: it has them inside), each:
//	    string   name
//	    string   member
//	    bool     categorical
//	    uvarint  number of categories, each a string
const stateVersion = 1

func (s *state) append(b []byte) []byte {
	b = append(b, stateVersion, byte(s.form))
	if s.form == formNone {
		return b
	}
	b = wire.AppendString(b, s.source)
	b = wire.AppendUvarint(b, uint64(len(s.columns)))
	for i := range s.columns {
		c := &s.columns[i]
		b = wire.AppendString(b, c.Name)
		b = wire.AppendString(b, c.Member)
		b = wire.AppendBool(b, c.Categorical)
		b = wire.AppendUvarint(b, uint64(len(c.Categories)))
		for _, name := range c.Categories {
			b = wire.AppendString(b, name)
		}
	}
	return b
}

func decodeState(binary string) (state, error) {
	r := wire.NewReader(binary)
	if v := r.Byte(); v != stateVersion {
		r.Fail("got version %d, want %d", v, stateVersion)
	}
	s := state{form: form(r.Byte())}
	if s.form > formDump {
		r.Fail("got form %d, want at most %d", s.form, formDump)
	}
	if s.form != formNone {
		s.source = strings.Clone(r.String())
		n := r.Count(4) // a column takes at least two lengths, a flag and a count
		if n > 0 && s.form == formDump {
			r.Fail("got %d columns beside a dump", n)
		}
		for i := 0; i < n && r.Err() == nil; i++ {
			s.columns = append(s.columns, decodeColumn(&r))
		}
	}
	if err := r.Close(); err != nil {
		return state{}, fmt.Errorf("gradient_boosted state: %w", err)
	}
	return s, nil
}

func decodeColumn(r *wire.Reader) Column {
	c := Column{Name: strings.Clone(r.String()), Member: strings.Clone(r.String()), Categorical: r.Bool()}
	n := r.Count(1)
	for i := 0; i < n && r.Err() == nil; i++ {
		c.Categories = append(c.Categories, strings.Clone(r.String()))
	}
	return c
}
