package catalogue

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/experiment"
)

// experimental is a catalogue with a tenant t and models m0 to m3 of one family.
func experimental(t testing.TB) *Catalogue {
	t.Helper()
	c := New()
	if _, err := c.CreateTenant("t", "t", 1); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		key, kind, family := fmt.Sprint("m", i), decision.Scorecard, "f"
		if _, err := c.CreateModel("t", key, &ModelFields{Key: &key, Name: &key, ModelType: &kind, Family: &family}, 1); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// life is a random life of experiments: the same seed gives the same one.
func life(c *Catalogue, seed uint64, from, to int) {
	for i := from; i < to; i++ {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		at := decision.Time(1000 + int64(i)*int64(sticky)/40)
		id := fmt.Sprint("x", rng.IntN(3))
		switch rng.IntN(12) {
		case 0:
			d, err := experiment.Read(json.RawMessage(fmt.Sprintf(
				`{"key":%q,"name":"n","championModelId":"m%d","trafficSplit":{"championPct":40},"challengers":[{"modelId":"m%d","trafficPct":60}]}`, id, rng.IntN(2), 2+rng.IntN(2))))
			if err == nil {
				_, _ = c.CreateExperiment("t", id, &d, at)
			}
		case 1:
			statuses := []string{"active", "active", "active", "paused", "completed", "archived"}
			_, _ = c.UpdateExperiment("t", id, json.RawMessage(fmt.Sprintf(`{"status":%q}`, statuses[rng.IntN(len(statuses))])), at)
		case 2:
			share := rng.IntN(101)
			_, _ = c.UpdateExperiment("t", id, json.RawMessage(fmt.Sprintf(
				`{"trafficSplit":{"championPct":%d},"holdoutPercent":%d,"challengers":[{"modelId":"m%d","trafficPct":%d}]}`, share, rng.IntN(30), 2+rng.IntN(2), 100-share)), at)
		case 3:
			if rng.IntN(8) == 0 {
				_ = c.DeleteExperiment("t", id)
			}
		case 4, 5, 6:
			hashes := make([]uint64, 50)
			for j := range hashes {
				hashes[j] = uint64(rng.IntN(5000)) + 1
			}
			slices.Sort(hashes)
			c.AssignCustomers("t", id, uint64(1+rng.IntN(4)), slices.Compact(hashes), at)
		case 7:
			tr := &Transition{To: standings[rng.IntN(len(standings))], Thresholds: DefaultThresholds()}
			_, _ = c.Transition("t", fmt.Sprint("m", rng.IntN(4)), tr, at)
			c.SettleExperiments("t", at)
		default:
			o := &decision.Outcome{CustomerID: fmt.Sprint(rng.IntN(500)), At: int64(at), Class: decision.Classification(rng.IntN(3))}
			if rng.IntN(2) == 0 {
				o.ModelID = fmt.Sprint("m", rng.IntN(5))
			}
			c.CountOutcome("t", o)
		}
	}
}

func experimentsOf(t testing.TB, c *Catalogue) (full, digest string) {
	t.Helper()
	a, err := c.Capture().AppendExperiments(nil)
	b, err2 := c.Capture().AppendExperimentsDigest(nil)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	return string(a), string(b)
}

func reopened(t testing.TB, c *Catalogue) *Catalogue {
	t.Helper()
	captured := c.Capture()
	registry, err := captured.Registry()
	if err != nil {
		t.Fatal(err)
	}
	experiments, _ := experimentsOf(t, c)
	again, err := Restore(registry, string(captured.AppendAnswers(nil)))
	if err == nil {
		err = again.RestoreExperiments(experiments)
	}
	if err != nil {
		t.Fatalf("restore: %v", err)
	}
	return again
}

// The same log gives the same state, also with a snapshot in between; and the
// results are those of the state.
func TestExperimentsAreDeterministic(t *testing.T) {
	const steps = 600
	ended, kept := 0, 0
	for seed := range uint64(20) {
		one, two := experimental(t), experimental(t)
		life(one, seed, 0, steps)
		cut := int(seed) * steps / 20
		life(two, seed, 0, cut)
		two = reopened(t, two)
		life(two, seed, cut, steps)
		a, digestA := experimentsOf(t, one)
		b, digestB := experimentsOf(t, two)
		if a != b || digestA != digestB {
			t.Fatalf("seed %d: with a snapshot at %d of %d steps the state is another", seed, cut, steps)
		}
		for i := range 3 {
			at := decision.Time(1000 + steps*int64(sticky)/40)
			x, ra, err := one.Results("t", fmt.Sprint("x", i), at)
			_, rb, err2 := two.Results("t", fmt.Sprint("x", i), at)
			if (err == nil) != (err2 == nil) || fmt.Sprintf("%+v", ra.SRM) != fmt.Sprintf("%+v", rb.SRM) {
				t.Fatalf("seed %d: results %+v, %v and %+v, %v", seed, ra, err, rb, err2)
			}
			if err == nil && x.EndReason == EndChampionChanged {
				ended++
			}
		}
		kept += one.ExperimentTotals().Kept
	}
	if ended == 0 || kept == 0 {
		t.Errorf("%d experiments ended with their champion, %d customers were kept: the lives are too dull to tell", ended, kept)
	}
}

// The assignments of a plan that went through a snapshot are the same.
func TestRestoredPlansAssignAlike(t *testing.T) {
	c := experimental(t)
	d, err := experiment.Read(json.RawMessage(`{"key":"k","name":"n","status":"active","championModelId":"m0","trafficSplit":{"championPct":90},"challengers":[{"modelId":"m1","trafficPct":10}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateExperiment("t", "x", &d, 1000); err != nil {
		t.Fatal(err)
	}
	plan := func(c *Catalogue) (p *experiment.Plan) {
		c.EachActive(func(x ActiveExperiment) { p = x.Plan })
		return p
	}
	var hashes []uint64
	for i := range 1000 {
		hashes = append(hashes, plan(c).Assign(fmt.Sprint(i), 2000).Hash)
	}
	slices.Sort(hashes)
	c.AssignCustomers("t", "x", 1, hashes, 2000)
	if _, err := c.UpdateExperiment("t", "x", json.RawMessage(`{"trafficSplit":{"championPct":10},"challengers":[{"modelId":"m1","trafficPct":90}]}`), 3000); err != nil {
		t.Fatal(err)
	}
	again, kept := reopened(t, c), 0
	for i := range 2000 {
		a, b := plan(c).Assign(fmt.Sprint(i), 4000), plan(again).Assign(fmt.Sprint(i), 4000)
		if a.Variant.Name != b.Variant.Name || a.Kept != b.Kept || i >= 1000 && a.Kept {
			t.Fatalf("customer %d: %+v, restored %+v", i, a, b)
		}
		if a.Kept {
			kept++
		}
	}
	if kept < 700 || kept > 900 {
		t.Errorf("%d customers keep their variant, want about 800", kept)
	}
}

func TestDamagedExperimentsAreRefused(t *testing.T) {
	c := experimental(t)
	life(c, 3, 0, 300)
	whole, _ := experimentsOf(t, c)
	if err := experimental(t).RestoreExperiments(whole); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]string{
		"another version": "\x09" + whole[1:], "cut off": whole[:len(whole)/2], "more behind": whole + "x", "twice": "\x01\x02" + whole[2:] + whole[2:],
	} {
		if experimental(t).RestoreExperiments(s) == nil {
			t.Errorf("%s: was accepted", name)
		}
	}
	if New().RestoreExperiments(whole) == nil {
		t.Error("without their tenant: was accepted")
	}
}

func FuzzRestoreExperiments(f *testing.F) {
	c := experimental(f)
	life(c, 3, 0, 40)
	whole, _ := experimentsOf(f, c)
	f.Add(whole)
	f.Add("\x01\x00")
	f.Fuzz(func(t *testing.T, s string) {
		c := experimental(t)
		if c.RestoreExperiments(s) != nil {
			return
		}
		for _, id := range c.RunningExperiments("t") {
			_, _, _ = c.Results("t", id, 1<<40)
		}
	})
}
