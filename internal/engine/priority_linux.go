package engine

import (
	"runtime"
	"syscall"
)

// trainingNiceness is the kernel's niceness of a thread that trains
// (setpriority(2)): a third of the weight of others (sched(7)), so that a
// training gets on under a full load too. With 10 and 19 scores waited no less.
const trainingNiceness = 5

// yielding runs work on a thread that leaves the processor to whoever wants it
// more. Without it a score that is due where a training runs waits for the end
// of the training's time slice, some milliseconds: docs/learners.md has figures.
// The thread ends with the work, since nobody may raise its priority again.
func yielding(work func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocks: then the thread is not used again
		// The kernel may refuse; then the training is in the way of scores for a while.
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, trainingNiceness)
		done <- work()
	}()
	return <-done
}
