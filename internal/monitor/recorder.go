package monitor

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/praetor-engine/praetor/internal/decision"
)

// DefaultScores is how many served scores a node keeps: 4 MiB.
const DefaultScores = 1 << 18

// DefaultWindow is how long outcomes are joined to a served score, in
// milliseconds.
const DefaultWindow = millisecondsADay

// Recorder is what one node knows of the scores it served. It is safe for use
// from any goroutine.
type Recorder struct {
	table *table

	mu      sync.Mutex
	tracks  map[string]*Track // by model
	slots   []*Track          // nil: free
	next    int               // where to look for a free one
	pending map[pendingKey]*pendingDay
	joined  uint64
}

type pendingKey struct {
	track *Track
	date  Date
}

// pendingDay is what was learned since the last Take.
type pendingDay struct {
	positives, negatives         [Bins]uint32
	logLoss                      float64
	responses, responsePositives uint64
}

// NewRecorder returns a recorder that keeps about scores served scores for
// window milliseconds.
func NewRecorder(scores int, window int64) *Recorder {
	return &Recorder{
		table: newTable(scores, min(window, MaxWindow)), tracks: map[string]*Track{}, pending: map[pendingKey]*pendingDay{},
	}
}

// Track records the scores of one model.
type Track struct {
	Tenant, Model string

	recorder *Recorder
	slot     uint32
	hash     uint64 // of the tenant
	shards   atomic.Pointer[shards]
	arms     armCounts
}

// shards are counts of scores in several copies, so that processors that score
// with the same model seldom write to the same cache line.
type shards [shardCount]struct {
	bins [Bins]atomic.Uint32
	_    [64]byte
}

const shardCount = 4

// Track returns the track of a model, a new one when it has none. nil: more
// models than slots, whose scores are not recorded.
func (r *Recorder) Track(tenant, model string) *Track {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.tracks[model]; t != nil {
		return t
	}
	slot := len(r.slots)
	if slot == maxSlots {
		if slot = r.free(); slot < 0 {
			return nil
		}
	} else {
		r.slots = append(r.slots, nil)
	}
	t := &Track{Tenant: tenant, Model: model, recorder: r, slot: uint32(slot), hash: mix(r.table.subject(0, 0, tenant))}
	r.slots[slot], r.tracks[model] = t, t
	return t
}

// free returns a slot that a model left, the longest ago first.
func (r *Recorder) free() int {
	for range r.slots {
		r.next = (r.next + 1) % len(r.slots)
		if r.slots[r.next] == nil {
			return r.next
		}
	}
	return -1
}

// Forget drops what was recorded of a model.
func (r *Recorder) Forget(model string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tracks[model]
	if t == nil {
		return
	}
	delete(r.tracks, model)
	r.slots[t.slot] = nil
	for key := range r.pending {
		if key.track == t {
			delete(r.pending, key)
		}
	}
}

// Subject is whom scores are served to: the key under which outcomes find them.
// The zero value is nobody's.
type Subject struct{ hash uint64 }

// Subject returns that of a decision where it has an id, else of a customer. Of
// neither, and of one that is not in the sample, scores are only counted.
func (t *Track) Subject(decisionID, customerID string) (s Subject) {
	if t == nil {
		return s
	}
	table := t.recorder.table
	switch {
	case decisionID != "":
		s.hash = table.subject(kindDecision, t.hash, decisionID)
	case customerID != "":
		s.hash = table.subject(kindCustomer, t.hash, customerID)
	default:
		return s
	}
	if !table.sampled(s.hash) {
		s.hash = 0
	}
	return s
}

// MaxRanks is how many offers of a ranking wait for outcomes, the first ones: what
// is shown of it. All are counted.
const MaxRanks = 8

// Serve records a score that was served at a time, for an offer or for none, in a
// ranking at the rank, from 0. It takes no lock and allocates nothing, but for the
// first score of a model.
func (t *Track) Serve(s Subject, at decision.Time, offerID string, score float64, rank int) {
	if t == nil {
		return
	}
	all := t.shards.Load()
	if all == nil {
		all = t.newShards()
	}
	all[(uint64(at)^s.hash>>8)%shardCount].bins[BinOf(score)].Add(1)
	if s.hash != 0 && rank < MaxRanks {
		table := t.recorder.table
		table.put(s.hash, offerID, t.slot, at, score)
	}
}

// ServeRanking is Serve for each offer of a ranking; next returns the offer and the
// score at a rank.
func (t *Track) ServeRanking(s Subject, at decision.Time, n int, next func(rank int) (offerID string, score float64)) {
	if t == nil {
		return
	}
	if s.hash != 0 {
		t.recorder.table.touch(s.hash)
	}
	for rank := range n {
		offerID, score := next(rank)
		t.Serve(s, at, offerID, score, rank)
	}
}

func (t *Track) newShards() *shards {
	t.shards.CompareAndSwap(nil, new(shards))
	return t.shards.Load()
}

