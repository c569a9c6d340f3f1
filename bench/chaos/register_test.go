package chaos

import (
	"slices"
	"testing"

	"github.com/anishathalye/porcupine"
)

// at makes an operation on a register of text.
func at(call, end int64, write bool, value string) porcupine.Operation {
	op := porcupine.Operation{Call: call, Return: end, Input: textInput{write: write, value: value}}
	if !write {
		op.Output = value
	}
	return op
}

func TestTextRegister(t *testing.T) {
	const write, read = true, false
	for _, c := range []struct {
		name string
		ops  []porcupine.Operation
		want bool
	}{
		{"reads of what was written", []porcupine.Operation{at(0, 1, write, "a"), at(2, 3, read, "a")}, true},
		{"a read of the first text", []porcupine.Operation{at(0, 1, read, "start"), at(2, 3, write, "a")}, true},
		{"a stale read", []porcupine.Operation{at(0, 1, write, "a"), at(2, 3, write, "b"), at(4, 5, read, "a")}, false},
		{"a read during the write", []porcupine.Operation{at(0, 10, write, "a"), at(1, 2, read, "a"), at(3, 4, read, "a")}, true},
		{"a read back in time", []porcupine.Operation{at(0, 10, write, "a"), at(1, 2, read, "a"), at(3, 4, read, "start")}, false},
		{"a write in doubt that landed late", []porcupine.Operation{at(0, forever, write, "a"), at(1, 2, read, "start"), at(8, 9, read, "a")}, true},
		{"a write in doubt that never landed", []porcupine.Operation{at(0, forever, write, "a"), at(8, 9, read, "start")}, true},
		{"a write in doubt that was taken back", []porcupine.Operation{at(0, forever, write, "a"), at(1, 2, read, "a"), at(3, 4, read, "start")}, false},
		{"an acknowledged write that is lost", []porcupine.Operation{at(0, 1, write, "a"), at(2, 3, read, "start")}, false},
	} {
		h := newHistory()
		h.ops["r"] = c.ops
		v := h.check(func(string) porcupine.Model { return textModel("start") })
		if got := len(v.Illegal) == 0; got != c.want {
			t.Errorf("%s: linearizable is %v, want %v", c.name, got, c.want)
		}
		if v.Operations != len(c.ops) {
			t.Errorf("%s: %d operations, want %d", c.name, v.Operations, len(c.ops))
		}
	}
}

func TestUnseenWritesAreLeftOut(t *testing.T) {
	ops := []porcupine.Operation{at(0, forever, true, "seen"), at(0, forever, true, "unseen"), at(0, 1, true, "known"), at(2, 3, false, "seen")}
	got := withoutUnseen(ops)
	if len(got) != 3 || slices.ContainsFunc(got, func(op porcupine.Operation) bool { return op.Input.(textInput).value == "unseen" }) {
		t.Errorf("withoutUnseen() left %v", got)
	}
}

// The steps of a family, one after the other; state is what must be there after.
func TestFamily(t *testing.T) {
	none := -1
	for _, c := range []struct {
		name  string
		state string
		in    familyInput
		out   familyOutput
		legal bool
		next  string
	}{
		{"first champion", "ccd", familyInput{0, champion}, familyOutput{true, true, challenger, none}, true, "Ccd"},
		{"champion displaced", "Ccd", familyInput{1, champion}, familyOutput{true, true, challenger, 0}, true, "cCd"},
		{"displaced without a word", "Ccd", familyInput{1, champion}, familyOutput{true, true, challenger, none}, false, "Ccd"},
		{"wrong one displaced", "Ccd", familyInput{1, champion}, familyOutput{true, true, challenger, 2}, false, "Ccd"},
		{"refused although permitted", "Ccd", familyInput{1, champion}, familyOutput{known: true, demoted: none}, false, "Ccd"},
		{"refused", "Ccd", familyInput{2, champion}, familyOutput{known: true, demoted: none}, true, "Ccd"},
		{"permitted although not", "Ccd", familyInput{2, champion}, familyOutput{true, true, draft, 0}, false, "Ccd"},
		{"same again", "Ccd", familyInput{0, champion}, familyOutput{known: true, demoted: none}, true, "Ccd"},
		{"wrong previous", "Ccd", familyInput{0, archived}, familyOutput{true, true, challenger, none}, false, "Ccd"},
		{"archived", "Ccd", familyInput{0, archived}, familyOutput{true, true, champion, none}, true, "acd"},
		{"in doubt, possible", "Ccd", familyInput{1, champion}, familyOutput{}, true, "cCd"},
		{"in doubt, impossible", "Ccd", familyInput{2, champion}, familyOutput{}, true, "Ccd"},
		{"read", "Ccd", familyInput{0, 0}, familyOutput{known: true, ok: true, previous: champion}, true, "Ccd"},
		{"stale read", "Ccd", familyInput{1, 0}, familyOutput{known: true, ok: true, previous: champion}, false, "Ccd"},
	} {
		legal, next := stepFamily(c.state, c.in, c.out)
		if legal != c.legal || next != c.next {
			t.Errorf("%s: got %v, %s, want %v, %s", c.name, legal, next, c.legal, c.next)
		}
	}
}

// No sequence of transitions gives a family two champions.
func TestFamilyHasOneChampion(t *testing.T) {
	seen := map[string]bool{"dcca": true}
	for queue := []string{"dcca"}; len(queue) > 0; queue = queue[1:] {
		for member := range 4 {
			for _, target := range statuses {
				_, next := stepFamily(queue[0], familyInput{member, target}, familyOutput{})
				if n := champions(next); n > 1 {
					t.Fatalf("%s has %d champions after %d became %s", next, n, member, target)
				}
				if !seen[next] {
					seen[next] = true
					queue = append(queue, next)
				}
			}
		}
	}
}

func champions(state string) (n int) {
	for i := range len(state) {
		if status(state[i]) == champion {
			n++
		}
	}
	return n
}
