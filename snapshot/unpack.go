package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Unpack makes a snapshot of a stream whose term and index are not known
// beforehand, such as a backup's, checks every size and checksum, and returns its
// name. What is behind the end of the stream is an error too.
func (s *Store) Unpack(r io.Reader) (id string, err error) {
	head := make([]byte, headerSize)
	if _, err := io.ReadFull(r, head); err != nil {
		return "", corrupt("is shorter than its header of %d bytes", headerSize)
	}
	if got := string(head[:len(streamMagic)]); got != streamMagic {
		return "", corrupt("starts with %q, want %q: it is no snapshot", got, streamMagic)
	}
	n := binary.LittleEndian.Uint32(head[len(streamMagic)+1:])
	if n > maxManifest {
		return "", corrupt("manifest has %d bytes, at most %d are allowed", n, maxManifest)
	}
	manifest, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err != nil {
		return "", fmt.Errorf("read the manifest: %w", err)
	}
	m, err := decodeManifest("stream", manifest)
	if err != nil {
		return "", err
	}
	in, err := s.Receive(m.Meta)
	if err != nil {
		return "", err
	}
	for _, part := range [][]byte{head, manifest} {
		if _, err := in.Write(part); err != nil {
			return "", errors.Join(err, in.Cancel())
		}
	}
	if _, err := io.Copy(in, r); err != nil {
		return "", errors.Join(err, in.Cancel())
	}
	if err := in.Commit(); err != nil {
		return "", errors.Join(err, in.Cancel())
	}
	return in.ID(), nil
}
