package engine

import (
	"runtime"
	"syscall"
)

// lowestPriority is the kernel's niceness of a thread that runs when no other
// wants to (setpriority(2)).
const lowestPriority = 19

// yielding runs work on a thread that leaves the processor to whoever wants it.
// Without it a score that is due where a training runs would wait for the end of
// the training's time slice, some milliseconds. The thread ends with the work,
// since nobody may raise its priority again.
func yielding(work func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocks: then the thread is not used again
		// The kernel may refuse; then the training is in the way of scores for a while.
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, lowestPriority)
		done <- work()
	}()
	return <-done
}
