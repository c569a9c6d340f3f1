package engine

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/praetor-engine/praetor/actors"
	"github.com/praetor-engine/praetor/cluster"
	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/event"
	"github.com/praetor-engine/praetor/internal/history"
	"github.com/praetor-engine/praetor/internal/monitor"
	"github.com/praetor-engine/praetor/internal/optimization"
	"github.com/praetor-engine/praetor/internal/webhook"
	"github.com/praetor-engine/praetor/internal/wire"
	"github.com/praetor-engine/praetor/snapshot"
)

// The sections of a snapshot.
const (
	sectionRegistry    = "registry"    // JSON: package catalogue
	sectionExperiments = "experiments" // package catalogue; snapshots before experiments have none
	sectionMonitoring  = "monitoring"  // package monitor; snapshots before monitoring have none
	sectionEvents      = "events"      // package event; snapshots before events have none
	sectionWebhooks    = "webhooks"    // JSON: package webhook; snapshots before webhooks have none
	sectionAnswers     = "answers"     // package catalogue
	sectionModels      = "models"      // below
	sectionSummaries   = "summaries"   // package history
	// Snapshots before optimizations have neither.
	sectionOptimizations = "optimizations" // JSON: package optimization
	sectionObservations  = "observations"  // of the optimizations, like models
	dirHistory           = "history"       // a checkpoint of the history's database
)

// The models' section: a version byte, a count, then per model its id, a byte
// (0 a state follows, 1 a fault), and the state and the evidence, or the fault's
// log index and reason. Version 1 had no evidence.
const (
	modelsVersion     = 2
	modelsVersionBare = 1
)

// minModelSize is the encoded size of the smallest model.
const minModelSize = 3

// machineCapture is the machine as of one log index.
type machineCapture struct {
	catalogue *catalogue.Capture
	history   *history.Capture
	models    []capturedModel
	book      *monitor.Capture
	events    *event.Capture
	webhooks  *webhook.Capture

	optimizations *optimization.Registry
	observations  []capturedModel
}

type capturedModel struct {
	id    string
	state <-chan actors.Captured
}

// Capture posts a marker into every mailbox and takes the rest by reference:
// the order of the mailboxes makes the cut exact, and nothing waits.
func (m *machine) Capture(uint64) (cluster.Capture, error) {
	past, err := m.history.Capture()
	if err != nil {
		return nil, err
	}
	c := &machineCapture{
		catalogue: m.catalogue.Capture(), history: past, models: m.captureModels(), book: m.book.Capture(),
		optimizations: m.optimizations.Capture(), observations: m.captureOptimizations((*actors.Optimization).Capture),
	}
	c.events, c.webhooks = m.events.Capture(), m.webhooks.Capture()
	return c, nil
}

// captureModels posts a marker into every mailbox, ordered by the models' ids.
func (m *machine) captureModels() []capturedModel {
	var all []capturedModel
	for _, t := range m.tenants {
		for _, mr := range t.models {
			all = append(all, capturedModel{mr.id, mr.handle.Capture()})
		}
	}
	slices.SortFunc(all, func(a, b capturedModel) int { return strings.Compare(a.id, b.id) })
	return all
}

// Persist writes the snapshot. The history's checkpoint may hold more than the
// cut and never less.
func (c *machineCapture) Persist(w *snapshot.Writer) error {
	registry, err := c.catalogue.Registry()
	if err != nil {
		return err
	}
	experiments, err := c.catalogue.AppendExperiments(nil)
	if err != nil {
		return err
	}
	optimizations, err := c.optimizations.Append(nil)
	if err != nil {
		return err
	}
	webhooks, err := c.webhooks.Encode()
	if err != nil {
		return err
	}
	for _, s := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{sectionRegistry, func(w io.Writer) error { _, err := w.Write(registry); return err }},
		{sectionExperiments, func(w io.Writer) error { _, err := w.Write(experiments); return err }},
		{sectionMonitoring, func(w io.Writer) error { _, err := w.Write(c.book.Append(nil)); return err }},
		{sectionEvents, func(w io.Writer) error { _, err := w.Write(c.events.Append(nil)); return err }},
		{sectionWebhooks, func(w io.Writer) error { _, err := w.Write(webhooks); return err }},
		{sectionAnswers, func(w io.Writer) error { _, err := w.Write(c.catalogue.AppendAnswers(nil)); return err }},
		{sectionModels, func(w io.Writer) error { return writeModels(w, c.models) }},
		{sectionOptimizations, func(w io.Writer) error { _, err := w.Write(optimizations); return err }},
		{sectionObservations, func(w io.Writer) error { return writeModels(w, c.observations) }},
		{sectionSummaries, c.history.Encode},
	} {
		if err := writeSection(w, s.name, s.write); err != nil {
			return fmt.Errorf("engine: snapshot section %s: %w", s.name, err)
		}
	}
	dir, err := w.Dir(dirHistory)
	if err != nil {
		return err
	}
	return c.history.Checkpoint(dir)
}

