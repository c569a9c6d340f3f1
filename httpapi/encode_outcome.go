package httpapi

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/engine"
)

// appendRecorded appends the answer of respond.
func appendRecorded(dst []byte, in *engine.OutcomeInput, r *engine.OutcomeResult) []byte {
	dst = r.ID.Append(append(dst, `{"interactionId":"`...))
	dst = appendText(append(dst, '"'), "customerId", in.CustomerID)
	dst = appendNullable(dst, "offerId", in.OfferID)
	dst = appendNullable(dst, "channelId", in.ChannelID)
	dst = appendNullable(dst, "categoryId", in.CategoryID)
	dst = appendText(dst, "outcome", in.Type)
	dst = appendText(dst, "classification", r.Classification.String())
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
	dst = appendCount(dst, "succeeded", total-duplicates-len(failed))
	dst = appendCount(dst, "failed", len(failed))
	dst = appendCount(dst, "duplicates", duplicates)
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
	dst = appendText(append(dst, '"'), "customerId", o.CustomerID)
	dst = appendNullable(dst, "offerId", o.OfferID)
	dst = appendNullable(dst, "categoryId", o.CategoryID)
	dst = appendNullable(dst, "channelId", o.ChannelID)
	dst = appendNullable(dst, "placementId", o.PlacementID)
	dst = appendNullable(dst, "direction", o.Direction.String())
	dst = appendNullable(dst, "modelId", o.ModelID)
	dst = appendNullable(dst, "decisionId", o.DecisionID)
	dst = appendText(dst, "outcome", o.Type)
	dst = appendText(dst, "classification", o.Class.String())
	if o.HasValue {
		dst = appendNumber(dst, "conversionValue", o.ConversionValue)
	} else {
		dst = append(dst, `,"conversionValue":null`...)
	}
	dst = appendRow(append(dst, `,"attributes":`...), o.Attributes)
	dst = appendRow(append(dst, `,"context":`...), o.Context)
	dst = append(dst, `,"timestamp":`...)
	return append(decision.Time(o.At).AppendJSON(dst), '}')
}

// appendRow appends a feature row as an object: dotted names stay as they are,
// the members of a set become an array.
func appendRow(dst []byte, row decision.Row) []byte {
	dst = append(dst, '{')
	for i := 0; i < len(row); {
		f := &row[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, f.Name), ':')
		i++
		switch f.Kind {
		case decision.Number:
			dst = appendFloat(dst, f.Num)
		case decision.Bool:
			dst = strconv.AppendBool(dst, f.Num != 0)
		case decision.Text:
			dst = appendString(dst, f.Text)
		case decision.Member:
			dst = appendString(append(dst, '['), f.Text)
			for ; i < len(row) && row[i].Name == f.Name; i++ {
				dst = appendString(append(dst, ','), row[i].Text)
			}
			dst = append(dst, ']')
		default:
			dst = append(dst, "[]"...)
		}
	}
	return append(dst, '}')
}
