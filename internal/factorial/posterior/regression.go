package posterior

import (
	"math"
	"slices"

	"github.com/praetor-engine/praetor/internal/factorial"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// regression is the belief of CMAB: the parameters that occur in the data are
// jointly normal, the others as their priors say and independent of everything.
//
//	θ = mean + noise·L⁻ᵀ·z,  L·Lᵀ the precision
//
// Of boolean rewards noise is 1; of numbers it is drawn, σ² ~ inverse gamma(a, b), and
// a reward is center + scale·θᵀx.
type regression struct {
	*design
	numeric bool
	widths  []float64 // of the exploration bias; nil for none

	occurring []int     // the parameters that occur, ascending
	mean      []float64 // of those
	factor    *symmetric

	a, b          float64
	center, scale float64

	theta []float64 // the last draw, of all parameters
	z     []float64
	sums  utilities
}

// example is one observed pair of variant and cell: the parameters in effect, by
// their places among those that occur.
type example struct {
	effects        []int32
	n, sum, square float64
}

// newRegression fits the model.
func newRegression(s *factorial.Space, observed []factorial.Observed, numeric bool, bias []float64) (*regression, error) {
	r := &regression{design: newDesign(s), numeric: numeric, scale: 1}
	r.widths = r.design.widths(bias)
	examples := r.examples(observed)
	var err error
	if numeric {
		err = r.fitLinear(examples, observed)
	} else {
		err = r.fitLogistic(examples)
	}
	if err != nil {
		return nil, err
	}
	r.theta, r.z = make([]float64, r.size), make([]float64, len(r.occurring))
	r.sums = newUtilities(s)
	return r, nil
}

// examples finds the parameters that occur and what was observed in their terms.
func (r *regression) examples(observed []factorial.Observed) []example {
	occurs := make([]bool, r.size)
	var effects []int
	for i := range observed {
		effects = r.appendEffects(effects[:0], observed[i].Variant, observed[i].Cell)
		for _, j := range effects {
			occurs[j] = true
		}
	}
	index := make([]int32, r.size)
	for j, yes := range occurs {
		if yes {
			index[j] = int32(len(r.occurring))
			r.occurring = append(r.occurring, j)
		}
	}
	examples := make([]example, len(observed))
	for i := range observed {
		o := &observed[i]
		effects = r.appendEffects(effects[:0], o.Variant, o.Cell)
		slices.Sort(effects)
		e := example{effects: make([]int32, len(effects)), n: float64(o.N), sum: o.Sum, square: o.SumSq}
		for k, j := range effects {
			e.effects[k] = index[j]
		}
		examples[i] = e
	}
	return examples
}

// precisions returns those of the priors of the parameters that occur.
func (r *regression) precisions() []float64 {
	p := make([]float64, len(r.occurring))
	for i, j := range r.occurring {
		d := r.deviation(j)
		p[i] = 1 / (d * d)
	}
	return p
}

// precision fills h with Xᵀ·W·X + the priors' precisions; weight is that of an
// example.
func precision(h *symmetric, examples []example, priors []float64, weight func(*example) float64) {
	h.clear()
	for i := range examples {
		e := &examples[i]
		w := weight(e)
		for k, j := range e.effects { // ascending, so the lower half
			row := h.row(int(j))
			for _, l := range e.effects[:k+1] {
				row[l] += w
			}
		}
	}
	for j, p := range priors {
		h.row(j)[j] += p
	}
}

func (e *example) predict(theta []float64) float64 {
	sum := 0.0
	for _, j := range e.effects {
		sum += theta[j]
	}
	return sum
}

// deviations returns the posterior standard deviation of each parameter, of numbers
// in units of the reward's standard deviation. Cost: p³/6.
func (r *regression) deviations() []float64 {
	all := make([]float64, r.size)
	noise := 1.0
	if r.numeric {
		noise = r.b / (r.a - 1)
	}
	for j := range all {
		all[j] = math.Sqrt(noise) * r.deviation(j)
	}
	for i, v := range r.factor.inverseDiagonal() {
		all[r.occurring[i]] = math.Sqrt(noise * v)
	}
	return all
}

func (r *regression) draw(v *variates, biased bool) {
	noise := 1.0
	if r.numeric {
		noise = math.Sqrt(r.b / v.gamma(r.a))
	}
	for i := range r.z {
		r.z[i] = v.normal()
	}
	r.factor.solveUpper(r.z)
	next := 0
	for j := range r.theta {
		mean, distance := 0.0, 0.0
		if next < len(r.occurring) && r.occurring[next] == j {
			mean, distance = r.mean[next], float64(noise*r.z[next])
			next++
		} else {
			distance = float64(noise * r.deviation(j) * v.normal())
		}
		if biased && r.widths != nil {
			distance *= r.widths[j]
		}
		r.theta[j] = mean + distance
	}
}

func (r *regression) drawMean() {
	clear(r.theta)
	for i, j := range r.occurring {
		r.theta[j] = r.mean[i]
	}
}

func (r *regression) predict(at *place, out []float64) { r.sums.predict(r.design, r.theta, at, out) }

func (r *regression) reward(predicted float64) float64 {
	if r.numeric {
		return r.center + float64(r.scale*predicted)
	}
	return encode.Sigmoid(predicted)
}
