package factorial

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/praetor-engine/praetor/internal/decision"
)

// The limits of a definition.
const (
	MinDesignFactors  = 1
	MaxDesignFactors  = 20
	MaxContextFactors = 10
	MinLevels         = 2
	MaxLevels         = 50
	// MaxVariants bounds the product of the design factors' levels, excluded
	// combinations included: training looks at every variant for every draw.
	MaxVariants = 10_000
	// MaxParameters bounds the parameters of the model of mains and pairs: its
	// fit takes p³/3 multiplications a step, its draws 4096·p².
	MaxParameters = 3000

	maxName     = 100 // characters of a factor's name
	maxLevel    = 255 // characters of a level
	maxExcluded = 10_000
)

// Factor is something that varies: of the design, what is optimized; of the
// context, what a visitor brings along.
type Factor struct {
	Name   string  `json:"name"`
	Type   Dtype   `json:"dtype"`
	Levels []Value `json:"levels"`
}

// level returns the index of a level, −1 when the factor has no such level.
func (f *Factor) level(v Value) int {
	for i := range f.Levels {
		if f.Levels[i] == v {
			return i
		}
	}
	return -1
}

// Combination is a partial variant: levels by their factors' names.
type Combination map[string]Value

// Definition is what a client says about a space.
type Definition struct {
	Design   []Factor
	Context  []Factor
	Excluded []Combination
	// PairModel asks for a space whose mains and pairs can be fitted; without it
	// only the number of variants is bounded.
	PairModel bool
}

// The paths of the fields of a request that define a space.
const (
	designPath   = "training_data_config.design_factors"
	contextPath  = "training_data_config.context_factors"
	excludedPath = "excluded_combinations"
)

// check notes everything that is wrong with the factors.
func (d *Definition) check(p *decision.Problems) {
	if n := len(d.Design); n < MinDesignFactors || n > MaxDesignFactors {
		p.Addf(designPath, "must have %d to %d factors, got %d", MinDesignFactors, MaxDesignFactors, n)
	}
	if n := len(d.Context); n > MaxContextFactors {
		p.Addf(contextPath, "must have at most %d factors, got %d", MaxContextFactors, n)
	}
	named := make(map[string]string, len(d.Design)+len(d.Context))
	for i := range d.Design {
		checkFactor(&d.Design[i], fmt.Sprintf("%s[%d]", designPath, i), named, p)
	}
	for i := range d.Context {
		checkFactor(&d.Context[i], fmt.Sprintf("%s[%d]", contextPath, i), named, p)
	}
}

// checkFactor notes what is wrong with one factor; named has the paths of the names
// before it.
func checkFactor(f *Factor, path string, named map[string]string, p *decision.Problems) {
	if n := utf8.RuneCountInString(f.Name); n < 1 || n > maxName {
		p.Addf(path+".name", "must be 1 to %d characters, got %d", maxName, n)
	} else if first, taken := named[f.Name]; taken {
		p.Addf(path+".name", "must be unique, %.60q is the name of %s", f.Name, first)
	} else {
		named[f.Name] = path
	}
	if f.Type != String && f.Type != Bool {
		p.Addf(path+".dtype", "must be %q or %q, got %.60q", String, Bool, f.Type)
	}
	if n := len(f.Levels); n < MinLevels || n > MaxLevels {
		p.Addf(path+".levels", "must have %d to %d levels, got %d", MinLevels, MaxLevels, n)
		return // a list without bounds is not worth its problems
	}
	for i, v := range f.Levels {
		at := fmt.Sprintf("%s.levels[%d]", path, i)
		switch {
		case !v.is(String) && !v.is(Bool), f.Type == String && !v.is(String), f.Type == Bool && !v.is(Bool):
			p.Addf(at, "must be %s, got %s", wanted(f.Type), v)
		case v.Kind == StringValue && (v.Text == "" || utf8.RuneCountInString(v.Text) > maxLevel):
			p.Addf(at, "must be 1 to %d characters, got %d", maxLevel, utf8.RuneCountInString(v.Text))
		case slices.Contains(f.Levels[:i], v):
			p.Addf(at, "must be unique among the levels, got %s again", v)
		}
	}
}

func wanted(t Dtype) string {
	if t == Bool {
		return "true or false"
	}
	return "a string"
}

// Parameters returns how many parameters the model of mains and pairs has over the
// factors: an intercept, the design and the context levels without the first of
// each, unknown contexts, all pairs of design factors, all pairs of a design and a
// context factor.
func Parameters(design, context []Factor) int {
	n, mains, contexts := 1, 0, 0
	for i := range design {
		m := max(len(design[i].Levels)-1, 0)
		n += m + m*mains
		mains += m
	}
	for i := range context {
		contexts += len(context[i].Levels) // one for the unknown, none for the first
	}
	return n + contexts + mains*contexts
}
