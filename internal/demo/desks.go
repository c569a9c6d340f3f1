package demo

import (
	"context"
	"fmt"

	"github.com/praetor-engine/praetor/internal/client"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/simulator"
)

// desk serves every n-th visitor by one policy: by chance, or by the offer that
// its model ranks first.
type desk struct {
	title  string
	model  *entrant // nil: by chance
	ready  bool     // its model has something to go by; until then by chance
	regret float64  // what its choices lost so far, in acceptances
}

// newDesks makes the desks whose regret is compared: chance, both bandits, and
// the logistic model as one that looks at the customer.
func newDesks(entrants []*entrant) []*desk {
	desks := []*desk{{title: "uniform"}}
	for _, want := range []decision.ModelType{decision.EpsilonGreedy, decision.ThompsonBandit, decision.LogisticRegression} {
		for _, e := range entrants {
			if e.kind == want {
				desks = append(desks, &desk{title: e.title, model: e, ready: want.Bandit()})
			}
		}
	}
	return desks
}

func (m *market) desk(visitor int) *desk { return m.desks[visitor%len(m.desks)] }

// choose returns the offer that the desk shows the visitor.
func (m *market) choose(ctx context.Context, d *desk, v *simulator.Visitor) (*simulator.Offer, error) {
	if d.model == nil || !d.ready {
		return m.truth.RandomOffer(v), nil
	}
	// Ties are broken by the order of the request, so the order is drawn.
	candidates := m.truth.Shuffled(v)
	ranking, err := m.rank(ctx, d.model, v, candidates)
	if err != nil {
		return nil, fmt.Errorf("ranking with the %s model: %w", d.title, err)
	}
	return m.offer(ranking.Scores[0].OfferID)
}

func (m *market) rank(ctx context.Context, e *entrant, v *simulator.Visitor, candidates []*simulator.Offer) (client.Ranking, error) {
	set := client.OfferSet{CustomerID: v.Customer.ID(), CustomerAttributes: v.Customer.Attributes(), Context: v.Context()}
	for _, o := range candidates {
		set.Offers = append(set.Offers, client.Offer{ID: m.offerID(o), Name: o.Name, Attributes: o.Attributes(&v.Customer)})
	}
	ranking, err := m.client.ScoreOfferSet(ctx, e.id, set)
	if err == nil && len(ranking.Scores) != len(candidates) {
		err = fmt.Errorf("got %d scores for %d offers", len(ranking.Scores), len(candidates))
	}
	return ranking, err
}

func (m *market) offer(id string) (*simulator.Offer, error) {
	for i := range simulator.Offers() {
		if o := &simulator.Offers()[i]; m.offerID(o) == id {
			return o, nil
		}
	}
	return nil, fmt.Errorf("the engine ranked an offer %q that it was not asked about", id)
}

// noteRegret keeps a line of the regret table.
func (m *market) noteRegret(done int) {
	line := []string{count(done / len(m.desks))}
	for _, d := range m.desks {
		line = append(line, fmt.Sprintf("%.1f", d.regret))
	}
	m.lines = append(m.lines, append(line, fmt.Sprintf("%.1f", m.fixedRegret/float64(len(m.desks)))))
}

func (m *market) printRegret() {
	m.out.title("What the choices cost")
	m.out.note("Visitors are dealt to %d desks in turn. Cumulative regret is the acceptances a desk lost by not showing each visitor "+
		"the truly best offer. A bandit does not look at the visitor: the best it can become is the last column, the best single offer for everybody.",
		len(m.desks))
	m.out.line("")
	columns := []column{{title: "visitors each"}}
	for _, d := range m.desks {
		columns = append(columns, column{title: d.title, width: 10})
	}
	columns = append(columns, column{title: "best single"})
	m.out.table(columns, m.lines)
}
