//go:build race

package history

// raceDetector makes pools forget at random, so allocations mean nothing.
const raceDetector = true
