package catalogue

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/praetor-engine/praetor/internal/decision"
)

// twin is a catalogue as slow and simple as its rules read: lists that are
// searched from end to end, in the order of making.
type twin struct {
	tenants []*twinTenant
	ordinal uint32
	bound   int64
	answers []*Answer // those kept, oldest first
	evicted uint64
}

type twinTenant struct {
	id      string
	ordinal uint32
	keys    []string
	types   []OutcomeType
	models  []*twinModel

	families []*twinFamily   // those ever founded since they last had no member
	requests []decision.Time // all ever counted
}

type twinModel struct {
	id, key, name, family string
	status                decision.Status
	standing, previous    decision.RegistryStatus
	promoted              string  // when, by whom and with what the registry was last asked
	auc                   float64 // with which it was
	version, revision     uint64
	samples               int
	history               int // entries of metricsHistory
	versions              []Version
}

func find[T any](all []T, is func(T) bool) (v T, ok bool) {
	if i := slices.IndexFunc(all, is); i >= 0 {
		return all[i], true
	}
	return v, false
}

func (w *twin) tenant(id string) *twinTenant {
	t, _ := find(w.tenants, func(t *twinTenant) bool { return t.id == id })
	return t
}

func (t *twinTenant) model(id string) *twinModel {
	if t == nil {
		return nil
	}
	m, _ := find(t.models, func(m *twinModel) bool { return m.id == id })
	return m
}

func (m *twinModel) raise(reason string) {
	has := func(n uint64) bool {
		return slices.ContainsFunc(m.versions, func(v Version) bool { return v.Version == n })
	}
	if !has(m.version) {
		m.versions = append(m.versions, Version{Version: m.version, TrainingSamples: m.samples, Reason: reason})
	}
	m.version++
	m.revision++
}

// run is a catalogue and its twin going through the same random log.
type run struct {
	c   *Catalogue
	w   *twin
	at  decision.Time
	log []step
	n   int // numbers what is made
}

// step is one command of the log.
type step func(*Catalogue) error

var (
	tenantIDs = []string{"t1", "t2", "t3"}
	families  = []string{"f1", "f2"}
	standings = []decision.RegistryStatus{decision.RegistryDraft, decision.RegistryChallenger, decision.RegistryChampion, decision.RegistryArchived}
	typeKeys  = []string{"click", "impression", "own1", "own2"}
)

func newRun() *run { return &run{c: New(), w: &twin{bound: DefaultMaxAnswerBytes}, at: 1} }

// do applies a step and compares the kind of its error with the twin's.
func (r *run) do(t *rapid.T, s step, want decision.Kind, failed bool) {
	r.log = append(r.log, s)
	err := s(r.c)
	if (err != nil) != failed || (failed && decision.KindOf(err) != want) {
		t.Fatalf("step %d gave %v, want a failure: %v, of kind %v", len(r.log), err, failed, want)
	}
}

func (r *run) ok(t *rapid.T, s step) { r.do(t, s, 0, false) }

// anyModel draws a model that exists when there is one.
func (r *run) anyModel(t *rapid.T) (tenant, id string) {
	tenant, id = rapid.SampledFrom(tenantIDs).Draw(t, "tenant"), "absent"
	if w := r.w.tenant(tenant); w != nil && len(w.models) > 0 {
		id = rapid.SampledFrom(w.models).Draw(t, "model").id
	}
	return tenant, id
}

func (r *run) next(prefix string) string {
	r.n++
	return fmt.Sprintf("%s%d", prefix, r.n)
}

func (r *run) createTenant(t *rapid.T) {
	r.makeTenant(t, rapid.SampledFrom(tenantIDs).Draw(t, "tenant"))
}

func (r *run) makeTenant(t *rapid.T, id string) {
	at := r.at
	s := func(c *Catalogue) error { _, err := c.CreateTenant(id, "name of "+id, at); return err }
	if r.w.tenant(id) != nil {
		r.do(t, s, decision.KindConflict, true)
		return
	}
	r.ok(t, s)
	r.w.ordinal++
	r.w.tenants = append(r.w.tenants, &twinTenant{id: id, ordinal: r.w.ordinal, types: slices.Clone(systemOutcomeTypes)})
}

