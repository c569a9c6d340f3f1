package snapshot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/praetor-engine/praetor/internal/decision"
)

const (
	streamMagic   = "PRAETORS"
	streamEnd     = "PRAETORE"
	streamVersion = 1
	headerSize    = len(streamMagic) + 1 + 4
)

// Stream is a snapshot as one sequence of bytes.
type Stream struct {
	src  *Source
	size int64
	part io.Reader // what is being read
	file *checkedFile
	next int // the file after part; len(Files): the end marker; beyond: done
	err  error
}

// Stream returns the snapshot as a stream. Closing it closes the source.
func (s *Source) Stream() (*Stream, error) {
	manifest, err := s.manifest.encode()
	if err != nil {
		return nil, err
	}
	header := append([]byte(streamMagic), streamVersion)
	header = binary.LittleEndian.AppendUint32(header, uint32(len(manifest)))
	return &Stream{
		src:  s,
		size: int64(headerSize+len(manifest)+len(streamEnd)) + s.manifest.Size(),
		part: bytes.NewReader(append(header, manifest...)),
	}, nil
}

// Source returns the snapshot behind the stream, for a reader on this machine
// that needs no copy.
func (s *Stream) Source() *Source { return s.src }

// Size returns how many bytes the whole stream has.
func (s *Stream) Size() int64 { return s.size }

// Read implements io.Reader. A file that is not what was written is an error
// before the stream ends, so a damaged snapshot never arrives whole.
func (s *Stream) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	for {
		n, err := s.part.Read(p)
		if err == nil || err != io.EOF {
			s.err = err
			return n, err
		}
		s.err = s.advance()
		if n > 0 || s.err != nil {
			return n, s.err
		}
	}
}

// advance moves on to the next part; io.EOF after the last.
func (s *Stream) advance() error {
	if s.file != nil {
		f := s.file
		s.file = nil
		if err := f.Close(); err != nil {
			return err
		}
	}
	files := s.src.manifest.Files
	switch {
	case s.next < len(files):
		f, err := s.src.open(&files[s.next])
		if err != nil {
			return err
		}
		s.part, s.file = f, f
	case s.next == len(files):
		s.part = bytes.NewReader([]byte(streamEnd))
	default:
		return io.EOF
	}
	s.next++
	return nil
}

// Close releases the snapshot.
func (s *Stream) Close() error {
	var err error
	if s.file != nil {
		err = s.file.Close()
		s.file = nil
	}
	if s.err == nil {
		s.err = errors.New("snapshot stream is closed")
	}
	return errors.Join(err, s.src.Close())
}

// Receiver unpacks a stream into a snapshot of its store while it is written,
// and checks every size and checksum. It is for one goroutine.
type Receiver struct {
	st       *staging
	want     Meta
	state    receiverState
	buf      []byte // header, manifest or end marker, until complete
	need     int    // bytes of buf that complete it
	manifest []byte
	file     *fileWriter
	next     int      // the file being written
	dirs     []string // below the temporary directory, parents first
	made     map[string]bool
}

type receiverState uint8

const (
	atHeader receiverState = iota
	atManifest
	atFile
	atEnd
	atDone
)

// Receive starts a snapshot whose content arrives as a stream. The stream must
// be of m's term and index.
func (s *Store) Receive(m Meta) (*Receiver, error) {
	st, err := s.stage(m)
	if err != nil {
		return nil, err
	}
	return &Receiver{st: st, want: m, need: headerSize, made: make(map[string]bool)}, nil
}

// ID returns the name that the snapshot has once it is committed.
func (r *Receiver) ID() string { return r.st.id }

// Write implements io.Writer. The first error stays.
func (r *Receiver) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		if r.st.err != nil {
			return total - len(p), r.st.err
		}
		n, err := r.step(p)
		p = p[n:]
		if err != nil {
			r.st.fail(fmt.Errorf("receive snapshot %s: %w", r.st.id, err))
		}
	}
	return total, r.st.err
}

// step consumes what it can of p for the current part of the stream.
func (r *Receiver) step(p []byte) (int, error) {
	switch r.state {
	case atFile:
		info := &r.st.meta.Files[r.next]
		n := int(min(int64(len(p)), info.Size-r.file.size))
		if _, err := r.file.Write(p[:n]); err != nil {
			return n, err
		}
		if r.file.size == info.Size {
			return n, r.finishFile()
		}
		return n, nil
	case atDone:
		return 0, corrupt("%d bytes after the end marker", len(p))
	}
	n := min(len(p), r.need-len(r.buf))
	r.buf = append(r.buf, p[:n]...)
	if len(r.buf) < r.need {
		return n, nil
	}
	part := r.buf
	r.buf = nil
	return n, r.complete(part)
}

