package catalogue

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/praetor-engine/praetor/internal/decision"
)

func text(s string) *string { return &s }

func newTenant(t testing.TB, c *Catalogue, id string) Tenant {
	t.Helper()
	made, err := c.CreateTenant(id, "name of "+id, 1)
	if err != nil {
		t.Fatalf("CreateTenant() = %v", err)
	}
	return made
}

func newModel(t testing.TB, c *Catalogue, tenant, id string) *ModelRecord {
	t.Helper()
	kind := decision.EpsilonGreedy
	m, err := c.CreateModel(tenant, id, &ModelFields{Key: text("key of " + id), Name: text(id), ModelType: &kind}, 1)
	if err != nil {
		t.Fatalf("CreateModel() = %v", err)
	}
	return m
}

// A client that follows cursors sees every entity that is there from its first
// to its last page once, whatever is inserted and deleted meanwhile.
func TestCursorsStayValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := New()
		_, _ = c.CreateTenant("t", "t", 1)
		n := 0
		insert := func() {
			n++
			_, _ = c.CreateKey("t", Key{ID: fmt.Sprintf("k%d", n)}, KeyHash{byte(n)}, 1)
		}
		for range rapid.IntRange(0, 20).Draw(t, "keys") {
			insert()
		}
		present := map[string]bool{} // from the beginning to the end
		for id := range c.tenants["t"].keys {
			present[id] = true
		}
		limit := rapid.IntRange(1, 7).Draw(t, "limit")
		var after uint64
		seen := map[string]bool{}
		for {
			items, sequences, total, err := c.Keys("t", after, limit)
			if err != nil || total != len(c.tenants["t"].keys) {
				t.Fatalf("Keys() = total %d, %v, want %d", total, err, len(c.tenants["t"].keys))
			}
			for i, k := range items {
				if seen[k.ID] {
					t.Fatalf("key %s on two pages", k.ID)
				}
				if after != 0 && sequences[i] >= after {
					t.Fatalf("key %s has sequence %d, want one under %d", k.ID, sequences[i], after)
				}
				seen[k.ID] = true
				after = sequences[i]
			}
			if len(items) < limit {
				break
			}
			for range rapid.IntRange(0, 3).Draw(t, "inserts") {
				insert()
			}
			if id := fmt.Sprintf("k%d", rapid.IntRange(1, 30).Draw(t, "delete")); c.RevokeKey("t", id) == nil {
				delete(present, id)
			}
		}
		for id := range present {
			if !seen[id] {
				t.Fatalf("key %s was there all the time and on no page", id)
			}
		}
	})
}

func TestHistoriesAreBounded(t *testing.T) {
	c := New()
	newTenant(t, c, "t")
	newModel(t, c, "t", "m")
	const trainings = MaxVersions + 20
	for i := range trainings {
		metrics := json.RawMessage(`{"auc":0.` + strconv.Itoa(i) + `}`)
		m, err := c.InstallTraining("t", "m", uint64(i+1), metrics, 50, 1)
		if err != nil {
			t.Fatalf("InstallTraining() = %v", err)
		}
		if !m.HasVersion(m.Version) {
			t.Fatalf("version %d has no entry", m.Version)
		}
	}
	m, _ := c.Model("t", "m")
	if got, want := m.Version, uint64(trainings+1); got != want {
		t.Errorf("version = %d, want %d", got, want)
	}
	if got := len(m.Versions); got != MaxVersions {
		t.Errorf("%d versions, want %d", got, MaxVersions)
	}
	if got := len(m.MetricsHistory); got != MaxMetricsHistory {
		t.Errorf("%d entries of metricsHistory, want %d", got, MaxMetricsHistory)
	}
	if first, last := m.Versions[0].Version, m.Versions[MaxVersions-1].Version; last != m.Version || first != m.Version-MaxVersions+1 {
		t.Errorf("versions %d to %d, want the newest, up to %d", first, last, m.Version)
	}
	if _, err := c.RestoreVersion("t", "m", 1, 2); decision.KindOf(err) != decision.KindNotFound {
		t.Errorf("restoring a version that is gone = %v, want not found", err)
	}
	if !strings.Contains(string(m.MetricsHistory[MaxMetricsHistory-1]), `"version":521`) {
		t.Errorf("last entry of metricsHistory = %s, want version 521", m.MetricsHistory[MaxMetricsHistory-1])
	}
}