// Label returns what an outcome is to a model; ok is false when it has no label.
type Label func(model string) (positive, ok bool)

// Join joins an outcome to the score that it followed, if this node served it,
// and reports whether it did.
func (r *Recorder) Join(tenant string, o *decision.Outcome, label Label) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	slot := -1
	hash := mix(r.table.subject(0, 0, tenant))
	if o.ModelID != "" {
		t := r.tracks[o.ModelID]
		if t == nil || t.Tenant != tenant {
			return false
		}
		slot = int(t.slot)
	}
	word, ok := r.search(hash, o, slot)
	if !ok {
		return false
	}
	t := r.slots[slotOf(word)]
	if t == nil || t.Tenant != tenant {
		return false
	}
	positive, ok := label(t.Model)
	if !ok {
		return false
	}
	r.note(t, o, scoreOf(word), positive)
	return true
}

// search finds the served score that an outcome belongs to.
func (r *Recorder) search(tenant uint64, o *decision.Outcome, slot int) (word uint64, ok bool) {
	t := r.table
	try := func(kind uint64, id, offer string) bool {
		if subject := t.subject(kind, tenant, id); t.sampled(subject) {
			word, ok = t.find(subject, offer, slot, o.At)
		}
		return ok
	}
	switch {
	case o.DecisionID != "" && try(kindDecision, o.DecisionID, o.OfferID):
	case o.DecisionID != "" && o.OfferID != "" && try(kindDecision, o.DecisionID, ""):
	case try(kindCustomer, o.CustomerID, o.OfferID):
	case o.OfferID != "" && slot >= 0 && try(kindCustomer, o.CustomerID, ""):
	}
	return word, ok
}

// leastLoss clips scores at half a step.
const leastLoss = 0x1p-25

func (r *Recorder) note(t *Track, o *decision.Outcome, score float64, positive bool) {
	key := pendingKey{t, DateOf(decision.Time(o.At))}
	d := r.pending[key]
	if d == nil {
		d = &pendingDay{}
		r.pending[key] = d
	}
	p := min(max(score, leastLoss), 1-leastLoss)
	if positive {
		d.positives[BinOf(score)]++
		d.logLoss -= math.Log(p)
	} else {
		d.negatives[BinOf(score)]++
		d.logLoss -= math.Log1p(-p)
	}
	if o.ModelID == "" {
		scale := uint64(1) << r.table.level.Load()
		d.responses += scale
		if positive {
			d.responsePositives += scale
		}
	}
	r.joined++
}

// Take returns what was learned since it was last called, and forgets it; the
// served scores count for the day of now. It also looks whether the sample may
// grow.
func (r *Recorder) Take(now decision.Time) []Delta {
	r.table.widen(now)
	r.mu.Lock()
	tracks := slices.Collect(maps.Values(r.tracks))
	pending := r.pending
	r.pending = map[pendingKey]*pendingDay{}
	r.mu.Unlock()
	today := DateOf(now)
	var all []Delta
	for _, t := range tracks {
		served, arms := t.take(), t.arms.take(today)
		if len(served) > 0 || len(arms) > 0 {
			d := Delta{Tenant: t.Tenant, Model: t.Model, Day: int32(today), Scores: served, Arms: arms}
			key := pendingKey{t, today}
			pending[key].addTo(&d)
			delete(pending, key)
			all = append(all, d)
		}
	}
	for key, p := range pending {
		d := Delta{Tenant: key.track.Tenant, Model: key.track.Model, Day: int32(key.date)}
		p.addTo(&d)
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b Delta) int {
		return cmp.Or(strings.Compare(a.Tenant, b.Tenant), strings.Compare(a.Model, b.Model), cmp.Compare(a.Day, b.Day))
	})
	return all
}

// addTo fills in what is known of a day, which may be nothing.
func (p *pendingDay) addTo(d *Delta) {
	if p != nil {
		d.Positives, d.Negatives, d.LogLoss = countsOf(&p.positives), countsOf(&p.negatives), p.logLoss
		d.Responses, d.ResponsePositives = p.responses, p.responsePositives
	}
}

// take empties the counts of served scores.
func (t *Track) take() Counts {
	all := t.shards.Load()
	if all == nil {
		return nil
	}
	var bins [Bins]uint32
	for i := range all {
		for bin := range bins {
			if c := &all[i].bins[bin]; c.Load() != 0 {
				bins[bin] += c.Swap(0)
			}
		}
	}
	return countsOf(&bins)
}

// RecorderStats are a recorder's figures.
type RecorderStats struct {
	Joined      uint64  // outcomes that were joined
	SampleShare float64 // of the customers whose scores are kept
}

// Stats returns the present figures.
func (r *Recorder) Stats() RecorderStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return RecorderStats{Joined: r.joined, SampleShare: 1 / float64(uint64(1)<<r.table.level.Load())}
}
