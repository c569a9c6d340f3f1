//go:build race

package engine

// raceEnabled: the race detector makes a sync.Pool forget at random.
const raceEnabled = true