func (r *run) deleteTenant(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "rarely") > 0 {
		return
	}
	id := rapid.SampledFrom(tenantIDs).Draw(t, "tenant")
	s := func(c *Catalogue) error { _, _, err := c.DeleteTenant(id); return err }
	w := r.w.tenant(id)
	if w == nil {
		r.do(t, s, decision.KindNotFound, true)
		return
	}
	r.ok(t, s)
	r.w.tenants = slices.DeleteFunc(r.w.tenants, func(x *twinTenant) bool { return x == w })
	r.w.answers = slices.DeleteFunc(r.w.answers, func(a *Answer) bool { return a.Tenant == w.ordinal })
}

func (r *run) createKey(t *rapid.T) {
	tenant, id, at := rapid.SampledFrom(tenantIDs).Draw(t, "tenant"), r.next("key"), r.at
	s := func(c *Catalogue) error {
		_, err := c.CreateKey(tenant, Key{ID: id, Role: "viewer"}, KeyHash{byte(len(id)), id[3]}, at)
		return err
	}
	w := r.w.tenant(tenant)
	if w == nil {
		r.do(t, s, decision.KindNotFound, true)
		return
	}
	r.ok(t, s)
	w.keys = append(w.keys, id)
}

func (r *run) revokeKey(t *rapid.T) {
	tenant, id := rapid.SampledFrom(tenantIDs).Draw(t, "tenant"), "absent"
	w := r.w.tenant(tenant)
	if w != nil && len(w.keys) > 0 {
		id = rapid.SampledFrom(w.keys).Draw(t, "key")
	}
	s := func(c *Catalogue) error { return c.RevokeKey(tenant, id) }
	if id == "absent" {
		r.do(t, s, decision.KindNotFound, true)
		return
	}
	r.ok(t, s)
	w.keys = slices.DeleteFunc(w.keys, func(k string) bool { return k == id })
}

func (r *run) putType(t *rapid.T) {
	tenant := rapid.SampledFrom(tenantIDs).Draw(t, "tenant")
	o := OutcomeType{
		Key: rapid.SampledFrom(typeKeys).Draw(t, "key"), Name: r.next("name"),
		Classification: rapid.SampledFrom([]string{"", "positive", "negative"}).Draw(t, "class"),
	}
	update := rapid.Bool().Draw(t, "update")
	w := r.w.tenant(tenant)
	var old *OutcomeType
	if w != nil {
		if i := slices.IndexFunc(w.types, func(x OutcomeType) bool { return x.Key == o.Key }); i >= 0 {
			old = &w.types[i]
		}
	}
	s := func(c *Catalogue) error { _, err := c.UpdateOutcomeType(tenant, o); return err }
	if !update {
		o.Classification, o.Category = "negative", CategoryResponse
		s = func(c *Catalogue) error { _, err := c.CreateOutcomeType(tenant, o); return err }
	}
	switch {
	case w == nil, update && old == nil:
		r.do(t, s, decision.KindNotFound, true)
	case !update && old != nil:
		r.do(t, s, decision.KindConflict, true)
	case !update:
		r.ok(t, s)
		w.types = append(w.types, o)
	case old.IsSystem && o.Classification != "" && o.Classification != old.Classification:
		r.do(t, s, decision.KindConflict, true)
	default:
		r.ok(t, s)
		old.Name = o.Name
		if o.Classification != "" {
			old.Classification = o.Classification
		}
	}
}

func (r *run) deleteType(t *rapid.T) {
	tenant, key := rapid.SampledFrom(tenantIDs).Draw(t, "tenant"), rapid.SampledFrom(typeKeys).Draw(t, "key")
	s := func(c *Catalogue) error { return c.DeleteOutcomeType(tenant, key) }
	w := r.w.tenant(tenant)
	if w == nil {
		r.do(t, s, decision.KindNotFound, true)
		return
	}
	o, found := find(w.types, func(o OutcomeType) bool { return o.Key == key })
	switch {
	case !found:
		r.do(t, s, decision.KindNotFound, true)
	case o.IsSystem:
		r.do(t, s, decision.KindConflict, true)
	default:
		r.ok(t, s)
		w.types = slices.DeleteFunc(w.types, func(x OutcomeType) bool { return x.Key == key })
	}
}

func (r *run) createModel(t *rapid.T) {
	key := rapid.SampledFrom([]string{"k1", "k2", "k3", "k4", "k5"}).Draw(t, "key")
	family := rapid.SampledFrom(append([]string{""}, families...)).Draw(t, "family")
	r.makeModel(t, rapid.SampledFrom(tenantIDs).Draw(t, "tenant"), key, family)
}

