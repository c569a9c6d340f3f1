package engine

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/experiment"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/wire"
)

// A share of the requests that score a family with an active experiment is scored
// by all its models once more, off the response path: what a challenger would have
// said to the customers of the others is known before it is given any. What the
// client is answered has nothing to do with it. Models that another system scores
// for are left out: that system would be asked behind its owner's back.

// DefaultShadowShare is the share of the requests that are scored by all models.
const DefaultShadowShare = 0.02

// The bounds of what waits to be scored.
const (
	shadowQueue = 256     // requests
	shadowBytes = 1 << 16 // of one request; a larger one is left out
)

// ShadowBins is how many equal parts of [0, 1] a histogram of scores has.
const ShadowBins = 20

// ShadowResults compare the scores that an experiment's models gave to the same
// requests of one node, since it knows the experiment.
type ShadowResults struct {
	Share   float64       `json:"share"`
	Dropped uint64        `json:"dropped"` // requests of all experiments that the queue had no room for
	Models  []ShadowModel `json:"models"`
}

// ShadowModel is one model's part.
type ShadowModel struct {
	Variant   string   `json:"variant"`
	ModelID   string   `json:"modelId"`
	Samples   uint64   `json:"samples"`
	Mean      float64  `json:"mean"`
	StdDev    float64  `json:"stdDev"`
	Histogram []uint64 `json:"histogram"`
	// MeanDifference and MeanAbsDifference are of score − the champion's score of
	// the same request.
	MeanDifference    float64 `json:"meanDifference"`
	MeanAbsDifference float64 `json:"meanAbsDifference"`
	// PSI is the population stability index of the scores against the champion's.
	PSI float64 `json:"psi"`
}

// shadow scores behind the scenes.
type shadow struct {
	engine  *Engine
	share   float64
	free    chan *shadowJob
	queue   chan *shadowJob
	scored  atomic.Uint64 // requests
	dropped atomic.Uint64
}

// shadowJob is a request that is to be scored by all models of an experiment, in
// memory of its own: customer, offer and row in their binary form.
type shadowJob struct {
	running *experimentRuntime
	at      decision.Time
	request []byte
}

func newShadow(e *Engine, share float64) *shadow {
	s := &shadow{engine: e, share: share, free: make(chan *shadowJob, shadowQueue), queue: make(chan *shadowJob, shadowQueue)}
	for range shadowQueue {
		s.free <- &shadowJob{}
	}
	return s
}

// Shadow may let the other models of the experiment score a request too, later.
// The request is copied; nothing waits and, in the steady state, nothing is
// allocated. rng is the caller's.
func (s *Scorer) Shadow(customerID, offerID string, base, over decision.Row, at decision.Time, rng *rand.Rand, scratch *RankScratch) {
	if s.running == nil || rng == nil {
		return
	}
	if sh := s.running.shadow.of; sh != nil && rng.Float64() < sh.share {
		row := base
		if len(over) > 0 {
			scratch.row = decision.AppendMerged(scratch.row[:0], base, over)
			row = scratch.row
		}
		sh.put(s.running, customerID, offerID, row, at)
	}
}

func (s *shadow) put(x *experimentRuntime, customerID, offerID string, row decision.Row, at decision.Time) {
	select {
	case j := <-s.free:
		j.running, j.at = x, at
		j.request = wire.AppendString(wire.AppendString(j.request[:0], customerID), offerID)
		if j.request = command.AppendRow(j.request, row); len(j.request) > shadowBytes {
			j.running, j.request = nil, nil
			s.free <- j // there is room: the job came from there
			s.dropped.Add(1)
			return
		}
		s.queue <- j // there is room for every job
	default:
		s.dropped.Add(1)
	}
}

// run scores until ctx ends.
func (s *shadow) run(ctx context.Context) {
	seed := uint64(time.Now().UnixNano())
	w := shadowWorker{engine: s.engine, rng: rand.New(rand.NewPCG(seed, seed>>1))}
	for {
		select {
		case j := <-s.queue:
			w.score(ctx, j)
			s.scored.Add(1)
			j.running = nil
			s.free <- j
		case <-ctx.Done():
			return
		}
	}
}

// shadowWorker has the memory of the goroutine that scores.
type shadowWorker struct {
	engine  *Engine
	rng     *rand.Rand
	row     decision.Row
	scratch RankScratch
	result  learn.Result
	arms    []learn.ArmScore
	scores  []float64
}

