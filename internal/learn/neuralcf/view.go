package neuralcf

import (
	"github.com/praetor-engine/praetor/internal/learn"
)

// view scores. It is a model with what can be computed beforehand: the mean
// embeddings, the offers' halves of the hidden layer, and the network in
// float64, in which no sum of products of float32 numbers overflows.
type view struct {
	model *model
	w1    []float64 // the customer's half: hidden rows of dim
	w2    []float64
	b2    float64
	// offers has one row of hidden numbers for each offer, b1 + W1·v, and a last
	// one for the mean offer.
	offers []float64
	mean   []float64 // the mean customer
}

func newView(m *model) *view {
	v := &view{model: m, b2: float64(m.b2), mean: m.users.mean(m.dim)}
	for j := range m.hidden {
		row := m.w1[j*2*m.dim : (j+1)*2*m.dim]
		v.w1 = appendFloats(v.w1, row[:m.dim])
		v.w2 = append(v.w2, float64(m.w2[j]))
	}
	offers := len(m.items.ids)
	v.offers = make([]float64, 0, (offers+1)*m.hidden)
	var item []float64
	for i := range offers {
		item = appendFloats(item[:0], m.items.vectors[i*m.dim:(i+1)*m.dim])
		v.appendOffer(item)
	}
	v.appendOffer(m.items.mean(m.dim))
	return v
}

func appendFloats(dst []float64, src []float32) []float64 {
	for _, x := range src {
		dst = append(dst, float64(x))
	}
	return dst
}

func (v *view) appendOffer(item []float64) {
	m := v.model
	for j := range m.hidden {
		sum := float64(m.b1[j])
		for k, w := range m.w1[(2*j+1)*m.dim : (2*j+2)*m.dim] {
			sum += float64(w) * item[k]
		}
		v.offers = append(v.offers, sum)
	}
}

// Score implements learn.View. There are no explanations: an embedding has no
// field to name.
func (v *view) Score(req *learn.Request, res *learn.Result) {
	res.Clear()
	m := v.model
	var space [maxDim]float64
	user := space[:m.dim]
	if i, known := m.users.index[req.CustomerID]; known {
		for k, x := range m.users.vectors[int(i)*m.dim : (int(i)+1)*m.dim] {
			user[k] = float64(x)
		}
	} else {
		copy(user, v.mean)
	}
	offer, known := m.items.index[req.OfferID]
	if !known {
		offer = uint32(len(m.items.ids))
	}
	z := v.b2
	for j, sum := range v.offers[int(offer)*m.hidden : (int(offer)+1)*m.hidden] {
		if sum += dot(v.w1[j*m.dim:(j+1)*m.dim], user); sum > 0 {
			z += v.w2[j] * sum
		}
	}
	res.Score = learn.Sigmoid(z)
}
