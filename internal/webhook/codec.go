package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// document is a set in a snapshot: JSON, the endpoints in the order of their
// making.
type document struct {
	Version  int              `json:"version"`
	Sequence uint64           `json:"sequence"`
	Webhooks []recordDocument `json:"webhooks"`
}

const documentVersion = 1

type recordDocument struct {
	Webhook  Webhook      `json:"webhook"`
	TenantID string       `json:"tenantId"`
	Sequence uint64       `json:"sequence"`
	Revision uint64       `json:"revision"`
	State    State        `json:"state"`
	Secrets  []keptSecret `json:"secrets"`
}

// Capture is a set at a moment.
type Capture struct {
	sequence uint64
	records  []*Record
}

// Capture returns the present state. It copies references only.
func (s *Set) Capture() *Capture { return &Capture{s.sequence, s.All()} }

// Encode returns the encoded set, which is empty where there never was an
// endpoint.
func (c *Capture) Encode() ([]byte, error) {
	if c.sequence == 0 {
		return nil, nil
	}
	d := document{Version: documentVersion, Sequence: c.sequence, Webhooks: []recordDocument{}}
	for _, r := range c.records {
		d.Webhooks = append(d.Webhooks, recordDocument{r.Webhook, r.TenantID, r.Sequence, r.Revision, r.State, r.secrets})
	}
	b, err := json.Marshal(&d)
	if err != nil {
		return nil, fmt.Errorf("webhook: write the webhooks: %w", err)
	}
	return b, nil
}

// Restore reads what Encode wrote, or tells what in it cannot have come from a set.
func Restore(b []byte) (*Set, error) {
	s := NewSet()
	if len(b) == 0 {
		return s, nil
	}
	var d document
	dec := json.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(&d); err != nil || dec.More() {
		return nil, fmt.Errorf("webhook: read the webhooks: %w", errOr(err, "there is something behind them"))
	}
	if d.Version != documentVersion {
		return nil, fmt.Errorf("webhook: read the webhooks: want version %d, got %d", documentVersion, d.Version)
	}
	s.sequence = d.Sequence
	for _, rd := range d.Webhooks {
		r := &Record{rd.Webhook, rd.TenantID, rd.Sequence, rd.Revision, rd.State, rd.Secrets}
		if err := s.restore(r); err != nil {
			return nil, fmt.Errorf("webhook: read the webhooks: %q of tenant %q: %w", r.ID, r.TenantID, err)
		}
	}
	return s, nil
}

func (s *Set) restore(r *Record) error {
	all := s.tenants[r.TenantID]
	switch {
	case r.ID == "" || all[r.ID] != nil:
		return fmt.Errorf("it is there twice, or has no id")
	case len(all) >= MaxWebhooks:
		return fmt.Errorf("the tenant has more than %d", MaxWebhooks)
	case r.Sequence == 0 || r.Sequence > s.sequence:
		return fmt.Errorf("its number is %d of %d", r.Sequence, s.sequence)
	case len(r.secrets) < 1 || len(r.secrets) > 2:
		return fmt.Errorf("it has %d secrets, want one or two", len(r.secrets))
	}
	if all == nil {
		all = map[string]*Record{}
		s.tenants[r.TenantID] = all
	}
	all[r.ID] = r
	return nil
}

func errOr(err error, otherwise string) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%s", otherwise)
}
