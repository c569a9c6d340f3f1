package warehouse

import (
	"github.com/praetor-engine/praetor/internal/attribution"
)

// rewards reads rows of rewards.
type rewards struct {
	common
	name, value int
}

// NewRewards returns what makes rewards of rows with the columns. Its error names
// the columns that are not there; what is what they are of.
func NewRewards(r *Request, m *Mapping, what string, columns []string) (Rows[attribution.Reward], error) {
	b := newBinder(columns)
	x := &rewards{common: b.common(r, m), name: b.at("name", m.Name), value: b.at("value", m.Value)}
	return x, b.err(what)
}

// Read reads a row. A reward of another name, or of another optimization where it
// names one, does not concern the request.
func (x *rewards) Read(row []Cell) (visitor []byte, e attribution.Reward, ok bool, err error) {
	if x.optimization >= 0 {
		if c := &row[x.optimization]; !c.empty() && !c.is(x.request.Optimization) {
			return nil, e, false, nil
		}
	}
	if x.name >= 0 && !row[x.name].is(x.request.Reward) {
		return nil, e, false, nil
	}
	if visitor, err = x.id(row); err != nil {
		return nil, e, false, err
	}
	var counts bool
	if e.At, counts, err = x.time(row); err != nil || !counts {
		return nil, e, false, err
	}
	if e.Value, err = x.amount(row); err != nil {
		return nil, e, false, err
	}
	e.Key = x.key(row)
	return visitor, e, true, nil
}

// amount returns what the reward is worth, 1 where no column tells.
func (x *rewards) amount(row []Cell) (attribution.Amount, error) {
	v := 1.0
	if x.value >= 0 {
		cell := &row[x.value]
		var ok bool
		if v, ok = cell.number(); !ok {
			if b, is := cell.boolean(); is {
				v, ok = 0, true
				if b {
					v = 1
				}
			}
		}
		if !ok {
			return 0, wrong(x.columns[x.value], "must be a finite number, got %s", cell)
		}
	}
	amount, err := attribution.AmountOf(v)
	if err != nil {
		return 0, wrong(x.columns[x.value], "must be a number of at most %g in magnitude, got %v", float64(attribution.MaxValue), v)
	}
	return amount, nil
}
