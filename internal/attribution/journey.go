package attribution

import (
	"slices"

	"github.com/praetor-engine/praetor/internal/wire"
)

// Outcome says what became of an event.
type Outcome uint8

// The outcomes.
const (
	Recorded  Outcome = iota
	Duplicate         // the key was seen; nothing changed
	TooLate           // it is older than what was forgotten; nothing changed
)

// touch is an exposure with what was credited to it.
type touch struct {
	Exposure
	hits    uint32
	amount  Amount
	counted bool // it is in the table
}

// total is what the counted exposures of one side brought a visitor.
type total struct {
	counted, hits uint64
	amount        Amount
}

// Journey is what is remembered of one visitor: enough to credit what still comes.
// Its methods bring the table up to date with it; both belong to one goroutine. The
// zero Journey is a new visitor.
//
// Cost: an event takes a search among the visitor's events of its kind, and looks at
// the rewards within a window of an exposure. 56 bytes an exposure, 24 a reward.
type Journey struct {
	touches []touch  // ascending
	gains   []Reward // ascending
	mature  int      // so many touches from the first on are as old as the window
	totals  [2]total // treated, held out
}

// credited returns which exposure a reward is credited to, −1 for none.
func (j *Journey) credited(rules *Rules, at int64) int {
	if rules.First {
		i, _ := slices.BinarySearchFunc(j.touches, at-rules.Window, func(t touch, from int64) int { return compareTime(t.At, from) })
		if i < len(j.touches) && j.touches[i].At <= at {
			return i
		}
		return -1
	}
	i, _ := slices.BinarySearchFunc(j.touches, at, func(t touch, at int64) int {
		if t.At <= at {
			return -1
		}
		return 1
	})
	if i > 0 && at-j.touches[i-1].At <= rules.Window {
		return i - 1
	}
	return -1
}

func compareTime(a, b int64) int {
	if a < b {
		return -1
	}
	return 1
}

// change adds to what an exposure was credited with, and counts it or not.
func (j *Journey) change(t *Table, i int, hits int32, amount Amount) {
	touch := &j.touches[i]
	j.remove(t, touch)
	touch.hits += uint32(hits)
	touch.amount += amount
	j.put(t, touch, i < j.mature)
}

func (j *Journey) remove(t *Table, x *touch) {
	if !x.counted {
		t.immature--
		return
	}
	t.take(&x.Exposure, t.rules.value(x.hits, x.amount))
	s := &j.totals[side(x.Holdout)]
	s.counted--
	s.hits -= uint64(x.hits)
	s.amount -= x.amount
}

func (j *Journey) put(t *Table, x *touch, mature bool) {
	x.counted = mature || x.hits > 0
	if !x.counted {
		t.immature++
		return
	}
	t.give(&x.Exposure, t.rules.value(x.hits, x.amount))
	s := &j.totals[side(x.Holdout)]
	s.counted++
	s.hits += uint64(x.hits)
	s.amount += x.amount
}

// leave takes the visitor out of the table's visitors, enter puts it back.
func (j *Journey) leave(t *Table) {
	for i := range j.totals {
		if s := &j.totals[i]; s.counted > 0 {
			t.visitors[i].take(s.value(&t.rules))
		}
	}
}

func (j *Journey) enter(t *Table) {
	for i := range j.totals {
		if s := &j.totals[i]; s.counted > 0 {
			t.visitors[i].give(s.value(&t.rules))
		}
	}
}

func (s *total) value(rules *Rules) int64 {
	return rules.value(uint32(min(s.hits, 1)), s.amount)
}

// Expose records an exposure.
func (j *Journey) Expose(t *Table, e Exposure, now int64) Outcome {
	if e.Key != 0 && slices.ContainsFunc(j.touches, func(x touch) bool { return x.Key == e.Key }) {
		return Duplicate
	}
	j.leave(t)
	defer j.enter(t)
	rules := &t.rules
	// The rewards that it might be credited with, and who has them now.
	from, _ := slices.BinarySearchFunc(j.gains, e.At, func(r Reward, at int64) int { return compareTime(r.At, at) })
	var holders []int
	for g := from; g < len(j.gains) && j.gains[g].At-e.At <= rules.Window; g++ {
		holders = append(holders, j.credited(rules, j.gains[g].At))
	}
	at, _ := slices.BinarySearchFunc(j.touches, &e, func(x touch, e *Exposure) int { return x.compare(e) })
	j.touches = slices.Insert(j.touches, at, touch{Exposure: e})
	if at < j.mature {
		j.mature++ // older than one that is mature
	}
	j.put(t, &j.touches[at], at < j.mature)
	for i, before := range holders {
		g := &j.gains[from+i]
		if j.credited(rules, g.At) != at {
			continue
		}
		if before >= at {
			before++
		}
		if before >= 0 {
			j.change(t, before, -1, -g.Value)
		}
		j.change(t, at, 1, g.Value)
	}
	j.ripen(t, now)
	return Recorded
}

// Reward records a reward.
func (j *Journey) Reward(t *Table, r Reward, now int64) Outcome {
	if r.Key != 0 && slices.ContainsFunc(j.gains, func(g Reward) bool { return g.Key == r.Key }) {
		return Duplicate
	}
	j.leave(t)
	defer j.enter(t)
	at, _ := slices.BinarySearchFunc(j.gains, &r, func(g Reward, r *Reward) int { return g.compare(r) })
	j.gains = slices.Insert(j.gains, at, r)
	if i := j.credited(&t.rules, r.At); i >= 0 {
		j.change(t, i, 1, r.Value)
	}
	j.ripen(t, now)
	return Recorded
}

