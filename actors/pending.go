package actors

import "sync/atomic"

// Pending counts the mailboxes that one log entry still has to pass through.
// Whoever makes it holds one count until everything has been sent.
type Pending struct {
	left atomic.Int64
	done chan struct{}
}

// NewPending returns a Pending with the maker's own count.
func NewPending() *Pending {
	p := &Pending{done: make(chan struct{})}
	p.left.Store(1)
	return p
}

// add counts one more mailbox.
func (p *Pending) add() { p.left.Add(1) }

// Done gives one count back.
func (p *Pending) Done() {
	if p.left.Add(-1) == 0 {
		close(p.done)
	}
}

// Passed is closed when every count was given back.
func (p *Pending) Passed() <-chan struct{} { return p.done }
