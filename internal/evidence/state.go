package evidence

import (
	"fmt"
	"strings"

	"github.com/praetor-engine/praetor/internal/learn/arms"
	"github.com/praetor-engine/praetor/internal/wire"
)

// The binary form of a set:
//
//	version    1 byte, 1
//	ignored    uvarint  rows that were not made for want of room
//	global     a cell
//	categories, channels, offers
//	           each a count, then each by ascending id: id and a cell
//
// and of a cell:
//
//	flags      1 byte   bit 0: paused; bit 1: has evidence; bit 2: has scored
//	           outcomes
//	category   a string, of offers only
//	at, positives, negatives
//	           varint and 8 bytes each, only when flagged
//	scored, scoredPositives, scoreSum
//	           8 bytes each, only when flagged
const (
	stateVersion = 1
	flagPaused   = 1
	flagEvidence = 2
	flagScored   = 4
	minCellSize  = 2 + 1 // an id of a byte, the flags
)

// AppendState appends the set's binary form: canonical, without the
// configuration.
func (s *Set) AppendState(dst []byte) []byte {
	dst = append(dst, stateVersion)
	dst = wire.AppendUvarint(dst, s.ignored)
	dst = appendCell(dst, &s.global, false)
	for _, t := range [...]*table{s.categories, s.channels, s.offers} {
		cells := t.Owned()
		dst = wire.AppendUvarint(dst, uint64(len(cells)))
		for _, c := range cells {
			dst = appendCell(wire.AppendString(dst, c.ID), &c.State, t == s.offers)
		}
	}
	return dst
}

func appendCell(dst []byte, c *cell, offer bool) []byte {
	flags := byte(0)
	if c.paused {
		flags |= flagPaused
	}
	if c.at != 0 || c.evidence() > 0 {
		flags |= flagEvidence
	}
	if c.scored > 0 {
		flags |= flagScored
	}
	dst = append(dst, flags)
	if offer {
		dst = wire.AppendString(dst, c.category)
	}
	if flags&flagEvidence != 0 {
		dst = wire.AppendVarint(dst, c.at)
		dst = wire.AppendFloat(dst, c.positives)
		dst = wire.AppendFloat(dst, c.negatives)
	}
	if flags&flagScored != 0 {
		dst = wire.AppendFloat(dst, c.scored)
		dst = wire.AppendFloat(dst, c.scoredPositives)
		dst = wire.AppendFloat(dst, c.scoreSum)
	}
	return dst
}

// Load reads what AppendState wrote.
func Load(c Config, state string) (*Set, error) {
	s := New(c)
	r := wire.NewReader(state)
	if v := r.Byte(); v != stateVersion {
		r.Fail("state version %d, want %d", v, stateVersion)
	}
	s.ignored = r.Uvarint()
	s.global = readCell(&r, false)
	s.changed = true
	for _, t := range [...]*table{s.categories, s.channels, s.offers} {
		readTable(&r, t, t == s.offers)
	}
	if err := r.Close(); err != nil {
		return nil, fmt.Errorf("evidence: state: %w", err)
	}
	s.Publish()
	return s, nil
}

func readTable(r *wire.Reader, t *table, offers bool) {
	last := ""
	for range r.Count(minCellSize) {
		id := r.String()
		state := readCell(r, offers)
		if r.Err() == nil && id <= last {
			r.Fail("row %q after row %q", id, last)
		}
		if r.Err() != nil {
			return
		}
		c := t.Add(id)
		c.State = state
		t.Touch(c)
		last = id
	}
}

func readCell(r *wire.Reader, offer bool) (c cell) {
	flags := r.Byte()
	if flags&^(flagPaused|flagEvidence|flagScored) != 0 || flags&flagScored != 0 && flags&flagEvidence == 0 {
		r.Fail("flags %#x", flags)
	}
	c.paused = flags&flagPaused != 0
	if offer {
		c.category = strings.Clone(r.String())
	}
	if flags&flagEvidence != 0 {
		c.at = r.Varint()
		c.positives, c.negatives = within(r, arms.MaxMass), within(r, arms.MaxMass)
		if c.at == 0 && c.evidence() == 0 {
			r.Fail("an empty row is flagged as evidence")
		}
	}
	if flags&flagScored != 0 {
		c.scored = within(r, arms.MaxMass)
		c.scoredPositives, c.scoreSum = within(r, c.scored), within(r, c.scored)
		if c.scored == 0 {
			r.Fail("an unscored row is flagged as scored")
		}
	}
	return c
}

// within reads a number from 0 to high.
func within(r *wire.Reader, high float64) float64 {
	v := r.Float()
	if !(v >= 0 && v <= high) {
		r.Fail("want a number from 0 to %v, got %v", high, v)
	}
	return v
}
