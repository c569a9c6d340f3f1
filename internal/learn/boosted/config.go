package boosted

import (
	"encoding/json"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// Params are LightGBM's parameters of a training. Their defaults are LightGBM's
// own: num_iterations 100, num_leaves 31, learning_rate 0.1, min_data_in_leaf 20,
// feature_fraction 1.
type Params struct {
	NumTrees        int     `json:"numTrees"`
	NumLeaves       int     `json:"numLeaves"`
	LearningRate    float64 `json:"learningRate"`
	MinDataInLeaf   int     `json:"minDataInLeaf"`
	FeatureFraction float64 `json:"featureFraction"`
	Seed            uint64  `json:"seed"`
}

const (
	maxSeed           = 1<<31 - 1 // LightGBM's seed is a 32-bit integer
	maxTrainedLeaves  = 1_000_000 // of all trees; the worker's own bound
	leastRate         = 1e-6
	leastFeatureShare = 1e-6
)

// ReadParams reads the training parameters from a model's configuration. Without
// config.seed the seed is the training's.
func ReadParams(spec *learn.Spec, opts *learn.TrainOptions) (Params, error) {
	var p decision.Problems
	params, seeded := readConfig(spec.Config, &p)
	if !seeded {
		params.Seed = opts.Seed & maxSeed
	}
	return params, p.Err()
}

func readConfig(raw json.RawMessage, p *decision.Problems) (params Params, seeded bool) {
	o := encode.ReadObject(raw, "config", p)
	params = Params{
		NumTrees:        int(o.Int("numTrees", 100, 1, 10_000)),
		NumLeaves:       int(o.Int("numLeaves", 31, 2, 4096)),
		LearningRate:    o.Float("learningRate", 0.1, leastRate, 1),
		MinDataInLeaf:   int(o.Int("minDataInLeaf", 20, 1, 1_000_000)),
		FeatureFraction: o.Float("featureFraction", 1, leastFeatureShare, 1),
		Seed:            uint64(o.Int("seed", 0, 0, maxSeed)),
	}
	if leaves := params.NumTrees * params.NumLeaves; leaves > maxTrainedLeaves {
		p.Addf(o.Path("numLeaves"), "got %d trees of %d leaves, want at most %d leaves altogether",
			params.NumTrees, params.NumLeaves, maxTrainedLeaves)
	}
	return params, o.Has("seed")
}