// What a reader was given never changes.
func TestEntitiesAreImmutable(t *testing.T) {
	c := New()
	newTenant(t, c, "t")
	m := newModel(t, c, "t", "m")
	_, _ = c.InstallTraining("t", "m", 1, json.RawMessage(`{}`), 50, 2)
	held, _ := c.Model("t", "m")
	before := fmt.Sprintf("%+v", *held)
	_, _ = c.UpdateModel("t", "m", &ModelFields{Name: text("other"), Family: text("other")}, "me", 3)
	_, _ = c.InstallTraining("t", "m", held.Revision, json.RawMessage(`{}`), 60, 4)
	_, _ = c.ResetLearning("t", "m", 5)
	if got := fmt.Sprintf("%+v", *held); got != before {
		t.Errorf("the model held = %s, want %s", got, before)
	}
	if m.Version != 1 || len(m.Versions) != 0 {
		t.Errorf("the model as created has version %d and %d entries, want 1 and 0", m.Version, len(m.Versions))
	}
}

func TestSystemOutcomeTypes(t *testing.T) {
	c := New()
	newTenant(t, c, "t")
	for class, keys := range map[decision.Classification]string{
		decision.Positive: "click accept convert conversion requested_info share save",
		decision.Negative: "dismiss not_interested opt_out complaint",
		decision.Neutral:  "impression not_presented expired deferred defer",
	} {
		for _, key := range strings.Fields(keys) {
			got, impression, ok := c.ResolveOutcome("t", key)
			if !ok || got != class || impression != (key == "impression") {
				t.Errorf("ResolveOutcome(%s) = %v, %v, %v, want %v", key, got, impression, ok, class)
			}
			if err := c.DeleteOutcomeType("t", key); decision.KindOf(err) != decision.KindConflict {
				t.Errorf("DeleteOutcomeType(%s) = %v, want a conflict", key, err)
			}
		}
	}
	if _, _, total, _ := c.OutcomeTypes("t", 0, 100); total != 16 {
		t.Errorf("%d outcome types, want 16", total)
	}
	if _, _, ok := c.ResolveOutcome("other", "click"); ok {
		t.Error("an outcome type of a tenant that does not exist resolves")
	}
}

func TestAnswers(t *testing.T) {
	a := newAnswers()
	key := KeyOf(1, "request", "k")
	if key == KeyOf(2, "request", "k") || key == KeyOf(1, "outcome", "k") || key == KeyOf(1, "request", "l") {
		t.Error("keys of other tenants, scopes or texts are equal")
	}
	a.Add(&Answer{Key: key, Tenant: 1, Fingerprint: 7, At: 1000, Body: []byte("first")})
	if got, err := a.Find(key, 7, 1000+AnswerLifetime-1); err != nil || got == nil || string(got.Body) != "first" {
		t.Errorf("Find() = %+v, %v, want the first answer", got, err)
	}
	if _, err := a.Find(key, 8, 2000); decision.KindOf(err) != decision.KindConflict {
		t.Errorf("Find() with another content = %v, want a conflict", err)
	}
	if got, err := a.Find(key, 8, 1000+AnswerLifetime); got != nil || err != nil {
		t.Errorf("Find() after 24 hours = %+v, %v, want nothing", got, err)
	}
}

// The estimate of the answers' memory holds for answers that are really there.
func TestAnswersBoundAndCount(t *testing.T) {
	const size = answerOverhead + 40
	a := newAnswers()
	a.limit(100 * size)
	for i := range 10_000 {
		a.Add(&Answer{Key: KeyOf(1, "outcome", strconv.Itoa(i)), Tenant: 1, At: decision.Time(i), Body: make([]byte, 40)})
		if a.Bytes() > 100*size {
			t.Fatalf("%d bytes after %d answers, want at most %d", a.Bytes(), i+1, 100*size)
		}
	}
	if a.Len() != 100 || a.Evicted() != 9900 {
		t.Errorf("%d kept, %d evicted, want 100 and 9900", a.Len(), a.Evicted())
	}
	if got, _ := a.Find(KeyOf(1, "outcome", "9900"), 0, 10_000); got == nil {
		t.Error("the oldest that fits is gone")
	}
	if got, _ := a.Find(KeyOf(1, "outcome", "9899"), 0, 10_000); got != nil {
		t.Error("one that does not fit is there")
	}
	if len(a.queue)-a.head > 200 || cap(a.queue) > 20_000 {
		t.Errorf("the queue has %d places for 100 answers", cap(a.queue))
	}
	a.dropTenant(1)
	if a.Len() != 0 || a.Bytes() != 0 {
		t.Errorf("%d answers of %d bytes after the tenant is gone, want none", a.Len(), a.Bytes())
	}
}

