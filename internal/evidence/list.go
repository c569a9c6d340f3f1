package evidence

import (
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// Row is one row as the API shows it.
type Row struct {
	Scope      Scope    `json:"scope"`
	ScopeID    string   `json:"scopeId,omitempty"`
	CategoryID string   `json:"categoryId,omitempty"` // of an offer
	Positives  float64  `json:"positives"`
	Negatives  float64  `json:"negatives"`
	Evidence   float64  `json:"evidence"`
	Rate       float64  `json:"rate"`    // 0.5 without evidence
	CILower    float64  `json:"ciLower"` // Wilson, 95 %
	CIUpper    float64  `json:"ciUpper"`
	Maturity   Maturity `json:"maturity"`
	Paused     bool     `json:"paused"`
	// MeanScore is the model's mean score on the scored outcomes, absent without
	// any.
	MeanScore *float64 `json:"meanScore,omitempty"`
	// UpdatedAt is the time of the newest outcome or of the reset.
	UpdatedAt decision.Time `json:"updatedAt"`
}

// Rows returns the rows of a scope as they have faded to a time, by ascending id.
// Cost: O(rows).
func (v *View) Rows(scope Scope, at int64) []Row {
	if scope == ScopeGlobal {
		return []Row{v.show(ScopeGlobal, "", v.global.Load(), at)}
	}
	sorted := v.tableOf(scope).Sorted()
	rows := make([]Row, len(sorted.Cells))
	for i, c := range sorted.Cells {
		rows[i] = v.show(scope, sorted.IDs[i], c.Load(), at)
	}
	return rows
}

// tableOf returns the rows of a scope other than the global one.
func (v *View) tableOf(scope Scope) *table {
	switch scope {
	case ScopeCategory:
		return v.categories
	case ScopeChannel:
		return v.channels
	}
	return v.offers
}

// Paused returns the ids of a scope that learn nothing, ascending; that of the global
// scope is empty. Cost: O(rows).
func (v *View) Paused(scope Scope) (ids []string) {
	if scope == ScopeGlobal {
		if v.global.Load().paused {
			ids = append(ids, "")
		}
		return ids
	}
	sorted := v.tableOf(scope).Sorted()
	for i, c := range sorted.Cells {
		if c.Load().paused {
			ids = append(ids, sorted.IDs[i])
		}
	}
	return ids
}

func (v *View) show(scope Scope, id string, c *cell, at int64) Row {
	r := c.asOf(at, v.half)
	row := Row{
		Scope: scope, ScopeID: id, CategoryID: c.category, Positives: r.positives, Negatives: r.negatives,
		Evidence: r.evidence(), Rate: r.rate(), Maturity: MaturityOf(r.evidence()), Paused: c.paused, UpdatedAt: decision.Time(c.at),
	}
	row.CILower, row.CIUpper = learn.Wilson(r.positives, r.evidence())
	if r.scored > 0 {
		mean := r.scoreSum / r.scored
		row.MeanScore = &mean
	}
	return row
}
