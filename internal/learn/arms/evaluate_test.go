package arms

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

type source []learn.Example

func (s source) Scan(ctx context.Context, f func(*learn.Example) error) error {
	for i := range s {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(&s[i]); err != nil {
			return err
		}
	}
	return nil
}

func rate(reward, pulls float64) float64 {
	if pulls == 0 {
		return 0.5
	}
	return reward / pulls
}

// rows makes n rows of an offer, every k-th of them positive.
func rows(s source, offerID string, n, k int) source {
	for i := range n {
		s = append(s, learn.Example{
			ID: decision.InteractionID{Index: uint64(len(s) + 1)}, OfferID: offerID, Positive: i%k == 0, Weight: 2,
		})
	}
	return s
}

func TestEvaluateInSample(t *testing.T) {
	s := rows(rows(rows(nil, "b", 40, 2), "a", 20, 4), "", 10, 2)
	got, err := Evaluate(t.Context(), s, learn.TrainOptions{}, rate)
	if err != nil {
		t.Fatal(err)
	}
	m := got.Metrics
	// Rates 0.5 of 40 and 0.25 of 20: Brier (40·0.25 + 20·0.1875)/60.
	const brier = (40*0.25 + 20*0.1875) / 60
	if got.State != nil || got.SampleCount != 60 || m.SampleCount != 60 || m.Evaluation != learn.EvaluationInSample || m.Brier-brier > 1e-15 || brier-m.Brier > 1e-15 {
		t.Errorf("Evaluate() = %+v", got)
	}
	if got, want := fmt.Sprint(m.Offers), "[{a 20 5 0.25} {b 40 20 0.5}]"; got != want {
		t.Errorf("rates %s, want %s", got, want)
	}
}

func TestEvaluateHoldout(t *testing.T) {
	s := rows(rows(nil, "b", 3000, 2), "a", 3000, 10)
	var done []float64
	got, err := Evaluate(t.Context(), s, learn.TrainOptions{Progress: func(d float64) { done = append(done, d) }}, rate)
	if err != nil {
		t.Fatal(err)
	}
	m := got.Metrics
	if got.SampleCount != 6000 || m.Evaluation != learn.EvaluationHoldout || m.SampleCount < 1000 || m.SampleCount > 1400 || m.AUC < 0.65 {
		t.Errorf("Evaluate() = %+v", got)
	}
	if len(done) == 0 || done[len(done)-1] != 1 {
		t.Errorf("progress %v, want it to end at 1", done)
	}
}

func TestEvaluateBoundsTheRates(t *testing.T) {
	var s source
	for i := range 3 * maxRates {
		s = rows(s, fmt.Sprintf("offer-%03d", i), 2+i%2, 2)
	}
	got, err := Evaluate(t.Context(), s, learn.TrainOptions{}, rate)
	if err != nil {
		t.Fatal(err)
	}
	offers := got.Metrics.Offers
	if len(offers) != maxRates || offers[0].OfferID != "offer-001" || offers[0].Samples != 3 || offers[1].OfferID != "offer-003" {
		t.Errorf("%d rates, the first %+v, want %d, those with the most rows", len(offers), offers[:2], maxRates)
	}
}

func TestEvaluateErrors(t *testing.T) {
	for name, s := range map[string]source{"none": nil, "positive": rows(nil, "a", 60, 1), "without offer": rows(nil, "", 60, 2)} {
		_, err := Evaluate(t.Context(), s, learn.TrainOptions{}, rate)
		if decision.KindOf(err) != decision.KindUnprocessable {
			t.Errorf("%s: %v, want unprocessable", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Evaluate(ctx, rows(nil, "a", 60, 2), learn.TrainOptions{}, rate); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
