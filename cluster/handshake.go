package cluster

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
)

// Every connection to a node port begins with two frames of a fixed size: the
// dialler's hello and the acceptor's answer. Both are read whole, within a
// deadline, and checked before a byte of anything else is looked at.
//
//	 0  magic        4 bytes   "PRTR"
//	 4  version      1 byte    1
//	 5  kind         1 byte    hello: 1 Raft's streams, 2 the node protocol
//	                           answer: 0 welcome, else why not, see refusal
//	 6  lengths      2 bytes   of from and to
//	 8  cluster     16 bytes   zeros: not known
//	24  incarnation 16 bytes   of the sender's data directory
//	40  from        64 bytes   the sender's node id, padded with zeros
//	104 to          64 bytes   hello: whom it wants; empty: whoever answers
//	                           answer: who asked
//	168 checksum     4 bytes   CRC-32C of all before, little endian
const (
	helloMagic   = "PRTR"
	helloVersion = 1
	helloSize    = 172
	maxNodeID    = 64
)

// clusterID names a cluster, so that nodes of two never mix.
type clusterID [16]byte

func (c clusterID) known() bool { return c != clusterID{} }

// The kinds of connections.
const (
	connRaft byte = 1
	connNode byte = 2
)

// refusal says why a connection is not wanted; zero: it is.
type refusal byte

const (
	welcome      refusal = iota
	wrongVersion         // the acceptor reads another version of the hello
	wrongKind            // neither Raft nor node protocol
	wrongNode            // another node lives at this address
	wrongCluster         // the nodes belong to different clusters
	wrongCert            // the certificate does not name the node id
	wrongData            // the sender's id is known with other data
	wasRemoved           // the sender was removed from the cluster
)

var refusals = [...]string{
	welcome:      "welcome",
	wrongVersion: "it reads another version of the handshake",
	wrongKind:    "it does not know this kind of connection",
	wrongNode:    "it is not the node that was wanted",
	wrongCluster: "it belongs to another cluster",
	wrongCert:    "the certificate does not name the node id",
	wrongData:    "the cluster knows this node id with other data than it has now: start it with an empty data directory and a new node id",
	wasRemoved:   "this node id was removed from the cluster: start it with an empty data directory and a new node id",
}

func (r refusal) String() string {
	if int(r) < len(refusals) {
		return refusals[r]
	}
	return fmt.Sprintf("refusal %d", byte(r))
}

// hello is either frame.
type hello struct {
	kind        byte // of connection, or the refusal
	cluster     clusterID
	incarnation incarnation
	from, to    string
}

func (h *hello) encode() []byte {
	b := make([]byte, helloSize)
	copy(b, helloMagic)
	b[4], b[5] = helloVersion, h.kind
	b[6], b[7] = byte(len(h.from)), byte(len(h.to))
	copy(b[8:], h.cluster[:])
	copy(b[24:], h.incarnation[:])
	copy(b[40:40+maxNodeID], h.from)
	copy(b[104:104+maxNodeID], h.to)
	binary.LittleEndian.PutUint32(b[168:], crc32.Checksum(b[:168], castagnoli))
	return b
}

// errHello is every reason to drop a connection whose first frame makes no sense.
type errHello string

func (e errHello) Error() string { return "handshake: " + string(e) }

// decodeHello reads a frame of helloSize. Of another version it only says so:
// magic, version and size will stay.
func decodeHello(b []byte) (h hello, version byte, err error) {
	if len(b) != helloSize || string(b[:4]) != helloMagic {
		return h, 0, errHello(fmt.Sprintf("got %d bytes %q..., want %d that begin with %q", len(b), b[:min(4, len(b))], helloSize, helloMagic))
	}
	if got, want := binary.LittleEndian.Uint32(b[168:]), crc32.Checksum(b[:168], castagnoli); got != want {
		return h, 0, errHello(fmt.Sprintf("checksum is %08x, want %08x", got, want))
	}
	if version = b[4]; version != helloVersion {
		return h, version, nil
	}
	h.kind = b[5]
	copy(h.cluster[:], b[8:])
	copy(h.incarnation[:], b[24:])
	if h.from, err = paddedID(b[40:104], b[6]); err != nil {
		return h, version, err
	}
	h.to, err = paddedID(b[104:168], b[7])
	return h, version, err
}

func paddedID(b []byte, n byte) (string, error) {
	if int(n) > len(b) || bytes.Trim(b[n:], "\x00") != nil && len(bytes.Trim(b[n:], "\x00")) > 0 {
		return "", errHello(fmt.Sprintf("node id of %d bytes in %q", n, b))
	}
	id := string(b[:n])
	if strings.ContainsFunc(id, notIDRune) {
		return "", errHello(fmt.Sprintf("got node id %q, want letters, digits, '.', '-' and '_'", id))
	}
	return id, nil
}

func readHello(r io.Reader) (hello, byte, error) {
	var b [helloSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return hello{}, 0, fmt.Errorf("handshake: %w", err)
	}
	return decodeHello(b[:])
}

// RefusedError is a connection that the other side, or this one, does not want.
type RefusedError struct {
	Peer    string // who answered; empty: not known
	Address string
	why     refusal
	detail  string
}

// Error says who refused whom and why.
func (e *RefusedError) Error() string {
	s := fmt.Sprintf("node %q at %s: %s", e.Peer, e.Address, e.why)
	if e.detail != "" {
		s += " (" + e.detail + ")"
	}
	return s
}
