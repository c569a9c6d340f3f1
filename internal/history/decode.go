package history

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
	"unsafe"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/wire"
)

// captureReader brings an encoded capture back, section by section.
type captureReader struct {
	in   *bufio.Reader
	buf  bytes.Buffer
	im   *image
	jobs []job
	last byte // kind of the section before

	t                    *tenant // the one being read
	offers               map[uint32]string
	rows                 int64 // how many are announced, and so on
	customers, summaries int64
}

// decodeCapture reads a capture into an image without a database.
func decodeCapture(r io.Reader) (*image, []job, error) {
	d := &captureReader{in: bufio.NewReaderSize(r, sectionSize)}
	for n := 0; ; n++ {
		kind, payload, err := d.section()
		if err == nil {
			if (n == 0) != (kind == sectionHead) {
				err = fmt.Errorf("%w: section of kind %d at place %d", wire.ErrCorrupt, kind, n)
			} else {
				err = d.read(kind, payload)
			}
		}
		if err != nil {
			return nil, nil, fmt.Errorf("history: capture, section %d: %w", n, err)
		}
		if kind == sectionEnd {
			return d.im, d.jobs, nil
		}
	}
}

// section reads the next section. The payload is valid until the next.
func (d *captureReader) section() (kind byte, payload string, err error) {
	if kind, err = d.in.ReadByte(); err != nil {
		return 0, "", cutOff(err)
	}
	size, err := binary.ReadUvarint(d.in)
	if err != nil {
		return 0, "", cutOff(err)
	}
	if size > maxSection {
		return 0, "", fmt.Errorf("%w: length %d, want at most %d", wire.ErrCorrupt, size, maxSection)
	}
	d.buf.Reset()
	// The buffer grows with what is there, not with what is announced.
	if _, err := io.CopyN(&d.buf, d.in, int64(size)); err != nil {
		return 0, "", cutOff(err)
	}
	b := d.buf.Bytes()
	return kind, unsafe.String(unsafe.SliceData(b), len(b)), nil
}

func cutOff(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: cut off", wire.ErrCorrupt)
	}
	return err
}

func (d *captureReader) read(kind byte, payload string) error {
	r := wire.NewReader(payload)
	switch {
	case kind == sectionHead:
		d.readHead(&r)
	case kind == sectionEnd:
		d.finishTenant(&r)
	case kind == sectionTenant:
		d.readTenant(&r)
	case kind == sectionJobs && d.last <= sectionJobs:
		d.each(&r, d.readJob)
	case kind <= sectionCustomers && d.t != nil && kind >= d.last:
		d.each(&r, [...]func(*wire.Reader){
			sectionSegments: d.readSegment, sectionStates: d.readState,
			sectionOffers: d.readOffer, sectionCustomers: d.readCustomer,
		}[kind])
	default:
		r.Fail("section of kind %d after one of kind %d", kind, d.last)
	}
	d.last = kind
	return r.Close()
}

// each reads the items of a section of a list.
func (d *captureReader) each(r *wire.Reader, item func(*wire.Reader)) {
	for r.Err() == nil && r.Len() > 0 {
		item(r)
	}
}

func (d *captureReader) readHead(r *wire.Reader) {
	if format := r.Uvarint(); r.Err() == nil && format != captureFormat {
		r.Fail("format %d, want %d", format, captureFormat)
		return
	}
	applied, clock, aged, nextSpace := r.Uvarint(), r.Varint(), r.Varint(), readUint32(r)
	limits := Limits{
		MaxRows: r.Varint(), MaxAge: time.Duration(r.Varint()),
		MaxCustomers: r.Varint(), MaxSummaries: r.Varint(), MaxOffersPerCustomer: r.Varint(),
	}
	if err := limits.Validate(); err != nil && r.Err() == nil {
		r.Fail("limits: %v", err)
	}
	d.im = newImage(limits)
	d.im.applied.Store(applied)
	d.im.clock, d.im.aged, d.im.nextSpace = clock, aged, nextSpace
	for _, c := range d.im.gone.all() {
		c.Store(readCount(r))
	}
}

// readCount reads a number that is not negative.
func readCount(r *wire.Reader) int64 {
	n := r.Varint()
	if n < 0 {
		r.Fail("count of %d", n)
		return 0
	}
	return n
}

func readID(r *wire.Reader) decision.InteractionID {
	return decision.InteractionID{Index: r.Uvarint(), Seq: readUint32(r)}
}

func (d *captureReader) readJob(r *wire.Reader) {
	kind := r.Uvarint()
	j := job{kind: jobKind(min(kind, math.MaxUint8)), space: readUint32(r), from: readID(r), to: readID(r), key: strings.Clone(r.String())}
	switch {
	case r.Err() != nil:
	case j.kind < jobRows || j.kind > jobAudit || j.space >= d.im.nextSpace || j.to.Less(j.from):
		r.Fail("job of kind %d on space %d", kind, j.space)
	case (j.kind == jobKey) != (j.key != "") || (j.key != "" && j.key[0] != kindState):
		r.Fail("job of kind %d with key %x", kind, j.key)
	default:
		d.jobs = append(d.jobs, j)
	}
}

