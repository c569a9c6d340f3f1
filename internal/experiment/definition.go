package experiment

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// Percent is a percentage in hundredths: 33.33 % is 3333.
type Percent int

const whole Percent = 100_00

// percentOf returns v as a Percent; ok is false when it has more than two
// decimals. A float64 is a decimal of at most two when it is the nearest one to
// it, and n/100 is that.
func percentOf(v float64) (p Percent, ok bool) {
	n := math.Round(v * 100)
	return Percent(n), n/100 == v
}

// Float returns the percentage, 33.33 for 3333.
func (p Percent) Float() float64 { return float64(p) / 100 }

// String returns the shortest decimal text.
func (p Percent) String() string { return fmt.Sprint(p.Float()) }

// MarshalJSON writes a number.
func (p Percent) MarshalJSON() ([]byte, error) { return json.Marshal(p.Float()) }

// UnmarshalJSON reads a number with at most two decimals.
func (p *Percent) UnmarshalJSON(b []byte) error {
	var v float64
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	got, ok := percentOf(v)
	if !ok || got < 0 || got > whole {
		return fmt.Errorf("got %s, want a percentage from 0 to 100 with at most two decimals", b)
	}
	*p = got
	return nil
}

// Status is where an experiment is in its life; only an active one assigns.
type Status string

// The statuses.
const (
	StatusDraft     Status = "draft"
	StatusActive    Status = "active"
	StatusPaused    Status = "paused"
	StatusCompleted Status = "completed"
	StatusArchived  Status = "archived"
)

// Challenger is a model that is tried with its share of the traffic.
type Challenger struct {
	ModelID    string  `json:"modelId"`
	TrafficPct Percent `json:"trafficPct"`
}

// TrafficSplit has the champion's share.
type TrafficSplit struct {
	ChampionPct Percent `json:"championPct"`
}

// Definition is what a client defines of an experiment; its JSON is the API's.
type Definition struct {
	Key              string       `json:"key"`
	Name             string       `json:"name"`
	Description      string       `json:"description"`
	Status           Status       `json:"status"`
	ChampionModelID  string       `json:"championModelId"`
	TrafficSplit     TrafficSplit `json:"trafficSplit"`
	Challengers      []Challenger `json:"challengers"`
	HoldoutPercent   Percent      `json:"holdoutPercent"`
	AutoPromote      bool         `json:"autoPromote"`
	PromoteThreshold float64      `json:"promoteThreshold"` // of the AUC gain
	PromoteAfterDays int          `json:"promoteAfterDays"`
}

// defaults is a definition of which the client gave nothing.
func defaults() Definition {
	return Definition{
		Status: StatusDraft, TrafficSplit: TrafficSplit{ChampionPct: 80_00}, Challengers: []Challenger{},
		PromoteThreshold: 0.02, PromoteAfterDays: 14,
	}
}

// Between is the definition of a draft with half of the customers for each of two
// models; its key and its name are the caller's to give.
func Between(champion, challenger string) Definition {
	d := defaults()
	d.ChampionModelID, d.TrafficSplit.ChampionPct = champion, 50_00
	d.Challengers = []Challenger{{ModelID: challenger, TrafficPct: 50_00}}
	return d
}

// The bounds of a definition.
const (
	MaxChallengers = 20
	maxName        = 255 // characters
	maxDescription = 4096
	maxPromoteDays = 3650
)

// Read reads the definition of a new experiment. Its error names every field that
// is not valid.
func Read(raw json.RawMessage) (Definition, error) { return defaults().With(raw) }