// complete handles a part that was collected whole.
func (r *Receiver) complete(part []byte) error {
	switch r.state {
	case atHeader:
		return r.header(part)
	case atManifest:
		return r.begin(part)
	default:
		if string(part) != streamEnd {
			return corrupt("end marker is %q, want %q", part, streamEnd)
		}
		r.state = atDone
		return nil
	}
}

func corrupt(format string, args ...any) error {
	return &decision.Error{Kind: decision.KindInternal, Op: "snapshot stream", Msg: fmt.Sprintf(format, args...), Err: ErrDamaged}
}

func (r *Receiver) header(b []byte) error {
	if got := string(b[:len(streamMagic)]); got != streamMagic {
		return corrupt("starts with %q, want %q", got, streamMagic)
	}
	if v := b[len(streamMagic)]; v != streamVersion {
		return corrupt("version is %d, this build reads version %d", v, streamVersion)
	}
	n := binary.LittleEndian.Uint32(b[len(streamMagic)+1:])
	if n > maxManifest {
		return corrupt("manifest has %d bytes, at most %d are allowed", n, maxManifest)
	}
	r.state, r.need = atManifest, int(n)
	if n == 0 {
		return corrupt("manifest is empty")
	}
	return nil
}

// begin takes the manifest in and starts the first file.
func (r *Receiver) begin(b []byte) error {
	m, err := decodeManifest("stream", b)
	if err != nil {
		return err
	}
	if m.Term != r.want.Term || m.Index != r.want.Index {
		return corrupt("is of term %d and index %d, want term %d and index %d", m.Term, m.Index, r.want.Term, r.want.Index)
	}
	r.manifest, r.st.meta = b, m
	for _, d := range m.Dirs {
		if err := r.mkdir(d); err != nil {
			return err
		}
	}
	return r.startFile()
}

// mkdir makes a directory below the temporary one and notes it, for its sync.
func (r *Receiver) mkdir(rel string) error {
	r.dirs, r.made[rel] = append(r.dirs, rel), true
	return r.st.store.fs.MkdirAll(filepath.Join(r.st.tmp, filepath.FromSlash(rel)))
}

// startFile opens the next file; an empty one is finished at once, without a
// byte of the stream.
func (r *Receiver) startFile() error {
	for ; r.next < len(r.st.meta.Files); r.next++ {
		info := &r.st.meta.Files[r.next]
		if err := r.makeParents(info.Name); err != nil {
			return err
		}
		f, err := newFileWriter(r.st.store.fs, filepath.Join(r.st.tmp, filepath.FromSlash(info.Name)))
		if err != nil {
			return err
		}
		r.file, r.state = f, atFile
		if info.Size > 0 {
			return nil
		}
		if err := r.closeFile(); err != nil {
			return err
		}
	}
	r.state, r.need = atEnd, len(streamEnd)
	return nil
}

func (r *Receiver) makeParents(name string) error {
	dir, ok := parent(name)
	if !ok || r.made[dir] {
		return nil
	}
	if err := r.makeParents(dir); err != nil {
		return err
	}
	return r.mkdir(dir)
}

func (r *Receiver) finishFile() error {
	if err := r.closeFile(); err != nil {
		return err
	}
	r.next++
	return r.startFile()
}

// closeFile checks the file that arrived and makes it durable.
func (r *Receiver) closeFile() error {
	f, info := r.file, &r.st.meta.Files[r.next]
	r.file = nil
	if f.crc != info.CRC32C {
		return errors.Join(corrupt("file %q: checksum is %08x, want %08x", info.Name, f.crc, info.CRC32C), f.discard())
	}
	return f.finish()
}

// Commit makes the snapshot durable and visible. A stream that did not arrive
// whole is an error.
func (r *Receiver) Commit() error {
	if r.st.err == nil && r.state != atDone {
		r.st.fail(corrupt("ended before its end marker"))
	}
	if r.file != nil {
		r.st.fail(r.file.discard())
		r.file = nil
	}
	for i := len(r.dirs) - 1; i >= 0 && r.st.err == nil; i-- {
		if err := syncDir(r.st.store.fs, filepath.Join(r.st.tmp, filepath.FromSlash(r.dirs[i]))); err != nil {
			r.st.fail(err)
		}
	}
	return r.st.commit(r.manifest)
}

// Cancel gives the snapshot up and removes what arrived. After Commit it does
// nothing.
func (r *Receiver) Cancel() error {
	var err error
	if r.file != nil {
		err = r.file.discard()
		r.file = nil
	}
	return errors.Join(err, r.st.cancel())
}
