//go:build race

package experiment

// raceEnabled: what counts in millions and on one goroutine is left out under the
// race detector, which has nothing to find there and takes ten times as long.
const raceEnabled = true