func (r *run) makeModel(t *rapid.T, tenant, key, family string) {
	id, name, at := r.next("model"), r.next("name"), r.at
	kind := decision.EpsilonGreedy
	f := ModelFields{Key: &key, Name: &name, ModelType: &kind, Family: &family, Config: json.RawMessage(`{"epsilon":0}`)}
	s := func(c *Catalogue) error { _, err := c.CreateModel(tenant, id, &f, at); return err }
	w := r.w.tenant(tenant)
	if w == nil {
		r.do(t, s, decision.KindNotFound, true)
		return
	}
	if _, taken := find(w.models, func(m *twinModel) bool { return m.key == key }); taken {
		r.do(t, s, decision.KindBadRequest, true)
		return
	}
	r.ok(t, s)
	m := &twinModel{
		id: id, key: key, name: name, family: family, status: decision.StatusDraft, version: 1, revision: 1,
		standing: decision.RegistryDraft,
	}
	if m.family == "" {
		m.family = name
	}
	w.models = append(w.models, m)
	w.settle()
}

func (r *run) updateModel(t *rapid.T) {
	tenant, id := r.anyModel(t)
	at, name := r.at, r.next("name")
	f := ModelFields{Name: &name}
	if rapid.Bool().Draw(t, "relearn") {
		f.Config = json.RawMessage(`{"epsilon":0.5}`)
	}
	if rapid.Bool().Draw(t, "move") {
		family := rapid.SampledFrom(append([]string{""}, families...)).Draw(t, "family")
		f.Family = &family
	}
	s := func(c *Catalogue) error { _, err := c.UpdateModel(tenant, id, &f, "mover", at); return err }
	m := r.w.tenant(tenant).model(id)
	if m == nil {
		r.do(t, s, decision.KindNotFound, true)
		return
	}
	family := m.family
	if f.Family != nil {
		if family = *f.Family; family == "" {
			family = name
		}
	}
	w := r.w.tenant(tenant)
	champion := m.standing == decision.RegistryChampion
	if other := w.champion(family); champion && other != nil && other != m {
		r.do(t, s, decision.KindConflict, true)
		return
	}
	r.ok(t, s)
	if champion && family != m.family {
		w.note(m, ChangeLeft, m.standing, "mover", at)
	}
	moved := family != m.family
	m.name, m.family = name, family
	w.settle()
	if champion && moved {
		w.note(m, ChangeJoined, m.standing, "mover", at)
	}
	if f.Config != nil {
		m.revision++
	}
}

func (r *run) deleteModel(t *rapid.T) {
	tenant, id := r.anyModel(t)
	at := r.at
	s := func(c *Catalogue) error { _, err := c.DeleteModel(tenant, id, "deleter", at); return err }
	w := r.w.tenant(tenant)
	m := w.model(id)
	if m == nil {
		r.do(t, s, decision.KindNotFound, true)
		return
	}
	r.ok(t, s)
	w.models = slices.DeleteFunc(w.models, func(o *twinModel) bool { return o == m })
	if m.standing == decision.RegistryChampion {
		w.note(m, ChangeDeleted, m.standing, "deleter", at)
	}
	w.settle()
}

func (r *run) learn(t *rapid.T) {
	tenant, id := r.anyModel(t)
	at, m := r.at, r.w.tenant(tenant).model(id)
	what := rapid.SampledFrom([]string{ReasonTrain, ReasonReset, ReasonRestore}).Draw(t, "what")
	number := uint64(rapid.IntRange(1, 6).Draw(t, "number"))
	samples := rapid.IntRange(50, 99).Draw(t, "samples")
	metrics := json.RawMessage(fmt.Sprintf(`{"sampleCount":%d}`, samples))
	var s step
	switch what {
	case ReasonTrain:
		s = func(c *Catalogue) error {
			_, err := c.InstallTraining(tenant, id, number, metrics, samples, at)
			return err
		}
	case ReasonReset:
		s = func(c *Catalogue) error { _, err := c.ResetLearning(tenant, id, at); return err }
	case ReasonRestore:
		s = func(c *Catalogue) error { _, err := c.RestoreVersion(tenant, id, number, at); return err }
	}
	if m == nil {
		r.do(t, s, decision.KindNotFound, true)
		return
	}
	earlier, known := find(m.versions, func(v Version) bool { return v.Version == number })
	switch {
	case what == ReasonTrain && number != m.revision:
		r.do(t, s, decision.KindConflict, true)
		return
	case what == ReasonRestore && !known:
		r.do(t, s, decision.KindNotFound, true)
		return
	}
	r.ok(t, s)
	m.raise(what)
	switch what {
	case ReasonTrain:
		m.samples, m.status = samples, decision.StatusActive
		m.history++
	case ReasonReset:
		m.samples, m.status, m.history = 0, decision.StatusDraft, 0
	case ReasonRestore:
		m.samples = earlier.TrainingSamples
	}
	m.versions = append(m.versions, Version{Version: m.version, TrainingSamples: m.samples, Reason: what})
}

