package learn

import (
	"cmp"
	"math"
	"slices"
)

// Metrics measure a model's scores against labels.
type Metrics struct {
	Accuracy     float64 `json:"accuracy"`
	Precision    float64 `json:"precision"`
	Recall       float64 `json:"recall"`
	F1           float64 `json:"f1"`
	AUC          float64 `json:"auc"`
	LogLoss      float64 `json:"logLoss"`
	Brier        float64 `json:"brier"`
	SampleCount  int     `json:"sampleCount"`
	PositiveRate float64 `json:"positiveRate"`
	Evaluation   string  `json:"evaluation"` // "holdout" or "in_sample"
	// Offers are the observed rates of a bandit's offers, those with the most
	// samples, by ascending id.
	Offers []OfferRate `json:"offers,omitempty"`
}

// OfferRate is what one offer's labelled rows say.
type OfferRate struct {
	OfferID   string  `json:"offerId"`
	Samples   int     `json:"samples"`
	Positives int     `json:"positives"`
	Rate      float64 `json:"rate"`
}

// The values of Metrics.Evaluation.
const (
	EvaluationHoldout  = "holdout"
	EvaluationInSample = "in_sample"
)

// logLossEpsilon keeps the logarithm finite: scikit-learn's log_loss clips at the
// machine epsilon of float64, and so do we, so that figures compare.
const logLossEpsilon = 0x1p-52

// Scored is a score beside its label.
type Scored struct {
	Score    float64
	Positive bool
}

// Measure returns the metrics of rows at the threshold 0.5; it sorts rows by
// score. A measure whose denominator is 0 (precision without a predicted
// positive, say) is 0, the AUC of one class alone is 0.5.
func Measure(rows []Scored, evaluation string) Metrics {
	m := Metrics{SampleCount: len(rows), Evaluation: evaluation}
	if len(rows) == 0 {
		return m
	}
	var tp, fp, fn, positives int
	var loss, brier float64
	for _, r := range rows {
		p := min(max(r.Score, logLossEpsilon), 1-logLossEpsilon)
		predicted := r.Score >= 0.5
		if r.Positive {
			positives++
			loss -= math.Log(p)
			brier += (1 - r.Score) * (1 - r.Score)
			if predicted {
				tp++
			} else {
				fn++
			}
		} else {
			loss -= math.Log1p(-p)
			brier += r.Score * r.Score
			if predicted {
				fp++
			}
		}
	}
	n := float64(len(rows))
	m.Accuracy = (n - float64(fp+fn)) / n
	m.Precision = ratio(float64(tp), float64(tp+fp))
	m.Recall = ratio(float64(tp), float64(tp+fn))
	m.F1 = ratio(2*m.Precision*m.Recall, m.Precision+m.Recall)
	m.LogLoss = loss / n
	m.Brier = brier / n
	m.PositiveRate = float64(positives) / n
	m.AUC = AUC(rows)
	return m
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// AUC returns the area under the ROC curve: the probability that a positive
// scores above a negative, ties counting half (the Mann–Whitney U statistic over
// mid-ranks). It sorts rows by score. One class alone gives 0.5.
func AUC(rows []Scored) float64 {
	slices.SortFunc(rows, func(a, b Scored) int { return cmp.Compare(a.Score, b.Score) })
	var rankSum float64 // of the positives, ranks from 1
	var positives int
	for i := 0; i < len(rows); {
		j, tied := i, 0
		for ; j < len(rows) && rows[j].Score == rows[i].Score; j++ {
			if rows[j].Positive {
				tied++
			}
		}
		rankSum += float64(tied) * float64(i+1+j) / 2
		positives += tied
		i = j
	}
	negatives := len(rows) - positives
	if positives == 0 || negatives == 0 {
		return 0.5
	}
	p := float64(positives)
	return (rankSum - p*(p+1)/2) / (p * float64(negatives))
}

// Sigmoid returns 1/(1+e^−x) without overflow.
func Sigmoid(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + math.Exp(-x))
	}
	e := math.Exp(x)
	return e / (1 + e)
}
