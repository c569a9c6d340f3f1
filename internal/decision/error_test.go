package decision

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestErrorText(t *testing.T) {
	e := &Error{
		Kind: KindConflict, Op: "engine.Respond", Msg: "key is used",
		Details: []Detail{{"key", "must be unique"}}, Err: io.EOF,
	}
	if got, want := e.Error(), "engine.Respond: conflict: key is used [key: must be unique]: EOF"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	if !errors.Is(e, io.EOF) {
		t.Error("errors.Is does not find the cause")
	}
	if got, want := (&Error{}).Error(), "internal"; got != want {
		t.Errorf("Error() of the zero error = %q, want %q", got, want)
	}
}

func TestKinds(t *testing.T) {
	for k := KindInternal; k <= KindHeaderTooLarge; k++ {
		if got := k.String(); got == "" || strings.HasPrefix(got, "kind ") {
			t.Errorf("kind %d has no name", uint8(k))
		}
	}
	if got := Kind(200).String(); got != "kind 200" {
		t.Errorf("String() of an unknown kind = %q", got)
	}
	wrapped := fmt.Errorf("scoring: %w", Errorf(KindNotFound, "no model %q", "m"))
	if got := KindOf(wrapped); got != KindNotFound {
		t.Errorf("KindOf(wrapped) = %v, want not found", got)
	}
	if got := KindOf(io.EOF); got != KindInternal {
		t.Errorf("KindOf(io.EOF) = %v, want internal", got)
	}
}

func TestInvalid(t *testing.T) {
	e := Invalid("offers[3].id", "got %d characters, want at most %d", 300, 255)
	if e.Kind != KindBadRequest || e.Msg != "offers[3].id: got 300 characters, want at most 255" ||
		len(e.Details) != 1 || e.Details[0].Path != "offers[3].id" {
		t.Errorf("Invalid() = %+v", e)
	}
}

func TestProblems(t *testing.T) {
	var p Problems
	if err := p.Err(); err != nil {
		t.Fatalf("Err() of no problem = %v, want nil", err)
	}
	p.AddError("x", nil)
	p.Addf("a", "is %s", "wrong")
	var e *Error
	if !errors.As(p.Err(), &e) || e.Kind != KindBadRequest || e.Msg != "a: is wrong" {
		t.Errorf("Err() of one problem = %+v", e)
	}
	p.AddError("b", io.EOF)
	p.AddError("c", Errorf(KindConflict, "is taken"))
	p.AddError("d", Invalid("d.e", "is late"))
	if !errors.As(p.Err(), &e) || e.Msg != "4 fields are not valid" {
		t.Errorf("Err() of four problems = %+v", e)
	}
	want := []Detail{{"a", "is wrong"}, {"b", "EOF"}, {"c", "is taken"}, {"d.e", "is late"}}
	if fmt.Sprint(e.Details) != fmt.Sprint(want) {
		t.Errorf("Details = %v, want %v", e.Details, want)
	}
	for i := range 2 * maxDetails {
		p.Addf(fmt.Sprintf("f[%d]", i), "is wrong")
	}
	if !errors.As(p.Err(), &e) || len(e.Details) != maxDetails {
		t.Errorf("%d details, want %d at most", len(e.Details), maxDetails)
	}
}
