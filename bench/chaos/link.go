package chaos

import (
	"sync"
	"time"
)

// link is the way from one node to another, one direction of it. What is sent
// over a cut link waits; after it is mended it arrives, late.
type link struct {
	mu     sync.Mutex
	cut    chan struct{} // closed when mended; nil: not cut
	delay  time.Duration // before each piece is passed on
	perSec int           // bytes a second; 0: no bound
}

func (l *link) setCut(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if cut && l.cut == nil {
		l.cut = make(chan struct{})
	} else if !cut && l.cut != nil {
		close(l.cut)
		l.cut = nil
	}
}

func (l *link) setSpeed(delay time.Duration, perSec int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay, l.perSec = delay, perSec
}

// pass returns when n bytes may go over the link; false: ended was closed first.
func (l *link) pass(n int, ended <-chan struct{}) bool {
	for {
		l.mu.Lock()
		cut, wait := l.cut, l.delay
		if l.perSec > 0 {
			wait += time.Duration(float64(n) / float64(l.perSec) * float64(time.Second))
		}
		l.mu.Unlock()
		if cut != nil {
			select {
			case <-cut:
				continue
			case <-ended:
				return false
			}
		}
		if wait == 0 {
			return true
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ended:
			timer.Stop()
			return false
		}
		if !l.isCut() {
			return true
		}
	}
}

func (l *link) isCut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cut != nil
}
