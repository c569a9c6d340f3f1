package online

import (
	"encoding/json"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// optimizer is how a weight moves; the numbers are in the binary state.
type optimizer uint8

const (
	sgd     optimizer = 0
	adagrad optimizer = 1
	ftrl    optimizer = 2
)

// optimizerNames are the values of config.optimizer.
var optimizerNames = [...]string{sgd: "sgd", adagrad: "adagrad", ftrl: "ftrl"}

func parseOptimizer(name string) optimizer {
	for i, n := range optimizerNames {
		if n == name {
			return optimizer(i)
		}
	}
	return sgd
}

// config is the rule of learning.
type config struct {
	normalize    bool // of a fresh model
	normalizeSet bool // configured, not by default
	optimizer    optimizer
	rate         float64
	l1, l2       float64 // ftrl's
}

// The rates by default. sgd's is the documented one; the others are, of 0.0003 to
// 0.2, the best after one pass over the Bank Marketing data (Moro, Cortez, Rita
// 2014) in the order of time.
const (
	sgdRate     = 0.01
	adagradRate = 0.02
	ftrlRate    = 0.05
)

// readConfig reads the configuration. imported tells that there is a state of
// plain weights, which is not normalised unless asked for.
func readConfig(raw json.RawMessage, imported bool, p *decision.Problems) config {
	o := encode.ReadObject(raw, "config", p)
	c := config{normalizeSet: o.Has("normalize"), normalize: o.Bool("normalize", !imported)}
	def := sgd
	if c.normalize {
		def = ftrl
	}
	c.optimizer = parseOptimizer(o.Choice("optimizer", optimizerNames[def], optimizerNames[:]...))
	rate := [...]float64{sgd: sgdRate, adagrad: adagradRate, ftrl: ftrlRate}[c.optimizer]
	c.rate = o.Float("learningRate", rate, 1e-9, 10)
	c.l1 = o.Float("l1", 0, 0, 1e6)
	c.l2 = o.Float("l2", 0, 0, 1e6)
	return c
}
