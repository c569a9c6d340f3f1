package history

import (
	"io"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/wire"
)

// An encoded capture is a sequence of sections, each
//
//	kind     1 byte
//	length   uvarint, at most maxSection
//	payload
//
// in this order:
//
//	head       format, applied, clock, aged, next space, limits, counters
//	jobs       what is dropped and still on disk             (as many as needed)
//	tenant     ordinal, space, floor, rows, counters, customers, summaries
//	  segments   the runs of rows in log order               (as many as needed)
//	  states     where the models' states are                (as many as needed)
//	  offers     number and id                               (as many as needed)
//	  customers  id, and per offer its number and summary    (as many as needed)
//	…          more tenants, ascending
//	end        empty; without it the capture is cut off
//
// A list is cut into sections of about sectionSize, so neither side holds more
// than one. Customers come shard by shard, longest without a contact first: put
// in again in this order they are evicted in the same order. Within a customer
// and among states nothing depends on order.
const (
	captureFormat = 1

	sectionEnd       = 0
	sectionHead      = 1
	sectionJobs      = 2
	sectionTenant    = 3
	sectionSegments  = 4
	sectionStates    = 5
	sectionOffers    = 6
	sectionCustomers = 7

	sectionSize = 64 << 10
	// maxSection holds a customer with as many offers as can be.
	maxSection = 4 << 20
)

// sectionWriter gathers a section and writes it.
type sectionWriter struct {
	w    io.Writer
	kind byte
	buf  []byte // payload
	head []byte
	err  error
}

// flush writes the section, if there is anything in it.
func (w *sectionWriter) flush() {
	if len(w.buf) > 0 {
		w.write()
	}
}

func (w *sectionWriter) write() {
	w.head = wire.AppendUvarint(append(w.head[:0], w.kind), uint64(len(w.buf)))
	for _, p := range [...][]byte{w.head, w.buf} {
		if w.err == nil {
			_, w.err = w.w.Write(p)
		}
	}
	w.buf = w.buf[:0]
}

// list starts a list of a kind.
func (w *sectionWriter) list(kind byte) { w.flush(); w.kind = kind }

// item ends an item of a list.
func (w *sectionWriter) item() {
	if len(w.buf) >= sectionSize {
		w.flush()
	}
}

func (w *sectionWriter) uvarint(values ...uint64) {
	for _, v := range values {
		w.buf = wire.AppendUvarint(w.buf, v)
	}
}

func (w *sectionWriter) varint(values ...int64) {
	for _, v := range values {
		w.buf = wire.AppendVarint(w.buf, v)
	}
}

func (w *sectionWriter) text(s string) { w.buf = wire.AppendString(w.buf, s) }

func (w *sectionWriter) id(id decision.InteractionID) { w.uvarint(id.Index, uint64(id.Seq)) }

func (w *sectionWriter) summary(r *row) {
	w.uvarint(uint64(r.impressions), uint64(r.positives), uint64(r.negatives))
	w.varint(r.lastContactAt)
}

// Encode writes the capture. It holds one section in memory. Checksums are the
// caller's.
func (c *Capture) Encode(out io.Writer) error {
	w := &sectionWriter{w: out}
	w.list(sectionHead)
	c.encodeHead(w)
	w.list(sectionJobs)
	for i := range c.jobs {
		encodeJob(w, &c.jobs[i])
		w.item()
	}
	for i := range c.tenants {
		c.tenants[i].encode(w)
		if w.err != nil {
			return w.err
		}
	}
	w.list(sectionEnd)
	w.write()
	return w.err
}

func (c *Capture) encodeHead(w *sectionWriter) {
	w.uvarint(captureFormat, c.applied)
	w.varint(c.clock, c.aged)
	w.uvarint(uint64(c.nextSpace))
	l := &c.limits
	w.varint(l.MaxRows, int64(l.MaxAge), l.MaxCustomers, l.MaxSummaries, l.MaxOffersPerCustomer)
	w.varint(c.gone[:]...)
}

func encodeJob(w *sectionWriter, j *job) {
	w.uvarint(uint64(j.kind), uint64(j.space))
	w.id(j.from)
	w.id(j.to)
	w.text(j.key)
}

func (c *tenantCapture) encode(w *sectionWriter) {
	customers, summaries := c.counts()
	w.list(sectionTenant)
	w.uvarint(uint64(c.t.ordinal), uint64(c.t.space))
	w.id(c.floor)
	w.varint(c.rows)
	w.varint(c.counters[:]...)
	w.varint(customers, summaries)

	w.list(sectionSegments)
	for i := range c.segments {
		s := &c.segments[i]
		w.id(s.first)
		w.id(s.last)
		w.varint(s.rows, s.opened, s.newest)
		w.item()
	}
	w.list(sectionStates)
	for _, model := range c.models() {
		for _, ref := range c.states[model] {
			w.text(model)
			w.uvarint(ref.version)
			w.id(ref.id)
			w.item()
		}
	}
	c.encodeOffers(w)
	w.list(sectionCustomers)
	for i := range c.shards {
		c.shards[i].encode(w)
	}
}

func (c *tenantCapture) encodeOffers(w *sectionWriter) {
	w.list(sectionOffers)
	for k, page := range c.offers {
		for i, id := range page {
			if id != "" {
				w.uvarint(uint64(k<<pageShift + i))
				w.text(id)
				w.item()
			}
		}
	}
}

func (c *shardCapture) encode(w *sectionWriter) {
	// each fails only if the function does.
	_ = c.each(func(id string, r uint32, n int) error {
		w.text(id)
		w.uvarint(uint64(n))
		for ; r != 0; r = c.rows.at(r).next {
			w.uvarint(uint64(c.rows.at(r).offer))
			w.summary(c.rows.at(r))
		}
		w.item()
		return w.err
	})
}
