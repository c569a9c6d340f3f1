package optimization

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// registryForm is the registry's form in a snapshot: JSON, whose unknown fields an
// older build ignores.
type registryForm struct {
	Version       int             `json:"version"`
	Sequence      uint64          `json:"sequence"`
	Optimizations []*Optimization `json:"optimizations"`
	Models        []*Model        `json:"models"`
}

const registryVersion = 1

// Capture returns a copy that does not change with the registry.
func (r *Registry) Capture() *Registry {
	return &Registry{optimizations: maps.Clone(r.optimizations), models: maps.Clone(r.models), sequence: r.sequence}
}

// Append appends the registry's form, the same for equal registries.
func (r *Registry) Append(b []byte) ([]byte, error) {
	models := slices.SortedFunc(maps.Values(r.models), func(a, b *Model) int { return cmp.Compare(a.Sequence, b.Sequence) })
	form, err := json.Marshal(registryForm{registryVersion, r.sequence, r.All(), models})
	if err != nil {
		return nil, fmt.Errorf("optimization: encode the registry: %w", err)
	}
	return append(b, form...), nil
}

// ReadRegistry reads what Append wrote; nothing is an empty registry.
func ReadRegistry(form string) (*Registry, error) {
	r := NewRegistry()
	if form == "" {
		return r, nil
	}
	var f registryForm
	if err := json.Unmarshal([]byte(form), &f); err != nil {
		return nil, fmt.Errorf("optimization: read the registry: %w", err)
	}
	if f.Version != registryVersion {
		return nil, fmt.Errorf("optimization: read the registry: want version %d, got %d", registryVersion, f.Version)
	}
	r.sequence = f.Sequence
	for _, m := range f.Models {
		r.models[m.ID] = m
	}
	for _, o := range f.Optimizations {
		if r.models[o.ModelID] == nil {
			return nil, fmt.Errorf("optimization: read the registry: optimization %s has no model", o.ID)
		}
		r.optimizations[o.ID] = o
	}
	return r, nil
}
