package demo

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/praetor-engine/praetor/internal/client"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/simulator"
)

const (
	checkpoints = 10
	// roundSize is how many visitors are decided before their outcomes come in:
	// feedback is never instant outside of textbooks.
	roundSize = 50
	// defaultTestRows gives an AUC a standard error of about 0.01 at the
	// market's acceptance.
	defaultTestRows = 5000
	// truthRows are the visitors over which the bounds of the market are
	// averaged.
	truthRows = 20_000
	// askers is how many scores are asked for at once.
	askers = 4
)

// market is the simulated market in play.
type market struct {
	*session
	truth    *simulator.Market
	visitors int
	entrants []*entrant
	desks    []*desk
	table    *learningTable
	test     testSet
	// fixed is the best offer when everybody gets the same one.
	fixed       *simulator.Offer
	fixedRegret float64 // its sum over all visitors so far
	lines       [][]string
}

// playMarket plays rounds of visitors: every desk decides for its share of them,
// the market answers, and all outcomes go back to the engine.
func (s *session) playMarket(ctx context.Context, o Options) error {
	cfg := simulator.DefaultConfig()
	cfg.Seed = o.Seed
	truth, err := simulator.New(cfg)
	if err != nil {
		return err
	}
	m := &market{session: s, truth: truth, visitors: o.Visitors}
	m.entrants = marketEntrants(m.offerIDs())
	m.desks = newDesks(m.entrants)
	m.introduce(cfg)
	if err := s.create(ctx, m.entrants); err != nil {
		return err
	}
	m.prepareTest(cmp.Or(o.testRows, defaultTestRows))
	began := time.Now()
	if err := m.play(ctx); err != nil {
		return err
	}
	s.out.line("")
	s.out.note("%s visitors in %.1f s, every decision and every outcome through the HTTP API.",
		count(o.Visitors), time.Since(began).Seconds())
	m.printRegret()
	if err := m.printRanking(ctx); err != nil {
		return err
	}
	s.hints(m.entrants[m.table.best(m.entrants)])
	return nil
}

func (m *market) introduce(cfg simulator.Config) {
	var uniform, best float64
	for t := range truthRows {
		v := m.truth.Visitor(simulator.Play, t)
		_, p := v.Best()
		best += p / truthRows
		for i := range simulator.Offers() {
			uniform += v.Probability(&simulator.Offers()[i]) / truthRows / float64(len(simulator.Offers()))
		}
	}
	fixed, rate := m.truth.BestFixed(simulator.Play, truthRows)
	m.fixed = fixed
	m.out.title("A simulated market")
	m.out.note("%s customers, %d offers, %d channels, seed %d; engine: %s.",
		count(cfg.Customers), len(simulator.Offers()), len(simulator.Channels()), cfg.Seed, m.engineName())
	m.out.note("The truth is a formula that the models cannot see. Shown at random, offers are accepted by %.1f %% of the visitors; "+
		"the best single offer, %s, by %.1f %%; the best offer for each visitor by %.1f %%.",
		100*uniform, fixed.Name, 100*rate, 100*best)
}

func (m *market) offerIDs() []string {
	ids := make([]string, 0, len(simulator.Offers()))
	for i := range simulator.Offers() {
		ids = append(ids, m.offerID(&simulator.Offers()[i]))
	}
	return ids
}

func (m *market) offerID(o *simulator.Offer) string { return o.ID + m.run }

// attributes are what is recorded with an outcome: all that a score of the same
// customer and offer would have seen, without the context.
func attributes(v *simulator.Visitor, o *simulator.Offer) object {
	row := v.Customer.Attributes()
	maps.Copy(row, o.Attributes(&v.Customer))
	return row
}

