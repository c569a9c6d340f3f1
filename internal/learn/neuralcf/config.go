package neuralcf

import (
	"encoding/json"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// config is how to train.
type config struct {
	dim, hidden  int
	learningRate float64
	l2           float64
	epochs       int
	batchSize    int
	maxCustomers int
	seed         uint64
	seeded       bool // the seed was configured
}

// The widths are those of the API's definition; the rest is chosen on simulated
// markets of 500 to 20 000 customers with 10 to 50 rows each and known factors.
const (
	defaultDim          = 16
	defaultHidden       = 32
	defaultLearningRate = 0.15
	defaultL2           = 15
	defaultEpochs       = 30
	defaultBatchSize    = 32
	defaultMaxCustomers = 200_000
)

// The bounds of the widths hold for states as well.
const (
	maxDim    = 256
	maxHidden = 1024
	// maxOffers bounds the other table; a catalogue has far fewer.
	maxOffers = 100_000
	maxSeed   = 1<<53 - 1 // the largest integer that every JSON reader keeps
)

func readConfig(raw json.RawMessage, p *decision.Problems) config {
	o := encode.ReadObject(raw, "config", p)
	return config{
		dim:          int(o.Int("embeddingDim", defaultDim, 1, maxDim)),
		hidden:       int(o.Int("hiddenUnits", defaultHidden, 1, maxHidden)),
		learningRate: o.Float("learningRate", defaultLearningRate, 1e-9, 10),
		l2:           o.Float("l2", defaultL2, 0, 1e6),
		epochs:       int(o.Int("epochs", defaultEpochs, 1, 1000)),
		batchSize:    int(o.Int("batchSize", defaultBatchSize, 1, 1<<14)),
		maxCustomers: int(o.Int("maxCustomers", defaultMaxCustomers, 1, 1_000_000)),
		seed:         uint64(o.Int("seed", 0, 0, maxSeed)),
		seeded:       o.Has("seed"),
	}
}
