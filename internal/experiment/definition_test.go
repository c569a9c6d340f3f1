package experiment

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
)

const valid = `{"key":"cards-q3","name":"Cards, third quarter","championModelId":"m0","trafficSplit":{"championPct":50},
	"challengers":[{"modelId":"m1","trafficPct":33.33},{"modelId":"m2","trafficPct":16.67}]}`

func mustRead(t testing.TB, raw string) Definition {
	t.Helper()
	d, err := Read(json.RawMessage(raw))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// edit returns the valid definition with members set.
func edit(t testing.TB, members string) string {
	t.Helper()
	var all map[string]json.RawMessage
	for _, raw := range []string{valid, members} {
		if err := json.Unmarshal([]byte(raw), &all); err != nil {
			t.Fatal(err)
		}
	}
	out, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestRead(t *testing.T) {
	got := mustRead(t, valid)
	want := Definition{
		Key: "cards-q3", Name: "Cards, third quarter", Status: StatusDraft, ChampionModelID: "m0", TrafficSplit: TrafficSplit{50_00},
		Challengers: []Challenger{{"m1", 33_33}, {"m2", 16_67}}, PromoteThreshold: 0.02, PromoteAfterDays: 14,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	encoded, err := json.Marshal(got)
	if err != nil || !strings.Contains(string(encoded), `"challengers":[{"modelId":"m1","trafficPct":33.33}`) {
		t.Errorf("JSON %s, %v", encoded, err)
	}
	var decoded Definition
	if err := json.Unmarshal(encoded, &decoded); err != nil || !reflect.DeepEqual(decoded, want) {
		t.Errorf("comes back as %+v, %v", decoded, err)
	}
	if !got.Uses("m0") || !got.Uses("m2") || got.Uses("m3") {
		t.Error("Uses is wrong")
	}
}

func TestReadNamesEveryProblem(t *testing.T) {
	for _, c := range []struct{ raw, paths string }{
		{`[]`, " key name championModelId"},
		{`{}`, "key name championModelId"},
		{`{"key":"","name":7,"championModelId":null}`, "key name championModelId"},
		{edit(t, `{"key":"`+strings.Repeat("é", 256)+`"}`), "key"},
		{edit(t, `{"status":"running","description":1,"autoPromote":"yes"}`), "description status autoPromote"},
		{edit(t, `{"promoteThreshold":1.1,"promoteAfterDays":1.5}`), "promoteThreshold promoteAfterDays"},
		{edit(t, `{"trafficSplit":{"championPct":50.001}}`), "trafficSplit.championPct"},
		{edit(t, `{"trafficSplit":{"championPct":101}}`), "trafficSplit.championPct"},
		{edit(t, `{"trafficSplit":50}`), "trafficSplit"},
		{edit(t, `{"holdoutPercent":-1}`), "holdoutPercent"},
		{edit(t, `{"holdoutPercent":0.005}`), "holdoutPercent"},
		{edit(t, `{"challengers":{}}`), "challengers"},
		{edit(t, `{"challengers":[{"trafficPct":25},{"modelId":"m2"},{"modelId":"","trafficPct":"5"}]}`),
			"challengers[0].modelId challengers[1].trafficPct challengers[2].modelId challengers[2].trafficPct"},
		{edit(t, `{"challengers":[{"modelId":"m0","trafficPct":25},{"modelId":"m2","trafficPct":15},{"modelId":"m2","trafficPct":10}]}`),
			"challengers[0].modelId challengers[2].modelId"},
		{edit(t, `{"challengers":[`+strings.TrimSuffix(strings.Repeat(`{},`, 21), ",")+`]}`), "challengers"},
		// 100 % exactly.
		{edit(t, `{"trafficSplit":{"championPct":49.99}}`), "trafficSplit.championPct"},
		{edit(t, `{"trafficSplit":{"championPct":50.01}}`), "trafficSplit.championPct"},
		{edit(t, `{"challengers":[]}`), "trafficSplit.championPct"},
		{edit(t, `{"trafficSplit":null}`), "trafficSplit.championPct"}, // the default is 80
	} {
		_, err := Read(json.RawMessage(c.raw))
		if got := paths(err); got != c.paths || decision.KindOf(err) != decision.KindBadRequest {
			t.Errorf("%s: %v at %q, want a bad request at %q", c.raw, err, got, c.paths)
		}
	}
}

func paths(err error) string {
	var e *decision.Error
	if !errors.As(err, &e) {
		return ""
	}
	all := make([]string, len(e.Details))
	for i, d := range e.Details {
		all[i] = d.Path
	}
	return strings.Join(all, " ")
}

// Every split in hundredths that adds up is taken, whatever its decimals are in
// binary.
func TestEveryHundredthAddsUp(t *testing.T) {
	if raceEnabled {
		t.Skip("one goroutine, many rounds")
	}
	for champion := range 10_001 {
		raw := fmt.Sprintf(`{"key":"k","name":"n","championModelId":"a","trafficSplit":{"championPct":%d.%02d},"challengers":[{"modelId":"b","trafficPct":%d.%02d}]}`,
			champion/100, champion%100, (10_000-champion)/100, (10_000-champion)%100)
		d := mustRead(t, raw)
		if int(d.TrafficSplit.ChampionPct) != champion || int(d.Challengers[0].TrafficPct) != 10_000-champion {
			t.Fatalf("%s is read as %+v", raw, d)
		}
	}
}

func TestPercentJSON(t *testing.T) {
	for _, in := range []string{`0.001`, `-1`, `100.01`, `"5"`, `1e9`} {
		var p Percent
		if err := json.Unmarshal([]byte(in), &p); err == nil {
			t.Errorf("%s is read as %s", in, p)
		}
	}
}

func TestWith(t *testing.T) {
	d := mustRead(t, valid)
	next, err := d.With(json.RawMessage(`{"status":"active","trafficSplit":{"championPct":20},"challengers":[{"modelId":"m1","trafficPct":80}],"description":"x"}`))
	if err != nil || next.Status != StatusActive || next.Name != d.Name || len(next.Challengers) != 1 || next.Key != d.Key {
		t.Fatalf("got %+v, %v", next, err)
	}
	if len(d.Challengers) != 2 || d.SameSplit(&next) {
		t.Error("the old definition was changed, or counts as the same split")
	}
	if cleared, err := next.With(json.RawMessage(`{"description":"","key":"cards-q3"}`)); err != nil || cleared.Description != "" || !cleared.SameSplit(&next) {
		t.Errorf("got %+v, %v, want no description and the same split", cleared, err)
	}
	for raw, want := range map[string]string{
		`{"key":"other"}`: "key", `{"name":""}`: "name", `{"championModelId":""}`: "championModelId",
		`{"trafficSplit":{"championPct":30}}`: "trafficSplit.championPct",
	} {
		if _, err := d.With(json.RawMessage(raw)); paths(err) != want {
			t.Errorf("%s: %v, want a problem at %q", raw, err, want)
		}
	}
	for _, change := range []func(*Definition){
		func(d *Definition) { d.HoldoutPercent = 1 }, func(d *Definition) { d.ChampionModelID = "x" },
		func(d *Definition) { d.Challengers = []Challenger{d.Challengers[1], d.Challengers[0]} },
	} {
		other := d
		change(&other)
		if d.SameSplit(&other) {
			t.Errorf("%+v counts as the same split", other)
		}
	}
}

// What is read is valid, comes back from its JSON, and makes a plan that deals out
// every bucket.
func FuzzRead(f *testing.F) {
	f.Add(valid)
	f.Add(edit(f, `{"holdoutPercent":12.5,"status":"active","autoPromote":true,"description":"\u0000"}`))
	f.Fuzz(func(t *testing.T, raw string) {
		d, err := Read(json.RawMessage(raw))
		if err != nil {
			return
		}
		encoded, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Read(encoded); err != nil || !reflect.DeepEqual(again, d) {
			t.Fatalf("%s comes back as %+v, %v", encoded, again, err)
		}
		end := 0
		for _, v := range NewPlan(&d, keyOf).Variants {
			if v.First != end || v.End < v.First {
				t.Fatalf("%s: variant %+v after bucket %d", encoded, v, end)
			}
			end = v.End
		}
		if end != Buckets {
			t.Fatalf("%s: %d buckets are dealt out, want %d", encoded, end, Buckets)
		}
	})
}
