//go:build race

package neuralcf

// raceEnabled: training is arithmetic in one goroutine, and fifteen times slower
// under the race detector.
const raceEnabled = true
