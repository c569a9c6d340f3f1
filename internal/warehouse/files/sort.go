package files

import (
	"bufio"
	"bytes"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/praetor-engine/praetor/internal/attribution"
	"github.com/praetor-engine/praetor/internal/warehouse"
)

// sorter orders events by visitor, those of one visitor by time, so that of events
// with one idempotency key the earliest comes first. It holds a bounded number of
// bytes; what is beyond goes to a temporary file in sorted runs, which are merged.
//
// A run is a row of records:
//
//	┌───────────────────┬─────────┬────────────────────┐
//	│ length (uvarint)  │ visitor │ event, fixed length │
//	└───────────────────┴─────────┴────────────────────┘
type sorter[E any] struct {
	codec  codec[E]
	most   int // bytes in memory
	temp   string
	arena  []byte
	events []entry[E]
	order  []uint32 // places in events, sorted
	file   *os.File // nil as long as memory was enough
	runs   []run
	size   int64 // of the file
}

// entry is an event and where its visitor is in the arena.
type entry[E any] struct {
	offset, length uint32
	event          E
}

type run struct{ from, to int64 }

// perEvent is about what an event takes in memory beside itself.
const perEvent = 8 + 5 + 4

func newSorter[E any](c codec[E], most int, temp string) *sorter[E] {
	return &sorter[E]{codec: c, most: min(most, 1<<30), temp: temp}
}

func (s *sorter[E]) add(visitor []byte, event E) error {
	s.events = append(s.events, entry[E]{uint32(len(s.arena)), uint32(len(visitor)), event})
	s.arena = append(s.arena, visitor...)
	if len(s.arena)+len(s.events)*(s.codec.size+perEvent) < s.most {
		return nil
	}
	return s.spill()
}

func (s *sorter[E]) visitor(e *entry[E]) []byte { return s.arena[e.offset : e.offset+e.length] }

// arrange sorts what is in memory. It sorts places: to compare events by value would
// take memory for each comparison.
func (s *sorter[E]) arrange() {
	s.order = slices.Grow(s.order[:0], len(s.events))
	for i := range s.events {
		s.order = append(s.order, uint32(i))
	}
	slices.SortFunc(s.order, func(i, j uint32) int {
		a, b := &s.events[i], &s.events[j]
		if c := bytes.Compare(s.visitor(a), s.visitor(b)); c != 0 {
			return c
		}
		return s.codec.compare(&a.event, &b.event)
	})
}

// spill writes what is in memory as a run.
func (s *sorter[E]) spill() (err error) {
	if s.file == nil {
		if s.file, err = os.CreateTemp(s.temp, "praetor-warehouse-"); err != nil {
			return err
		}
		if err := os.Remove(s.file.Name()); err != nil { // it lives as long as it is open
			return err
		}
	}
	s.arrange()
	w := bufio.NewWriterSize(s.file, 256<<10)
	from := s.size
	var b []byte
	for _, i := range s.order {
		e := &s.events[i]
		b = binary.AppendUvarint(b[:0], uint64(e.length))
		b = append(b, s.visitor(e)...)
		b = s.codec.append(b, &e.event)
		if _, err := w.Write(b); err != nil {
			return err
		}
		s.size += int64(len(b))
	}
	s.runs = append(s.runs, run{from, s.size})
	s.events, s.arena = s.events[:0], s.arena[:0]
	return w.Flush()
}

