package epsilon

import (
	"encoding/json"
	"fmt"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/arms"
	"github.com/praetor-engine/praetor/internal/wire"
)

// maxTotal bounds totalPulls; maxDecay bounds decayRate.
const (
	maxTotal = arms.MaxMass * arms.LimitMax
	maxDecay = 1e6
)

// schedule says how much is explored.
type schedule struct {
	epsilon, decayRate   float64
	hasEpsilon, hasDecay bool // whether given, not a default
}

func parseSchedule(o arms.Object) schedule {
	return schedule{
		epsilon: o.Number("epsilon", 0.1, 0, 1), hasEpsilon: o.Has("epsilon"),
		decayRate: o.Number("decayRate", 0, 0, maxDecay), hasDecay: o.Has("decayRate"),
	}
}

type config struct {
	schedule
	maxArms int
}

func parseConfig(spec *learn.Spec, problems *decision.Problems) config {
	o := arms.ParseObject(problems, "config", spec.Config)
	return config{parseSchedule(o), o.Int("maxArms", arms.DefaultMax, 1, arms.LimitMax)}
}

// The binary form of the state:
//
//	version    1 byte, 1
//	flags      1 byte   bit 0: epsilon present; bit 1: decayRate present
//	epsilon    8 bytes  only when flagged
//	decayRate  8 bytes  only when flagged
//	totalPulls 8 bytes
//	ignored    uvarint  outcomes of offers beyond the bound on arms
//	arms       count, then each by ascending offer id: offer id, totalReward and
//	           pulls (8 bytes each)
const (
	stateVersion = 1
	flagEpsilon  = 1
	flagDecay    = 2
	minArmSize   = 1 + 8 + 8
)

// AppendState appends the state's binary form.
func (l *Learner) AppendState(dst []byte) []byte {
	flags := byte(0)
	if l.own.hasEpsilon {
		flags |= flagEpsilon
	}
	if l.own.hasDecay {
		flags |= flagDecay
	}
	dst = append(dst, stateVersion, flags)
	if l.own.hasEpsilon {
		dst = wire.AppendFloat(dst, l.own.epsilon)
	}
	if l.own.hasDecay {
		dst = wire.AppendFloat(dst, l.own.decayRate)
	}
	dst = wire.AppendFloat(dst, l.totalPulls)
	dst = wire.AppendUvarint(dst, l.ignored)
	cells := l.table.Owned()
	dst = wire.AppendUvarint(dst, uint64(len(cells)))
	for _, c := range cells {
		dst = wire.AppendString(dst, c.ID)
		dst = wire.AppendFloat(dst, c.State.totalReward)
		dst = wire.AppendFloat(dst, c.State.pulls)
	}
	return dst
}

func (l *Learner) readState(state string) error {
	r := wire.NewReader(state)
	if v := r.Byte(); v != stateVersion {
		r.Fail("state version %d, want %d", v, stateVersion)
	}
	flags := r.Byte()
	if flags&^(flagEpsilon|flagDecay) != 0 {
		r.Fail("unknown flags %#x", flags)
	}
	if l.own.hasEpsilon = flags&flagEpsilon != 0; l.own.hasEpsilon {
		l.own.epsilon = within(&r, 1)
	}
	if l.own.hasDecay = flags&flagDecay != 0; l.own.hasDecay {
		l.own.decayRate = within(&r, maxDecay)
	}
	l.totalPulls = within(&r, maxTotal)
	l.ignored = r.Uvarint()
	last := ""
	for range r.Count(minArmSize) {
		id, reward, pulls := r.String(), r.Float(), within(&r, arms.MaxMass)
		if r.Err() == nil && (id <= last || !(0 <= reward && reward <= pulls)) {
			r.Fail("arm %q with reward %v of %v pulls after arm %q", id, reward, pulls, last)
		}
		if r.Err() != nil {
			break
		}
		l.add(id, arm{reward, pulls})
		last = id
	}
	if err := r.Close(); err != nil {
		return fmt.Errorf("epsilon: state: %w", err)
	}
	return nil
}

// within reads a number from 0 to high.
func within(r *wire.Reader, high float64) float64 {
	v := r.Float()
	if v < 0 || v > high {
		r.Fail("want a number from 0 to %v, got %v", high, v)
	}
	return v
}

func (l *Learner) add(offerID string, a arm) {
	c := l.table.Add(offerID)
	c.State = a
	l.table.Touch(c)
}

// stateJSON is the state in the API's shape; epsilon and decayRate only where
// the state has its own.
type stateJSON struct {
	Arms            map[string]armJSON `json:"arms"` // encoded by ascending offer id
	Epsilon         *float64           `json:"epsilon,omitempty"`
	DecayRate       *float64           `json:"decayRate,omitempty"`
	TotalPulls      float64            `json:"totalPulls"`
	IgnoredOutcomes uint64             `json:"ignoredOutcomes,omitempty"`
}

type armJSON struct {
	TotalReward float64 `json:"totalReward"`
	Pulls       float64 `json:"pulls"`
}

// StateJSON returns {arms: {offerId: {totalReward, pulls}}, epsilon?, decayRate?,
// totalPulls, ignoredOutcomes?}.
func (l *Learner) StateJSON() (json.RawMessage, error) {
	s := stateJSON{Arms: make(map[string]armJSON, l.table.Len()), TotalPulls: l.totalPulls, IgnoredOutcomes: l.ignored}
	if l.own.hasEpsilon {
		s.Epsilon = &l.own.epsilon
	}
	if l.own.hasDecay {
		s.DecayRate = &l.own.decayRate
	}
	for _, c := range l.table.Owned() {
		s.Arms[c.ID] = armJSON{c.State.totalReward, c.State.pulls}
	}
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("epsilon: state: %w", err)
	}
	return b, nil
}

// parseState reads a state in the API's shape; without totalPulls it is the sum
// of the arms' pulls.
func (l *Learner) parseState(raw json.RawMessage, problems *decision.Problems) {
	o := arms.ParseObject(problems, "modelState", raw)
	l.ignored = uint64(o.Number("ignoredOutcomes", 0, 0, arms.MaxMass))
	l.own = parseSchedule(o)
	all := o.Object("arms")
	names := all.Names()
	if len(names) > l.config.maxArms {
		o.Problemf("arms", "got %d arms, want at most config.maxArms, %d", len(names), l.config.maxArms)
		return
	}
	total := 0.0
	for _, id := range names {
		if id == "" {
			o.Problemf("arms", "has an empty offer id")
			continue
		}
		fields := all.Object(id)
		a := arm{pulls: fields.Required("pulls", 0, arms.MaxMass)}
		a.totalReward = fields.Required("totalReward", 0, arms.MaxMass)
		if a.totalReward > a.pulls {
			fields.Problemf("totalReward", "got %v, want at most pulls, %v", a.totalReward, a.pulls)
		}
		total += a.pulls
		l.add(id, a)
	}
	l.totalPulls = o.Number("totalPulls", min(total, maxTotal), 0, maxTotal)
}
