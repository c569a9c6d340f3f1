package httpapi

import (
	"math"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/engine"
)

// maxOutcomes is how many outcomes one bulk request may carry.
const maxOutcomes = 1000

// outcome reads one outcome. Its strings alias the body. A time that was not
// given stays 0: the engine sets it, and the fingerprint does not depend on it.
func (d *decoder) outcome(in *engine.OutcomeInput) {
	*in = engine.OutcomeInput{}
	if !d.enterObject() {
		return
	}
	for d.nextField() {
		if !d.outcomeID(in) && !d.outcomeValue(in) {
			d.unknown()
		}
	}
	d.need("customerId", "outcome")
	in.Fingerprint = outcomeFingerprint(&in.Outcome)
}

// outcomeID reads a field that names something.
func (d *decoder) outcomeID(in *engine.OutcomeInput) bool {
	switch d.key {
	case "customerId":
		in.CustomerID = d.str(1, maxName)
	case "outcome":
		in.Type = d.str(1, maxName)
	case "offerId":
		in.OfferID = d.optionalStr(maxName)
	case "categoryId":
		in.CategoryID = d.optionalStr(maxName)
	case "channelId":
		in.ChannelID = d.optionalStr(maxName)
	case "placementId":
		in.PlacementID = d.optionalStr(maxName)
	case "modelId":
		in.ModelID = d.optionalStr(maxName)
	case "decisionId":
		in.DecisionID = d.optionalStr(maxName)
	default:
		return false
	}
	return true
}

// outcomeValue reads any other field of an outcome.
func (d *decoder) outcomeValue(in *engine.OutcomeInput) bool {
	switch d.key {
	case "idempotencyKey":
		if d.null() {
			break
		}
		if in.IdempotencyKey = d.str(1, maxName); in.IdempotencyKey != "" && !visibleASCII([]byte(in.IdempotencyKey)) {
			d.wrongf("must be 1 to 255 visible ASCII characters")
		}
	case "direction":
		v, ok := decision.ParseDirection(d.optionalStr(maxName))
		if !ok {
			d.wrongf("must be inbound or outbound")
		}
		in.Direction = v
	case "timestamp":
		if d.null() {
			break
		}
		if at, ok := d.time(); ok && at <= 0 {
			d.wrongf("must be after 1970-01-01T00:00:00.000Z")
		} else {
			in.At = int64(at)
		}
	case "conversionValue":
		if !d.null() {
			in.ConversionValue, in.HasValue = d.float(), true
		}
	case "attributes":
		in.Attributes = d.row()
	case "context":
		in.Context = d.row()
	default:
		return false
	}
	return true
}

// fingerprint is a running FNV-1a hash (64 bit) of an outcome's fields; the same
// on every node and in every release, as a retry may meet any of them.
type fingerprint uint64

const (
	fnvOffset fingerprint = 14695981039346656037
	fnvPrime  fingerprint = 1099511628211
)

func (h fingerprint) text(s string) fingerprint {
	for i := range len(s) {
		h = (h ^ fingerprint(s[i])) * fnvPrime
	}
	return h.number(uint64(len(s)))
}

func (h fingerprint) number(v uint64) fingerprint {
	for range 8 {
		h = (h ^ fingerprint(v&0xff)) * fnvPrime
		v >>= 8
	}
	return h
}

func (h fingerprint) row(row decision.Row) fingerprint {
	for i := range row {
		f := &row[i]
		h = h.text(f.Name).text(f.Text).number(math.Float64bits(f.Num)).number(uint64(f.Kind))
	}
	return h.number(uint64(len(row)))
}

// outcomeFingerprint identifies what the client sent, whatever the order of its
// fields; the idempotency key itself is not part of it. Without a key nobody
// asks for it.
func outcomeFingerprint(o *decision.Outcome) uint64 {
	h := fnvOffset
	for _, s := range [...]string{
		o.Type, o.CustomerID, o.OfferID, o.CategoryID, o.ChannelID, o.PlacementID, o.ModelID, o.DecisionID,
	} {
		h = h.text(s)
	}
	h = h.number(uint64(o.Direction)).number(uint64(o.At)).number(math.Float64bits(o.ConversionValue))
	if o.HasValue {
		h = h.number(1)
	}
	return uint64(h.row(o.Attributes).row(o.Context))
}
