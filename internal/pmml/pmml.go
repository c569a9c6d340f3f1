package pmml

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/logistic"
	"github.com/praetor-engine/praetor/internal/learn/scorecard"
)

// Meta is what the document's header says of the model. Nothing in it changes a
// score, and what is empty is left out.
type Meta struct {
	ModelKey           string
	Name               string
	Version            uint64
	Timestamp          string // written as it is
	ApplicationVersion string // of praetor
}

// Write writes the model that the view scores with. Only scorecards and logistic
// regressions have a form in PMML here; any other is refused. Nothing is written
// of a model that is refused, and an error of w is returned wrapped.
func Write(w io.Writer, meta Meta, view learn.View) error {
	switch v := view.(type) {
	case interface{ Card() scorecard.Card }:
		return Scorecard(w, meta, v.Card())
	case interface{ Weights() logistic.Weights }:
		return Logistic(w, meta, v.Weights())
	}
	return decision.Errorf(decision.KindUnprocessable, "the model cannot be written as PMML: its type must be %s or %s",
		decision.Scorecard, decision.LogisticRegression)
}

// names hands out names that no input field has.
type names map[string]bool

func (n names) free(name string) string {
	for n[name] {
		name += "_"
	}
	n[name] = true
	return name
}

// checkText notes a name or a text that XML cannot hold. Package xml would write
// another character in the place of such a one.
func checkText(p *decision.Problems, path, text string) {
	if !utf8.ValidString(text) {
		p.Addf(path, "got %q, want UTF-8", text)
	} else if strings.ContainsFunc(text, func(r rune) bool { return !inXML(r) }) {
		p.Addf(path, "got %q, want only characters that XML 1.0 can hold", text)
	}
}

// inXML is the production Char of XML 1.0.
func inXML(r rune) bool {
	switch {
	case r == '\t', r == '\n', r == '\r':
		return true
	}
	return r >= 0x20 && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000
}

func (m *Meta) check(p *decision.Problems) {
	checkText(p, "key", m.ModelKey)
	checkText(p, "name", m.Name)
	checkText(p, "timestamp", m.Timestamp)
	checkText(p, "applicationVersion", m.ApplicationVersion)
}

// refuse makes the problems of a model one error, nil when there are none.
func refuse(op string, p *decision.Problems) error {
	err := p.Err()
	var e *decision.Error
	if errors.As(err, &e) {
		e.Kind, e.Op, e.Msg = decision.KindUnprocessable, op, "the model cannot be written as PMML: "+e.Msg
	}
	return err
}

// encode writes the whole document.
func encode(w io.Writer, op string, doc *document) error {
	buf := bufio.NewWriter(w)
	buf.WriteString(xml.Header) // a failed write is told by Flush
	e := xml.NewEncoder(buf)
	e.Indent("", " ")
	err := e.Encode(doc)
	if err == nil {
		buf.WriteByte('\n')
		err = buf.Flush()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

// number writes v so that it reads back as the same bits; −0 becomes 0, which
// some readers hold for different numbers.
func number(v float64) string { return strconv.FormatFloat(v+0, 'g', -1, 64) }
