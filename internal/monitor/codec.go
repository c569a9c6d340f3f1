package monitor

import (
	"maps"
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/wire"
)

// A book's binary form: a version byte and a count of tenants; of each its id and
// a count of models; of each its id and its life, by ascending ids. A histogram
// is its first bin, a count, and the counts of the bins from there.
const bookVersion = 1

// The encoded sizes of the smallest of each.
const (
	minTenant = 2
	minLife   = 12
	minDay    = 18
	minArm    = 3
	minReset  = 2
	minDrift  = 10
	minAlert  = 17
)

// Append appends the book's binary form, the same on every node.
func (c *Capture) Append(b []byte) []byte {
	b = wire.AppendUvarint(append(b, bookVersion), uint64(len(c.lives)))
	for _, tenant := range slices.Sorted(maps.Keys(c.lives)) {
		models := c.lives[tenant]
		b = wire.AppendUvarint(wire.AppendString(b, tenant), uint64(len(models)))
		for _, id := range slices.Sorted(maps.Keys(models)) {
			b = models[id].append(wire.AppendString(b, id))
		}
	}
	return b
}

func (l *Life) append(b []byte) []byte {
	b = wire.AppendVarint(b, int64(l.Since))
	b = wire.AppendVarint(b, int64(l.LastResponse))
	b = wire.AppendVarint(b, int64(l.ReferenceFrom))
	b = wire.AppendVarint(b, int64(l.ReferenceTo))
	b = l.Reference.append(b)
	b = wire.AppendVarint(b, int64(l.DriftsAt))
	b = wire.AppendUvarint(b, uint64(len(l.Drifts)))
	for i := range l.Drifts {
		d := &l.Drifts[i]
		b = wire.AppendFloat(wire.AppendString(wire.AppendString(b, d.Field), d.Member), d.PSI)
	}
	b = wire.AppendUvarint(b, uint64(len(l.Days)))
	for _, d := range l.Days {
		b = d.append(b)
	}
	for _, list := range [][]Standing{l.Open, l.Closed} {
		b = wire.AppendUvarint(b, uint64(len(list)))
		for i := range list {
			b = list[i].append(b)
		}
	}
	b = wire.AppendUvarint(b, uint64(len(l.Resets)))
	for _, r := range l.Resets {
		b = wire.AppendVarint(wire.AppendString(b, r.Scope), int64(r.At))
	}
	return b
}

// append leaves out what the rule says and what the place does: the model, whether
// the alert stands.
func (s *Standing) append(b []byte) []byte {
	for _, v := range []string{s.ID, s.Name, s.Field, s.Member, s.Message, string(s.Reason)} {
		b = wire.AppendString(b, v)
	}
	for _, at := range []decision.Time{s.OpenedAt, s.ClosedAt, s.Since} {
		b = wire.AppendVarint(b, int64(at))
	}
	return wire.AppendFloat(b, s.Value)
}

func (d *Day) append(b []byte) []byte {
	b = wire.AppendVarint(b, int64(d.Date))
	b = wire.AppendUvarint(b, d.Responses)
	b = wire.AppendUvarint(b, d.Positives)
	b = d.Scores.append(b)
	b = d.Joined[0].append(b)
	b = d.Joined[1].append(b)
	b = wire.AppendFloat(b, d.LogLoss)
	b = wire.AppendUvarint(b, uint64(len(d.Arms)))
	for i := range d.Arms {
		a := &d.Arms[i]
		b = wire.AppendUvarint(wire.AppendUvarint(wire.AppendString(b, a.OfferID), a.Chosen), a.Forced)
	}
	return b
}

func (h *Histogram) append(b []byte) []byte {
	b = wire.AppendUvarint(b, uint64(h.first))
	b = wire.AppendUvarint(b, uint64(len(h.counts)))
	for _, n := range h.counts {
		b = wire.AppendUvarint(b, uint64(n))
	}
	return b
}

// Read reads a book's binary form.
func Read(s string) (*Capture, error) {
	r := wire.NewReader(s)
	if v := r.Byte(); v != bookVersion {
		r.Fail("want a book of version %d, got %d", bookVersion, v)
	}
	c := &Capture{lives: map[string]map[string]*Life{}}
	for range r.Count(minTenant) {
		tenant := strings.Clone(r.String())
		models := map[string]*Life{}
		for range r.Count(minLife) {
			id := strings.Clone(r.String())
			models[id] = readLife(&r, id)
		}
		c.lives[tenant] = models
	}
	return c, r.Close()
}

func readLife(r *wire.Reader, model string) *Life {
	l := &Life{Since: decision.Time(r.Varint()), LastResponse: decision.Time(r.Varint())}
	l.ReferenceFrom, l.ReferenceTo = Date(r.Varint()), Date(r.Varint())
	l.Reference = readHistogram(r)
	l.DriftsAt = decision.Time(r.Varint())
	for range r.Count(minDrift) {
		l.Drifts = append(l.Drifts, Drift{strings.Clone(r.String()), strings.Clone(r.String()), r.Float()})
	}
	for i := range r.Count(minDay) {
		d := readDay(r)
		if i > 0 && d.Date <= l.Days[i-1].Date {
			r.Fail("want days in order, got %v after %v", d.Date, l.Days[i-1].Date)
		}
		l.Days = append(l.Days, d)
	}
	l.Open, l.Closed = readAlerts(r, model, Open), readAlerts(r, model, Closed)
	for range r.Count(minReset) {
		l.Resets = append(l.Resets, Reset{strings.Clone(r.String()), decision.Time(r.Varint())})
	}
	return l
}

func readAlerts(r *wire.Reader, model string, state State) (all []Standing) {
	for range r.Count(minAlert) {
		s := Standing{State: state, Alert: Alert{ModelID: model}}
		for _, to := range []*string{&s.ID, &s.Name, &s.Field, &s.Member, &s.Message, (*string)(&s.Reason)} {
			*to = strings.Clone(r.String())
		}
		for _, to := range []*decision.Time{&s.OpenedAt, &s.ClosedAt, &s.Since} {
			*to = decision.Time(r.Varint())
		}
		s.Value, s.Rule = r.Float(), rule(s.Name)
		all = append(all, s)
	}
	return all
}

func readDay(r *wire.Reader) *Day {
	d := &Day{Date: Date(r.Varint()), Responses: r.Uvarint(), Positives: r.Uvarint()}
	d.Scores = readHistogram(r)
	d.Joined[0], d.Joined[1] = readHistogram(r), readHistogram(r)
	d.LogLoss = r.Float()
	for i := range r.Count(minArm) {
		a := ArmCount{strings.Clone(r.String()), r.Uvarint(), r.Uvarint()}
		if i > 0 && a.OfferID <= d.Arms[i-1].OfferID {
			r.Fail("want arms in order, got %q after %q", a.OfferID, d.Arms[i-1].OfferID)
		}
		d.Arms = append(d.Arms, a)
	}
	return d
}

func readHistogram(r *wire.Reader) (h Histogram) {
	first, n := r.Uvarint(), r.Count(1)
	if first >= Bins || first+uint64(n) > Bins {
		r.Fail("want bins below %d, got %d from %d", Bins, n, first)
		return h
	}
	h.first = int(first)
	for range n {
		c := r.Uvarint()
		if c > 1<<32-1 {
			r.Fail("want a count of 32 bits, got %d", c)
		}
		h.counts = append(h.counts, uint32(c))
	}
	return h
}
