package httpapi

import (
	"strings"

	"github.com/praetor-engine/praetor/internal/factorial"
	"github.com/praetor-engine/praetor/internal/optimization"
)

// The bounds of a definition's lists here are of what is read; what is permitted is
// for package optimization to judge, with better words.
const (
	maxReadFactors  = 100
	maxReadLevels   = 1000
	maxReadExcluded = 20_000
)

// definition reads the body of POST on optimizations.
func (rq *request) definition() (*optimization.Definition, error) {
	if err := rq.beginBody(); err != nil {
		return nil, err
	}
	d := &optimization.Definition{Excluded: []factorial.Combination{}}
	d.TrainingDataConfig.ContextFactors = []factorial.Factor{}
	if rq.enterObject() {
		for rq.nextField() {
			rq.definitionField(d)
		}
		rq.need("name", "model_type", "training_data_config")
	}
	return d, rq.decoder.err()
}

func (rq *request) definitionField(d *optimization.Definition) {
	switch rq.key {
	case "name":
		d.Name = *rq.ownText(1, maxName)
	case "model_type":
		d.ModelType = rq.oneOf(optimization.MAB, optimization.CMAB)
	case "training_data_config":
		rq.trainingDataConfig(&d.TrainingDataConfig)
	case "holdout_percentage":
		d.HoldoutPercentage = rq.holdout()
	case "excluded_combinations":
		if rq.null() || !rq.enterArray() {
			break
		}
		for rq.nextItem(maxReadExcluded) {
			d.Excluded = append(d.Excluded, rq.combination())
		}
	case "auto_train":
		if !rq.null() {
			d.AutoTrain = rq.autoTrain()
		}
	case "public_serve":
		d.PublicServe = rq.boolean()
	default:
		rq.unknown()
	}
}

func (rq *request) holdout() float64 {
	v := rq.float()
	if v < 0 || v > optimization.MaxHoldout {
		rq.wrongf("must be a number from 0 to %d, got %v", optimization.MaxHoldout, v)
	}
	return v
}

func (rq *request) trainingDataConfig(c *optimization.TrainingDataConfig) {
	if !rq.enterObject() {
		return
	}
	for rq.nextField() {
		switch rq.key {
		case "design_factors":
			c.DesignFactors = rq.factors()
		case "context_factors":
			if !rq.null() {
				c.ContextFactors = rq.factors()
			}
		case "reward":
			if !rq.enterObject() {
				break
			}
			for rq.nextField() {
				switch rq.key {
				case "name":
					c.Reward.Name = *rq.ownText(1, maxName)
				case "type":
					c.Reward.Type = rq.oneOf(optimization.BoolReward, optimization.NumericReward)
				default:
					rq.unknown()
				}
			}
			rq.need("name", "type")
		case "attribution":
			rq.attribution(&c.Attribution)
		default:
			rq.unknown()
		}
	}
	rq.need("design_factors", "reward", "attribution")
}

func (rq *request) attribution(a *optimization.Attribution) {
	if !rq.enterObject() {
		return
	}
	for rq.nextField() {
		switch rq.key {
		case "type":
			a.Type = rq.oneOf("last_touch", "first_touch")
		case "conversion_window_hours":
			a.ConversionWindowHours = int(rq.whole(1, 720))
		default:
			rq.unknown()
		}
	}
	rq.need("type", "conversion_window_hours")
}

func (rq *request) factors() []factorial.Factor {
	factors := []factorial.Factor{}
	if !rq.enterArray() {
		return factors
	}
	for rq.nextItem(maxReadFactors) {
		factors = append(factors, rq.factor())
	}
	return factors
}

func (rq *request) factor() (f factorial.Factor) {
	if !rq.enterObject() {
		return f
	}
	for rq.nextField() {
		switch rq.key {
		case "name":
			f.Name = *rq.ownText(1, maxName)
		case "dtype":
			f.Type = factorial.Dtype(rq.oneOf(string(factorial.String), string(factorial.Bool)))
		case "levels":
			if !rq.enterArray() {
				break
			}
			for rq.nextItem(maxReadLevels) {
				f.Levels = append(f.Levels, rq.ownLevel())
			}
		default:
			rq.unknown()
		}
	}
	rq.need("name", "dtype", "levels")
	return f
}

// level reads any value as a factor's level. Its text aliases the body.
func (d *decoder) level() factorial.Value {
	switch d.kind() {
	case '"':
		return factorial.StringOf(d.text())
	case 't', 'f':
		return factorial.BoolOf(d.b[d.skipScalar()] == 't')
	}
	return factorial.Value{Text: alias(d.skip()), Kind: factorial.OtherValue}
}

