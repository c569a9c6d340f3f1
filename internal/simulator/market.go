package simulator

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Config says which market.
type Config struct {
	Seed      uint64
	Customers int // size of the population that visitors come from
}

// DefaultConfig is the market of the demo.
func DefaultConfig() Config { return Config{Seed: 1, Customers: 20_000} }

// Validate names what is wrong with the configuration.
func (c Config) Validate() error {
	if c.Customers < 1 {
		return fmt.Errorf("simulator: got %d customers, want at least 1", c.Customers)
	}
	return nil
}

// Market draws customers, visitors and outcomes. It is immutable.
type Market struct{ cfg Config }

// New makes a market.
func New(cfg Config) (*Market, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Market{cfg}, nil
}

// Stream separates the visitors a policy meets from those a model is tested on.
type Stream uint64

// The streams of visitors.
const (
	Play Stream = 1
	Test Stream = 2
)

// The streams of everything else that is drawn.
const (
	customerStream = 16
	outcomeStream  = 32 // plus the visitors' stream
	offerStream    = 48 // plus the visitors' stream
)

// Visitor is a customer who arrived at a channel.
type Visitor struct {
	Stream   Stream
	Index    int
	Customer Customer
	Channel  *Channel
}

// Visitor returns the t-th visitor of a stream: a customer drawn uniformly from
// the population (so customers return) at a channel drawn by its share.
func (m *Market) Visitor(s Stream, t int) Visitor {
	rng := m.rand(uint64(s), uint64(t))
	customer := rng.IntN(m.cfg.Customers)
	u := rng.Float64()
	channel := 0
	for u -= channels[0].Share; u >= 0 && channel < len(channels)-1; u -= channels[channel].Share {
		channel++
	}
	return Visitor{s, t, m.Customer(customer), &channels[channel]}
}

// Context returns what is known of the visit: the channel.
func (v *Visitor) Context() map[string]any { return map[string]any{"channel": v.Channel.ID} }

// Probability returns the true probability that the visitor accepts the offer.
func (v *Visitor) Probability(o *Offer) float64 { return Probability(&v.Customer, o, v.Channel) }

// Best returns the offer with the highest true probability for the visitor.
func (v *Visitor) Best() (*Offer, float64) {
	best, highest := 0, -1.0
	for i := range offers {
		if p := v.Probability(&offers[i]); p > highest {
			best, highest = i, p
		}
	}
	return &offers[best], highest
}

// Regret returns what showing the offer loses in expectation: the best offer's
// probability minus this one's, never negative.
func (v *Visitor) Regret(o *Offer) float64 {
	_, best := v.Best()
	return best - v.Probability(o)
}

// Accepts returns whether the visitor accepts the offer, a draw that is the same
// at every call.
func (m *Market) Accepts(v *Visitor, o *Offer) bool {
	u := m.rand(outcomeStream+uint64(v.Stream), uint64(v.Index)*uint64(len(offers))+uint64(o.index)).Float64()
	return u < v.Probability(o)
}

// RandomOffer returns an offer drawn uniformly for the visitor: the policy that
// knows nothing.
func (m *Market) RandomOffer(v *Visitor) *Offer {
	return &offers[m.rand(offerStream+uint64(v.Stream), uint64(v.Index)).IntN(len(offers))]
}

// Shuffled returns the offers in an order drawn for the visitor, so that a tie
// that is broken by order favours no offer.
func (m *Market) Shuffled(v *Visitor) []*Offer {
	out := make([]*Offer, len(offers))
	rng := m.rand(offerStream+uint64(v.Stream), uint64(v.Index))
	for i, j := range rng.Perm(len(offers)) {
		out[i] = &offers[j]
	}
	return out
}

// BestFixed returns the offer that is best when every visitor is shown the same
// one, over n visitors of the stream, and its mean probability: the most that a
// policy which does not look at the customer can hope for.
func (m *Market) BestFixed(s Stream, n int) (*Offer, float64) {
	sums := make([]float64, len(offers))
	for t := range n {
		v := m.Visitor(s, t)
		for i := range offers {
			sums[i] += v.Probability(&offers[i])
		}
	}
	best := 0
	for i := range sums {
		if sums[i] > sums[best] {
			best = i
		}
	}
	return &offers[best], sums[best] / float64(max(n, 1))
}

// rand returns the generator of one index of one stream.
func (m *Market) rand(stream, index uint64) *rand.Rand {
	return rand.New(rand.NewPCG(mix(m.cfg.Seed)^mix(stream<<32), mix(index)))
}

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood 2014): neighbouring
// indexes become unrelated seeds.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func sigmoid(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
