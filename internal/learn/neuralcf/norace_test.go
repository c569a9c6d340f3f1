//go:build !race

package neuralcf

const raceEnabled = false
