package httpapi

import (
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/engine"
)

// maxOffers is how many offers one request may rank.
const maxOffers = 1000

// explains reports whether answers of the type carry explanations: embeddings
// and other systems' scores have no parts that a reader could name.
func explains(t decision.ModelType) bool {
	return t != decision.NeuralCF && t != decision.ExternalEndpoint
}

func (s *Server) scoreModel(rq *request) error {
	explain, err := rq.scoreRequest()
	if err != nil {
		return err
	}
	sc, err := s.engine.Scorer(rq.tenant(), rq.params[0])
	if err != nil {
		return err
	}
	s.score(rq, &sc, explain)
	return nil
}

// scoreRequest reads everything of a score: the body into the score memory, and
// whether the score is to be explained.
func (rq *request) scoreRequest() (explain bool, err error) {
	if explain, err = rq.flag("explain", true); err != nil {
		return false, err
	}
	return explain, rq.scoreBody()
}

// score scores what is in the score memory and answers with it.
func (s *Server) score(rq *request, sc *engine.Scorer, explain bool) {
	sc.RequestID = rq.id
	m := sc.Model()
	mem := &rq.score
	mem.request.Rand = rq.rng
	explain = explain && explains(m.ModelType)
	mem.request.Explain = explain
	var best int
	at := decision.TimeOf(s.now())
	mem.arms, best = sc.Score(rq.ctx, &mem.request, at, &mem.scratch, &mem.result, mem.arms[:0])
	sc.Serve(rq.nameDecision(sc, mem.request.CustomerID), mem.request.CustomerID, mem.request.OfferID, at, mem.result.Score, mem.arms, best)
	rq.out = appendScore(rq.out, m.ModelType, mem, best, explain)
	sc.LogScore(engine.RouteScore, mem.decisionID, at, &mem.request, &mem.result, mem.arms, best, &mem.scratch)
}

// nameDecision gives a decision that is to be logged an id, if the client has not. It
// returns the id under which the scores wait for their outcomes: the client's own,
// as a client that names no decision need not do so in outcomes; without a customer
// any is better than none.
func (rq *request) nameDecision(sc *engine.Scorer, customer string) (waiting string) {
	mem := &rq.score
	if mem.decisionID != "" || !sc.Logs() {
		return mem.decisionID
	}
	mem.newID = engine.AppendDecisionID(mem.newID[:0], rq.rng)
	mem.decisionID = alias(mem.newID)
	if customer != "" {
		return ""
	}
	return mem.decisionID
}

// scoreBody reads the body of a score into the score memory.
func (rq *request) scoreBody() error {
	if err := rq.beginBody(); err != nil {
		return err
	}
	var attributes, context decision.Row
	req := &rq.score.request
	if rq.enterObject() {
		for rq.nextField() {
			switch rq.key {
			case "attributes":
				attributes = rq.row()
			case "context":
				context = rq.row()
			case "offerId":
				req.OfferID = rq.optionalStr(maxName)
			case "customerId":
				req.CustomerID = rq.optionalStr(maxName)
			case "decisionId":
				rq.score.decisionID = rq.optionalStr(maxName)
			default:
				rq.unknown()
			}
		}
	}
	req.Row = rq.merge(attributes, context)
	return rq.decoder.err()
}

// merge returns the row in which context wins over the attributes.
func (rq *request) merge(attributes, context decision.Row) decision.Row {
	if len(context) == 0 {
		return attributes
	}
	rq.score.base = decision.AppendMerged(rq.score.base[:0], attributes, context)
	return rq.score.base
}

func (s *Server) scoreOfferSet(rq *request) error {
	customer, base, err := rq.offerSetBody()
	if err != nil {
		return err
	}
	sc, err := s.engine.Scorer(rq.tenant(), rq.params[0])
	if err != nil {
		return err
	}
	s.rank(rq, &sc, customer, base)
	return nil
}

// rank ranks the offers in the score memory and answers with them.
func (s *Server) rank(rq *request, sc *engine.Scorer, customer string, base decision.Row) {
	sc.RequestID = rq.id
	mem := &rq.score
	at := decision.TimeOf(s.now())
	mem.ranked = sc.RankOffers(rq.ctx, customer, base, mem.offers, at, rq.rng, &mem.scratch, mem.ranked[:0])
	sc.ServeRanking(rq.nameDecision(sc, customer), customer, at, mem.offers, mem.ranked)
	rq.out = appendRanking(rq.out, sc.Model(), customer, mem)
	sc.LogRanking(mem.decisionID, customer, at, base, mem.offers, mem.ranked, &mem.scratch)
}

// offerSetBody reads the customer and the offers, these into the score memory.
func (rq *request) offerSetBody() (customer string, base decision.Row, err error) {
	if err := rq.beginBody(); err != nil {
		return "", nil, err
	}
	var attributes, context decision.Row
	if rq.enterObject() {
		for rq.nextField() {
			switch rq.key {
			case "customerAttributes":
				attributes = rq.row()
			case "context":
				context = rq.row()
			case "customerId":
				customer = rq.optionalStr(maxName)
			case "decisionId":
				rq.score.decisionID = rq.optionalStr(maxName)
			case "offers":
				rq.offers()
			default:
				rq.unknown()
			}
		}
		rq.need("offers")
	}
	return customer, rq.merge(attributes, context), rq.decoder.err()
}

// offers reads the array of offers.
func (rq *request) offers() {
	mem := &rq.score
	mem.offers = mem.offers[:0]
	if !rq.enterArray() {
		return
	}
	if mem.ids == nil {
		mem.ids = make(map[string]struct{})
	}
	for rq.nextItem(maxOffers) {
		o := rq.offer()
		if o.ID == "" {
			continue
		}
		if _, twice := mem.ids[o.ID]; twice {
			rq.invalid("id", "%q is there twice", clip(o.ID))
		}
		mem.ids[o.ID] = struct{}{}
		mem.offers = append(mem.offers, o)
	}
	if len(mem.offers) == 0 && !rq.failed {
		rq.wrongf("must have 1 to %d items, got 0", maxOffers)
	}
}

func (rq *request) offer() (o engine.Offer) {
	if !rq.enterObject() {
		return o
	}
	for rq.nextField() {
		switch rq.key {
		case "id":
			o.ID = rq.str(1, maxName)
		case "name":
			o.Name = rq.optionalStr(maxName)
		case "attributes":
			o.Attributes = rq.row()
		default:
			rq.unknown()
		}
	}
	rq.need("id")
	return o
}