// A registry that contradicts itself is refused: with two champions in a family
// no later rule would hold.
func TestRestoreRefusesContradictions(t *testing.T) {
	c := New()
	newTenant(t, c, "t")
	newModel(t, c, "t", "m1")
	newModel(t, c, "t", "m2")
	newModel(t, c, "t", "m3")
	for _, id := range []string{"m1", "m2"} {
		_, _ = c.UpdateModel("t", id, &ModelFields{Family: text("f")}, "me", 2)
		stand(t, c, id, decision.RegistryChallenger)
		stand(t, c, id, decision.RegistryChampion)
	}
	good, err := c.Capture().Registry()
	if err != nil {
		t.Fatal(err)
	}
	answers := string(c.Capture().AppendAnswers(nil))
	if back, err := Restore(good, answers); err != nil || back.tenants["t"].champion("f") != "m2" {
		t.Fatalf("Restore() with one champion = %v", err)
	}
	before := regexp.MustCompile(`,"families":\[.*$`).ReplaceAll(good, []byte("}]}")) // as written before families were
	if back, err := Restore(before, answers); err != nil || back.tenants["t"].champion("f") != "m2" || len(before) == len(good) {
		t.Fatalf("Restore() without families = %v", err)
	}
	for name, registry := range map[string][]byte{
		"two champions":             bytes.ReplaceAll(bytes.ReplaceAll(good, []byte(`"registryStatus":"challenger"`), []byte(`"registryStatus":"champion"`)), []byte("challenger"), []byte("champion")),
		"one family twice":          bytes.ReplaceAll(good, []byte(`"name":"m3","sequence"`), []byte(`"name":"f","sequence"`)),
		"a family without a member": bytes.ReplaceAll(good, []byte(`"name":"m3","sequence"`), []byte(`"name":"m4","sequence"`)),
		"one model key":             bytes.ReplaceAll(good, []byte("key of m2"), []byte("key of m1")),
		"one model id":              bytes.ReplaceAll(good, []byte(`"id":"m2"`), []byte(`"id":"m1"`)),
		"not JSON":                  good[:len(good)/2],
		"another's JSON":            []byte(`{"tenants":{}}`),
	} {
		if bytes.Equal(registry, good) {
			t.Fatalf("%s: nothing is damaged", name)
		}
		if _, err := Restore(registry, answers); err == nil {
			t.Errorf("%s: Restore() succeeded", name)
		}
	}
	if _, err := Restore(good, answers+"x"); err == nil {
		t.Error("answers with bytes left over: Restore() succeeded")
	}
}

func FuzzRestore(f *testing.F) {
	c := New()
	newTenant(f, c, "t")
	newModel(f, c, "t", "m")
	_, _ = c.CreateKey("t", Key{ID: "k", Role: "admin"}, KeyHash{1}, 1)
	_, _ = c.InstallTraining("t", "m", 1, json.RawMessage(`{"auc":0.5}`), 50, 2)
	_, _ = c.CountRegistryRequest("t", 3)
	stand(f, c, "m", decision.RegistryChallenger)
	stand(f, c, "m", decision.RegistryChampion)
	c.Answers().Add(&Answer{Key: KeyOf(1, "request", "k"), Tenant: 1, At: 3, Body: []byte("{}")})
	c.Answers().Add(&Answer{Key: KeyOf(1, "outcome", "k"), Tenant: 1, At: 3, ID: decision.InteractionID{Index: 1, Seq: 2}, Class: decision.Positive})
	registry, err := c.Capture().Registry()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(registry, c.Capture().AppendAnswers(nil))
	f.Add([]byte("{}"), []byte{0, 0})
	f.Add([]byte(`{"tenants":[{"id":"a"},{"id":"a"}]}`), []byte{0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, registry, answers []byte) {
		c, err := Restore(registry, string(answers))
		if err != nil {
			return
		}
		// What can be read can be written, and then reads the same.
		want := encoded(t, c)
		if got := encoded(t, restored(t, c)); got != want {
			t.Errorf("after a round trip:\n got %q\nwant %q", got, want)
		}
	})
}

func BenchmarkAnswers(b *testing.B) {
	b.ReportAllocs()
	a := newAnswers()
	i := 0
	for b.Loop() {
		i++
		key := KeyOf(1, "outcome", strconv.Itoa(i))
		if ans, _ := a.Find(key, 1, decision.Time(i)); ans == nil {
			a.Add(&Answer{Key: key, Tenant: 1, Fingerprint: 1, At: decision.Time(i)})
		}
	}
}