// score scores one request by every model of the experiment that can score it.
func (w *shadowWorker) score(ctx context.Context, j *shadowJob) {
	r := wire.NewReader(string(j.request))
	req := learn.Request{CustomerID: r.String(), OfferID: r.String(), Rand: w.rng}
	w.row = command.ReadRow(&r, w.row[:0])
	if r.Close() != nil {
		return
	}
	req.Row = w.row
	w.scores = w.scores[:0]
	for i, mr := range j.running.models {
		score := math.NaN()
		if s, err := w.engine.scorerOf(mr); i > 0 && err == nil && !s.external() {
			w.arms, _ = s.Score(ctx, &req, j.at, &w.scratch, &w.result, w.arms[:0])
			score = w.result.Score
		}
		w.scores = append(w.scores, score)
	}
	j.running.shadow.add(j.running.Plan, w.scores)
}

// shadowStats are the scores of one experiment's models on this node.
type shadowStats struct {
	of     *shadow // nil: this process shadows nothing
	mu     sync.Mutex
	models map[string]*scoreDistribution
}

// scoreDistribution is what was seen of one model's scores.
type scoreDistribution struct {
	n                 uint64
	mean, m2          float64 // B. P. Welford's running moments
	bins              [ShadowBins]uint64
	paired            uint64 // with a score of the champion
	diffSum, diffAbsS float64
}

// newShadowStats goes on from those of another split: models that take part in
// both keep what they have.
func newShadowStats(of *shadow, old *shadowStats, plan *experiment.Plan) *shadowStats {
	s := &shadowStats{of: of, models: map[string]*scoreDistribution{}}
	if old != nil {
		old.mu.Lock()
		defer old.mu.Unlock()
	}
	for _, v := range plan.Variants {
		s.models[v.ModelID] = &scoreDistribution{}
		if old != nil && old.models[v.ModelID] != nil {
			*s.models[v.ModelID] = *old.models[v.ModelID]
		}
	}
	return s
}

// add adds the scores of one request, in the order of the plan's variants; NaN is
// none.
func (s *shadowStats) add(plan *experiment.Plan, scores []float64) {
	const champion = 1
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := champion; i < len(scores); i++ {
		if math.IsNaN(scores[i]) {
			continue
		}
		d := s.models[plan.Variants[i].ModelID]
		d.add(scores[i])
		if diff := scores[i] - scores[champion]; !math.IsNaN(diff) {
			d.paired++
			d.diffSum += diff
			d.diffAbsS += math.Abs(diff)
		}
	}
}

func (d *scoreDistribution) add(score float64) {
	d.n++
	delta := score - d.mean
	d.mean += delta / float64(d.n)
	d.m2 += delta * (score - d.mean)
	d.bins[min(max(int(score*ShadowBins), 0), ShadowBins-1)]++
}

// psi is Σ (p − q)·ln(p/q) over the bins of two histograms, each count with a half
// added so that an empty bin has a logarithm.
func (d *scoreDistribution) psi(base *scoreDistribution) (sum float64) {
	if d.n == 0 || base.n == 0 {
		return 0
	}
	share := func(d *scoreDistribution, i int) float64 {
		return (float64(d.bins[i]) + 0.5) / (float64(d.n) + 0.5*ShadowBins)
	}
	for i := range d.bins {
		p, q := share(d, i), share(base, i)
		sum += (p - q) * math.Log(p/q)
	}
	return sum
}

// results compares what this node saw of an experiment's variants.
func (s *shadow) results(x *catalogue.Experiment, variants []experiment.VariantResult) ShadowResults {
	out := ShadowResults{Share: s.share, Dropped: s.dropped.Load(), Models: []ShadowModel{}}
	all := s.engine.machine.directory.experiments.Load()
	if all == nil || all.byID[x.ID] == nil {
		return out
	}
	stats := all.byID[x.ID].shadow
	stats.mu.Lock()
	defer stats.mu.Unlock()
	base := stats.models[x.ChampionModelID]
	for i := range variants {
		v := &variants[i]
		if d := stats.models[v.ModelID]; d != nil && base != nil && v.Variant != experiment.Holdout {
			out.Models = append(out.Models, d.view(v, base))
		}
	}
	return out
}

func (d *scoreDistribution) view(v *experiment.VariantResult, base *scoreDistribution) ShadowModel {
	m := ShadowModel{
		Variant: v.Variant, ModelID: v.ModelID, Samples: d.n, Mean: d.mean, Histogram: append([]uint64{}, d.bins[:]...), PSI: d.psi(base),
	}
	if d.n > 1 {
		m.StdDev = math.Sqrt(d.m2 / float64(d.n-1))
	}
	if d.paired > 0 {
		m.MeanDifference, m.MeanAbsDifference = d.diffSum/float64(d.paired), d.diffAbsS/float64(d.paired)
	}
	return m
}
