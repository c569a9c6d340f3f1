package audit

import "github.com/praetor-engine/praetor/internal/wire"

// Subject is what an entry is about.
type Subject struct{ Action, EntityType, EntityID string }

// ReadSubject reads of the stored form of an entry what it is about, and no
// more: lists look at many entries to show a few. The strings share memory with
// the input.
func ReadSubject(r *wire.Reader) Subject {
	if v := r.Byte(); v != entryVersion {
		r.Fail("audit entry of version %d, want %d", v, entryVersion)
	}
	for range 5 { // id, tenantId, actor, keyId, requestId
		_ = r.String()
	}
	return Subject{Action: r.String(), EntityType: r.String(), EntityID: r.String()}
}
