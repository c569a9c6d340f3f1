package neuralcf

import (
	"context"
	"math"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// rows are the labelled rows of a training, those to fit first, held-out ones
// after them, both in log order.
type rows struct {
	users, items []uint32  // places in the tables
	labels       []float32 // the weight over the mean weight, negative for a negative
	fitting      int       // how many rows are not held out; all where none is
	positives    int
	userIDs      []string
	itemIDs      []string
}

// The state has to fit into a command of the replicated log, which takes 64 MiB.
// What does not fit is what is known of the customers with the fewest rows.
const (
	maxStateSize = 56 << 20
	maxItemsSize = 24 << 20
)

// stateSize is what an id and its embedding take in the binary state.
func stateSize(id string, dim int) int { return len(id) + 3 + 4*dim }

// maxWeight bounds a row's weight over the mean weight: gradients are squared in
// single precision.
const maxWeight = 1e6

// count is what the first scan finds out.
type count struct {
	rows, heldOut, positives int
	withoutOffer             int
	weight                   float64
	users, items             *census
}

func (c *count) add(ex *learn.Example) {
	if ex.OfferID == "" {
		c.withoutOffer++
		return
	}
	c.rows++
	if ex.HeldOut() {
		c.heldOut++
	}
	if ex.Positive {
		c.positives++
	}
	c.weight += ex.Weight
	c.users.add(ex.CustomerID)
	c.items.add(ex.OfferID)
}

func (c *count) check(op string) error {
	switch {
	case c.rows == 0 && c.withoutOffer > 0:
		return &decision.Error{
			Kind: decision.KindUnprocessable, Op: op, Reason: "insufficient_data",
			Msg: "no labelled interaction names an offer; neural_cf learns from outcomes with an offerId",
		}
	case c.positives == 0 || c.positives == c.rows:
		return learn.ErrOneClass(op, c.rows, c.positives)
	case c.rows > math.MaxUint32/2:
		return &decision.Error{Kind: decision.KindUnprocessable, Op: op, Msg: "over 2147483647 labelled interactions; narrow the model's filter"}
	}
	return nil
}

// readRows scans the source twice: it counts, then keeps the rows.
func readRows(ctx context.Context, cfg *config, src learn.Source) (*rows, error) {
	const op = "neuralcf.Train"
	c := count{users: newCensus(cfg.maxCustomers), items: newCensus(maxOffers)}
	if err := src.Scan(ctx, func(ex *learn.Example) error { c.add(ex); return nil }); err != nil {
		return nil, err
	}
	if err := c.check(op); err != nil {
		return nil, err
	}
	if c.rows < learn.MinHoldoutRows || c.heldOut == c.rows {
		c.heldOut = 0
	}
	c.items.close(maxItemsSize, cfg.dim)
	c.users.close(maxStateSize-maxItemsSize, cfg.dim)
	r := &rows{
		users: make([]uint32, c.rows), items: make([]uint32, c.rows), labels: make([]float32, c.rows),
		fitting: c.rows - c.heldOut, positives: c.positives, userIDs: c.users.ids(), itemIDs: c.items.ids(),
	}
	next, end := [2]int{0, r.fitting}, [2]int{r.fitting, c.rows}
	mean := c.weight / float64(c.rows)
	err := src.Scan(ctx, func(ex *learn.Example) error {
		if ex.OfferID == "" {
			return nil
		}
		part := 0
		if c.heldOut > 0 && ex.HeldOut() {
			part = 1
		}
		i := next[part]
		if i == end[part] {
			return &decision.Error{Kind: decision.KindInternal, Op: op, Msg: "the second scan gave other rows than the first"}
		}
		next[part]++
		r.users[i], r.items[i] = c.users.place(ex.CustomerID), c.items.place(ex.OfferID)
		r.labels[i] = label(ex, mean)
		return nil
	})
	if err == nil && next != end {
		err = &decision.Error{Kind: decision.KindInternal, Op: op, Msg: "the second scan gave fewer rows than the first"}
	}
	return r, err
}

func label(ex *learn.Example, mean float64) float32 {
	w := float32(min(max(ex.Weight/mean, 1/maxWeight), maxWeight))
	if ex.Positive {
		return w
	}
	return -w
}