func (d *captureReader) readTenant(r *wire.Reader) {
	if d.finishTenant(r); r.Err() != nil {
		return
	}
	ordinal, space := readUint32(r), readUint32(r)
	if d.t != nil && ordinal <= d.t.ordinal {
		r.Fail("tenant %d after tenant %d", ordinal, d.t.ordinal)
	}
	for _, t := range *d.im.tenants.Load() {
		if t.space == space {
			r.Fail("tenants %d and %d share space %d", t.ordinal, ordinal, space)
		}
	}
	if space >= d.im.nextSpace {
		r.Fail("space %d, next is %d", space, d.im.nextSpace)
	}
	t := newTenant(ordinal, space)
	floor := readID(r)
	t.floor.Store(&floor)
	d.rows = readCount(r)
	for _, c := range t.all() {
		c.Store(readCount(r))
	}
	d.customers, d.summaries = readCount(r), readCount(r)
	d.t, d.offers = t, make(map[uint32]string)
	if r.Err() == nil {
		(*d.im.tenants.Load())[ordinal] = t // nobody else sees the image yet
	}
}

// finishTenant checks that everything announced of a tenant has come.
func (d *captureReader) finishTenant(r *wire.Reader) {
	if d.t == nil {
		return
	}
	customers, summaries := d.t.counts()
	if rows := d.t.rows.Load(); rows != d.rows || customers != d.customers || summaries != d.summaries {
		r.Fail("tenant %d has %d rows, %d customers, %d summaries, want %d, %d, %d", d.t.ordinal,
			rows, customers, summaries, d.rows, d.customers, d.summaries)
	}
	if live := d.t.offers.live; live != len(d.offers) && r.Err() == nil {
		r.Fail("tenant %d has %d offers, %d of them in summaries", d.t.ordinal, len(d.offers), live)
	}
}

func (d *captureReader) readSegment(r *wire.Reader) {
	s := segment{first: readID(r), last: readID(r), rows: readCount(r), opened: r.Varint(), newest: r.Varint()}
	before := *d.t.floor.Load()
	if n := len(d.t.segments); n > 0 {
		before = d.t.segments[n-1].last
	}
	if !before.Less(s.first) || s.last.Less(s.first) || s.last.Index > d.im.applied.Load() || s.rows < 1 {
		r.Fail("segment from %v to %v after %v with %d rows", s.first, s.last, before, s.rows)
		return
	}
	d.t.segments = append(d.t.segments, s)
	d.t.rows.Add(s.rows)
}

func (d *captureReader) readState(r *wire.Reader) {
	model := r.String()
	ref := stateRef{version: r.Uvarint(), id: readID(r)}
	if _, again := d.t.state(model, ref.version); again || ref.id.Index > d.im.applied.Load() {
		r.Fail("state of version %d of model %q put at %v", ref.version, model, ref.id)
	}
	if r.Err() == nil {
		d.t.putState(strings.Clone(model), ref)
	}
}

func (d *captureReader) readOffer(r *wire.Reader) {
	number, id := readUint32(r), r.String()
	if _, again := d.offers[number]; again || id == "" {
		r.Fail("offer %q of number %d", id, number)
	}
	if r.Err() == nil {
		d.offers[number] = strings.Clone(id)
	}
}

// minSummary is the size of the shortest summary with its offer's number.
const minSummary = 5

func (d *captureReader) readCustomer(r *wire.Reader) {
	id, n := r.String(), r.Count(minSummary)
	hash := hash64(id)
	if r.Err() != nil {
		return
	}
	sh := d.t.shard(hash)
	if n < 1 || n > maxOffersPerCustomer || id == "" || len(id) > maxCustomerID || sh.findCustomer(hash, id) != 0 {
		r.Fail("customer %q with %d summaries", id, n)
		return
	}
	sh.reserve()
	c := sh.customer(hash, id)
	for range n {
		number, summary := readUint32(r), readSummary(r)
		name, known := d.offers[number]
		if !known || r.Err() != nil {
			r.Fail("offer number %d of customer %q", number, id)
			return
		}
		d.addSummary(r, sh, c, name, summary)
	}
}

func (d *captureReader) addSummary(r *wire.Reader, sh *shard, c uint32, name string, s decision.Summary) {
	o := d.t.offers.intern(name)
	if sh.findRow(c, o.number) != 0 {
		r.Fail("two summaries with offer %q", name)
		return
	}
	sh.reserve()
	o.refs++
	e := sh.rows.edit(sh.addRow(c, o.number))
	e.impressions, e.positives, e.negatives, e.lastContactAt = s.Impressions, s.Positives, s.Negatives, s.LastContactAt
}