func (s *sorter[E]) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// sort returns the events in their order; close what it returns.
func (s *sorter[E]) sort() (*sorted[E], error) {
	if s.file == nil {
		s.arrange()
		return &sorted[E]{sorter: s}, nil
	}
	if err := s.spill(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	out := &sorted[E]{sorter: s}
	for _, r := range s.runs {
		h := &head[E]{r: bufio.NewReaderSize(io.NewSectionReader(s.file, r.from, r.to-r.from), 64<<10)}
		ok, err := h.next(&s.codec)
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		if ok {
			out.merge.heads = append(out.merge.heads, h)
		}
	}
	out.merge.compare = s.codec.compare
	heap.Init(&out.merge)
	return out, nil
}

// sorted is a stream of sorted events.
type sorted[E any] struct {
	sorter  *sorter[E]
	at      int      // in memory
	merge   merge[E] // of runs
	visitor string   // the one given last: many events share one
}

func (s *sorted[E]) close() { _ = s.sorter.close() }

// Next gives the next event.
func (s *sorted[E]) Next() (visitor string, event E, ok bool, err error) {
	if s.sorter.file == nil {
		if s.at == len(s.sorter.order) {
			return "", event, false, nil
		}
		e := &s.sorter.events[s.sorter.order[s.at]]
		s.at++
		return s.own(s.sorter.visitor(e)), e.event, true, nil
	}
	if len(s.merge.heads) == 0 {
		return "", event, false, nil
	}
	h := s.merge.heads[0]
	visitor, event = s.own(h.visitor), h.event
	more, err := h.next(&s.sorter.codec)
	switch {
	case err != nil:
		return "", event, false, err
	case more:
		heap.Fix(&s.merge, 0)
	default:
		heap.Pop(&s.merge)
	}
	return visitor, event, true, nil
}

func (s *sorted[E]) own(visitor []byte) string {
	if string(visitor) != s.visitor {
		s.visitor = string(visitor)
	}
	return s.visitor
}

// head is the next event of a run.
type head[E any] struct {
	r       *bufio.Reader
	visitor []byte
	event   E
	buffer  []byte
}

func (h *head[E]) next(c *codec[E]) (ok bool, err error) {
	n, err := binary.ReadUvarint(h.r)
	if err == io.EOF {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if n > warehouse.MaxVisitor {
		return false, errors.New("the temporary file is damaged")
	}
	h.buffer = slices.Grow(h.buffer[:0], int(n)+c.size)[:int(n)+c.size]
	if _, err := io.ReadFull(h.r, h.buffer); err != nil {
		return false, err
	}
	h.visitor = h.buffer[:n]
	h.event = c.read(h.buffer[n:])
	return true, nil
}

// merge is a heap of runs by their next events.
type merge[E any] struct {
	heads   []*head[E]
	compare func(a, b *E) int
}

func (m *merge[E]) Len() int      { return len(m.heads) }
func (m *merge[E]) Swap(i, j int) { m.heads[i], m.heads[j] = m.heads[j], m.heads[i] }
func (m *merge[E]) Push(x any)    { m.heads = append(m.heads, x.(*head[E])) }

func (m *merge[E]) Less(i, j int) bool {
	a, b := m.heads[i], m.heads[j]
	if c := bytes.Compare(a.visitor, b.visitor); c != 0 {
		return c < 0
	}
	return m.compare(&a.event, &b.event) < 0
}

func (m *merge[E]) Pop() any {
	last := m.heads[len(m.heads)-1]
	m.heads = m.heads[:len(m.heads)-1]
	return last
}

// codec is how events are stored and ordered.
type codec[E any] struct {
	size    int
	append  func([]byte, *E) []byte
	read    func([]byte) E
	compare func(a, b *E) int
}

var exposureCodec = codec[attribution.Exposure]{
	size: 8 + 8 + 8 + 2 + 1,
	append: func(b []byte, e *attribution.Exposure) []byte {
		b = binary.LittleEndian.AppendUint64(b, uint64(e.At))
		b = binary.LittleEndian.AppendUint64(b, e.Key)
		b = binary.LittleEndian.AppendUint64(b, e.Cell)
		b = binary.LittleEndian.AppendUint16(b, e.Variant)
		if e.Holdout {
			return append(b, 1)
		}
		return append(b, 0)
	},
	read: func(b []byte) attribution.Exposure {
		return attribution.Exposure{
			At: int64(binary.LittleEndian.Uint64(b)), Key: binary.LittleEndian.Uint64(b[8:]), Cell: binary.LittleEndian.Uint64(b[16:]),
			Variant: binary.LittleEndian.Uint16(b[24:]), Holdout: b[26] == 1,
		}
	},
	compare: func(a, b *attribution.Exposure) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Variant, b.Variant), cmp.Compare(a.Cell, b.Cell))
	},
}

var rewardCodec = codec[attribution.Reward]{
	size: 8 + 8 + 8,
	append: func(b []byte, r *attribution.Reward) []byte {
		b = binary.LittleEndian.AppendUint64(b, uint64(r.At))
		b = binary.LittleEndian.AppendUint64(b, r.Key)
		return binary.LittleEndian.AppendUint64(b, uint64(r.Value))
	},
	read: func(b []byte) attribution.Reward {
		return attribution.Reward{
			At: int64(binary.LittleEndian.Uint64(b)), Key: binary.LittleEndian.Uint64(b[8:]), Value: attribution.Amount(binary.LittleEndian.Uint64(b[16:])),
		}
	},
	compare: func(a, b *attribution.Reward) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Value, b.Value))
	},
}
