package thompson

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/arms"
	"github.com/praetor-engine/praetor/internal/wire"
)

// The binary form of the state:
//
//	version   1 byte, 1
//	ignored   uvarint  outcomes of offers beyond the bound on arms
//	arms      count, then each by ascending offer id:
//	            offer id, α and β (8 bytes each), varint Unix milliseconds of
//	            the newest outcome (0: no time)
const (
	stateVersion = 1
	minArmSize   = 1 + 8 + 8 + 1
)

// AppendState appends the state's binary form.
func (l *Learner) AppendState(dst []byte) []byte {
	dst = append(dst, stateVersion)
	dst = wire.AppendUvarint(dst, l.ignored)
	cells := l.table.Owned()
	dst = wire.AppendUvarint(dst, uint64(len(cells)))
	for _, c := range cells {
		dst = wire.AppendString(dst, c.ID)
		dst = wire.AppendFloat(dst, c.State.alpha)
		dst = wire.AppendFloat(dst, c.State.beta)
		dst = wire.AppendVarint(dst, c.State.at)
	}
	return dst
}

func (l *Learner) readState(state string) error {
	r := wire.NewReader(state)
	if v := r.Byte(); v != stateVersion {
		r.Fail("state version %d, want %d", v, stateVersion)
	}
	l.ignored = r.Uvarint()
	last := ""
	for range r.Count(minArmSize) {
		id := r.String()
		a := arm{alpha: r.Float(), beta: r.Float(), at: r.Varint()}
		if r.Err() == nil && (id <= last || !a.valid()) {
			r.Fail("arm %q with alpha %v, beta %v, time %d after arm %q", id, a.alpha, a.beta, a.at, last)
		}
		if r.Err() != nil {
			break
		}
		l.add(id, a)
		last = id
	}
	if err := r.Close(); err != nil {
		return fmt.Errorf("thompson: state: %w", err)
	}
	return nil
}

func (a *arm) valid() bool {
	year := time.UnixMilli(a.at).UTC().Year() // the API's times have four digits
	return a.alpha == bounded(a.alpha) && a.beta == bounded(a.beta) && 0 <= year && year <= 9999
}

// stateJSON is the state in the API's shape.
type stateJSON struct {
	Arms            map[string]armJSON `json:"arms"` // encoded by ascending offer id
	IgnoredOutcomes uint64             `json:"ignoredOutcomes,omitempty"`
}

// armJSON is one arm; updatedAt only where evidence is discounted.
type armJSON struct {
	Alpha     float64 `json:"alpha"`
	Beta      float64 `json:"beta"`
	UpdatedAt string  `json:"updatedAt,omitempty"`
}

// timeLayout is the API's: RFC 3339, UTC, milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z"

// StateJSON returns {arms: {offerId: {alpha, beta, updatedAt?}}, ignoredOutcomes?}.
func (l *Learner) StateJSON() (json.RawMessage, error) {
	s := stateJSON{Arms: make(map[string]armJSON, l.table.Len()), IgnoredOutcomes: l.ignored}
	for _, c := range l.table.Owned() {
		a := armJSON{Alpha: c.State.alpha, Beta: c.State.beta}
		if c.State.at != 0 {
			a.UpdatedAt = time.UnixMilli(c.State.at).UTC().Format(timeLayout)
		}
		s.Arms[c.ID] = a
	}
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("thompson: state: %w", err)
	}
	return b, nil
}

func (l *Learner) parseState(raw json.RawMessage, problems *decision.Problems) {
	o := arms.ParseObject(problems, "modelState", raw)
	l.ignored = uint64(o.Number("ignoredOutcomes", 0, 0, maxShape))
	all := o.Object("arms")
	names := all.Names()
	if len(names) > l.config.maxArms {
		o.Problemf("arms", "got %d arms, want at most config.maxArms, %d", len(names), l.config.maxArms)
		return
	}
	for _, id := range names {
		if id == "" {
			o.Problemf("arms", "has an empty offer id")
			continue
		}
		fields := all.Object(id)
		a := arm{alpha: fields.Required("alpha", minShape, maxShape), beta: fields.Required("beta", minShape, maxShape)}
		if text := fields.Text("updatedAt"); text != "" {
			at, err := time.Parse(time.RFC3339, text)
			if err != nil {
				fields.Problemf("updatedAt", "got %q, want a time such as %s", strings.ToValidUTF8(text[:min(len(text), 40)], "?"), timeLayout)
			}
			a.at = at.UnixMilli()
		}
		l.add(id, a)
	}
}
