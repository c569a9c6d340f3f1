package event

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
)

func event(index uint64, seq uint32, kind string) Event {
	return Event{ID: ID{index, seq}, Type: kind, TenantID: "t", At: 1_773_468_000_000, Data: json.RawMessage(fmt.Sprintf(`{"n":%d}`, index))}
}

// fill appends n events, of which every third is of the type b.x, the others a.x.
func fill(s *Store, from, n uint64) {
	for i := from; i < from+n; i++ {
		s.Append(event(i, 1, map[bool]string{true: "b.x", false: "a.x"}[i%3 == 0]))
	}
}

func TestID(t *testing.T) {
	ids := []ID{{}, {0, 7}, {1, 1}, {1, 2}, {1, 1 << 31}, {2, 1}, {1 << 40, 3}}
	for i, id := range ids {
		text := id.String()
		if got, ok := ParseID(text); !ok || got != id {
			t.Errorf("ParseID(%s) = %v, %v, want %v", text, got, ok, id)
		}
		raw, err := json.Marshal(map[string]ID{"id": id})
		var back map[string]ID
		if err != nil || json.Unmarshal(raw, &back) != nil || back["id"] != id {
			t.Errorf("%v comes back from %s as %v, %v", id, raw, back, err)
		}
		if i > 0 && (!ids[i-1].Less(id) || ids[i-1].String() >= text) {
			t.Errorf("%v and %v are not in order, as numbers and as text", ids[i-1], id)
		}
	}
	for _, bad := range []string{"", "evt_", "evt_x", "int_0000000000000000000g", strings.ToUpper(ids[3].String()), ids[3].String() + "0", "evt_000000000000000000u0"} {
		if id, ok := ParseID(bad); ok {
			t.Errorf("ParseID(%q) = %v, want it refused", bad, id)
		}
	}
	if err := json.Unmarshal([]byte(`"evt_x"`), new(ID)); err == nil {
		t.Error("an id that is none is read from JSON")
	}
}

func TestPayload(t *testing.T) {
	e := event(9, 1, ChampionChanged)
	want := `{"id":"` + e.ID.String() + `","type":"registry.champion_changed","tenantId":"t","timestamp":"2026-03-14T06:00:00.000Z","data":{"n":9}}`
	if got := string(e.Append([]byte("x"))); got != "x"+want {
		t.Errorf("Append() = %s, want %s", got, want)
	}
	if got, err := json.Marshal(&e); err != nil || string(got) != want {
		t.Errorf("Marshal() = %s, %v, want %s", got, err, want)
	}
}

func TestFilter(t *testing.T) {
	for _, c := range []struct {
		filter Filter
		kind   string
		want   bool
	}{
		{nil, "a.x", true}, {Filter{"a.x"}, "a.x", true}, {Filter{"a.x"}, "a.xy", false}, {Filter{"a.*"}, "a.x", true},
		{Filter{"a.*"}, "ab.x", false}, {Filter{"b.y", "a.*"}, "a.x", true}, {Filter{"*"}, "a.x", false}, {Filter{".*"}, "a.x", false},
	} {
		if got := c.filter.Matches(c.kind); got != c.want {
			t.Errorf("%v matches %s: %v, want %v", c.filter, c.kind, got, c.want)
		}
	}
	for entry, want := range map[string]bool{
		ChampionChanged: true, "registry.*": true, "alert.*": true, "": false, "*": false, "registry": false, "registry.": false, ".*": false, "r.*": false, Test: false,
	} {
		if got := Known(entry); got != want {
			t.Errorf("Known(%q) = %v, want %v", entry, got, want)
		}
	}
}

func TestPages(t *testing.T) {
	s := NewStore()
	fill(s, 1, 10)
	v := s.View("t")
	fill(s, 11, 5) // a view does not change
	var got []uint64
	after, pages := ID{}, 0
	for {
		p := v.Page(after, Filter{"a.*"}, 3)
		for _, e := range p.Events {
			got = append(got, e.ID.Index)
		}
		after, pages = p.Through, pages+1
		if p.Missed || len(p.Events) > 3 {
			t.Errorf("page %+v", p)
		}
		if !p.More {
			break
		}
	}
	if fmt.Sprint(got) != "[1 2 4 5 7 8 10]" || after != (ID{10, 1}) || pages != 3 {
		t.Errorf("%d pages with %v up to %v", pages, got, after)
	}
	if p := v.Page(after, nil, 3); len(p.Events) != 0 || p.More || p.Through != after {
		t.Errorf("behind the end: %+v", p)
	}
	// A filter that chooses none of the last events still goes over them.
	if p := v.Page(ID{9, 1}, Filter{"b.*"}, 3); len(p.Events) != 0 || p.Through != (ID{10, 1}) {
		t.Errorf("events that are not chosen: %+v", p)
	}
	// A place that a node has not come to yet.
	if p := v.Page(ID{99, 1}, nil, 3); len(p.Events) != 0 || p.Through != (ID{99, 1}) || p.Missed {
		t.Errorf("ahead of the log: %+v", p)
	}
	var none View
	if none.Last() != (ID{}) || len(none.Page(ID{}, nil, 3).Events) != 0 {
		t.Error("an empty view has events")
	}
}