// With returns the definition with the given fields in place of its own; its key
// cannot change, as assignments come from it. Its error names every field that is
// not valid.
func (d Definition) With(raw json.RawMessage) (Definition, error) {
	var p decision.Problems
	o := encode.ReadObject(raw, "", &p)
	key := d.Key
	d.Key = text(&p, o, "key", d.Key, 1, maxName)
	if key != "" && d.Key != key {
		p.Addf("key", "got %q, want %q: the key of an experiment cannot change", d.Key, key)
	}
	d.Name = text(&p, o, "name", d.Name, 1, maxName)
	d.Description = text(&p, o, "description", d.Description, 0, maxDescription)
	d.Status = Status(o.Choice("status", string(d.Status),
		string(StatusDraft), string(StatusActive), string(StatusPaused), string(StatusCompleted), string(StatusArchived)))
	d.ChampionModelID = text(&p, o, "championModelId", d.ChampionModelID, 1, maxName)
	d.TrafficSplit.ChampionPct = percent(&p, o.Object("trafficSplit"), "championPct", d.TrafficSplit.ChampionPct)
	if o.Has("challengers") {
		d.Challengers = readChallengers(&p, o)
	}
	d.HoldoutPercent = percent(&p, o, "holdoutPercent", d.HoldoutPercent)
	d.AutoPromote = o.Bool("autoPromote", d.AutoPromote)
	d.PromoteThreshold = o.Float("promoteThreshold", d.PromoteThreshold, 0, 1)
	d.PromoteAfterDays = int(o.Int("promoteAfterDays", int64(d.PromoteAfterDays), 0, maxPromoteDays))
	if p.Err() == nil {
		d.check(&p)
	}
	return d, p.Err()
}

func readChallengers(p *decision.Problems, o encode.Object) []Challenger {
	items := o.List("challengers", MaxChallengers)
	all := make([]Challenger, len(items))
	for i, item := range items {
		c := encode.ReadObject(item, o.ItemPath("challengers", i), p)
		all[i].ModelID = text(p, c, "modelId", "", 1, maxName)
		if !c.Has("trafficPct") {
			p.Addf(c.Path("trafficPct"), "is missing, want a percentage from 0 to 100")
		}
		all[i].TrafficPct = percent(p, c, "trafficPct", 0)
	}
	return all
}

// text reads a string of least to most characters.
func text(p *decision.Problems, o encode.Object, key, def string, least, most int) string {
	raw, s := o.Raw(key), ""
	switch {
	case raw == nil && (def != "" || least == 0):
		return def
	case raw == nil:
		p.Addf(o.Path(key), "is missing, want %d to %d characters", least, most)
	case json.Unmarshal(raw, &s) != nil:
		p.Addf(o.Path(key), "got %s, want a string", encode.Excerpt(raw))
	default:
		if n := utf8.RuneCountInString(s); n < least || n > most {
			p.Addf(o.Path(key), "got %d characters, want %d to %d", n, least, most)
		}
	}
	return s
}

func percent(p *decision.Problems, o encode.Object, key string, def Percent) Percent {
	v := o.Float(key, def.Float(), 0, 100)
	n, ok := percentOf(v)
	if !ok {
		p.Addf(o.Path(key), "got %v, want at most two decimals", v)
		return def
	}
	return n
}

// check names what is wrong between fields that are right by themselves.
func (d *Definition) check(p *decision.Problems) {
	sum, terms := d.TrafficSplit.ChampionPct, []string{d.TrafficSplit.ChampionPct.String()}
	seen := map[string]string{d.ChampionModelID: "championModelId"}
	for i, c := range d.Challengers {
		sum += c.TrafficPct
		terms = append(terms, c.TrafficPct.String())
		path := fmt.Sprintf("challengers[%d].modelId", i)
		if first, ok := seen[c.ModelID]; ok {
			p.Addf(path, "got %q, which is %s already; want every model once", c.ModelID, first)
			continue
		}
		seen[c.ModelID] = path
	}
	if sum != whole {
		p.Addf("trafficSplit.championPct", "got shares of %s %% for the champion and the challengers, %s %% together; want 100 %% exactly",
			strings.Join(terms, " + "), sum)
	}
}

// SameSplit reports whether two definitions assign every customer alike, so that
// nobody has to be kept.
func (d *Definition) SameSplit(o *Definition) bool {
	if d.Key != o.Key || d.ChampionModelID != o.ChampionModelID || d.TrafficSplit != o.TrafficSplit ||
		d.HoldoutPercent != o.HoldoutPercent || len(d.Challengers) != len(o.Challengers) {
		return false
	}
	for i := range d.Challengers {
		if d.Challengers[i] != o.Challengers[i] {
			return false
		}
	}
	return true
}

// Uses reports whether a model takes part.
func (d *Definition) Uses(modelID string) bool {
	for _, c := range d.Challengers {
		if c.ModelID == modelID {
			return true
		}
	}
	return d.ChampionModelID == modelID
}