func (r *run) answer(t *rapid.T) {
	tenant := rapid.SampledFrom(append([]string{""}, tenantIDs...)).Draw(t, "tenant")
	var ordinal uint32
	if tenant != "" {
		w := r.w.tenant(tenant)
		if w == nil {
			return
		}
		ordinal = w.ordinal
	}
	name := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, "idempotency key")
	fingerprint := uint64(rapid.IntRange(1, 2).Draw(t, "fingerprint"))
	size, at := rapid.IntRange(0, 400).Draw(t, "size"), r.at
	key := KeyOf(ordinal, "request", name)

	first, known := find(r.w.answers, func(a *Answer) bool { return a.Key == key && at-a.At < AnswerLifetime })
	s := func(c *Catalogue) error {
		got, err := c.Answers().Find(key, fingerprint, at)
		if err == nil && got == nil {
			c.Answers().Add(&Answer{Key: key, Tenant: ordinal, Fingerprint: fingerprint, At: at, Body: bytes.Repeat([]byte("x"), size)})
		} else if err == nil && (!known || got.At != first.At || len(got.Body) != len(first.Body)) {
			return fmt.Errorf("first answer = %+v, want %+v", got, first)
		}
		return err
	}
	switch {
	case known && first.Fingerprint != fingerprint:
		r.do(t, s, decision.KindConflict, true)
	case known:
		r.ok(t, s)
	default:
		r.ok(t, s)
		r.w.add(&Answer{Key: key, Tenant: ordinal, Fingerprint: fingerprint, At: at, Body: make([]byte, size)})
	}
}

func (w *twin) add(a *Answer) {
	w.answers = slices.DeleteFunc(w.answers, func(o *Answer) bool { return o.Key == a.Key || a.At-o.At >= AnswerLifetime })
	w.answers = append(w.answers, a)
	for w.bytes() > w.bound {
		w.answers = w.answers[1:]
		w.evicted++
	}
}

func (w *twin) bytes() (n int64) {
	for _, a := range w.answers {
		n += a.size()
	}
	return n
}

// bounds changes how much may be kept; what is over goes with the next answer.
func (r *run) bounds(t *rapid.T) {
	s := Settings{Pepper: "00", MaxAnswerBytes: int64(rapid.IntRange(0, 5).Draw(t, "kilobytes")) << 10}
	r.ok(t, func(c *Catalogue) error { c.SetSettings(s); return nil })
	if r.w.bound = s.MaxAnswerBytes; r.w.bound == 0 {
		r.w.bound = DefaultMaxAnswerBytes
	}
}

func (r *run) tick(t *rapid.T) {
	r.at += rapid.SampledFrom([]decision.Time{1, 1000, 20_000, 40_000, AnswerLifetime / 3, AnswerLifetime}).Draw(t, "later")
}

// newest returns the ids in the order of lists.
func newest[T any](all []T, id func(T) string) string {
	ids := make([]string, 0, len(all))
	for _, v := range slices.Backward(all) {
		ids = append(ids, id(v))
	}
	return strings.Join(ids, " ")
}

func inOrder[T any](all []T, id func(T) string) string {
	ids := make([]string, 0, len(all))
	for _, v := range all {
		ids = append(ids, id(v))
	}
	return strings.Join(ids, " ")
}