// ownLevel reads a level into memory of its own.
func (d *decoder) ownLevel() factorial.Value {
	v := d.level()
	v.Text = strings.Clone(v.Text)
	return v
}

// combination reads an object of levels by their factors, into memory of its own.
func (rq *request) combination() factorial.Combination {
	c := factorial.Combination{}
	if rq.enterObject() {
		for rq.nextField() {
			c[strings.Clone(rq.key)] = rq.ownLevel()
		}
	}
	return c
}

func (rq *request) autoTrain() *optimization.AutoTrain {
	a := &optimization.AutoTrain{}
	if !rq.enterObject() {
		return a
	}
	for rq.nextField() {
		switch rq.key {
		case "every_observations":
			if !rq.null() {
				a.EveryObservations = rq.whole(1, 1_000_000_000)
			}
		case "every_minutes":
			if !rq.null() {
				a.EveryMinutes = rq.whole(1, 43_200)
			}
		default:
			rq.unknown()
		}
	}
	return a
}

// optimizationPatch reads the body of PATCH on an optimization.
func (rq *request) optimizationPatch() (*optimization.Patch, error) {
	if err := rq.beginBody(); err != nil {
		return nil, err
	}
	c := &optimization.Patch{}
	if rq.enterObject() {
		for rq.nextField() {
			switch rq.key {
			case "name":
				c.Name = rq.ownText(1, maxName)
			case "status":
				v := optimization.Status(rq.oneOf(string(optimization.Live), string(optimization.Completed), string(optimization.Archived)))
				c.Status = &v
			case "holdout_percentage":
				v := rq.holdout()
				c.HoldoutPercentage = &v
			case "public_serve":
				v := rq.boolean()
				c.PublicServe = &v
			case "auto_train":
				if c.NoAutoTrain = rq.null(); !c.NoAutoTrain {
					c.AutoTrain = rq.autoTrain()
				}
			default:
				rq.unknown()
			}
		}
	}
	return c, rq.decoder.err()
}

// biasBody reads the body of a training: {} and nothing at all are none.
func (rq *request) biasBody() (map[string]float64, error) {
	if err := rq.beginBody(); err != nil {
		return nil, err
	}
	var bias map[string]float64
	if rq.enterObject() {
		for rq.nextField() {
			if rq.key != "bias" {
				rq.unknown()
				continue
			}
			if rq.null() || !rq.enterObject() {
				continue
			}
			bias = map[string]float64{}
			for rq.nextField() {
				name := strings.Clone(rq.key)
				bias[name] = rq.float()
			}
		}
	}
	return bias, rq.decoder.err()
}

// contextField is a field of a visitor's context; both alias the body.
type contextField struct {
	name  string
	value factorial.Value
}

// serveMemory is what is read of a serve.
type serveMemory struct {
	optimization, visitor string
	dryRun                bool
	context               []contextField
}

func (m *serveMemory) trim() {
	clear(m.context)
	*m = serveMemory{context: m.context[:0]}
}

// serveBody reads the body of a serve into the serve memory; named: it names the
// optimization.
func (rq *request) serveBody(named bool) error {
	m := &rq.serve
	*m = serveMemory{context: m.context[:0]}
	if err := rq.beginBody(); err != nil {
		return err
	}
	if rq.enterObject() {
		for rq.nextField() {
			switch {
			case rq.key == "anonymous_id":
				m.visitor = rq.str(1, maxName)
			case rq.key == "context":
				rq.contextFields()
			case rq.key == "dry_run" && !named:
				m.dryRun = rq.boolean()
			case rq.key == "optimization_id" && named:
				m.optimization = rq.str(1, maxName)
			default:
				rq.unknown()
			}
		}
		if named {
			rq.need("optimization_id")
		}
		rq.need("anonymous_id")
	}
	return rq.decoder.err()
}

func (rq *request) contextFields() {
	if rq.null() || !rq.enterObject() {
		return
	}
	for rq.nextField() {
		name := rq.key
		rq.serve.context = append(rq.serve.context, contextField{name, rq.level()})
	}
}

// cell returns the context cell of what was read.
func (m *serveMemory) cell(s *factorial.Space) uint64 {
	cell := s.UnknownCell()
	for i := range m.context {
		f := &m.context[i]
		if c := s.ContextFactor(f.name); c >= 0 {
			cell = s.WithLevel(cell, c, s.ContextLevel(c, f.value))
		}
	}
	return cell
}