func writeSection(w *snapshot.Writer, name string, write func(io.Writer) error) error {
	section := w.Section(name)
	buffered := bufio.NewWriterSize(section, 1<<20)
	if err := write(buffered); err != nil {
		_ = section.Close()
		return err
	}
	if err := buffered.Flush(); err != nil {
		_ = section.Close()
		return err
	}
	return section.Close()
}

func writeModels(w io.Writer, models []capturedModel) error {
	b := wire.AppendUvarint([]byte{modelsVersion}, uint64(len(models)))
	for _, m := range models {
		b = appendModel(b, m.id, <-m.state)
		if _, err := w.Write(b); err != nil {
			return err
		}
		b = b[:0]
	}
	_, err := w.Write(b)
	return err
}

func appendModel(b []byte, id string, c actors.Captured) []byte {
	b = wire.AppendString(b, id)
	b = wire.AppendBool(b, c.Fault != nil)
	if c.Fault != nil {
		b = wire.AppendUvarint(b, c.Fault.Index)
		return wire.AppendString(b, c.Fault.Reason)
	}
	return wire.AppendBytes(wire.AppendBytes(b, c.State), c.Evidence)
}

// Release gives the capture's memory back.
func (c *machineCapture) Release() { c.history.Release() }

// Restore replaces everything by the snapshot, or by nothing without one. Until
// a model's new actor is there, scores come from what its old one published
// last.
func (m *machine) Restore(src *snapshot.Source) error {
	m.stopActors()
	if src == nil {
		m.mu.Lock()
		m.catalogue, m.optimizations = catalogue.New(), optimization.NewRegistry()
		m.mu.Unlock()
		m.book.Replace(nil)
		m.events, m.webhooks = event.NewStore(), webhook.NewSet()
		m.directory.clear()
		return m.history.Restore("", nil)
	}
	if err := m.restoreHistory(src); err != nil {
		return fmt.Errorf("engine: restore the history: %w", err)
	}
	if err := m.restoreCatalogue(src); err != nil {
		return err
	}
	if err := m.restoreBook(src); err != nil {
		return err
	}
	if err := m.restoreEvents(src); err != nil {
		return err
	}
	models, err := readSection(src, sectionModels)
	if err != nil {
		return err
	}
	if err := m.restoreModels(models); err != nil {
		return fmt.Errorf("engine: restore the models: %w", err)
	}
	if err := m.restoreOptimizations(src); err != nil {
		return fmt.Errorf("engine: restore the optimizations: %w", err)
	}
	m.refreshTenants()
	m.refreshKeys()
	m.refreshAudits()
	m.refreshEvents()
	m.directory.setPepper(m.catalogue.Settings().Pepper)
	return nil
}

// stopActors ends every actor after what was sent to it before.
func (m *machine) stopActors() {
	pending := actors.NewPending()
	for _, t := range m.tenants {
		for _, mr := range t.models {
			mr.handle.Stop(pending)
		}
	}
	for _, rt := range m.serving {
		rt.handle.Stop(pending)
	}
	pending.Done()
	<-pending.Passed()
	m.tenants, m.serving = map[string]*tenantRuntime{}, map[uint64]*optimizationRuntime{}
}

func (m *machine) restoreHistory(src *snapshot.Source) error {
	dir, ok := src.Dir(dirHistory)
	if !ok {
		return fmt.Errorf("the snapshot has no directory %q", dirHistory)
	}
	section, err := src.Section(sectionSummaries)
	if err != nil {
		return err
	}
	defer section.Close()
	return m.history.Restore(dir, bufio.NewReaderSize(section, 1<<20))
}

