package cluster

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/wire"
)

// The data of a log entry, version 2:
//
//	 0  version   1 byte    2
//	 1  kind      1 byte    0 commands, 1 a record of this package (see roster)
//	 2  level     1 byte    the least Config.Level of a build that may apply it
//	 3  term      8 bytes   the only term in which the entry counts
//	11  at        8 bytes   Unix milliseconds, stamped by the leader
//	19  seed      8 bytes
//	27  run       8 bytes   the proposer's run, drawn at its start
//	35  sequence  8 bytes   of the entry within that run
//	43  count     uvarint   commands; 0: a barrier, which no machine sees
//	    commands  each a uvarint length and its bytes
//
// Numbers of 8 bytes are little endian. Version 1, still read:
//
//	version   1 byte    1
//	at        varint    Unix milliseconds, zig-zag
//	seed      8 bytes
//	count     uvarint
//	commands  each a uvarint length and its bytes
//
// Run and sequence are the entry's origin: whoever proposed it finds its waiting
// proposals by them when it applies the entry itself, see waiting. An entry that
// entered the log in another term than the one it names is void on every node,
// and so the proposer knows for certain that it is lost once a later term shows
// in the log.
//
// The checksum is not in here but beside it, see logStore: there it covers the
// entry's index, term and type too, and entries that carry no commands.
const (
	envelopeVersion    = 2
	oldEnvelopeVersion = 1
	envelopeHead       = 43

	termOffset = 3
	atOffset   = 11
)

// The kinds of entries.
const (
	kindCommands byte = iota
	kindRecord
)

// MaxCommandBytes is the size of the largest command that can be proposed. Raft
// sends an entry in one message, which must arrive within its time-out.
const MaxCommandBytes = 64 << 20

// header is what an envelope says about its commands.
type header struct {
	kind, level byte
	term        uint64 // 0: any, only in entries of version 1
	at          int64
	seed        uint64
	run, seq    uint64
}

// envelope is a decoded entry.
type envelope struct {
	Entry
	header
}

func appendEnvelope(b []byte, h header, commands ...[]byte) []byte {
	b = append(b, envelopeVersion, h.kind, h.level)
	b = wire.AppendUint64(b, h.term)
	b = wire.AppendUint64(b, uint64(h.at))
	b = wire.AppendUint64(b, h.seed)
	b = wire.AppendUint64(b, h.run)
	b = wire.AppendUint64(b, h.seq)
	b = wire.AppendUvarint(b, uint64(len(commands)))
	for _, c := range commands {
		b = wire.AppendBytes(b, c)
	}
	return b
}

// envelopeOverhead bounds what an envelope adds to its commands: the fixed part,
// and a length for each.
func envelopeOverhead(commands int) int { return envelopeHead + 10 + 5*commands }

// stampOrigin writes what an entry is sent with: the term in which it counts, and
// who waits for it. Each attempt gets its own.
func stampOrigin(entry []byte, term, run, seq uint64) {
	binary.LittleEndian.PutUint64(entry[termOffset:], term)
	binary.LittleEndian.PutUint64(entry[27:], run)
	binary.LittleEndian.PutUint64(entry[35:], seq)
}

// stampTime writes the time of an entry: the leader's.
func stampTime(entry []byte, at int64) {
	binary.LittleEndian.PutUint64(entry[atOffset:], uint64(at))
}

// decodeEnvelope reads the data of an entry. The commands share its memory.
func decodeEnvelope(data string) (*envelope, error) {
	r := wire.NewReader(data)
	e := new(envelope)
	n, err := decodeHead(&r, &e.header)
	if err != nil {
		return nil, err
	}
	if n > 0 {
		e.Commands = make([]string, 0, n)
	}
	for range n {
		e.Commands = append(e.Commands, r.String())
	}
	if err := r.Close(); err != nil {
		return nil, fmt.Errorf("entry: %w", err)
	}
	e.At, e.Seed = e.at, e.seed
	return e, nil
}

// checkEnvelope reads an entry that a peer sent without keeping it, so that what
// enters the log can be decoded by everyone.
func checkEnvelope(data string) (h header, err error) {
	r := wire.NewReader(data)
	if strings.HasPrefix(data, "\x01") {
		return h, decision.Errorf(decision.KindBadRequest, "entry has version %d, want %d", oldEnvelopeVersion, envelopeVersion)
	}
	n, err := decodeHead(&r, &h)
	if err != nil {
		return h, err
	}
	for range n {
		_ = r.String()
	}
	if err := r.Close(); err != nil {
		return h, fmt.Errorf("entry: %w", err)
	}
	return h, nil
}

// decodeHead reads everything before the commands, and how many there are.
func decodeHead(r *wire.Reader, h *header) (commands int, err error) {
	switch v := r.Byte(); {
	case r.Err() != nil:
	case v == envelopeVersion:
		h.kind, h.level = r.Byte(), r.Byte()
		h.term, h.at, h.seed = r.Uint64(), int64(r.Uint64()), r.Uint64()
		h.run, h.seq = r.Uint64(), r.Uint64()
		if h.kind > kindRecord {
			r.Fail("kind is %d, want at most %d", h.kind, kindRecord)
		}
	case v == oldEnvelopeVersion:
		h.at, h.seed = r.Varint(), r.Uint64()
	default:
		return 0, &decision.Error{Kind: decision.KindInternal, Op: "cluster", Msg: fmt.Sprintf(
			"entry has version %d, this build reads versions %d and %d; start a build that knows it", v, oldEnvelopeVersion, envelopeVersion)}
	}
	commands = r.Count(1)
	if err := r.Err(); err != nil {
		return 0, fmt.Errorf("entry: %w", err)
	}
	return commands, nil
}
