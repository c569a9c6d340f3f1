package chaos

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// history is the operations of clients on registers, each register by itself.
type history struct {
	mu   sync.Mutex
	from time.Time
	ops  map[string][]porcupine.Operation // by register
}

func newHistory() *history {
	return &history{from: time.Now(), ops: map[string][]porcupine.Operation{}}
}

// now is the time since the history began.
func (h *history) now() int64 { return int64(time.Since(h.from)) }

// add records an operation. One whose outcome the client does not know has no
// end: it may take effect at any time after its call, or never, which is the
// same as after everything else.
func (h *history) add(register string, client int, call int64, input, output any, known bool) {
	end := int64(forever)
	if known {
		end = h.now()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops[register] = append(h.ops[register], porcupine.Operation{ClientId: client, Input: input, Call: call, Output: output, Return: end})
}

const forever = 1 << 62

// verdict is what checking histories gave.
type verdict struct {
	Operations int      `json:"operations"`
	Unknown    int      `json:"unknown"` // of these, with no answer that tells
	Illegal    []string `json:"illegal,omitempty"`
	Unchecked  []string `json:"unchecked,omitempty"` // the time was over
}

// checkTimeout bounds the search of one register's history.
const checkTimeout = 30 * time.Second

// check looks for an order of each register's operations that explains every
// answer.
func (h *history) check(model func(register string) porcupine.Model) verdict {
	h.mu.Lock()
	defer h.mu.Unlock()
	var v verdict
	names := make([]string, 0, len(h.ops))
	for name := range h.ops {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		ops := h.ops[name]
		v.Operations += len(ops)
		for _, op := range ops {
			if op.Return == forever {
				v.Unknown++
			}
		}
		switch porcupine.CheckOperationsTimeout(model(name), withoutUnseen(ops), checkTimeout) {
		case porcupine.Illegal:
			v.Illegal = append(v.Illegal, name)
		case porcupine.Unknown:
			v.Unchecked = append(v.Unchecked, name)
		}
	}
	return v
}

// dump writes a register's operations as lines of text, for whoever wants to
// know why there is no order of them.
func (h *history) dump(path, register string, model porcupine.Model) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%s begins with %v; call and end in nanoseconds\n", register, model.Init())
	for _, op := range h.ops[register] {
		end := fmt.Sprint(op.Return)
		if op.Return == forever {
			end = "unknown"
		}
		fmt.Fprintf(&b, "client %d %d %s %s\n", op.ClientId, op.Call, end, model.DescribeOperation(op.Input, op.Output))
	}
	return os.WriteFile(path, []byte(b.String()), 0o600)
}

// withoutUnseen leaves out the writes of text that are not known to have
// happened and that nobody read: they explain nothing, and each would double
// the search.
func withoutUnseen(ops []porcupine.Operation) []porcupine.Operation {
	seen := map[string]bool{}
	for _, op := range ops {
		if in, ok := op.Input.(textInput); ok && !in.write {
			seen[op.Output.(string)] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(ops), func(op porcupine.Operation) bool {
		in, ok := op.Input.(textInput)
		return ok && in.write && op.Return == forever && !seen[in.value]
	})
}

// textInput is an operation on a register of text; the output of a read is the
// text.
type textInput struct {
	write bool
	value string
}

// textModel is a register that holds the text last written.
func textModel(initial string) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return initial },
		Step: func(state, input, output any) (bool, any) {
			in := input.(textInput)
			if in.write {
				return true, in.value
			}
			return output.(string) == state.(string), state
		},
		DescribeOperation: func(input, output any) string {
			in := input.(textInput)
			if in.write {
				return fmt.Sprintf("write %s", in.value)
			}
			return fmt.Sprintf("read %s", output)
		},
	}
}

// status is a model's place in its family.
type status byte

const (
	draft      status = 'd'
	challenger status = 'c'
	champion   status = 'C'
	archived   status = 'a'
)

var statuses = map[string]status{"draft": draft, "challenger": challenger, "champion": champion, "archived": archived}

func (s status) String() string {
	for name, have := range statuses {
		if have == s {
			return name
		}
	}
	return "unknown"
}

// allowed are the transitions of the registry.
var allowed = map[status][]status{
	draft:      {challenger, archived},
	challenger: {champion, archived, draft},
	champion:   {archived, challenger},
	archived:   {draft},
}

// familyInput is an operation on a family: a transition of a member, or a read of
// its status.
type familyInput struct {
	member int
	target status // 0: a read
}

// familyOutput is what the client was told.
type familyOutput struct {
	known    bool
	ok       bool   // the transition happened, or the read gave a status
	previous status // of the member before it; the status that was read
	demoted  int    // member that was displaced; −1: none
}

// familyModel is a family of members in the statuses of initial, one letter each:
// a champion's place is taken in the same step that gives it away.
func familyModel(initial string) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return initial },
		Step: func(state, input, output any) (bool, any) {
			return stepFamily(state.(string), input.(familyInput), output.(familyOutput))
		},
		DescribeOperation: func(input, output any) string {
			in, out := input.(familyInput), output.(familyOutput)
			what := fmt.Sprintf("member %d to %s", in.member, in.target)
			if in.target == 0 {
				what = fmt.Sprintf("member %d read", in.member)
			}
			if !out.known {
				return what + ", in doubt"
			}
			return fmt.Sprintf("%s: %v, was %s, displaced %d", what, out.ok, out.previous, out.demoted)
		},
	}
}

func stepFamily(state string, in familyInput, out familyOutput) (legal bool, next string) {
	have := status(state[in.member])
	if in.target == 0 {
		return !out.known || out.previous == have, state
	}
	legalMove := slices.Contains(allowed[have], in.target)
	displaced := -1
	if in.target == champion {
		displaced = strings.IndexByte(state, byte(champion))
	}
	if out.known {
		if out.ok != legalMove {
			return false, state
		}
		if out.ok && (out.previous != have || out.demoted != displaced) {
			return false, state
		}
	}
	if !legalMove {
		return true, state
	}
	b := []byte(state)
	if displaced >= 0 {
		b[displaced] = byte(challenger)
	}
	b[in.member] = byte(in.target)
	return true, string(b)
}
