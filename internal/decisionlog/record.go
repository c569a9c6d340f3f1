package decisionlog

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/jsontext"
)

// recordVersion is the version of the records' form.
const recordVersion = 1

// The types of records.
const (
	TypeDecision = "decision"
	TypeOutcome  = "outcome"
)

// Routes by which decisions are asked for.
const (
	RouteScore    = "score"
	RouteOfferSet = "score-offer-set"
	RouteBatch    = "score-batch"
)

// Decision is a decision to be logged, in the caller's memory.
type Decision struct {
	ID, Node, Route       string
	At                    decision.Time
	ModelID, ModelKey     string
	ModelType             decision.ModelType
	Version               uint64
	Family                string
	Variant, ExperimentID string
	CustomerID            string
	SamplePct             float64
	Features              decision.Row
	Candidates            []Candidate
	Choice                int     // of the candidates; −1: none
	Propensity            float64 // of the choice; NaN: not known
	Degraded              bool
}

// Candidate is what could be chosen, with its score.
type Candidate struct {
	OfferID    string
	Score      float64
	Own        float64 // the model's own score, where evidence adapted it; else NaN
	Propensity float64 // NaN: not known
	Features   decision.Row
	History    decision.Summary // zero: there is none
}

// AppendDecision appends a decision's record, a line. It allocates nothing but for
// dst.
func AppendDecision(dst []byte, d *Decision) []byte {
	dst = append(dst, `{"type":"decision","v":1`...)
	dst = jsontext.AppendText(dst, "decisionId", d.ID)
	dst = d.At.AppendJSON(append(dst, `,"at":`...))
	dst = jsontext.AppendText(dst, "node", d.Node)
	dst = jsontext.AppendText(dst, "route", d.Route)
	dst = jsontext.AppendText(dst, "modelId", d.ModelID)
	dst = jsontext.AppendText(dst, "modelKey", d.ModelKey)
	dst = jsontext.AppendText(dst, "modelType", string(d.ModelType))
	dst = strconv.AppendUint(append(dst, `,"version":`...), d.Version, 10)
	dst = appendOptional(dst, "family", d.Family)
	dst = appendOptional(dst, "variant", d.Variant)
	dst = appendOptional(dst, "experimentId", d.ExperimentID)
	dst = appendOptional(dst, "customerId", d.CustomerID)
	dst = jsontext.AppendNumber(dst, "samplePct", d.SamplePct)
	if len(d.Features) > 0 {
		dst = jsontext.AppendRow(append(dst, `,"features":`...), d.Features)
	}
	dst = append(dst, `,"candidates":[`...)
	for i := range d.Candidates {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendCandidate(dst, &d.Candidates[i])
	}
	dst = append(dst, ']')
	if d.Choice >= 0 {
		dst = jsontext.AppendText(dst, "choice", d.Candidates[d.Choice].OfferID)
		dst = jsontext.AppendNumber(dst, "propensity", d.Propensity)
	} else {
		dst = append(dst, `,"choice":null,"propensity":null`...)
	}
	if d.Degraded {
		dst = append(dst, `,"degraded":true`...)
	}
	return append(dst, "}\n"...)
}

