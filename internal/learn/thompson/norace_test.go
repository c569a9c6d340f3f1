//go:build !race

package thompson

const raceEnabled = false
