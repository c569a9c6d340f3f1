package catalogue

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/experiment"
	"github.com/praetor-engine/praetor/internal/wire"
)

// The form of the experiments in a snapshot: a version byte, a count, then of
// each, ordered by tenant and id, its document (JSON), the customers who keep a
// variant, and those who were assigned. Without experiments it is empty.
const experimentsVersion = 1

// minExperimentSize is the encoded size of the smallest experiment.
const minExperimentSize = 4

type experimentDocument struct {
	TenantID   string          `json:"tenantId"`
	Experiment *Experiment     `json:"experiment"`
	Sequence   uint64          `json:"sequence"`
	Revision   uint64          `json:"revision"`
	Crowned    bool            `json:"crowned,omitempty"`
	Keys       []string        `json:"keys"`
	Earlier    []formerSplit   `json:"earlier,omitempty"`
	Tallies    []tallyDocument `json:"tallies"`
	Unkept     uint64          `json:"unkept,omitempty"`
}

type tallyDocument struct {
	Variant   string `json:"variant"`
	Samples   uint64 `json:"samples"`
	Positives uint64 `json:"positives"`
}

// capturedExperiment is an experiment as of one log index.
type capturedExperiment struct {
	doc       experimentDocument
	kept      *experiment.Kept
	customers experiment.CustomersCapture
}

func (c *Catalogue) captureExperiments() []capturedExperiment {
	var all []capturedExperiment
	for _, t := range c.sortedTenants() {
		for _, id := range slices.Sorted(maps.Keys(t.experiments)) {
			all = append(all, t.experiments[id].capture())
		}
	}
	return all
}

func (x *experimentRecord) capture() capturedExperiment {
	d := experimentDocument{
		TenantID: x.tenantID, Experiment: x.Experiment, Sequence: x.sequence, Revision: x.revision, Crowned: x.crowned,
		Keys: x.keys, Earlier: x.earlier, Unkept: x.unkept,
	}
	for _, t := range x.tallies {
		d.Tallies = append(d.Tallies, tallyDocument{t.variant, t.samples.Load(), t.positives.Load()})
	}
	return capturedExperiment{d, x.kept, x.customers.Capture()}
}

// AppendExperiments appends the encoded experiments.
func (c *Capture) AppendExperiments(b []byte) ([]byte, error) {
	return c.appendExperiments(b, (*experiment.CustomersCapture).Append)
}

// AppendExperimentsDigest appends what is equal for equal experiments; it does
// not name the customers one by one.
func (c *Capture) AppendExperimentsDigest(b []byte) ([]byte, error) {
	return c.appendExperiments(b, (*experiment.CustomersCapture).AppendDigest)
}

func (c *Capture) appendExperiments(b []byte, customers func(*experiment.CustomersCapture, []byte) []byte) ([]byte, error) {
	if len(c.experiments) == 0 {
		return b, nil
	}
	b = wire.AppendUvarint(append(b, experimentsVersion), uint64(len(c.experiments)))
	for i := range c.experiments {
		x := &c.experiments[i]
		doc, err := json.Marshal(&x.doc)
		if err != nil {
			return nil, fmt.Errorf("catalogue: write experiment %q: %w", x.doc.Experiment.ID, err)
		}
		b = experiment.AppendKeeps(wire.AppendBytes(b, doc), x.kept.Keeps())
		b = customers(&x.customers, b)
	}
	return b, nil
}

// RestoreExperiments reads what AppendExperiments wrote into a catalogue that has
// none, just restored.
func (c *Catalogue) RestoreExperiments(s string) error {
	if s == "" {
		return nil
	}
	r := wire.NewReader(s)
	if v := r.Byte(); v != experimentsVersion {
		r.Fail("want version %d, got %d", experimentsVersion, v)
	}
	for range r.Count(minExperimentSize) {
		raw := r.String()
		keeps := experiment.ReadKeeps(&r)
		customers := experiment.ReadCustomers(&r)
		if r.Err() != nil {
			break
		}
		if err := c.restoreExperiment(raw, keeps, customers); err != nil {
			return fmt.Errorf("catalogue: read the experiments: %w", err)
		}
	}
	if err := r.Close(); err != nil {
		return fmt.Errorf("catalogue: read the experiments: %w", err)
	}
	for _, t := range c.tenants {
		t.listActive()
	}
	return nil
}

func (c *Catalogue) restoreExperiment(raw string, keeps []experiment.Keep, customers *experiment.Customers) error {
	var d experimentDocument
	if err := json.NewDecoder(strings.NewReader(raw)).Decode(&d); err != nil {
		return err
	}
	t := c.tenants[d.TenantID]
	switch {
	case d.Experiment == nil:
		return fmt.Errorf("one has no definition")
	case t == nil:
		return fmt.Errorf("experiment %q is of tenant %q, who is not there", d.Experiment.ID, d.TenantID)
	case t.experiments[d.Experiment.ID] != nil || t.experimentOf(d.Experiment.Key) != nil:
		return fmt.Errorf("experiment %q of tenant %q is there twice", d.Experiment.ID, d.TenantID)
	}
	splits := append([]formerSplit{{Definition: d.Experiment.Definition, Keys: d.Keys}}, d.Earlier...)
	for i := range splits {
		if err := splits[i].check(); err != nil {
			return fmt.Errorf("experiment %q: %w", d.Experiment.ID, err)
		}
	}
	kept, dropped := new(experiment.Kept).With(keeps, 0)
	if dropped > 0 {
		return fmt.Errorf("experiment %q keeps %d customers too many", d.Experiment.ID, dropped)
	}
	x := &experimentRecord{
		Experiment: d.Experiment, tenantID: d.TenantID, sequence: d.Sequence, revision: d.Revision, crowned: d.Crowned,
		keys: d.Keys, earlier: d.Earlier, unkept: d.Unkept, kept: kept, customers: customers,
	}
	if x.running() && t.lacks(&x.Definition) {
		return fmt.Errorf("experiment %q is %s without all its models", x.ID, x.Status)
	}
	for _, td := range d.Tallies {
		one := &tally{variant: td.Variant}
		one.samples.Store(td.Samples)
		one.positives.Store(td.Positives)
		x.tallies = append(x.tallies, one)
	}
	x.prepare()
	if t.experiments == nil {
		t.experiments = map[string]*experimentRecord{}
	}
	t.experiments[d.Experiment.ID] = x
	return nil
}

// check tells what of a split cannot have come from an experiment.
func (f *formerSplit) check() error {
	raw, err := json.Marshal(&f.Definition)
	if err != nil {
		return err
	}
	if _, err := experiment.Read(raw); err != nil {
		return err
	}
	if len(f.Keys) != len(f.Definition.Challengers) {
		return fmt.Errorf("%d challengers with %d keys", len(f.Definition.Challengers), len(f.Keys))
	}
	return nil
}
