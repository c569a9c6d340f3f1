package online

import (
	"math"
	"sync/atomic"
)

// cell is what views read of a feature: its weight and, for a number, the mean
// and scale that belong to it. One goroutine stores, any number load.
//
// There are two copies. Version v is in copies[v&1]; storing writes the other copy
// and then raises the version. A reader that finds the version unchanged after
// reading has read one whole copy: the writer touches it again only after raising
// the version. A writer that stops half way holds nobody up, and a reader tries
// again only when a store was completed meanwhile.
type cell struct {
	version atomic.Uint32
	copies  [2]struct{ weight, mean, scale atomic.Uint64 }
}

func (c *cell) store(weight, mean, scale float64) {
	v := c.version.Load() + 1
	k := &c.copies[v&1]
	k.weight.Store(math.Float64bits(weight))
	k.mean.Store(math.Float64bits(mean))
	k.scale.Store(math.Float64bits(scale))
	c.version.Store(v)
}

func (c *cell) load() (weight, mean, scale float64) {
	for {
		v := c.version.Load()
		k := &c.copies[v&1]
		weight = math.Float64frombits(k.weight.Load())
		mean = math.Float64frombits(k.mean.Load())
		scale = math.Float64frombits(k.scale.Load())
		if c.version.Load() == v {
			return weight, mean, scale
		}
	}
}

// storeWeight and loadWeight are for features that are a weight alone, which is
// atomic by itself. A number's cell is not given to storeWeight after store.
func (c *cell) storeWeight(weight float64) { c.copies[0].weight.Store(math.Float64bits(weight)) }

func (c *cell) loadWeight() float64 { return math.Float64frombits(c.copies[0].weight.Load()) }
