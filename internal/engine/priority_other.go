//go:build !linux

package engine

// yielding runs work like any other: only Linux has priorities of single threads.
func yielding(work func() error) error { return work() }
