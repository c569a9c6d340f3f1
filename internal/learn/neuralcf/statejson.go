package neuralcf

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// stateJSON is the API's modelState.
type stateJSON struct {
	Dim    int                  `json:"dim"`
	Hidden int                  `json:"hidden"`
	Users  map[string][]float32 `json:"users"`
	Items  map[string][]float32 `json:"items"`
	W1     [][]float32          `json:"w1"`
	B1     []float32            `json:"b1"`
	W2     []float32            `json:"w2"`
	B2     float32              `json:"b2"`
}

func (m *model) json() (json.RawMessage, error) {
	s := stateJSON{
		Dim: m.dim, Hidden: m.hidden, Users: m.users.vectorsByID(m.dim), Items: m.items.vectorsByID(m.dim),
		W1: make([][]float32, m.hidden), B1: append([]float32{}, m.b1...), W2: append([]float32{}, m.w2...), B2: m.b2,
	}
	for j := range s.W1 {
		s.W1[j] = m.w1[j*2*m.dim : (j+1)*2*m.dim]
	}
	raw, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("neural_cf state: %w", err)
	}
	return raw, nil
}

func (t *table) vectorsByID(dim int) map[string][]float32 {
	out := make(map[string][]float32, len(t.ids))
	for i, id := range t.ids {
		out[id] = t.vectors[i*dim : (i+1)*dim]
	}
	return out
}

// stateReader reads a modelState; every number of it becomes a float32.
type stateReader struct {
	encode.Object
	problems *decision.Problems
}

func readState(raw json.RawMessage, p *decision.Problems) *model {
	r := stateReader{encode.ReadObject(raw, "modelState", p), p}
	m := new(model)
	m.dim = int(r.Int("dim", 0, 0, maxDim))
	m.hidden = int(r.Int("hidden", 0, 0, maxHidden))
	rows := r.List("w1", maxHidden)
	if len(rows) != m.hidden {
		p.Addf("modelState.w1", "got %d rows, want %d as hidden says", len(rows), m.hidden)
	}
	for j, row := range rows {
		m.w1 = append(m.w1, r.vector(row, r.ItemPath("w1", j), 2*m.dim)...)
	}
	m.b1 = r.vector(r.Raw("b1"), "modelState.b1", m.hidden)
	m.w2 = r.vector(r.Raw("w2"), "modelState.w2", m.hidden)
	if raw := r.Raw("b2"); raw != nil && json.Unmarshal(raw, &m.b2) != nil {
		p.Addf("modelState.b2", "got %s, want a number of single precision", encode.Excerpt(raw))
	}
	m.users = r.table("users", m.dim)
	m.items = r.table("items", m.dim)
	return m
}

func (r *stateReader) table(key string, dim int) table {
	o := r.Object.Object(key)
	ids := o.Keys()
	vectors := make([]float32, 0, len(ids)*dim)
	for _, id := range ids {
		vectors = append(vectors, r.vector(o.Raw(id), o.Path(id), dim)...)
	}
	return newTable(ids, vectors)
}

// vector reads an array of n numbers; nil is an empty one.
func (r *stateReader) vector(raw json.RawMessage, path string, n int) []float32 {
	var v []float32
	switch {
	case raw != nil && (json.Unmarshal(raw, &v) != nil || bytes.Contains(raw, []byte("null"))):
		r.problems.Addf(path, "got %s, want an array of numbers of single precision", encode.Excerpt(raw))
	case len(v) != n:
		r.problems.Addf(path, "got %d numbers, want %d", len(v), n)
	default:
		return v
	}
	return make([]float32, n)
}