func (m *machine) restoreCatalogue(src *snapshot.Source) error {
	registry, err := readSection(src, sectionRegistry)
	if err != nil {
		return err
	}
	answers, err := readSection(src, sectionAnswers)
	if err != nil {
		return err
	}
	experiments, err := readNewSection(src, sectionExperiments)
	if err != nil {
		return err
	}
	c, err := catalogue.Restore([]byte(registry), answers)
	if err != nil {
		return err
	}
	if err := c.RestoreExperiments(experiments); err != nil {
		return err
	}
	m.mu.Lock()
	m.catalogue = c
	m.mu.Unlock()
	return nil
}

// restoreBook restores what is known of the models' service.
func (m *machine) restoreBook(src *snapshot.Source) error {
	section, err := readNewSection(src, sectionMonitoring)
	if err != nil {
		return err
	}
	if section == "" {
		m.book.Replace(nil)
		return nil
	}
	book, err := monitor.Read(section)
	if err != nil {
		return fmt.Errorf("engine: snapshot section %s: %w", sectionMonitoring, err)
	}
	m.book.Replace(book)
	return nil
}

func readSection(src *snapshot.Source, name string) (string, error) {
	r, err := src.Section(name)
	if err != nil {
		return "", fmt.Errorf("engine: snapshot section %s: %w", name, err)
	}
	defer r.Close()
	var b strings.Builder
	if _, err := io.Copy(&b, r); err != nil {
		return "", fmt.Errorf("engine: snapshot section %s: %w", name, err)
	}
	return b.String(), nil
}

// readNewSection reads a section that snapshots of older builds do not have.
func readNewSection(src *snapshot.Source, name string) (string, error) {
	s, err := readSection(src, name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return s, err
}

func (m *machine) restoreEvents(src *snapshot.Source) error {
	events, err := readNewSection(src, sectionEvents)
	if err != nil {
		return err
	}
	webhooks, err := readNewSection(src, sectionWebhooks)
	if err != nil {
		return err
	}
	if m.events, err = event.Restore(events); err != nil {
		return err
	}
	m.webhooks, err = webhook.Restore([]byte(webhooks))
	return err
}

// restoreModels gives every model of the catalogue its actor with its state.
func (m *machine) restoreModels(s string) error {
	births, err := readModels(s)
	if err != nil {
		return err
	}
	for _, t := range m.catalogue.AllTenants() {
		m.tenants[t.ID] = &tenantRuntime{Tenant: t, models: map[string]*modelRuntime{}}
	}
	runtimes := map[string]*modelRuntime{}
	for _, rec := range m.catalogue.AllModels() {
		b, ok := births[rec.ID]
		if !ok {
			return fmt.Errorf("model %s has no state in the snapshot", rec.ID)
		}
		if b.Spec, err = specOf(&rec.Model); err != nil {
			return fmt.Errorf("model %s: %w", rec.ID, err)
		}
		mr := m.start(rec, b)
		if f := mr.handle.Published().Fault; f != nil && b.Fault == nil {
			return fmt.Errorf("model %s: its state cannot be loaded: %s", rec.ID, f.Reason)
		}
		runtimes[rec.ID] = mr
	}
	m.directory.models.Store(&runtimes)
	m.refreshChampions()
	return nil
}

func readModels(s string) (map[string]actors.Birth, error) {
	r := wire.NewReader(s)
	version := r.Byte()
	if version != modelsVersion && version != modelsVersionBare {
		r.Fail("want models of version %d or %d, got %d", modelsVersionBare, modelsVersion, version)
	}
	births := map[string]actors.Birth{}
	for range r.Count(minModelSize) {
		b := actors.Birth{ID: strings.Clone(r.String())}
		if r.Bool() {
			b.Fault = &actors.Fault{Index: r.Uvarint(), Reason: strings.Clone(r.String())}
		} else {
			b.State = []byte(r.String())
			if version == modelsVersion {
				b.EvidenceState = []byte(r.String())
			}
		}
		births[b.ID] = b
	}
	return births, r.Close()
}

const day = 24 * time.Hour

func historyLimits(s catalogue.Settings) history.Limits {
	l := history.DefaultLimits()
	l.MaxRows, l.MaxAge, l.MaxCustomers = s.MaxHistoryRows, time.Duration(s.MaxHistoryDays)*day, s.MaxSummaryCustomers
	return l
}
