package decisionlog

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/praetor-engine/praetor/internal/decision"
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
	dst = appendText(dst, "decisionId", d.ID)
	dst = d.At.AppendJSON(append(dst, `,"at":`...))
	dst = appendText(dst, "node", d.Node)
	dst = appendText(dst, "route", d.Route)
	dst = appendText(dst, "modelId", d.ModelID)
	dst = appendText(dst, "modelKey", d.ModelKey)
	dst = appendText(dst, "modelType", string(d.ModelType))
	dst = strconv.AppendUint(append(dst, `,"version":`...), d.Version, 10)
	dst = appendOptional(dst, "family", d.Family)
	dst = appendOptional(dst, "variant", d.Variant)
	dst = appendOptional(dst, "experimentId", d.ExperimentID)
	dst = appendOptional(dst, "customerId", d.CustomerID)
	dst = appendNumber(dst, "samplePct", d.SamplePct)
	if len(d.Features) > 0 {
		dst = appendRow(append(dst, `,"features":`...), d.Features)
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
		dst = appendText(dst, "choice", d.Candidates[d.Choice].OfferID)
		dst = appendNumber(dst, "propensity", d.Propensity)
	} else {
		dst = append(dst, `,"choice":null,"propensity":null`...)
	}
	if d.Degraded {
		dst = append(dst, `,"degraded":true`...)
	}
	return append(dst, "}\n"...)
}

func appendCandidate(dst []byte, c *Candidate) []byte {
	dst = appendNumber(append(dst, '{'), "score", c.Score)
	dst = appendOptional(dst, "offerId", c.OfferID)
	if !math.IsNaN(c.Own) {
		dst = appendNumber(dst, "modelScore", c.Own)
	}
	if !math.IsNaN(c.Propensity) {
		dst = appendNumber(dst, "propensity", c.Propensity)
	}
	if len(c.Features) > 0 {
		dst = appendRow(append(dst, `,"features":`...), c.Features)
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
	dst = appendText(dst, "decisionId", o.DecisionID)
	dst = decision.Time(o.At).AppendJSON(append(dst, `,"at":`...))
	dst = appendText(dst, "node", node)
	dst = append(o.ID.Append(append(dst, `,"interactionId":"`...)), '"')
	dst = appendOptional(dst, "customerId", o.CustomerID)
	dst = appendOptional(dst, "offerId", o.OfferID)
	dst = appendOptional(dst, "modelId", o.ModelID)
	dst = appendOptional(dst, "channelId", o.ChannelID)
	dst = appendText(dst, "outcome", o.Type)
	dst = appendText(dst, "classification", o.Class.String())
	if o.HasValue {
		dst = appendNumber(dst, "conversionValue", o.ConversionValue)
	}
	return append(dst, "}\n"...)
}

// appendRow appends a row as an object; the members of a set are an array.
func appendRow(dst []byte, row decision.Row) []byte {
	dst = append(dst, '{')
	for i := 0; i < len(row); {
		f := &row[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, f.Name), ':')
		i++
		switch f.Kind {
		case decision.Number:
			dst = appendFloat(dst, f.Num)
		case decision.Bool:
			dst = strconv.AppendBool(dst, f.Num != 0)
		case decision.EmptySet:
			dst = append(dst, "[]"...)
		case decision.Member:
			dst = appendString(append(dst, '['), f.Text)
			for ; i < len(row) && row[i].Name == f.Name; i++ {
				dst = appendString(append(dst, ','), row[i].Text)
			}
			dst = append(dst, ']')
		default:
			dst = appendString(dst, f.Text)
		}
	}
	return append(dst, '}')
}

func appendKey(dst []byte, key string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(append(append(dst, '"'), key...), `":`...)
}

func appendText(dst []byte, key, value string) []byte {
	return appendString(appendKey(dst, key), value)
}

func appendOptional(dst []byte, key, value string) []byte {
	if value == "" {
		return dst
	}
	return appendText(dst, key, value)
}

func appendNumber(dst []byte, key string, v float64) []byte {
	return appendFloat(appendKey(dst, key), v)
}

// appendFloat appends the shortest form that reads back the same; what is not
// finite is null.
func appendFloat(dst []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(dst, "null"...)
	}
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string; what is not UTF-8 becomes U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		ch := s[i]
		if ch >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(append(dst, s[start:i]...), "\ufffd"...)
				start = i + n
			}
			i += n
			continue
		}
		if ch < 0x20 || ch == '"' || ch == '\\' {
			dst = append(append(dst, s[start:i]...), '\\', 'u', '0', '0', hexDigits[ch>>4], hexDigits[ch&15])
			start = i + 1
		}
		i++
	}
	return append(append(dst, s[start:]...), '"')
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
