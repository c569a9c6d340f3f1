//go:build !race

package history

// raceDetector is off: allocations can be counted.
const raceDetector = false
