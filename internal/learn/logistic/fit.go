package logistic

import (
	"context"
	"math"
	"math/rand/v2"

	"github.com/praetor-engine/praetor/internal/learn"
)

// model is a fit in progress. It minimises
//
//	Σ weight·loss / Σ weight + l1·|w| + l2/2·w²
//
// over weights of standardised numbers and categories; the bias is not penalised.
//
// The steps are stochastic gradient descent with AdaGrad's rate per feature,
// rate/(1 + √Σg²), in the form of FTRL-Proximal (McMahan et al., Ad click
// prediction: a view from the trenches, 2013, algorithm 1): without a penalty the
// two are the same; with one, a weight follows from its sums z and n and from how
// much weight t was seen, so that L1 gives exact zeros and both penalties act in
// full on features that few rows have, without touching them in every step. The
// penalties grow with t (McMahan, Follow-the-regularized-leader and mirror
// descent, 2011, section 2: composite objectives), which makes l1 and l2 shares
// of the mean loss whatever the number of passes.
type model struct {
	cfg  *config
	base float64 // log-odds of the positive rate, where the bias starts
	t    float64 // weight of the examples seen
	w    []float64
	z, n []float64 // sum of gradients less rate changes · w; sum of squared gradients
	// The bias comes last in w, z, n and g.
	g       []float64 // gradient of the batch
	batch   uint32    // number of the batch, from 1
	inBatch []uint32  // batch that a category's weight was last in
	touched []uint32  // category weights in the batch
}

func newModel(cfg *config, d *design, base float64) *model {
	size := d.n + d.weights + 1
	m := &model{cfg: cfg, base: base}
	m.w, m.z, m.n, m.g = make([]float64, size), make([]float64, size), make([]float64, size), make([]float64, size)
	m.inBatch = make([]uint32, d.weights)
	return m
}

func (m *model) bias() float64 { return m.base + m.w[len(m.w)-1] }

// blockRows is how many rows in sequence an epoch reads before it goes on
// elsewhere; they were put there at random.
const blockRows = 1024

// epoch goes once over the rows [0, end) in a new order of the blocks.
func (m *model) epoch(ctx context.Context, d *design, end int, rng *rand.Rand) error {
	blocks := make([]uint32, (end+blockRows-1)/blockRows)
	for i := range blocks {
		blocks[i] = uint32(i)
	}
	shuffle(rng, blocks)
	for _, b := range blocks {
		if err := ctx.Err(); err != nil {
			return err
		}
		to := min((int(b)+1)*blockRows, end)
		for i := int(b) * blockRows; i < to; i += m.cfg.batchSize {
			m.step(d, i, min(i+m.cfg.batchSize, to))
		}
	}
	for j := d.n; j < len(m.w)-1; j++ { // what the penalties did since the last touch
		m.refresh(j)
	}
	return nil
}

// step learns from the rows [from, to).
func (m *model) step(d *design, from, to int) {
	m.batch++
	m.touched = m.touched[:0]
	for i := from; i < to; i++ {
		m.touch(d.slots[i*d.s : (i+1)*d.s])
		m.touch(d.rowMembers(i))
	}
	for i := from; i < to; i++ {
		m.gradient(d, i)
	}
	for j := range d.n {
		m.update(j)
	}
	for _, h := range m.touched {
		m.update(d.n + int(h))
	}
	m.updateBias()
}

// touch prepares category weights for a batch: index 0, no category, is prepared
// too but updated never, so its weight stays 0.
func (m *model) touch(categories []uint32) {
	penalised := m.cfg.l1 != 0 || m.cfg.l2 != 0
	numbers := len(m.w) - 1 - len(m.inBatch)
	for _, h := range categories {
		if m.inBatch[h] == m.batch || h == 0 {
			continue
		}
		m.inBatch[h] = m.batch
		m.touched = append(m.touched, h)
		if penalised {
			m.refresh(numbers + int(h))
		}
	}
}

// margin returns the log-odds of row i.
func (m *model) margin(d *design, i int) float64 {
	x := d.numbers[i*d.n : (i+1)*d.n]
	w := m.w[:len(x)]
	sum := m.bias()
	for j, v := range x {
		sum += w[j] * float64(v)
	}
	w = m.w[d.n:]
	for _, h := range d.slots[i*d.s : (i+1)*d.s] {
		sum += w[h]
	}
	for _, h := range d.rowMembers(i) {
		sum += w[h]
	}
	return sum
}

// gradient adds the gradient of row i to that of the batch.
func (m *model) gradient(d *design, i int) {
	weight, y := math.Abs(float64(d.labels[i])), 0.0
	if d.labels[i] > 0 {
		y = 1
	}
	err := weight * (learn.Sigmoid(m.margin(d, i)) - y)
	m.t += weight
	x := d.numbers[i*d.n : (i+1)*d.n]
	g := m.g[:len(x)]
	for j, v := range x {
		g[j] += err * float64(v)
	}
	g = m.g[d.n:]
	for _, h := range d.slots[i*d.s : (i+1)*d.s] {
		g[h] += err
	}
	for _, h := range d.rowMembers(i) {
		g[h] += err
	}
	m.g[len(m.g)-1] += err
}

// update moves weight j by the batch's gradient.
func (m *model) update(j int) {
	m.accumulate(j)
	m.refresh(j)
}

func (m *model) accumulate(j int) {
	g := m.g[j]
	m.g[j] = 0
	n := m.n[j] + g*g
	m.z[j] += g - (math.Sqrt(n)-math.Sqrt(m.n[j]))/m.cfg.learningRate*m.w[j]
	m.n[j] = n
}

// refresh computes weight j from its sums: the minimum of z·w + t·l1·|w| +
// (1/rate + t·l2)·w²/2.
func (m *model) refresh(j int) {
	z, l1 := m.z[j], m.t*m.cfg.l1
	switch {
	case z > l1:
		z -= l1
	case z < -l1:
		z += l1
	default:
		m.w[j] = 0
		return
	}
	m.w[j] = -z / ((1+math.Sqrt(m.n[j]))/m.cfg.learningRate + m.t*m.cfg.l2)
}

func (m *model) updateBias() {
	j := len(m.w) - 1
	m.accumulate(j)
	m.w[j] = -m.z[j] * m.cfg.learningRate / (1 + math.Sqrt(m.n[j]))
}

func (d *design) rowMembers(i int) []uint32 {
	if d.spans == nil {
		return nil
	}
	return d.members[d.spans[i].from:d.spans[i].to]
}
