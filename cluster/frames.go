package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/wire"
)

// The node protocol after the handshake: frames in both directions, many requests
// at a time on one connection. A response carries the id of its request.
//
//	 0  length    4 bytes   of the payload
//	 4  checksum  4 bytes   CRC-32C of everything after it
//	 8  id        8 bytes   of the request, unique on the connection
//	16  op        1 byte    request: what to do; response: 0 done, 1 failed
//	17  timeout   4 bytes   milliseconds left for the request; 0 in responses
//	21  payload
//
// Numbers are little endian. A frame that fails its checksum, or is longer than
// the reader allows the sender, ends the connection.
const (
	frameHead = 21

	// maxSmallFrame bounds every frame but a member's proposals.
	maxSmallFrame = 256 << 10
	// maxFrame fits the largest command in an entry of its own.
	maxFrame = MaxCommandBytes + 64
	// frameChunk is how much is allocated ahead of what has arrived.
	frameChunk = 1 << 20
)

type frame struct {
	id      uint64
	op      byte
	timeout uint32
	payload []byte
}

func (f *frame) encodeHead(b *[frameHead]byte) {
	binary.LittleEndian.PutUint32(b[0:], uint32(len(f.payload)))
	binary.LittleEndian.PutUint64(b[8:], f.id)
	b[16] = f.op
	binary.LittleEndian.PutUint32(b[17:], f.timeout)
	crc := crc32.Update(crc32.Checksum(b[8:], castagnoli), castagnoli, f.payload)
	binary.LittleEndian.PutUint32(b[4:], crc)
}

// readFrame reads one frame. admit is asked before anything is allocated for the
// payload.
func readFrame(r io.Reader, admit func(op byte, size int) error) (f frame, err error) {
	var b [frameHead]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return f, err
	}
	f.id, f.op = binary.LittleEndian.Uint64(b[8:]), b[16]
	f.timeout = binary.LittleEndian.Uint32(b[17:])
	size := int(binary.LittleEndian.Uint32(b[0:]))
	if size > maxFrame {
		return f, fmt.Errorf("frame: got a payload of %d bytes, want at most %d", size, maxFrame)
	}
	if err := admit(f.op, size); err != nil {
		return f, err
	}
	if f.payload, err = readPayload(r, size); err != nil {
		return f, err
	}
	got := binary.LittleEndian.Uint32(b[4:])
	if want := crc32.Update(crc32.Checksum(b[8:], castagnoli), castagnoli, f.payload); got != want {
		return f, fmt.Errorf("frame: checksum is %08x, want %08x", got, want)
	}
	return f, nil
}

// readPayload allocates no more than frameChunk ahead of what has arrived, so
// that a length alone costs no memory.
func readPayload(r io.Reader, size int) ([]byte, error) {
	b := make([]byte, 0, min(size, frameChunk))
	for len(b) < size {
		n := len(b)
		if n == cap(b) {
			b = append(make([]byte, 0, min(size, 2*n)), b...)
		}
		b = b[:min(cap(b), size)]
		if _, err := io.ReadFull(r, b[n:]); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// The operations of the node protocol. Numbers are never used again.
const (
	opPing     byte = 1 // nothing; answered with nothing
	opPropose  byte = 2 // an entry; answered with its index, a uvarint, once it is committed
	opReadMark byte = 3 // nothing; answered with a readMark
	opStatus   byte = 4 // nothing; answered with a PeerStatus
	opJoin     byte = 5 // a joinRequest; answered with nothing
	opRemove   byte = 6 // a node id; answered with nothing
	opTransfer byte = 7 // a node id or nothing; answered with nothing
	opTerm     byte = 8 // nothing; answered with the term that the node is in, a uvarint
	opAsk      byte = 9 // a question of the machine's owner; answered with an answer
)

// The op of a response.
const (
	replyDone   byte = 0
	replyFailed byte = 1 // a remote error
)

// joinRequest asks for a node to be made a member.
type joinRequest struct {
	peer  Peer
	voter bool
}

func (j *joinRequest) encode() []byte {
	b := wire.AppendString(nil, j.peer.ID)
	b = wire.AppendString(b, j.peer.Address)
	return wire.AppendBool(b, j.voter)
}

func decodeJoin(b []byte) (j joinRequest, err error) {
	r := wire.NewReader(string(b))
	j.peer.ID, j.peer.Address, j.voter = r.String(), r.String(), r.Bool()
	return j, r.Close()
}

// encodeFailure renders an error for the other side: its kind, whether it is
// worth another try, its reason and its text.
func encodeFailure(err error) []byte {
	var e *decision.Error
	if !errors.As(err, &e) {
		e = decision.Errorf(decision.KindInternal, "%v", err)
	}
	b := []byte{byte(e.Kind)}
	b = wire.AppendBool(b, errors.Is(err, errAgain))
	b = wire.AppendString(b, e.Reason)
	return wire.AppendString(b, e.Msg)
}

func decodeFailure(peer string, b []byte) error {
	r := wire.NewReader(string(b))
	e := &decision.Error{Kind: decision.Kind(r.Byte()), Op: "cluster: node " + peer}
	if r.Bool() {
		e.Err = errAgain
	}
	e.Reason, e.Msg = r.String(), r.String()
	if err := r.Close(); err != nil {
		return fmt.Errorf("failure told by node %s: %w", peer, err)
	}
	return e
}
