package posterior

import (
	"errors"
	"math"

	"github.com/praetor-engine/praetor/internal/factorial"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

const (
	// maxSteps of Newton's method are far more than the six or so it takes: the
	// log-posterior is strictly concave.
	maxSteps = 100
	// converged is Newton's decrement gᵀH⁻¹g, the squared distance to the maximum in
	// posterior standard deviations, before the last step; a step squares it.
	converged = 1e-10
)

var errNotConverged = errors.New("the fit did not converge")

// fitLogistic finds the maximum of
//
//	ln p(θ | y) = Σ [Σy·η − n·ln(1+e^η)] − ½ Σ θⱼ²/sdⱼ²,  η = θᵀx
//
// by Newton's method, which here is iteratively reweighted least squares, halving
// steps that do not increase it; then the precision is its Hessian there,
// Xᵀ·diag(n·μ(1−μ))·X + diag(1/sd²).
func (r *regression) fitLogistic(examples []example) error {
	priors := r.precisions()
	p := len(priors)
	r.mean, r.factor = make([]float64, p), newSymmetric(p)
	step, trial := make([]float64, p), make([]float64, p)
	n, sum := 0.0, 0.0
	for i := range examples {
		n += examples[i].n
		sum += examples[i].sum
	}
	r.mean[0] = math.Log((sum + 0.5) / (n - sum + 0.5)) // every effect but the intercept at its prior's mean
	value := logPosterior(examples, priors, r.mean)
	for range maxSteps {
		r.gradient(examples, priors, step)
		if err := r.curvature(examples, priors); err != nil {
			return err
		}
		r.factor.solveLower(step, 0)
		decrement := dot(step, step)
		r.factor.solveUpper(step)
		if decrement < converged {
			for j := range step {
				r.mean[j] += step[j]
			}
			return r.curvature(examples, priors)
		}
		scale := 1.0
		for ; scale > 1e-12; scale /= 2 {
			for j := range trial {
				trial[j] = r.mean[j] + float64(scale*step[j])
			}
			if v := logPosterior(examples, priors, trial); v > value-1e-12*math.Abs(value) {
				value = v
				break
			}
		}
		if scale <= 1e-12 {
			return errNotConverged
		}
		copy(r.mean, trial)
	}
	return errNotConverged
}

// gradient fills g with Xᵀ(Σy − n·μ) − θ/sd².
func (r *regression) gradient(examples []example, priors, g []float64) {
	for j := range g {
		g[j] = -float64(priors[j] * r.mean[j])
	}
	for i := range examples {
		e := &examples[i]
		eta := e.predict(r.mean)
		residual := float64(e.sum*encode.Sigmoid(-eta)) - float64((e.n-e.sum)*encode.Sigmoid(eta)) // Σy − n·μ, without its cancellation
		for _, j := range e.effects {
			g[j] += residual
		}
	}
}

// curvature computes the factor of the Hessian at the mean.
func (r *regression) curvature(examples []example, priors []float64) error {
	precision(r.factor, examples, priors, func(e *example) float64 {
		eta := e.predict(r.mean)
		return e.n * encode.Sigmoid(eta) * encode.Sigmoid(-eta)
	})
	return r.factor.factorize()
}

func logPosterior(examples []example, priors, theta []float64) float64 {
	sum := 0.0
	for i := range examples {
		e := &examples[i]
		eta := e.predict(theta)
		sum -= float64(e.sum*softplus(-eta)) + float64((e.n-e.sum)*softplus(eta)) // Σy·η − n·softplus(η), without its cancellation
	}
	for j, t := range theta {
		sum -= float64(priors[j]*t*t) / 2
	}
	return sum
}

// softplus returns ln(1+e^x).
func softplus(x float64) float64 {
	far := math.Abs(x)
	return max(x, 0) + math.Log1p(encode.Sigmoid(-far)/encode.Sigmoid(far)) // the quotient is e^−far
}

// fitLinear computes the conjugate posterior of z = (y − center)/scale:
//
//	Λ = XᵀX + diag(1/sd²),  mean = Λ⁻¹Xᵀz,  θ | σ² ~ N(mean, σ²·Λ⁻¹)
//	a = a₀ + n/2,  b = b₀ + ½(zᵀz − meanᵀ·Λ·mean)
//
// (A. Gelman et al., Bayesian Data Analysis, 3rd edition, 14.8), with the prior of
// σ² that has a₀ = 2 and the mean 1, the variance of all z.
func (r *regression) fitLinear(examples []example, observed []factorial.Observed) error {
	mean, variance := moments(observed)
	r.center, r.scale = mean, math.Sqrt(variance)
	if !(r.scale > 0) {
		r.scale = 1 // all rewards are the same
	}
	priors := r.precisions()
	r.mean, r.factor = make([]float64, len(priors)), newSymmetric(len(priors))
	precision(r.factor, examples, priors, func(e *example) float64 { return e.n })
	if err := r.factor.factorize(); err != nil {
		return err
	}
	n, squares := 0.0, 0.0
	for i := range examples {
		e := &examples[i]
		z := (e.sum - float64(e.n*r.center)) / r.scale
		own := e.sum / e.n
		d := own - r.center
		squares += (max(e.square-float64(e.sum*own), 0) + float64(e.n*d*d)) / (r.scale * r.scale)
		n += e.n
		for _, j := range e.effects {
			r.mean[j] += z
		}
	}
	r.factor.solveLower(r.mean, 0)
	explained := dot(r.mean, r.mean) // meanᵀ·Λ·mean
	r.factor.solveUpper(r.mean)
	r.a = priorShape + n/2
	r.b = (priorShape - 1) + max(squares-explained, 0)/2
	return nil
}
