package encode

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
)

func TestTextAndList(t *testing.T) {
	var p decision.Problems
	o := ReadObject(json.RawMessage(`{"s":"abc","n":5,"a":[1,"x"],"null":null}`), "config", &p)
	if got := o.Text("s", "", 3); got != "abc" {
		t.Errorf("Text = %q, want abc", got)
	}
	if got := o.Text("null", "def", 3); got != "def" {
		t.Errorf("Text of null = %q, want the default", got)
	}
	if got := o.List("a", 2); len(got) != 2 || string(got[1]) != `"x"` {
		t.Errorf("List = %s, want two elements", got)
	}
	if got := o.List("absent", 2); got != nil {
		t.Errorf("List of an absent key = %s, want nil", got)
	}
	if got := o.ItemPath("a", 1); got != "config.a[1]" {
		t.Errorf("ItemPath = %q, want config.a[1]", got)
	}
	if err := p.Err(); err != nil {
		t.Fatalf("Err() = %v", err)
	}

	o.Text("n", "", 3)
	o.Text("s", "", 2)
	o.List("s", 2)
	o.List("a", 1)
	want := []decision.Detail{
		{Path: "config.n", Message: "got 5, want a string"},
		{Path: "config.s", Message: "got 3 bytes, want at most 2"},
		{Path: "config.s", Message: `got "abc", want an array`},
		{Path: "config.a", Message: "got 2 elements, want at most 1"},
	}
	var e *decision.Error
	if !errors.As(p.Err(), &e) || !slices.Equal(e.Details, want) {
		t.Errorf("Err() = %v, want details %v", p.Err(), want)
	}
}