func TestBounds(t *testing.T) {
	s := NewStore()
	fill(s, 1, MaxEvents)
	if dropped := s.Append(event(MaxEvents+1, 1, "a.x")); len(dropped) != 1 || dropped[0].ID != (ID{1, 1}) {
		t.Errorf("dropped %v, want the oldest", dropped)
	}
	v := s.View("t")
	if len(v.Events) != MaxEvents || v.Dropped != (ID{1, 1}) || v.Count != 1 {
		t.Errorf("%d events are kept behind %v", len(v.Events), v.Dropped)
	}
	// Whoever read the last one that is gone has missed nothing.
	if p := v.Page(ID{1, 1}, nil, 1); p.Missed || p.Events[0].ID.Index != 2 {
		t.Errorf("behind the newest that is gone: %+v", p)
	}
	if p := v.Page(ID{}, nil, 1); !p.Missed || p.Events[0].ID.Index != 2 {
		t.Errorf("from the beginning: %+v", p)
	}
	large := event(MaxEvents+2, 1, "a.x")
	large.Data = json.RawMessage(`"` + strings.Repeat("x", MaxBytes/2) + `"`)
	n := len(s.Append(large))
	large.ID.Index++
	n += len(s.Append(large))
	if v := s.View("t"); len(v.Events) != 1 || v.Events[0].ID != large.ID || n != MaxEvents+1 {
		t.Errorf("%d events are kept of two that fill the bound, %d were dropped", len(v.Events), n)
	}
	large.ID.Index, large.Data = large.ID.Index+1, json.RawMessage(`"`+strings.Repeat("x", MaxBytes)+`"`)
	s.Append(large)
	if v := s.View("t"); len(v.Events) != 1 {
		t.Errorf("%d events are kept, want the newest whatever its size", len(v.Events))
	}
	s.DropTenant("t")
	if v := s.View("t"); v.Last() != (ID{}) {
		t.Errorf("a dropped tenant has events up to %v", v.Last())
	}
}

func TestStoredForm(t *testing.T) {
	s := NewStore()
	if b := s.Capture().Append(nil); len(b) != 0 {
		t.Errorf("an empty store has %d bytes", len(b))
	}
	fill(s, 1, MaxEvents+5)
	s.Append(Event{ID: ID{3, 2}, Type: ModelReset, TenantID: "a", At: -1, Data: json.RawMessage(`{}`)})
	stored := string(s.Capture().Append(nil))
	got, err := Restore(stored)
	if err != nil || string(got.Capture().Append(nil)) != stored {
		t.Fatalf("it comes back different, %v", err)
	}
	// It goes on alike.
	for _, x := range []*Store{s, got} {
		fill(x, MaxEvents+6, 3)
	}
	if string(got.Capture().Append(nil)) != string(s.Capture().Append(nil)) {
		t.Error("the restored store goes on in another way")
	}
	for cut := range 60 {
		if _, err := Restore(stored[:len(stored)-1-cut]); err == nil {
			t.Errorf("the last %d bytes are not missed", cut+1)
		}
	}
	if _, err := Restore("\x02" + stored[1:]); err == nil {
		t.Error("another version is read")
	}
}

func FuzzRestore(f *testing.F) {
	s := NewStore()
	fill(s, 1, 4)
	s.Append(Event{ID: ID{3, 2}, Type: ModelReset, TenantID: "a", At: 5, Data: json.RawMessage(`{"a":[1]}`)})
	f.Add(string(s.Capture().Append(nil)))
	f.Add("")
	f.Add("\x01\x01\x01t\x00\x00\x00\x01\x01\x01\x00\x01x\x02{}")
	f.Fuzz(func(t *testing.T, stored string) {
		s, err := Restore(stored)
		if err != nil {
			return
		}
		again, err := Restore(string(s.Capture().Append(nil)))
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if string(again.Capture().Append(nil)) != string(s.Capture().Append(nil)) {
			t.Error("what was read is written different the second time")
		}
		s.Each(func(_ string, v View) {
			for i := range v.Events {
				if payload := v.Events[i].Append(nil); len(payload) == 0 {
					t.Error("an event without a payload")
				}
			}
		})
	})
}

