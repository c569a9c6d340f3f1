package evidence

import (
	"strings"
	"unicode/utf8"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Scope is what a row is about.
type Scope string

// The scopes.
const (
	ScopeOffer    Scope = "offer"
	ScopeCategory Scope = "category"
	ScopeChannel  Scope = "channel"
	ScopeGlobal   Scope = "global"
)

// Action is what is done to a scope.
type Action string

// The actions.
const (
	ActionReset  Action = "reset"
	ActionPause  Action = "pause"
	ActionResume Action = "resume"
)

// ResetTo is the prior that a reset leaves.
type ResetTo string

// The priors.
const (
	CategoryPrior ResetTo = "category_prior" // of an offer its category's rate, else the global rate
	GlobalPrior   ResetTo = "global_prior"
	Zero          ResetTo = "zero" // no evidence at all
)

// Body is a client's request in the API's words; an empty field takes its
// default. OfferID, CategoryID and ChannelID are other names for ScopeID.
type Body struct {
	Action     Action  `json:"action"`
	Scope      Scope   `json:"scope"`
	ScopeID    string  `json:"scopeId"`
	OfferID    string  `json:"offerId"`
	CategoryID string  `json:"categoryId"`
	ChannelID  string  `json:"channelId"`
	ResetTo    ResetTo `json:"resetTo"`
	Reason     string  `json:"reason"`
}

// Request is a Body that was checked.
type Request struct {
	Action  Action  `json:"action"`
	Scope   Scope   `json:"scope"`
	ScopeID string  `json:"scopeId"` // empty for the global scope
	ResetTo ResetTo `json:"resetTo"`
}

// The longest texts, as in outcomes and models.
const (
	maxID     = 255 // characters
	maxReason = 4096
)

// Request resolves defaults and aliases. Its error names every field that is not
// valid.
func (b *Body) Request() (Request, error) {
	var p decision.Problems
	r := Request{
		Action:  choice(&p, "action", b.Action, ActionReset, ActionPause, ActionResume),
		Scope:   choice(&p, "scope", b.Scope, ScopeOffer, ScopeCategory, ScopeChannel, ScopeGlobal),
		ResetTo: choice(&p, "resetTo", b.ResetTo, CategoryPrior, GlobalPrior, Zero),
	}
	if n := utf8.RuneCountInString(b.Reason); n > maxReason {
		p.Addf("reason", "got %d characters, want at most %d", n, maxReason)
	}
	alias, name := "", ""
	switch r.Scope {
	case ScopeOffer:
		alias, name = b.OfferID, "offerId"
	case ScopeCategory:
		alias, name = b.CategoryID, "categoryId"
	case ScopeChannel:
		alias, name = b.ChannelID, "channelId"
	default:
		return r, p.Err()
	}
	switch r.ScopeID = b.ScopeID; {
	case r.ScopeID == "":
		r.ScopeID = alias
	case alias != "" && alias != r.ScopeID:
		p.Addf(name, "got %q, want it equal to scopeId, %q, or only one of the two", alias, r.ScopeID)
	}
	if r.ScopeID == "" {
		p.Addf("scopeId", "is missing, want the %s to %s (or give it as %s)", r.Scope, r.Action, name)
	}
	if n := utf8.RuneCountInString(r.ScopeID); n > maxID {
		p.Addf("scopeId", "got %d characters, want at most %d", n, maxID)
	}
	return r, p.Err()
}

// choice returns the value, the first of the choices when it is empty.
func choice[T ~string](p *decision.Problems, path string, v T, choices ...T) T {
	if v == "" {
		return choices[0]
	}
	names := make([]string, len(choices))
	for i, c := range choices {
		if v == c {
			return v
		}
		names[i] = string(c)
	}
	p.Addf(path, "got %.40q, want one of %s", string(v), strings.Join(names, ", "))
	return choices[0]
}