func appendCandidate(dst []byte, c *Candidate) []byte {
	dst = jsontext.AppendNumber(append(dst, '{'), "score", c.Score)
	dst = appendOptional(dst, "offerId", c.OfferID)
	if !math.IsNaN(c.Own) {
		dst = jsontext.AppendNumber(dst, "modelScore", c.Own)
	}
	if !math.IsNaN(c.Propensity) {
		dst = jsontext.AppendNumber(dst, "propensity", c.Propensity)
	}
	if len(c.Features) > 0 {
		dst = jsontext.AppendRow(append(dst, `,"features":`...), c.Features)
	}
	if h := &c.History; !h.IsZero() {
		dst = strconv.AppendUint(append(dst, `,"history":{"impressions":`...), uint64(h.Impressions), 10)
		dst = strconv.AppendUint(append(dst, `,"positives":`...), uint64(h.Positives), 10)
		dst = strconv.AppendUint(append(dst, `,"negatives":`...), uint64(h.Negatives), 10)
		dst = decision.Time(h.LastContactAt).AppendJSON(append(dst, `,"lastContactAt":`...))
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// AppendOutcome appends an outcome's record, a line.
func AppendOutcome(dst []byte, node string, o *decision.Outcome) []byte {
	dst = append(dst, `{"type":"outcome","v":1`...)
	dst = jsontext.AppendText(dst, "decisionId", o.DecisionID)
	dst = decision.Time(o.At).AppendJSON(append(dst, `,"at":`...))
	dst = jsontext.AppendText(dst, "node", node)
	dst = append(o.ID.Append(append(dst, `,"interactionId":"`...)), '"')
	dst = appendOptional(dst, "customerId", o.CustomerID)
	dst = appendOptional(dst, "offerId", o.OfferID)
	dst = appendOptional(dst, "modelId", o.ModelID)
	dst = appendOptional(dst, "channelId", o.ChannelID)
	dst = jsontext.AppendText(dst, "outcome", o.Type)
	dst = jsontext.AppendText(dst, "classification", o.Class.String())
	if o.HasValue {
		dst = jsontext.AppendNumber(dst, "conversionValue", o.ConversionValue)
	}
	return append(dst, "}\n"...)
}

func appendOptional(dst []byte, key, value string) []byte {
	if value == "" {
		return dst
	}
	return jsontext.AppendText(dst, key, value)
}

// Record is a record as it is read, of either type.
type Record struct {
	Type       string        `json:"type"`
	Version    int           `json:"v"`
	DecisionID string        `json:"decisionId"`
	At         decision.Time `json:"at"`
	Node       string        `json:"node"`
	ModelID    string        `json:"modelId"`
	CustomerID string        `json:"customerId"`

	// Of a decision.
	Route        string             `json:"route"`
	ModelKey     string             `json:"modelKey"`
	ModelType    decision.ModelType `json:"modelType"`
	ModelVersion uint64             `json:"version"`
	Family       string             `json:"family"`
	Variant      string             `json:"variant"`
	ExperimentID string             `json:"experimentId"`
	SamplePct    float64            `json:"samplePct"`
	Features     Features           `json:"features"`
	Candidates   []CandidateRecord  `json:"candidates"`
	Choice       *string            `json:"choice"`
	Propensity   *float64           `json:"propensity"`
	Degraded     bool               `json:"degraded"`

	// Of an outcome.
	InteractionID   string   `json:"interactionId"`
	OfferID         string   `json:"offerId"`
	ChannelID       string   `json:"channelId"`
	Outcome         string   `json:"outcome"`
	Classification  string   `json:"classification"`
	ConversionValue *float64 `json:"conversionValue"`
}

// CandidateRecord is a candidate as it is read.
type CandidateRecord struct {
	OfferID    string         `json:"offerId"`
	Score      float64        `json:"score"`
	ModelScore *float64       `json:"modelScore"`
	Propensity *float64       `json:"propensity"`
	Features   Features       `json:"features"`
	History    *HistoryRecord `json:"history"`
}

// HistoryRecord is a customer's history with an offer.
type HistoryRecord struct {
	Impressions   uint32        `json:"impressions"`
	Positives     uint32        `json:"positives"`
	Negatives     uint32        `json:"negatives"`
	LastContactAt decision.Time `json:"lastContactAt"`
}

// Summary returns the history as the engine has it; that of nil is none.
func (h *HistoryRecord) Summary() decision.Summary {
	if h == nil {
		return decision.Summary{}
	}
	return decision.Summary{Impressions: h.Impressions, Positives: h.Positives, Negatives: h.Negatives, LastContactAt: int64(h.LastContactAt)}
}

// Features are a row as it is read.
type Features decision.Row

// UnmarshalJSON reads an object of numbers, texts, booleans and arrays of texts.
func (f *Features) UnmarshalJSON(b []byte) error {
	var members map[string]any
	if err := json.Unmarshal(b, &members); err != nil {
		return err
	}
	row := make(decision.Row, 0, len(members))
	for name, v := range members {
		switch v := v.(type) {
		case float64:
			row = append(row, decision.Field{Name: name, Kind: decision.Number, Num: v})
		case bool:
			row = append(row, decision.Field{Name: name, Kind: decision.Bool, Num: bit(v)})
		case string:
			row = append(row, decision.Field{Name: name, Kind: decision.Text, Text: v})
		case []any:
			row = appendSet(row, name, v)
		}
	}
	*f = Features(row.Sort())
	return nil
}

func bit(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func appendSet(row decision.Row, name string, members []any) decision.Row {
	if len(members) == 0 {
		return append(row, decision.Field{Name: name, Kind: decision.EmptySet})
	}
	for _, m := range members {
		if text, ok := m.(string); ok {
			row = append(row, decision.Field{Name: name, Kind: decision.Member, Text: text})
		}
	}
	return row
}

// Parse reads one line.
func Parse(line []byte) (*Record, error) {
	var r Record
	if err := json.Unmarshal(line, &r); err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	return &r, nil
}

// check tells what of a record cannot have come from a log.
func (r *Record) check() error {
	switch {
	case r.Type != TypeDecision && r.Type != TypeOutcome:
		return decision.Invalid("type", "want %s or %s, got %.40q", TypeDecision, TypeOutcome, r.Type)
	case r.Version > recordVersion:
		return decision.Invalid("v", "want at most %d, got %d: a later release wrote this", recordVersion, r.Version)
	case r.DecisionID == "":
		return decision.Invalid("decisionId", "is missing")
	case r.Choice != nil && r.Chosen() < 0:
		return decision.Invalid("choice", "is none of the candidates")
	}
	return nil
}

// Chosen returns the place of the choice among the candidates, −1 for none.
func (r *Record) Chosen() int {
	if r.Choice == nil {
		return -1
	}
	return slices.IndexFunc(r.Candidates, func(c CandidateRecord) bool { return c.OfferID == *r.Choice })
}

// SampleSteps is in how fine steps decisions are sampled: hundredths of a percent.
const SampleSteps = 10_000

// Sampled reports whether a decision is in a sample of a percentage. It depends on
// the id alone, so that all nodes agree: FNV-1a, 64 bit, and the finaliser of
// MurmurHash3, modulo SampleSteps.
func Sampled(decisionID string, percent float64) bool {
	h := uint64(14695981039346656037)
	for i := range len(decisionID) {
		h = (h ^ uint64(decisionID[i])) * 1099511628211
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return float64(h%SampleSteps) < percent*(SampleSteps/100)
}
