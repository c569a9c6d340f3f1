package chaos

import (
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

// Every block of rounds has each fault once, and a seed always gives the same
// order.
func TestFaultsTakeTurns(t *testing.T) {
	r, again, other := Runner{Options: Options{Seed: 3}}, Runner{Options: Options{Seed: 3}}, Runner{Options: Options{Seed: 4}}
	same := true
	for block := range 3 {
		seen := map[string]bool{}
		for i := range Faults {
			number := 1 + block*len(Faults) + i
			name := r.fault(number).Name
			seen[name] = true
			if got := again.fault(number).Name; got != name {
				t.Fatalf("round %d has the fault %s, and %s with the same seed", number, name, got)
			}
			same = same && other.fault(number).Name == name
		}
		if len(seen) != len(Faults) {
			t.Errorf("block %d has %d faults, want all %d", block, len(seen), len(Faults))
		}
	}
	if same {
		t.Error("another seed gives the same order")
	}
	some := Runner{Options: Options{Faults: []string{"kill-leader"}}}
	if got := some.fault(5).Name; got != "kill-leader" {
		t.Errorf("got the fault %s, want the only one asked for", got)
	}
}

func TestRoundsAreRecorded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rounds.jsonl")
	if got, err := ReadRounds(path); err != nil || len(got) != 0 {
		t.Fatalf("ReadRounds() of no report = %v, %v, want none", got, err)
	}
	want := []Round{
		{Round: 1, Fault: "kill-leader", At: time.Unix(1, 0).UTC(), Did: []string{"a"}, Outcomes: counts{Acknowledged: 3}},
		{Round: 2, Fault: "one-way", At: time.Unix(2, 0).UTC(), Findings: []Finding{{Promise: 2, What: "b", Times: 1}}},
	}
	for i := range want {
		if err := appendRound(path, &want[i]); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := ReadRounds(path); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("ReadRounds() = %+v, %v, want %+v", got, err, want)
	}
}

func TestOptions(t *testing.T) {
	good := Options{Rounds: 1, Life: 1, Faults: []string{"kill-all"}}
	if err := good.Validate(); err != nil {
		t.Errorf("Validate() = %v", err)
	}
	for _, o := range []Options{{Life: 1}, {Rounds: 1}, {Rounds: 1, Life: 1, Faults: []string{"earthquake"}}} {
		if err := o.Validate(); err == nil {
			t.Errorf("Validate() of %+v succeeded", o)
		}
	}
}

func TestFindingsCountUp(t *testing.T) {
	var f findings
	for range 3 {
		f.addf(1, "the same %d", 1)
	}
	f.addf(2, "the same 1")
	if got := f.all(); len(got) != 2 || got[0].Times != 3 {
		t.Errorf("got %+v, want two, the first three times", got)
	}
}

func TestRoutesHaveNoIDs(t *testing.T) {
	for path, want := range map[string]string{
		"/api/v1/algorithm-models/model_g8nx1xjsr9vchgx5/score": "/api/v1/algorithm-models/{id}/score",
		"/api/v1/algorithm-models/model_g8nx1xjsr9vchgx5?a=b":   "/api/v1/algorithm-models/{id}?a=b",
		"/api/v1/models/model_g8nx1xjsr9vchgx5/registry":        "/api/v1/models/{id}/registry",
		"/api/v1/respond": "/api/v1/respond",
	} {
		if got := routeOf(path); got != want {
			t.Errorf("routeOf(%s) = %s, want %s", path, got, want)
		}
	}
}

func TestChampionsOf(t *testing.T) {
	got := championsOf([]listed{{"1", "f", "champion"}, {"2", "f", "challenger"}, {"3", "g", "champion"}, {"4", "g", "champion"}})
	if want := map[string]int{"f": 1, "g": 2}; !reflect.DeepEqual(got, want) {
		t.Errorf("championsOf() = %v, want %v", got, want)
	}
}

func TestDifferences(t *testing.T) {
	a := map[string][]byte{"same": []byte("x"), "other": []byte("one two"), "only a": nil}
	b := map[string][]byte{"same": []byte("x"), "other": []byte("one three"), "only b": nil}
	got := differences(a, b)
	if want := []string{"only a", "only b", "other"}; !reflect.DeepEqual(got, want) {
		t.Errorf("differences() = %q, want %q", got, want)
	}
	if got := difference(a["other"], b["other"]); got != "…one two… and …one three…" {
		t.Errorf("difference() = %s", got)
	}
}
