package types

import "github.com/praetor-engine/praetor/internal/decision"

// table has one entry per model type this engine runs.
var table = map[decision.ModelType]*Type{}
