package bayes

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// Bounds on what is learned: attributes come from clients, and a field of free
// text must not grow a model without end.
const (
	maxFields = 1000
	maxCells  = 1 << 17 // bins, categories and members of all fields
	maxText   = 256     // bytes of a field's name or of a category
	maxEdges  = 1000    // hand-made bin edges of one field
	// maxCount is where a float64 stops counting ones.
	maxCount = 1 << 53
)

// The defaults of the configuration.
const (
	defaultAlpha         = 1    // the API's
	defaultMaxCategories = 1000 // per field; the logistic learner keeps as many
)

// config is the configuration of a bayesian model.
type config struct {
	alpha         float64              // laplaceSmoothingAlpha
	calibrate     bool                 // whether training fits a calibration
	maxCategories int                  // per field
	edges         map[string][]float64 // binEdges made by hand; training keeps them
}

func readConfig(raw json.RawMessage, problems *decision.Problems) *config {
	o := encode.ReadObject(raw, "config", problems)
	return &config{
		// The lower bound keeps every logarithm far from that of 0.
		alpha:         o.Float("laplaceSmoothingAlpha", defaultAlpha, 1e-9, 1e6),
		calibrate:     o.Bool("calibrate", true),
		maxCategories: int(o.Int("maxCategories", defaultMaxCategories, 1, 10_000)),
		edges:         readEdges(o.Object("binEdges"), problems),
	}
}

// readEdges reads the inner edges of the bins of some fields. No edge at all is
// one bin.
func readEdges(o encode.Object, problems *decision.Problems) map[string][]float64 {
	edges := make(map[string][]float64)
	for _, name := range o.Keys() {
		if len(name) > maxText {
			problems.Addf(o.Path(name[:maxText]), "got a name of %d bytes, want at most %d", len(name), maxText)
			continue
		}
		list := []float64{}
		for i, raw := range o.List(name, maxEdges) {
			var v float64
			switch err := json.Unmarshal(raw, &v); {
			case err != nil || string(raw) == "null":
				problems.Addf(o.ItemPath(name, i), "got %s, want a number", encode.Excerpt(raw))
			case len(list) > 0 && v <= list[len(list)-1]:
				problems.Addf(o.ItemPath(name, i), "got %g after %g, want ascending edges", v, list[len(list)-1])
			default:
				list = append(list, v)
			}
		}
		edges[name] = list
	}
	return edges
}

// binName is the name of a bin in the API.
func binName(i int) string { return "b" + strconv.Itoa(i) }

// binIndex undoes binName.
func binIndex(name string) (int, bool) {
	digits, _ := strings.CutPrefix(name, "b")
	i, err := strconv.Atoi(digits)
	return i, err == nil && i >= 0 && binName(i) == name
}
