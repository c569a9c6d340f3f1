package httpapi

import (
	"strconv"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/jsontext"
	"github.com/praetor-engine/praetor/internal/learn"
)

// appendScore appends the answer of one score. best is the place of the arm that
// a bandit chose, −1 when it chose none.
func appendScore(dst []byte, t decision.ModelType, mem *scoreMemory, best int, explain bool) []byte {
	dst = append(dst, '{')
	dst = appendScoreFields(dst, t, &mem.result)
	if t.Bandit() {
		if best >= 0 {
			dst = jsontext.AppendText(dst, "offerId", mem.arms[best].OfferID)
			dst = jsontext.AppendNumber(dst, "propensity", mem.arms[best].Propensity)
		} else if mem.request.OfferID != "" {
			dst = jsontext.AppendText(dst, "offerId", mem.request.OfferID)
		}
	}
	if mem.decisionID != "" {
		dst = jsontext.AppendText(dst, "decisionId", mem.decisionID)
	}
	if explain {
		dst = append(dst, `,"explanations":[`...)
		if t.Bandit() {
			dst = appendArms(dst, mem.arms)
		} else {
			dst = appendExplanations(dst, mem.result.Explanations)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}', '\n')
}

// appendScoreFields appends the fields that every answer with a score shares.
func appendScoreFields(dst []byte, t decision.ModelType, res *learn.Result) []byte {
	dst = jsontext.AppendFloat(append(dst, `"score":`...), res.Score)
	if res.HasConfidence {
		dst = jsontext.AppendNumber(dst, "confidence", res.Confidence)
	}
	if res.HasRaw {
		name := "rawMargin"
		if t == decision.Scorecard {
			name = "rawScore"
		}
		dst = jsontext.AppendNumber(dst, name, res.Raw)
	}
	if res.HasBaseline {
		dst = jsontext.AppendNumber(dst, "baseline", res.Baseline)
	}
	if res.Degraded {
		dst = append(dst, `,"degraded":true`...)
	}
	if res.Source != "" {
		dst = appendAdapted(dst, res.Source, res.Own)
	}
	return dst
}

// appendAdapted appends what an adapted score is made of, beside the model's own.
func appendAdapted(dst []byte, source string, own float64) []byte {
	return jsontext.AppendNumber(jsontext.AppendText(dst, "source", source), "modelScore", own)
}

func appendExplanations(dst []byte, list []learn.Explanation) []byte {
	for i := range list {
		e := &list[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		if e.Rule {
			dst = jsontext.AppendString(append(dst, `{"rule":`...), e.Name)
			if e.Matched {
				dst = append(dst, `,"matched":true`...)
			} else {
				dst = append(dst, `,"matched":false`...)
			}
			dst = jsontext.AppendNumber(dst, "points", e.Value)
			dst = append(jsontext.AppendNumber(dst, "contribution", e.Value), '}')
			continue
		}
		dst = jsontext.AppendString(append(dst, `{"field":`...), e.Name)
		dst = append(jsontext.AppendNumber(dst, "contribution", e.Value), '}')
	}
	return dst
}

func appendArms(dst []byte, arms []learn.ArmScore) []byte {
	for i := range arms {
		a := &arms[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jsontext.AppendString(append(dst, `{"offerId":`...), a.OfferID)
		dst = jsontext.AppendNumber(dst, "score", a.Score)
		dst = jsontext.AppendNumber(dst, "mean", a.Mean)
		dst = jsontext.AppendNumber(dst, "lower", a.Lower)
		dst = jsontext.AppendNumber(dst, "upper", a.Upper)
		dst = append(jsontext.AppendNumber(dst, "propensity", a.Propensity), '}')
	}
	return dst
}

// appendRanking appends the answer of a score-offer-set.
func appendRanking(dst []byte, m *catalogue.Model, customer string, mem *scoreMemory) []byte {
	offers, ranked := mem.offers, mem.ranked
	dst = jsontext.AppendString(append(dst, `{"modelId":`...), m.ID)
	dst = jsontext.AppendText(dst, "modelKey", m.Key)
	dst = jsontext.AppendText(dst, "modelType", string(m.ModelType))
	dst = jsontext.AppendNullable(dst, "customerId", customer)
	if mem.decisionID != "" {
		dst = jsontext.AppendText(dst, "decisionId", mem.decisionID)
	}
	dst = jsontext.AppendCount(dst, "count", len(ranked))
	dst = append(dst, `,"scores":[`...)
	degraded := false
	for i := range ranked {
		r := &ranked[i]
		degraded = degraded || r.Degraded
		if i > 0 {
			dst = append(dst, ',')
		}
		offer := &offers[r.Index]
		dst = jsontext.AppendString(append(dst, `{"offerId":`...), offer.ID)
		if offer.Name != "" {
			dst = jsontext.AppendText(dst, "offerName", offer.Name)
		}
		dst = jsontext.AppendNumber(dst, "score", r.Score)
		if r.HasPropensity {
			dst = jsontext.AppendNumber(dst, "propensity", r.Propensity)
		}
		if r.Degraded {
			dst = append(dst, `,"degraded":true`...)
		}
		if r.Source != "" {
			dst = appendAdapted(dst, r.Source, r.Own)
		}
		if r.HasHistory {
			dst = appendSummary(append(dst, `,"interactionFeatures":{`...), &r.History)
			dst = append(dst, '}')
		}
		dst = append(dst, '}')
	}
	dst = append(dst, ']')
	if degraded {
		dst = append(dst, `,"degraded":true`...)
	}
	return append(dst, '}', '\n')
}

// appendSummary appends the fields of a customer's history with an offer.
func appendSummary(dst []byte, s *decision.Summary) []byte {
	dst = strconv.AppendUint(append(dst, `"impressions":`...), uint64(s.Impressions), 10)
	dst = jsontext.AppendCount(dst, "positives", s.Positives)
	dst = jsontext.AppendCount(dst, "negatives", s.Negatives)
	dst = jsontext.AppendNumber(dst, "positiveRate", s.PositiveRate())
	dst = append(dst, `,"lastContactAt":`...)
	return decision.Time(s.LastContactAt).AppendJSON(dst)
}
