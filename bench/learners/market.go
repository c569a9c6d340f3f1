package learners

import (
	"maps"
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/client"
	"github.com/praetor-engine/praetor/internal/dataset"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/simulator"
)

const (
	marketSeed      = 1
	marketCustomers = 100_000
	// marketFields are the attributes of a customer about whom all is known, with
	// the offer and the channel.
	marketFields = 10
)

// newMarket draws interactions of the simulated market: four numbers, two truths
// and two categories of the customer, the offer, drawn at random, and the channel. Visitors
// about whom something is not known are passed over, so that every library gets
// the same full rows.
func newMarket(rows int) (*dataset.Table, []client.Outcome, error) {
	market, err := simulator.New(simulator.Config{Seed: marketSeed, Customers: marketCustomers})
	if err != nil {
		return nil, nil, err
	}
	t := &dataset.Table{Rows: make([]decision.Row, 0, rows), Labels: make([]bool, 0, rows)}
	outcomes := make([]client.Outcome, 0, rows)
	for next := 0; len(t.Rows) < rows; next++ {
		v := market.Visitor(simulator.Play, next)
		attributes := v.Customer.Attributes()
		offer := market.RandomOffer(&v)
		attributes["offer"], attributes["channel"] = offer.ID, v.Channel.ID
		if len(attributes) != marketFields {
			continue
		}
		o := client.Outcome{
			CustomerID: v.Customer.ID(), OfferID: offer.ID, ChannelID: v.Channel.ID, Outcome: "dismiss", Attributes: attributes,
		}
		accepted := market.Accepts(&v, offer)
		if accepted {
			o.Outcome = "accept"
		}
		t.Rows, t.Labels = append(t.Rows, rowOf(attributes)), append(t.Labels, accepted)
		outcomes = append(outcomes, o)
	}
	return t, outcomes, nil
}

// rowOf returns flat attributes as a row, sorted by name.
func rowOf(attributes map[string]any) decision.Row {
	row := make(decision.Row, 0, len(attributes))
	for _, name := range slices.SortedFunc(maps.Keys(attributes), strings.Compare) {
		f := decision.Field{Name: name}
		switch v := attributes[name].(type) {
		case float64:
			f.Kind, f.Num = decision.Number, v
		case bool:
			f.Kind = decision.Bool
			if v {
				f.Num = 1
			}
		case string:
			f.Kind, f.Text = decision.Text, v
		}
		row = append(row, f)
	}
	return row
}

// attributesOf is the reverse of rowOf.
func attributesOf(row decision.Row) map[string]any {
	out := make(map[string]any, len(row))
	for i := range row {
		switch f := &row[i]; f.Kind {
		case decision.Number:
			out[f.Name] = f.Num
		case decision.Bool:
			out[f.Name] = f.Num != 0
		case decision.Text:
			out[f.Name] = f.Text
		}
	}
	return out
}

func every(t *dataset.Table) []int {
	all := make([]int, len(t.Rows))
	for i := range all {
		all[i] = i
	}
	return all
}
