package cluster

import (
	"fmt"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/wire"
)

// The data of a log entry:
//
//	version   1 byte    1
//	at        varint    Unix milliseconds, zig-zag
//	seed      8 bytes   little endian
//	count     uvarint   commands; 0: a barrier, which no machine sees
//	commands  each a uvarint length and its bytes
//
// Its checksum is not in here but beside it, see logStore: there it covers the
// entry's index, term and type too, and entries that carry no commands.
const envelopeVersion = 1

// MaxCommandBytes is the size of the largest command that can be proposed. Raft
// sends an entry in one message, which must arrive within its time-out.
const MaxCommandBytes = 64 << 20

func appendEnvelope(b []byte, at int64, seed uint64, commands ...[]byte) []byte {
	b = append(b, envelopeVersion)
	b = wire.AppendVarint(b, at)
	b = wire.AppendUint64(b, seed)
	b = wire.AppendUvarint(b, uint64(len(commands)))
	for _, c := range commands {
		b = wire.AppendBytes(b, c)
	}
	return b
}

// envelopeOverhead bounds what an envelope adds to its commands: the fixed part,
// and a length for each.
func envelopeOverhead(commands int) int { return 1 + 10 + 8 + 10 + 5*commands }

// decodeEnvelope reads the data of an entry. The commands share its memory.
func decodeEnvelope(data string) (*Entry, error) {
	r := wire.NewReader(data)
	if v := r.Byte(); r.Err() == nil && v != envelopeVersion {
		return nil, &decision.Error{Kind: decision.KindInternal, Op: "cluster", Msg: fmt.Sprintf(
			"entry has version %d, this build reads version %d; start a build that knows it", v, envelopeVersion)}
	}
	e := &Entry{At: r.Varint(), Seed: r.Uint64()}
	n := r.Count(1)
	if r.Err() == nil && n > 0 {
		e.Commands = make([]string, 0, n)
	}
	for range n {
		e.Commands = append(e.Commands, r.String())
	}
	if err := r.Close(); err != nil {
		return nil, fmt.Errorf("entry: %w", err)
	}
	return e, nil
}
