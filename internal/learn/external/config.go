package external

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// Config is the configuration of a model whose scores an endpoint gives. It is
// immutable.
type Config struct {
	URL   string // absolute, http or https
	Token Secret // sent as a bearer token; empty sends none
	// Where the scores are in the answer: the path of the array, the whole answer
	// when empty, and the names of the two members of its elements.
	ScoresPath   []string
	OfferIDField string
	ScoreField   string
	Timeout      time.Duration
	Fallback     float64 // score in place of one that could not be had
}

const (
	defaultTimeoutMs = 3000
	maxTimeoutMs     = 30_000
	defaultFallback  = 0.5
	maxPathDepth     = 16
	maxNameBytes     = 255
	maxTokenBytes    = 8192
)

// ReadConfig reads {endpoint, auth: {token}, responseMapping: {scoresPath,
// offerIdField, scoreField}, timeoutMs, fallbackScore}. Its error names every
// field at fault under "config" and never shows the token.
func ReadConfig(raw json.RawMessage) (*Config, error) {
	var p decision.Problems
	c := readConfig(raw, &p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

func readConfig(raw json.RawMessage, p *decision.Problems) *Config {
	o := encode.ReadObject(raw, "config", p)
	c := &Config{
		Timeout:  time.Duration(o.Int("timeoutMs", defaultTimeoutMs, 1, maxTimeoutMs)) * time.Millisecond,
		Fallback: o.Float("fallbackScore", defaultFallback, 0, 1),
		Token:    readToken(o.Raw("auth"), p),
	}
	c.URL = readURL(o.Raw("endpoint"), p)
	mapping := o.Object("responseMapping")
	c.ScoresPath = readPath(mapping.Text("scoresPath", "scores", maxNameBytes), p)
	c.OfferIDField = readName(mapping, "offerIdField", "offerId", p)
	c.ScoreField = readName(mapping, "scoreField", "score", p)
	return c
}

func readURL(raw json.RawMessage, p *decision.Problems) string {
	var text string
	if raw == nil {
		p.Addf("config.endpoint", "missing, want the URL to ask for scores")
		return ""
	}
	if json.Unmarshal(raw, &text) != nil {
		p.Addf("config.endpoint", "want a string")
		return ""
	}
	u, err := ParseURL(text)
	if err != nil {
		p.Addf("config.endpoint", "%s", err)
		return ""
	}
	return u.String()
}

// readToken reads auth.token. What is wrong with it is said without showing it.
func readToken(auth json.RawMessage, p *decision.Problems) Secret {
	var members map[string]json.RawMessage
	if auth == nil {
		return ""
	}
	if json.Unmarshal(auth, &members) != nil {
		p.Addf("config.auth", "want an object")
		return ""
	}
	var token string
	raw := members["token"]
	switch {
	case raw == nil || string(raw) == "null":
	case json.Unmarshal(raw, &token) != nil:
		p.Addf("config.auth.token", "want a string")
	case token == Redacted:
		p.Addf("config.auth.token", "got the placeholder of a stored token, want the token itself")
	case len(token) > maxTokenBytes:
		p.Addf("config.auth.token", "got %d bytes, want at most %d", len(token), maxTokenBytes)
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		p.Addf("config.auth.token", "want visible ASCII characters")
	default:
		return Secret(token)
	}
	return ""
}

func readPath(text string, p *decision.Problems) []string {
	if text == "" {
		return nil
	}
	path := strings.Split(text, ".")
	for _, name := range path {
		if name == "" || len(path) > maxPathDepth {
			p.Addf("config.responseMapping.scoresPath", "got %q, want at most %d names with dots between them", text, maxPathDepth)
			return nil
		}
	}
	return path
}

func readName(o encode.Object, key, def string, p *decision.Problems) string {
	name := o.Text(key, def, maxNameBytes)
	if name == "" {
		p.Addf(o.Path(key), "got an empty name")
	}
	return name
}