// Mature counts the exposures that are as old as the window at a time.
func (j *Journey) Mature(t *Table, now int64) {
	if j.mature == len(j.touches) || now-j.touches[j.mature].At < t.rules.Window {
		return
	}
	j.leave(t)
	j.ripen(t, now)
	j.enter(t)
}

func (j *Journey) ripen(t *Table, now int64) {
	for ; j.mature < len(j.touches) && now-j.touches[j.mature].At >= t.rules.Window; j.mature++ {
		x := &j.touches[j.mature]
		j.remove(t, x)
		j.put(t, x, true)
	}
}

// NextMature returns when the next exposure will be mature.
func (j *Journey) NextMature(rules *Rules) (at int64, ok bool) {
	if j.mature == len(j.touches) {
		return 0, false
	}
	return j.touches[j.mature].At + rules.Window, true
}

// Forget drops what no event from a time on can change any more: rewards before it,
// exposures more than a window before it. What they brought stays in the table. The
// owner must refuse all events before that time from then on, must not choose it later
// than a window ago, and loses, with a journey that becomes empty, that its visitor was
// counted: who returns is another.
func (j *Journey) Forget(t *Table, before int64) {
	gains, _ := slices.BinarySearchFunc(j.gains, before, func(r Reward, at int64) int { return compareTime(r.At, at) })
	j.gains = slices.Delete(j.gains, 0, gains)
	touches, _ := slices.BinarySearchFunc(j.touches, before-t.rules.Window, func(x touch, at int64) int { return compareTime(x.At, at) })
	touches = min(touches, j.mature)
	j.touches = slices.Delete(j.touches, 0, touches)
	j.mature -= touches
}

// Empty tells whether nothing is remembered.
func (j *Journey) Empty() bool { return len(j.touches) == 0 && len(j.gains) == 0 }

// events returns how many exposures and rewards are remembered.
func (j *Journey) events() int { return len(j.touches) + len(j.gains) }

const (
	holdoutFlag = 1
	countedFlag = 2
)

// Append appends the binary form, which is canonical.
func (j *Journey) Append(b []byte) []byte {
	b = wire.AppendUvarint(b, uint64(len(j.touches)))
	for i := range j.touches {
		x := &j.touches[i]
		b = wire.AppendVarint(b, x.At)
		b = wire.AppendUint64(b, x.Key)
		b = wire.AppendUvarint(b, x.Cell)
		b = wire.AppendUvarint(b, uint64(x.Variant))
		flags := byte(0)
		if x.Holdout {
			flags |= holdoutFlag
		}
		if x.counted {
			flags |= countedFlag
		}
		b = append(b, flags)
		b = wire.AppendUvarint(b, uint64(x.hits))
		b = wire.AppendVarint(b, int64(x.amount))
	}
	b = wire.AppendUvarint(b, uint64(len(j.gains)))
	for i := range j.gains {
		g := &j.gains[i]
		b = wire.AppendVarint(b, g.At)
		b = wire.AppendUint64(b, g.Key)
		b = wire.AppendVarint(b, int64(g.Value))
	}
	b = wire.AppendUvarint(b, uint64(j.mature))
	for i := range j.totals {
		b = wire.AppendUvarint(b, j.totals[i].counted)
		b = wire.AppendUvarint(b, j.totals[i].hits)
		b = wire.AppendVarint(b, int64(j.totals[i].amount))
	}
	return b
}

// readJourney reads what Append wrote. That the form is canonical is for the caller
// to check, by writing it again.
func readJourney(r *wire.Reader) *Journey {
	j := &Journey{touches: make([]touch, r.Count(14))}
	for i := range j.touches {
		x := touch{Exposure: Exposure{At: r.Varint(), Key: r.Uint64(), Cell: r.Uvarint()}}
		variant, flags, hits := r.Uvarint(), r.Byte(), r.Uvarint()
		x.Variant, x.hits, x.amount = uint16(variant), uint32(hits), Amount(r.Varint())
		x.Holdout, x.counted = flags&holdoutFlag != 0, flags&countedFlag != 0
		j.touches[i] = x
		if i > 0 && j.touches[i-1].compare(&x.Exposure) > 0 {
			r.Fail("exposure %d is before the one before it", i)
		}
	}
	j.gains = make([]Reward, r.Count(10))
	for i := range j.gains {
		j.gains[i] = Reward{At: r.Varint(), Key: r.Uint64(), Value: Amount(r.Varint())}
		if i > 0 && j.gains[i-1].compare(&j.gains[i]) > 0 {
			r.Fail("reward %d is before the one before it", i)
		}
	}
	mature := r.Uvarint()
	if mature > uint64(len(j.touches)) {
		r.Fail("%d of %d exposures are mature", mature, len(j.touches))
		mature = 0
	}
	j.mature = int(mature)
	for i := range j.touches {
		if x := &j.touches[i]; x.counted != (i < j.mature || x.hits > 0) {
			r.Fail("exposure %d is counted wrongly", i)
		}
	}
	for i := range j.totals {
		j.totals[i] = total{r.Uvarint(), r.Uvarint(), Amount(r.Varint())}
	}
	return j
}

// DecodeJourney reads what Append wrote.
func DecodeJourney(s string) (*Journey, error) {
	r := wire.NewReader(s)
	j := readJourney(&r)
	if err := r.Close(); err != nil {
		return nil, err
	}
	if string(j.Append(make([]byte, 0, len(s)))) != s {
		r.Fail("not canonical")
	}
	return j, r.Err()
}
