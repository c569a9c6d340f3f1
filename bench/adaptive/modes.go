package adaptive

import (
	"math"

	"github.com/praetor-engine/praetor/internal/evidence"
	"github.com/praetor-engine/praetor/internal/simulator"
)

// mode is a way to correct scores.
type mode struct {
	name   string
	config evidence.Config
}

// halfLifeDays is that of the modes that forget.
const halfLifeDays = 14

var modes = func() []mode {
	configure := func(m evidence.Mode, halfLife float64) evidence.Config {
		c := evidence.DefaultConfig()
		c.Mode, c.HalfLifeDays = m, halfLife
		return c
	}
	return []mode{
		{"off", configure(evidence.Off, 0)},
		{"ladder", configure(evidence.Ladder, 0)},
		{"ladder, half-life 14 d", configure(evidence.Ladder, halfLifeDays)},
		{"blend", configure(evidence.Blend, 0)},
		{"blend, half-life 14 d", configure(evidence.Blend, halfLifeDays)},
	}
}()

// spanDays is over how long a calibration is taken, and the step of the plot.
const (
	spanDays = 15
	spans    = days / spanDays
)

// exploration is the share of visitors who are shown any offer.
const exploration = 0.05

// figures are what one mode did in one round.
type figures struct {
	excess      float64 // log-loss above the truth's
	calibration float64
	regret      float64 // acceptances for 1000 visitors
	excessBy    [spans]float64
}

// run lets a mode predict, and then decide.
func (m *market) run(c mode, kind modelKind) figures {
	f := m.predict(c, kind)
	f.regret = m.decide(c, kind)
	return f
}

// query asks for the corrected score of an offer.
func (v *visit) query(kind modelKind, offer int) evidence.Query {
	o := &simulator.Offers()[offer]
	return evidence.Query{
		OfferID: o.ID, CategoryID: o.Category.String(), Score: v.scores[kind][offer], Scored: true, At: v.millis(),
	}
}

// learn counts the outcome of an offer that was shown.
func (m *market) learn(s *evidence.Set, v *visit, kind modelKind, offer int) {
	o := &simulator.Offers()[offer]
	s.Observe(&evidence.Outcome{
		OfferID: o.ID, CategoryID: o.Category.String(), At: v.millis(), Positive: m.accepts(v, offer), Weight: 1,
		Score: v.scores[kind][offer], Scored: true,
	})
	s.Publish()
}

func (m *market) predict(c mode, kind modelKind) (f figures) {
	set := evidence.New(c.config)
	view := set.Publish()
	var cells [spans][offerCount]struct{ n, predicted, truth float64 }
	for i := range m.visits {
		v := &m.visits[i]
		q := v.query(kind, v.random)
		score, truth := view.Score(&q).Score, m.probability(v, v.random)
		span := int(v.day / spanDays)
		f.excessBy[span] += divergence(truth, score)
		cell := &cells[span][v.random]
		cell.n++
		cell.predicted += score
		cell.truth += truth
		m.learn(set, v, kind, v.random)
	}
	n := float64(len(m.visits))
	for span := range cells {
		f.excess += f.excessBy[span] / n
		f.excessBy[span] /= n / spans
		for _, cell := range cells[span] {
			f.calibration += math.Abs(cell.predicted-cell.truth) / n
		}
	}
	return f
}

// divergence is the expected log-loss of the score q under the truth p, less that
// of p itself: the Kullback–Leibler divergence.
func divergence(p, q float64) float64 {
	const least = 1e-9
	q = min(max(q, least), 1-least)
	return p*math.Log(p/q) + (1-p)*math.Log((1-p)/(1-q))
}

func (m *market) decide(c mode, kind modelKind) (regret float64) {
	set := evidence.New(c.config)
	view := set.Publish()
	for i := range m.visits {
		v := &m.visits[i]
		chosen, highest, best := v.random, -1.0, 0.0
		for o := range offerCount {
			best = max(best, m.probability(v, o))
			if v.tries < exploration {
				continue
			}
			q := v.query(kind, o)
			if score := view.Score(&q).Score; score > highest {
				chosen, highest = o, score
			}
		}
		regret += best - m.probability(v, chosen)
		m.learn(set, v, kind, chosen)
	}
	return 1000 * regret / float64(len(m.visits))
}
