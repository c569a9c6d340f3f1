package warehouse

import (
	"github.com/praetor-engine/praetor/internal/attribution"
)

// Bounded passes a stream on as long as no visitor has more events than the limit.
func Bounded[E any](s attribution.Stream[E], limits Limits, what string) attribution.Stream[E] {
	return &bounded[E]{stream: s, most: limits.MaxVisitorRows, what: what}
}

type bounded[E any] struct {
	stream  attribution.Stream[E]
	what    string
	visitor string
	n, most int
}

func (b *bounded[E]) Next() (visitor string, event E, ok bool, err error) {
	visitor, event, ok, err = b.stream.Next()
	if err != nil || !ok {
		return visitor, event, ok, err
	}
	if visitor != b.visitor {
		b.visitor, b.n = visitor, 0
	}
	if b.n++; b.n > b.most {
		return "", event, false, Fault(ReasonLimit, nil,
			"%s: the visitor %.60q has more than %d rows; an id must tell visitors apart", b.what, visitor, b.most)
	}
	return visitor, event, true, nil
}

// CheckRows refuses a row beyond the limit; n counts from 1.
func (l Limits) CheckRows(n int64, what string) error {
	if n > l.MaxRows {
		return Fault(ReasonLimit, nil, "%s: there are more than the %d rows that may be read; narrow what is read down", what, l.MaxRows)
	}
	return nil
}
