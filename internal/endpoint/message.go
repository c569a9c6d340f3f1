package endpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/external"
)

type statusError int

func (e statusError) Error() string { return "status " + strconv.Itoa(int(e)) }

// queryJSON is the body of a request.
type queryJSON struct {
	CustomerID string          `json:"customerId"`
	Attributes map[string]any  `json:"attributes"`
	Candidates []candidateJSON `json:"candidates"`
	RequestID  string          `json:"requestId"`
}

type candidateJSON struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Attributes map[string]any `json:"attributes"`
}

func encodeQuery(q *Query) ([]byte, error) {
	out := queryJSON{
		CustomerID: q.CustomerID, RequestID: q.RequestID, Attributes: attributes(q.Attributes), Candidates: make([]candidateJSON, len(q.Candidates)),
	}
	for i := range q.Candidates {
		c := &q.Candidates[i]
		out.Candidates[i] = candidateJSON{ID: c.ID, Name: c.Name, Attributes: attributes(c.Attributes)}
	}
	return json.Marshal(out)
}

// attributes returns a row as the members of an object, flat as the engine keeps
// it: a nested attribute has its dotted path for a name, a set is an array.
func attributes(row decision.Row) map[string]any {
	out := make(map[string]any, len(row))
	for i := range row {
		f := &row[i]
		switch f.Kind {
		case decision.Number:
			out[f.Name] = f.Num
		case decision.Bool:
			out[f.Name] = f.Num != 0
		case decision.Text:
			out[f.Name] = f.Text
		case decision.EmptySet:
			out[f.Name] = []string{}
		case decision.Member:
			set, _ := out[f.Name].([]string)
			out[f.Name] = append(set, f.Text)
		}
	}
	return out
}

// decodeScores reads the scores of the candidates from an answer. A candidate
// that the answer leaves out, or whose score is no finite number, has the
// fallback; of several scores for one the first counts. Without candidates the
// first element is the customer's score, whatever offer it names.
func decodeScores(c *external.Config, q *Query, body []byte) ([]Score, error) {
	elements, err := scoreElements(c.ScoresPath, body)
	if err != nil {
		return nil, err
	}
	if len(q.Candidates) == 0 {
		score := Score{Value: c.Fallback, Degraded: true}
		if len(elements) > 0 {
			if v, ok := number(elements[0][c.ScoreField]); ok {
				score = Score{Value: v}
			}
		}
		return []Score{score}, nil
	}
	given := make(map[string]json.RawMessage, len(elements))
	for _, e := range elements {
		var id string
		if json.Unmarshal(e[c.OfferIDField], &id) != nil {
			continue
		}
		if _, seen := given[id]; !seen {
			given[id] = e[c.ScoreField]
		}
	}
	scores := make([]Score, len(q.Candidates))
	for i := range scores {
		v, ok := number(given[q.Candidates[i].ID])
		if !ok {
			v = c.Fallback
		}
		scores[i] = Score{Value: v, Degraded: !ok}
	}
	return scores, nil
}

// scoreElements follows the path to the array of scores; an element that is no
// object has no members.
func scoreElements(path []string, body []byte) ([]map[string]json.RawMessage, error) {
	raw := json.RawMessage(body)
	for _, name := range path {
		var members map[string]json.RawMessage
		if err := json.Unmarshal(raw, &members); err != nil {
			return nil, fmt.Errorf("read the object around %q: %w", name, err)
		}
		raw = members[name]
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("read the array of scores: %w", err)
	}
	if list == nil {
		return nil, errors.New("got null in place of the array of scores")
	}
	elements := make([]map[string]json.RawMessage, len(list))
	for i, raw := range list {
		if json.Unmarshal(raw, &elements[i]) != nil {
			elements[i] = nil
		}
	}
	return elements, nil
}

// number reads a finite number and brings it into [0, 1].
func number(raw json.RawMessage) (float64, bool) {
	var v *float64
	if json.Unmarshal(raw, &v) != nil || v == nil {
		return 0, false
	}
	return min(max(*v, 0), 1), true
}