// prepareTest draws the test set and prints what the truth itself reaches on it.
func (m *market) prepareTest(rows int) {
	scored := make([]learn.Scored, rows)
	for t := range rows {
		v := m.truth.Visitor(simulator.Test, t)
		o := m.truth.RandomOffer(&v)
		row := attributes(&v, o)
		maps.Copy(row, v.Context())
		accepted := m.truth.Accepts(&v, o)
		m.test.rows = append(m.test.rows, client.BatchRow{CustomerID: v.Customer.ID(), Attributes: row})
		m.test.offers = append(m.test.offers, m.offerID(o))
		m.test.labels = append(m.test.labels, accepted)
		scored[t] = learn.Scored{Score: v.Probability(o), Positive: accepted}
	}
	best := learn.Measure(scored, learn.EvaluationHoldout)
	m.out.title("How the models learn")
	m.out.note("Measured on %s visitors that no model has met. The truth itself reaches AUC %s and log-loss %s there; "+
		"nothing can do better but by luck.", count(rows), figure(best.AUC, 3), figure(best.LogLoss, 3))
	m.out.line("")
}

func (m *market) play(ctx context.Context) error {
	m.table = m.newLearningTable(m.entrants, 3)
	next := 1
	for done := 0; done < m.visitors; {
		m.out.progress(done, m.visitors, "visitors")
		n := min(roundSize, m.visitors-done)
		if err := m.round(ctx, done, n); err != nil {
			return err
		}
		done += n
		if done*checkpoints < m.visitors*next {
			continue
		}
		next++
		if err := m.learn(ctx, done); err != nil {
			return err
		}
	}
	m.out.finish()
	return nil
}

// learn trains, measures and notes the desks' regret.
func (m *market) learn(ctx context.Context, done int) error {
	if err := m.train(ctx, m.entrants); err != nil {
		return err
	}
	if err := m.checkpoint(ctx, m.table, m.entrants, &m.test, done); err != nil {
		return err
	}
	for _, d := range m.desks {
		d.ready = true
	}
	m.noteRegret(done)
	return nil
}

// round decides for n visitors from the first on and sends their outcomes.
func (m *market) round(ctx context.Context, first, n int) error {
	visitors := make([]simulator.Visitor, n)
	shown := make([]*simulator.Offer, n)
	err := each(n, askers, func(i int) (err error) {
		visitors[i] = m.truth.Visitor(simulator.Play, first+i)
		shown[i], err = m.choose(ctx, m.desk(first+i), &visitors[i])
		return err
	})
	if err != nil {
		return err
	}
	outcomes := make([]client.Outcome, n)
	for i := range visitors {
		v := &visitors[i]
		d := m.desk(first + i)
		d.regret += v.Regret(shown[i])
		m.fixedRegret += v.Regret(m.fixed)
		outcomes[i] = m.outcome(v, shown[i], d)
	}
	return m.respond(ctx, outcomes)
}

func (m *market) outcome(v *simulator.Visitor, o *simulator.Offer, d *desk) client.Outcome {
	outcome := client.Outcome{
		CustomerID: v.Customer.ID(), OfferID: m.offerID(o), CategoryID: o.Category.String(), ChannelID: v.Channel.ID,
		Outcome: "dismiss", Direction: "inbound",
		IdempotencyKey: "visitor-" + strconv.Itoa(v.Index) + m.run,
		Attributes:     attributes(v, o), Context: v.Context(),
	}
	if m.truth.Accepts(v, o) {
		outcome.Outcome = "accept"
	}
	if d.model != nil && d.ready {
		outcome.ModelID = d.model.id
	}
	return outcome
}

// respond sends outcomes; all of them must be recorded.
func (s *session) respond(ctx context.Context, outcomes []client.Outcome) error {
	result, err := s.client.RespondBulk(ctx, outcomes)
	if err != nil {
		return fmt.Errorf("sending outcomes: %w", err)
	}
	if len(result.Errors) > 0 {
		e := result.Errors[0]
		return fmt.Errorf("%d of %d outcomes were refused, the first (%s of %s): %s",
			result.Failed, result.Processed, outcomes[e.Index].Outcome, outcomes[e.Index].CustomerID, e.Message)
	}
	return nil
}

// each calls f for 0 to n−1 on several goroutines. After an error no further
// call begins; the first error is returned.
func each(n, goroutines int, f func(i int) error) error {
	var wg sync.WaitGroup
	var next atomic.Int64
	var once sync.Once
	var first error
	for range min(n, goroutines) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := f(i); err != nil {
					once.Do(func() { first = err })
					next.Store(int64(n))
					return
				}
			}
		})
	}
	wg.Wait()
	return first
}
