package logistic

import (
	"encoding/json"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// config is how to train. The defaults reach the AUC of a converged fit on the
// Bank Marketing data (Moro, Cortez, Rita 2014) within 0.001.
type config struct {
	learningRate float64
	l1, l2       float64
	epochs       int
	batchSize    int
	seed         uint64
	seeded       bool // the seed was configured
}

const (
	defaultLearningRate = 0.05
	defaultEpochs       = 30
	defaultBatchSize    = 32
	maxSeed             = 1<<53 - 1 // the largest integer that every JSON reader keeps
)

func readConfig(raw json.RawMessage, p *decision.Problems) config {
	o := encode.ReadObject(raw, "config", p)
	return config{
		learningRate: o.Float("learningRate", defaultLearningRate, 1e-9, 10),
		l1:           o.Float("l1", 0, 0, 1e6),
		l2:           o.Float("l2", 0, 0, 1e6),
		epochs:       int(o.Int("epochs", defaultEpochs, 1, 10_000)),
		batchSize:    int(o.Int("batchSize", defaultBatchSize, 1, 1<<16)),
		seed:         uint64(o.Int("seed", 0, 0, maxSeed)),
		seeded:       o.Has("seed"),
	}
}
