package neuralcf

// embedding is a table in training: n rows of dim numbers and a last one for the
// unknown, which is the mean of those that have rows to train on.
type embedding struct {
	dim     int
	values  []float32
	counts  []uint32  // of each: how many rows of the training it has
	squares []float32 // of each: the sum of its mean squared gradients
	// Of the batch:
	slots   []uint32 // of each: its place in touched, from 1; 0 not touched
	touched []touch
	grads   []float32 // of each touched one
}

type touch struct{ row, times uint32 }

// newEmbedding makes a table of n for a training whose rows have these places.
func newEmbedding(cfg *config, n int, places []uint32) embedding {
	e := embedding{
		dim: cfg.dim, values: make([]float32, (n+1)*cfg.dim), counts: make([]uint32, n), squares: make([]float32, n),
		slots: make([]uint32, n), grads: make([]float32, 0, cfg.batchSize*cfg.dim),
	}
	for _, i := range places {
		if i != e.unknown() {
			e.counts[i]++
		}
	}
	return e
}

func (e *embedding) unknown() uint32 { return uint32(len(e.counts)) }

func (e *embedding) row(i uint32) []float32 { return e.values[int(i)*e.dim : (int(i)+1)*e.dim] }

// known returns i, or the unknown's place when i had no row to train on.
func (e *embedding) known(i uint32) uint32 {
	if i != e.unknown() && e.counts[i] == 0 {
		return e.unknown()
	}
	return i
}

// add adds a gradient to the batch's. The unknown has none: it follows from the
// others.
func (e *embedding) add(i uint32, g []float32) {
	if i == e.unknown() {
		return
	}
	slot := int(e.slots[i])
	if slot == 0 {
		e.touched = append(e.touched, touch{row: i})
		slot = len(e.touched)
		e.slots[i] = uint32(slot)
		e.grads = e.grads[:slot*e.dim]
		clear(e.grads[(slot-1)*e.dim:])
	}
	e.touched[slot-1].times++
	addScaled(e.grads[(slot-1)*e.dim:slot*e.dim], 1, g)
}

// step moves what the batch touched, then shrinks it by its penalty.
func (e *embedding) step(cfg *config) {
	for slot, t := range e.touched {
		g, row := e.grads[slot*e.dim:(slot+1)*e.dim], e.row(t.row)
		e.squares[t.row] += dot(g, g) / float32(e.dim)
		rate := float32(cfg.learningRate) / sqrt(1+e.squares[t.row])
		addScaled(row, -rate, g)
		shrink := 1 / (1 + rate*float32(cfg.l2)*float32(t.times)/float32(e.counts[t.row]))
		for k := range row {
			row[k] *= shrink
		}
		e.slots[t.row] = 0
	}
	e.touched, e.grads = e.touched[:0], e.grads[:0]
}

// average sets the unknown to the mean of those that are trained.
func (e *embedding) average() {
	sum := make([]float64, e.dim)
	n := 0
	for i, rows := range e.counts {
		if rows == 0 {
			continue
		}
		n++
		for k, v := range e.row(uint32(i)) {
			sum[k] += float64(v)
		}
	}
	mean := e.row(e.unknown())
	for k := range mean {
		mean[k] = float32(sum[k] / float64(max(n, 1)))
	}
}
