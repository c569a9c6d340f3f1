package history

import (
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Restore replaces everything by a snapshot: the database by a checkpoint's files
// and the memory by the encoded capture that the checkpoint was made for. An
// empty checkpoint means an empty database, a nil capture an empty memory. The
// checkpoint is not changed.
//
// It is called on the apply goroutine, between entries. On an error the store is
// as it was before. Readers that have begun go on with what was; a crash at any
// moment leaves nothing that Open would take for good.
func (s *Store) Restore(checkpoint string, capture io.Reader) error {
	if s.closed.Load() {
		return decision.Errorf(decision.KindUnavailable, "the history is closed")
	}
	im, jobs := newImage(s.opts.Limits), []job(nil)
	if capture != nil {
		var err error
		if im, jobs, err = decodeCapture(capture); err != nil {
			return err
		}
	}
	if err := s.openDatabase(im, checkpoint); err != nil {
		return fmt.Errorf("history: restoring: %w", err)
	}
	im.sweep.jobs = jobs
	if err := im.matches(); err != nil {
		return errors.Join(fmt.Errorf("history: the checkpoint is not the capture's: %w", err), im.db.Close(), s.opts.fs.RemoveAll(im.dir))
	}
	s.install(im)
	return nil
}

// matches looks whether the database has the first and the last row of every
// tenant: a capture without its checkpoint is noticed here and not in a training.
func (im *image) matches() error {
	for _, t := range im.sorted() {
		n := len(t.segments)
		if n == 0 {
			continue
		}
		for _, id := range [...]decision.InteractionID{t.segments[0].first, t.segments[n-1].last} {
			if _, err := lookUp(im.db, t, id); errors.Is(err, pebble.ErrNotFound) {
				return fmt.Errorf("tenant %d has no interaction %s: %w", t.ordinal, id, err)
			} else if err != nil {
				return err
			}
		}
	}
	return nil
}
