package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/praetor-engine/praetor/internal/client"
	"github.com/praetor-engine/praetor/internal/simulator"
)

// The shape of the traffic.
const (
	customers  = 100_000
	offers     = 50
	attributes = 8 // of a customer
	seed       = 1 // of everything drawn
)

// BulkSize is how many outcomes a bulk request has.
const BulkSize = 500

// workload draws customers and outcomes from the simulated market. Customers
// with missing attributes are passed over, so that every row is full.
type workload struct {
	market *simulator.Market
	next   int // visitor
}

func newWorkload() (*workload, error) {
	m, err := simulator.New(simulator.Config{Seed: seed, Customers: customers})
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	return &workload{market: m}, nil
}

// visitor returns the next visitor whose attributes are all known.
func (w *workload) visitor() (simulator.Visitor, map[string]any) {
	for {
		v := w.market.Visitor(simulator.Play, w.next)
		w.next++
		if row := v.Customer.Attributes(); len(row) == attributes {
			return v, row
		}
	}
}

// outcome draws one that every learning model learns from: an offer of n was
// accepted or dismissed.
func (w *workload) outcome(rng *rand.Rand, n int) client.Outcome {
	v, row := w.visitor()
	offer := rng.IntN(n)
	truth := simulator.Offers()
	o := client.Outcome{
		CustomerID: v.Customer.ID(), OfferID: "offer-" + strconv.Itoa(offer), ChannelID: v.Channel.ID,
		Outcome: "dismiss", Attributes: row,
	}
	if w.market.Accepts(&v, &truth[offer%len(truth)]) {
		o.Outcome = "accept"
	}
	return o
}

// bulkBody is the body of a bulk request.
type bulkBody struct {
	Outcomes []client.Outcome `json:"outcomes"`
}

// bulk prepares requests of BulkSize outcomes each.
func (w *workload) bulk(key string, requests int) ([][]byte, error) {
	rng := rand.New(rand.NewPCG(seed, 1))
	out := make([][]byte, requests)
	for i := range out {
		body := bulkBody{make([]client.Outcome, BulkSize)}
		for j := range body.Outcomes {
			body.Outcomes[j] = w.outcome(rng, offers)
		}
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("bench: %w", err)
		}
		out[i] = PrepareRequest("/api/v1/respond/bulk", key, b)
	}
	return out, nil
}

// single prepares requests of one outcome each.
func (w *workload) single(key string, requests int) ([][]byte, error) {
	rng := rand.New(rand.NewPCG(seed, 2))
	out := make([][]byte, requests)
	for i := range out {
		b, err := json.Marshal(w.outcome(rng, offers))
		if err != nil {
			return nil, fmt.Errorf("bench: %w", err)
		}
		out[i] = PrepareRequest("/api/v1/respond", key, b)
	}
	return out, nil
}

// bulkUnits is a Load's Units for bulk requests: the outcomes acknowledged, all
// of which must be.
func bulkUnits(status int, body []byte) (int, error) {
	if status != 200 {
		return 0, errStatus(status, body)
	}
	if failed, ok := intField(body, "failed"); !ok || failed != 0 {
		return 0, fmt.Errorf("bench: got an answer with failures: %.300s", body)
	}
	n, ok := intField(body, "succeeded")
	if !ok {
		return 0, fmt.Errorf("bench: got an answer without succeeded: %.300s", body)
	}
	return n, nil
}

// intField finds a number in an answer of the engine, which writes no spaces.
// It is there because decoding would cost the client more than the request.
func intField(body []byte, name string) (n int, ok bool) {
	_, rest, ok := bytes.Cut(body, []byte(`"`+name+`":`))
	if !ok {
		return 0, false
	}
	end := 0
	for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
		end++
	}
	n, err := strconv.Atoi(string(rest[:end]))
	return n, err == nil
}