// check compares everything that can be read with the twin.
func (r *run) check(t *rapid.T) {
	same := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Fatalf("%s = %s, want %s", what, got, want)
		}
	}
	tenants, _, total := r.c.Tenants(0, 100)
	same("tenants", inOrder(tenants, func(t Tenant) string { return t.ID }), newest(r.w.tenants, func(t *twinTenant) string { return t.id }))
	if total != len(r.w.tenants) {
		t.Fatalf("total = %d, want %d", total, len(r.w.tenants))
	}
	a := r.c.Answers()
	if a.Len() != int64(len(r.w.answers)) || a.Bytes() != r.w.bytes() || a.Evicted() != r.w.evicted {
		t.Fatalf("answers: %d of %d bytes, %d evicted, want %d of %d, %d",
			a.Len(), a.Bytes(), a.Evicted(), len(r.w.answers), r.w.bytes(), r.w.evicted)
	}
	for _, w := range r.w.tenants {
		keys, _, _, _ := r.c.Keys(w.id, 0, 100)
		same("keys", inOrder(keys, func(k Key) string { return k.ID }), newest(w.keys, func(k string) string { return k }))
		types, _, _, _ := r.c.OutcomeTypes(w.id, 0, 100)
		show := func(o OutcomeType) string { return o.Key + "=" + o.Name + "/" + o.Classification }
		same("outcome types", inOrder(types, show), newest(w.types, show))
		models, _, _, _ := r.c.Models(w.id, 0, 100)
		same("models", inOrder(models, func(m *Model) string { return m.ID }), newest(w.models, func(m *twinModel) string { return m.id }))
		r.checkModels(t, w)
		r.checkFamilies(t, w)
	}
}

func (r *run) checkModels(t *rapid.T, w *twinTenant) {
	for _, m := range w.models {
		got, err := r.c.Model(w.id, m.id)
		if err != nil {
			t.Fatalf("Model(%s) = %v", m.id, err)
		}
		have := fmt.Sprint(got.Key, got.Name, got.Family, got.Status, got.Version, got.Revision, got.TrainingSamples,
			len(got.MetricsHistory), got.RegistryStatus, got.Promotion.Previous, promotion(got))
		want := fmt.Sprint(m.key, m.name, m.family, m.status, m.version, m.revision, m.samples, m.history, m.standing, m.previous, m.promoted)
		if have != want {
			t.Fatalf("model %s = %s, want %s", m.id, have, want)
		}
		show := func(v Version) string { return fmt.Sprint(v.Version, v.Reason, v.TrainingSamples) }
		if have, want := inOrder(got.Versions, show), inOrder(m.versions, show); have != want {
			t.Fatalf("versions of %s = %s, want %s", m.id, have, want)
		}
	}
}

// encoded is everything a snapshot has of a catalogue.
func encoded(t fataler, c *Catalogue) string {
	capture := c.Capture()
	registry, err := capture.Registry()
	if err != nil {
		t.Fatalf("Registry() = %v", err)
	}
	return string(registry) + "\n" + string(capture.AppendAnswers(nil))
}

type fataler interface{ Fatalf(string, ...any) }

func restored(t fataler, c *Catalogue) *Catalogue {
	capture := c.Capture()
	registry, err := capture.Registry()
	if err != nil {
		t.Fatalf("Registry() = %v", err)
	}
	back, err := Restore(registry, string(capture.AppendAnswers(nil)))
	if err != nil {
		t.Fatalf("Restore() = %v", err)
	}
	return back
}

// The catalogue does what its rules say; the same log gives the same bytes; and
// so does a snapshot anywhere in it with the rest of the log.
func TestCatalogueAgainstItsTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRun()
		t.Repeat(map[string]func(*rapid.T){
			"":             r.check,
			"createTenant": r.createTenant, "deleteTenant": r.deleteTenant,
			"createKey": r.createKey, "revokeKey": r.revokeKey,
			"putType": r.putType, "deleteType": r.deleteType,
			"createModel": r.createModel, "createModel2": r.createModel, "updateModel": r.updateModel, "deleteModel": r.deleteModel,
			"transition": r.transition, "transition2": r.transition, "transitions": r.transitions, "learn": r.learn, "learn2": r.learn, "learn3": r.learn,
			"answer": r.answer, "answer2": r.answer, "bounds": r.bounds, "tick": r.tick,
		})
		r.checkSnapshot(t)
	})
}

// checkSnapshot applies the log again, with a snapshot somewhere in it.
func (r *run) checkSnapshot(t *rapid.T) {
	want := encoded(t, r.c)
	cut := rapid.IntRange(0, len(r.log)).Draw(t, "snapshot after")
	again := New()
	for i, s := range r.log {
		if i == cut {
			again = restored(t, again)
		}
		_ = s(again)
	}
	if got := encoded(t, again); got != want {
		t.Fatalf("after a snapshot at %d of %d steps:\n got %s\nwant %s", cut, len(r.log), got, want)
	}
}
