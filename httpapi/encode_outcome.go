package httpapi

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/engine"
	"github.com/praetor-engine/praetor/internal/jsontext"
)

// appendRecorded appends the answer of respond.
func appendRecorded(dst []byte, in *engine.OutcomeInput, r *engine.OutcomeResult) []byte {
	dst = r.ID.Append(append(dst, `{"interactionId":"`...))
	dst = jsontext.AppendText(append(dst, '"'), "customerId", in.CustomerID)
	dst = jsontext.AppendNullable(dst, "offerId", in.OfferID)
	dst = jsontext.AppendNullable(dst, "channelId", in.ChannelID)
	dst = jsontext.AppendNullable(dst, "categoryId", in.CategoryID)
	dst = jsontext.AppendText(dst, "outcome", in.Type)
	dst = jsontext.AppendText(dst, "classification", r.Classification.String())
	dst = append(dst, `,"status":"recorded","timestamp":`...)
	dst = r.At.AppendJSON(dst)
	if r.Duplicate {
		dst = append(dst, `,"duplicate":true`...)
	}
	return append(dst, '}', '\n')
}

// appendBulk appends the answer of respond/bulk; a duplicate is neither a
// success nor a failure of this request.
func appendBulk(dst []byte, total, duplicates int, failed []outcomeFailure) []byte {
	slices.SortFunc(failed, func(a, b outcomeFailure) int { return cmp.Compare(a.index, b.index) })
	dst = strconv.AppendInt(append(dst, `{"processed":`...), int64(total), 10)
	dst = jsontext.AppendCount(dst, "succeeded", total-duplicates-len(failed))
	dst = jsontext.AppendCount(dst, "failed", len(failed))
	dst = jsontext.AppendCount(dst, "duplicates", duplicates)
	dst = append(dst, `,"errors":[`...)
	for i, f := range failed {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(append(dst, `{"index":`...), int64(f.index), 10)
		dst = append(appendErrorFields(append(dst, `,"error":{`...), asError(f.err)), "}}"...)
	}
	return append(dst, "]}\n"...)
}

// appendInteraction appends one row of the history.
func appendInteraction(dst []byte, o *decision.Outcome) []byte {
	dst = o.ID.Append(append(dst, `{"interactionId":"`...))
	dst = jsontext.AppendText(append(dst, '"'), "customerId", o.CustomerID)
	dst = jsontext.AppendNullable(dst, "offerId", o.OfferID)
	dst = jsontext.AppendNullable(dst, "categoryId", o.CategoryID)
	dst = jsontext.AppendNullable(dst, "channelId", o.ChannelID)
	dst = jsontext.AppendNullable(dst, "placementId", o.PlacementID)
	dst = jsontext.AppendNullable(dst, "direction", o.Direction.String())
	dst = jsontext.AppendNullable(dst, "modelId", o.ModelID)
	dst = jsontext.AppendNullable(dst, "decisionId", o.DecisionID)
	dst = jsontext.AppendText(dst, "outcome", o.Type)
	dst = jsontext.AppendText(dst, "classification", o.Class.String())
	if o.HasValue {
		dst = jsontext.AppendNumber(dst, "conversionValue", o.ConversionValue)
	} else {
		dst = append(dst, `,"conversionValue":null`...)
	}
	dst = jsontext.AppendRow(append(dst, `,"attributes":`...), o.Attributes)
	dst = jsontext.AppendRow(append(dst, `,"context":`...), o.Context)
	dst = append(dst, `,"timestamp":`...)
	return append(decision.Time(o.At).AppendJSON(dst), '}')
}
