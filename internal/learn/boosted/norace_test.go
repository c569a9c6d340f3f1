//go:build !race

package boosted

const raceEnabled = false