func members(pairs ...string) Members {
	m := Members{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = json.RawMessage(pairs[i+1])
	}
	return m
}

func modelMembers(key, family, status, version string) Members {
	return members("key", `"`+key+`"`, "name", `"N <`+key+`>"`, "modelType", `"bayesian"`, "family", `"`+family+`"`, "registryStatus", `"`+status+`"`,
		"version", version, "trainingSamples", "60", "metrics", `{"auc":0.7}`)
}

// derived is what comes of changes, one line an event.
func derived(t *testing.T, cause Cause, changes ...Change) string {
	t.Helper()
	var lines []string
	for _, d := range Derive(cause, changes) {
		e, err := d.Stamp(ID{1, 1}, "t", 5)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, e.Type+" "+string(e.Data))
	}
	return strings.Join(lines, "\n")
}

func TestDerive(t *testing.T) {
	model := func(id, action string, before, after Members, told ...string) Change {
		return Change{Action: action, EntityType: EntityModel, EntityID: id, Before: before, After: after, Told: members(told...)}
	}
	experiment := func(before, after Members) Change {
		return Change{EntityType: EntityExperiment, EntityID: "x", Before: before, After: after}
	}
	about := func(id, key, family, version string) string {
		return `{"modelId":"` + id + `","modelKey":"` + key + `","modelName":"N <` + key + `>","modelType":"bayesian","family":"` + family + `","version":` + version + `,"actor":"ann"`
	}
	x := func(status, promotion, reason string) Members {
		return members("key", `"k"`, "name", `"n"`, "family", `"f"`, "status", `"`+status+`"`, "promotion", promotion, "endReason", `"`+reason+`"`)
	}
	aboutX := func(status string) string {
		return `{"experimentId":"x","experimentKey":"k","experimentName":"n","family":"f","status":"` + status + `","actor":"ann"`
	}
	for _, c := range []struct {
		name    string
		cause   Cause
		changes []Change
		want    []string
	}{
		{"nothing", Cause{}, nil, nil},
		{"a key", Cause{}, []Change{{EntityType: "apiKey", Before: members("a", "1")}}, nil},
		{"an update that concerns nobody", Cause{}, []Change{model("m", "update", modelMembers("a", "f", "champion", "1"), modelMembers("a", "f", "champion", "2"))}, nil},
		{"created", Cause{}, []Change{model("m", "create", nil, modelMembers("a", "f", "draft", "1"))},
			[]string{`model.created ` + about("m", "a", "f", "1") + `,"origin":"create"}`}},
		{"imported", Cause{}, []Change{model("m", "import", nil, modelMembers("a", "f", "draft", "4"))},
			[]string{`model.created ` + about("m", "a", "f", "4") + `,"origin":"import"}`}},
		{"upgraded", Cause{}, []Change{model("m", "upgrade", nil, modelMembers("a", "f", "draft", "1"), "upgradedFrom", `"old"`, "autoEvolve", "true")},
			[]string{`model.upgraded ` + about("m", "a", "f", "1") + `,"fromModelId":"old","autoEvolve":true}`}},
		{"trained", Cause{}, []Change{model("m", "train", modelMembers("a", "f", "draft", "1"), modelMembers("a", "f", "draft", "2"))},
			[]string{`model.trained ` + about("m", "a", "f", "2") + `,"trainingSamples":60,"metrics":{"auc":0.7}}`}},
		{"restored", Cause{}, []Change{model("m", "restore", modelMembers("a", "f", "draft", "2"), modelMembers("a", "f", "draft", "3"), "restoredVersion", "1")},
			[]string{`model.restored ` + about("m", "a", "f", "3") + `,"restoredVersion":1}`}},
		{"reset", Cause{}, []Change{model("m", "reset-learning", modelMembers("a", "f", "draft", "2"), modelMembers("a", "f", "draft", "3"))},
			[]string{`model.reset ` + about("m", "a", "f", "3") + `}`}},
		{"a deleted champion", Cause{}, []Change{model("m", "delete", modelMembers("a", "f", "champion", "2"), nil)}, []string{
			`model.deleted ` + about("m", "a", "f", "2") + `}`,
			`registry.champion_changed {"family":"f","modelId":null,"modelKey":null,"previousModelId":"m","previousModelKey":"a","actor":"ann"}`}},
		{"a promotion", Cause{ExperimentID: "x"}, []Change{
			model("m", "displace", modelMembers("a", "f", "champion", "2"), modelMembers("a", "f", "challenger", "2")),
			model("n", "transition", modelMembers("b", "f", "challenger", "1"), modelMembers("b", "f", "champion", "1"))}, []string{
			`registry.status_changed ` + about("m", "a", "f", "2") + `,"previousStatus":"champion","status":"challenger","experimentId":"x"}`,
			`registry.status_changed ` + about("n", "b", "f", "1") + `,"previousStatus":"challenger","status":"champion","experimentId":"x"}`,
			`registry.champion_changed {"family":"f","modelId":"n","modelKey":"b","previousModelId":"m","previousModelKey":"a","actor":"ann","experimentId":"x"}`}},
		{"a champion that goes to another family", Cause{}, []Change{model("m", "update", modelMembers("a", "g", "champion", "2"), modelMembers("a", "f", "champion", "2"))}, []string{
			`registry.champion_changed {"family":"f","modelId":"m","modelKey":"a","previousModelId":null,"previousModelKey":null,"actor":"ann"}`,
			`registry.champion_changed {"family":"g","modelId":null,"modelKey":null,"previousModelId":"m","previousModelKey":"a","actor":"ann"}`}},
		{"an alert opens, and closes with its model", Cause{}, []Change{
			{EntityType: EntityAlert, EntityID: "al", After: members("modelId", `"m"`, "rule", `"auc"`, "severity", `"high"`, "value", "0.5", "openedAt", `"t"`, "closedAt", "null", "message", `"low"`),
				Told: members("key", `"a"`, "name", `"N"`, "family", `"f"`)},
			model("m", "delete", modelMembers("a", "f", "draft", "2"), nil),
			{EntityType: EntityAlert, EntityID: "al", Before: members("modelId", `"m"`), After: members("modelId", `"m"`, "rule", `"auc"`, "closedAt", `"u"`, "closedBecause", `"deleted"`)}}, []string{
			`alert.opened {"alertId":"al","modelId":"m","modelKey":"a","modelName":"N","family":"f","rule":"auc","severity":"high","message":"low","goodWhen":"","needsAttentionWhen":"","value":0.5,"threshold":null,"openedAt":"t","closedAt":null}`,
			`model.deleted ` + about("m", "a", "f", "2") + `}`,
			`alert.closed {"alertId":"al","modelId":"m","modelKey":"a","modelName":"N <a>","family":"f","rule":"auc","severity":"","message":"","goodWhen":"","needsAttentionWhen":"","value":null,"threshold":null,"openedAt":null,"closedAt":"u","closedBecause":"deleted"}`}},
		{"an experiment is made, and one is deleted", Cause{}, []Change{experiment(nil, x("draft", "null", "")), experiment(x("archived", "null", ""), nil)},
			[]string{`experiment.created ` + aboutX("draft") + `}`, `experiment.deleted ` + aboutX("archived") + `}`}},
		{"one ends with a promotion", Cause{}, []Change{experiment(x("active", "null", ""), x("completed", `{"modelId":"m","promoted":true}`, "promoted"))}, []string{
			`experiment.promoted ` + aboutX("completed") + `,"modelId":"m"}`,
			`experiment.status_changed ` + aboutX("completed") + `,"previousStatus":"active","endReason":"promoted"}`}},
		{"one's promotion is refused", Cause{}, []Change{experiment(x("active", "null", ""), x("active", `{"modelId":"m","promoted":false,"reason":"auc"}`, ""))},
			[]string{`experiment.promotion_refused ` + aboutX("active") + `,"modelId":"m","reason":"auc"}`}},
		{"one is renamed", Cause{}, []Change{experiment(x("active", `{"modelId":"m"}`, ""), x("active", `{"modelId":"m"}`, ""))}, nil},
	} {
		c.cause.Actor = "ann"
		if got := derived(t, c.cause, c.changes...); got != strings.Join(c.want, "\n") {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, strings.Join(c.want, "\n"))
		}
	}
}

func TestStampRefusesWhatIsNotJSON(t *testing.T) {
	d := Draft{ModelTrained, Trained{Metrics: json.RawMessage(`{`)}}
	if _, err := d.Stamp(ID{1, 1}, "t", decision.Time(1)); err == nil {
		t.Error("data that are not JSON make an event")
	}
}

func BenchmarkAppend(b *testing.B) {
	s, data := NewStore(), json.RawMessage(`{"modelId":"m","modelKey":"k"}`)
	var i uint64
	b.ReportAllocs()
	for b.Loop() {
		i++
		s.Append(Event{ID: ID{i, 1}, Type: ModelTrained, TenantID: "t", At: 5, Data: data})
	}
}
