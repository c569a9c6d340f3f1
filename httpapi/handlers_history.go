package httpapi

import (
	"strconv"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/engine"
	"github.com/praetor-engine/praetor/internal/jsontext"
)

func (s *Server) listInteractions(rq *request) error {
	p, err := rq.page()
	if err != nil {
		return err
	}
	var f engine.HistoryFilter
	for _, q := range []struct {
		name string
		to   *string
	}{{"customerId", &f.CustomerID}, {"offerId", &f.OfferID}, {"type", &f.Type}} {
		if *q.to, err = rq.queryText(q.name); err != nil {
			return err
		}
	}
	l, err := s.engine.Interactions(rq.ctx, rq.tenant(), f, p)
	if err != nil {
		return err
	}
	dst := append(rq.out, `{"data":[`...)
	for i := range l.Items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendInteraction(dst, &l.Items[i])
	}
	dst = append(dst, `],"pagination":{"total":`...)
	if l.Total < 0 { // counting would need a scan of the whole history
		dst = append(dst, "null"...)
	} else {
		dst = strconv.AppendInt(dst, l.Total, 10)
	}
	dst = strconv.AppendBool(append(dst, `,"hasMore":`...), l.HasMore)
	dst = jsontext.AppendCount(dst, "limit", p.Limit)
	dst = jsontext.AppendNullable(dst, "cursor", l.Cursor)
	rq.out = append(dst, "}}\n"...)
	return nil
}

func (s *Server) listSummaries(rq *request) error {
	customer, err := rq.queryText("customerId")
	if err != nil {
		return err
	}
	if customer == "" {
		return decision.Invalid("customerId", "is required: the customer whose summaries are wanted")
	}
	rows, err := s.engine.Summaries(rq.tenant(), customer)
	if err != nil {
		return err
	}
	dst := jsontext.AppendString(append(rq.out, `{"customerId":`...), customer)
	dst = append(dst, `,"data":[`...)
	for i := range rows {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jsontext.AppendString(append(dst, `{"offerId":`...), rows[i].OfferID)
		dst = append(appendSummary(append(dst, ','), &rows[i].Summary), '}')
	}
	rq.out = append(dst, "]}\n"...)
	return nil
}
