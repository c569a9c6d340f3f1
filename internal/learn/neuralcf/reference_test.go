package neuralcf

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"
)

// reference is what PyTorch makes of a small network; testdata/reference.py says
// how.
type reference struct {
	State  json.RawMessage
	Scores [][]float64 // by customer, by offer; the last ones are unknown

	LearningRate, L2 float64
	Counts           struct{ Users, Items []int }
	Steps            []struct {
		Batch     [][3]float64
		Gradients weights
		weights   // after the step
	}
}

type weights struct {
	Users, Items, W1 [][]float64
	B1, W2           []float64
	B2               float64
}

func readReference(t *testing.T) (ref reference) {
	raw, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &ref); err != nil {
		t.Fatal(err)
	}
	return ref
}

// Both compute in double precision from the same numbers of single precision.
func TestScoresEqualThoseOfTheReference(t *testing.T) {
	ref := readReference(t)
	v := mustNew(t, string(ref.State)).Publish()
	for u, row := range ref.Scores {
		for i, want := range row {
			customer, offer := fmt.Sprintf("user-%d", u), fmt.Sprintf("item-%d", i)
			if got := score(v, customer, offer); !(math.Abs(got-want) <= 1e-12) {
				t.Errorf("score of %s, %s = %.15g, want %.15g", customer, offer, got, want)
			}
		}
	}
}

// Ours computes in single precision, the reference in double: a gradient is a sum
// of up to 16 rows of products below 3, each rounded by 6e-8 of its value, and
// a step is at most 0.15 of a gradient over its own size.
func TestStepsEqualThoseOfTheReference(t *testing.T) {
	const tolerance = 5e-6
	ref := readReference(t)
	f := ref.fit(t)
	worst := 0.0
	check := func(name string, got []float32, want []float64) {
		t.Helper()
		if len(want) == 0 {
			t.Fatalf("%s: no reference", name)
		}
		for i, w := range want {
			off := math.Abs(float64(got[i]) - w)
			worst = max(worst, off)
			if !(off <= tolerance) {
				t.Errorf("%s[%d] = %v, want %v", name, i, got[i], w)
			}
		}
	}
	for n, step := range ref.Steps {
		at := func(what string) string { return fmt.Sprintf("step %d: %s", n, what) }
		for _, row := range step.Batch {
			f.gradient(uint32(row[0]), uint32(row[1]), float32(row[2]))
		}
		g := step.Gradients
		check(at("gradient of w1"), f.grad.w1, slices.Concat(g.W1...))
		check(at("gradient of b1"), f.grad.b1, g.B1)
		check(at("gradient of w2"), f.grad.w2, g.W2)
		check(at("gradient of b2"), []float32{f.grad.b2}, []float64{g.B2})
		check(at("gradient of the customers"), f.users.gradients(), slices.Concat(g.Users...))
		check(at("gradient of the offers"), f.items.gradients(), slices.Concat(g.Items...))
		f.step(1 / float32(len(step.Batch)))
		f.users.step(f.cfg)
		f.items.step(f.cfg)
		check(at("w1"), f.net.w1, slices.Concat(step.W1...))
		check(at("b1"), f.net.b1, step.B1)
		check(at("w2"), f.net.w2, step.W2)
		check(at("b2"), []float32{f.net.b2}, []float64{step.B2})
		check(at("customers"), f.users.values, slices.Concat(step.Users...))
		check(at("offers"), f.items.values, slices.Concat(step.Items...))
	}
	t.Logf("largest difference: %.1e", worst)
}

// fit starts a fit at the reference's state, in a training whose rows are as many
// as it says for every customer and offer.
func (ref *reference) fit(t *testing.T) *fit {
	m := mustNew(t, string(ref.State)).(*learner).view.model
	r := &rows{positives: 1, labels: []float32{1, -1}, userIDs: m.users.ids, itemIDs: m.items.ids}
	for i, n := range ref.Counts.Users {
		r.users = append(r.users, slices.Repeat([]uint32{uint32(i)}, n)...)
	}
	for i, n := range ref.Counts.Items {
		r.items = append(r.items, slices.Repeat([]uint32{uint32(i)}, n)...)
	}
	end := max(len(r.users), len(r.items))
	for len(r.users) < end {
		r.users = append(r.users, uint32(len(m.users.ids)))
	}
	for len(r.items) < end {
		r.items = append(r.items, uint32(len(m.items.ids)))
	}
	cfg := &config{dim: m.dim, hidden: m.hidden, learningRate: ref.LearningRate, l2: ref.L2, batchSize: 16}
	f := newFit(cfg, r, end, 1)
	copy(f.net.w1, m.w1)
	copy(f.net.b1, m.b1)
	copy(f.net.w2, m.w2)
	f.net.b2 = m.b2
	copy(f.users.values, m.users.vectors)
	copy(f.items.values, m.items.vectors)
	f.users.average()
	f.items.average()
	return f
}

// gradients returns the batch's gradient of every embedding.
func (e *embedding) gradients() []float32 {
	all := make([]float32, len(e.counts)*e.dim)
	for slot, t := range e.touched {
		copy(all[int(t.row)*e.dim:], e.grads[slot*e.dim:(slot+1)*e.dim])
	}
	return all
}
