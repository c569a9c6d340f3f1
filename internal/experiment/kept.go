package experiment

import (
	"cmp"
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/wire"
)

// StickyDays is how long a customer keeps a variant after a change of the split.
const StickyDays = 30

const dayMillis = 24 * 60 * 60 * 1000

// MaxKept bounds the customers of an experiment who keep a variant.
const MaxKept = 1 << 20

// Keep says that customers keep a variant until a time, in Unix milliseconds.
type Keep struct {
	Variant   string
	Until     int64
	Customers []uint64 // their hashes, ascending
}

// Carry returns which of the customers, given by their hashes, the change from
// the plan to the next one at a time would move, with what they keep. Hashes must
// ascend; at most MaxKept of them are returned.
func Carry(from, next *Plan, hashes []uint64, at int64) []Keep {
	keeps := make([]Keep, len(from.Variants))
	left := MaxKept
	for _, h := range hashes {
		had, gets := from.assign(h, at).Variant, next.assign(h, at).Variant
		if had.Name == gets.Name || !next.has(had.Name) || left == 0 {
			continue
		}
		left--
		i := slices.IndexFunc(from.Variants, func(v Variant) bool { return v.Name == had.Name })
		keeps[i].Customers = append(keeps[i].Customers, h)
	}
	for i := range keeps {
		keeps[i].Variant, keeps[i].Until = from.Variants[i].Name, at+StickyDays*dayMillis
	}
	return slices.DeleteFunc(keeps, func(k Keep) bool { return len(k.Customers) == 0 })
}

func (p *Plan) has(variant string) bool {
	return slices.ContainsFunc(p.Variants, func(v Variant) bool { return v.Name == variant })
}

// Kept are the customers of one experiment who keep variants. It is immutable;
// the zero Kept is empty.
type Kept struct {
	groups []group
	hashes []uint64 // ascending
	of     []uint16 // of each, its group
}

// group is what the customers of one Keep have in common.
type group struct {
	variant string
	until   int64
}

// maxGroups bounds the groups: a change makes at most one for each variant, so
// that 30 days of hourly changes with five variants fit.
const maxGroups = 1 << 12

// Len returns how many customers there are.
func (k *Kept) Len() int { return len(k.hashes) }

// variant returns what a customer keeps at a time.
func (k *Kept) variant(hash uint64, at int64) (name string, ok bool) {
	if len(k.hashes) == 0 {
		return "", false
	}
	i, found := slices.BinarySearch(k.hashes, hash)
	if !found {
		return "", false
	}
	g := &k.groups[k.of[i]]
	return g.variant, at < g.until
}

// With returns the customers together with more of them, without those whose time
// is over at the time at, and how many were left out because there are MaxKept:
// those with the greatest hashes. Where a customer is in two keeps, that of the
// later change holds, of one change the one that came first. Cost: O(customers).
func (k *Kept) With(keeps []Keep, at int64) (next *Kept, dropped int) {
	var groups []group
	members := make([]member, 0, len(k.hashes))
	for i, h := range k.hashes {
		if k.groups[k.of[i]].until > at {
			members = append(members, member{h, k.of[i]})
		}
	}
	groups = append(groups, k.groups...)
	for i := range keeps {
		keep := &keeps[i]
		if keep.Until <= at || len(keep.Customers) == 0 {
			continue
		}
		if len(groups) >= maxGroups {
			dropped += len(keep.Customers)
			continue
		}
		groups = append(groups, group{keep.Variant, keep.Until})
		for _, h := range keep.Customers {
			members = append(members, member{h, uint16(len(groups) - 1)})
		}
	}
	slices.SortStableFunc(members, func(a, b member) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(groups[b.group].until, groups[a.group].until))
	})
	members = slices.CompactFunc(members, func(a, b member) bool { return a.hash == b.hash })
	if over := len(members) - MaxKept; over > 0 {
		dropped += over
		members = members[:MaxKept]
	}
	return newKept(groups, members), dropped
}

// member is a customer with the index of a group.
type member struct {
	hash  uint64
	group uint16
}

// newKept makes the one form of what the members keep: every group that has any
// is there once, in order.
func newKept(groups []group, members []member) *Kept {
	k := &Kept{hashes: make([]uint64, len(members)), of: make([]uint16, len(members))}
	used := make([]bool, len(groups))
	for _, m := range members {
		used[m.group] = true
	}
	for i, g := range groups {
		if used[i] {
			k.groups = append(k.groups, g)
		}
	}
	slices.SortFunc(k.groups, group.compare)
	k.groups = slices.Compact(k.groups)
	index := make([]uint16, len(groups))
	for i, g := range groups {
		at, _ := slices.BinarySearchFunc(k.groups, g, group.compare)
		index[i] = uint16(at)
	}
	for i, m := range members {
		k.hashes[i], k.of[i] = m.hash, index[m.group]
	}
	return k
}

func (g group) compare(o group) int {
	return cmp.Or(strings.Compare(g.variant, o.variant), cmp.Compare(g.until, o.until))
}

// Keeps returns the customers as keeps, by variant and time.
func (k *Kept) Keeps() []Keep {
	keeps := make([]Keep, len(k.groups))
	for i, g := range k.groups {
		keeps[i] = Keep{Variant: g.variant, Until: g.until}
	}
	for i, h := range k.hashes {
		keep := &keeps[k.of[i]]
		keep.Customers = append(keep.Customers, h)
	}
	return keeps
}

// AppendKeeps appends the binary form of keeps, for commands and snapshots: a
// count, then each: variant, until (varint), hashes as AppendHashes writes them.
func AppendKeeps(dst []byte, keeps []Keep) []byte {
	dst = wire.AppendUvarint(dst, uint64(len(keeps)))
	for i := range keeps {
		dst = wire.AppendString(dst, keeps[i].Variant)
		dst = wire.AppendVarint(dst, keeps[i].Until)
		dst = AppendHashes(dst, keeps[i].Customers)
	}
	return dst
}

// minKeepSize is the encoded size of the shortest keep.
const minKeepSize = 3

// ReadKeeps reads what AppendKeeps wrote; it does not share memory with the input.
func ReadKeeps(r *wire.Reader) []Keep {
	n := r.Count(minKeepSize)
	if n > maxGroups {
		r.Fail("%d groups of customers, want at most %d", n, maxGroups)
		return nil
	}
	keeps := make([]Keep, 0, n)
	for range n {
		keep := Keep{Variant: strings.Clone(r.String()), Until: r.Varint()}
		if keep.Customers = ReadHashes(r); r.Err() != nil {
			return nil
		}
		keeps = append(keeps, keep)
	}
	return keeps
}

// AppendHashes appends ascending hashes: a count, the first one and the
// differences, all uvarints.
func AppendHashes(dst []byte, hashes []uint64) []byte {
	dst = wire.AppendUvarint(dst, uint64(len(hashes)))
	last := uint64(0)
	for _, h := range hashes {
		dst = wire.AppendUvarint(dst, h-last)
		last = h
	}
	return dst
}

// ReadHashes reads what AppendHashes wrote.
func ReadHashes(r *wire.Reader) []uint64 {
	n := r.Count(1)
	hashes := make([]uint64, 0, n)
	last := uint64(0)
	for i := range n {
		step := r.Uvarint()
		if i > 0 && (step == 0 || last+step < last) {
			r.Fail("hashes do not ascend")
		}
		if r.Err() != nil {
			return nil
		}
		last += step
		hashes = append(hashes, last)
	}
	return hashes
}
