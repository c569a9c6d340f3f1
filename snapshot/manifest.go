package snapshot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"path/filepath"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
)

const (
	// Format is the version of the layout this build writes, and the newest it
	// reads.
	Format = 1

	manifestName = "MANIFEST"

	// Bounds, checked before anything is allocated for what they bound. A store
	// of a terabyte in files of 2 MiB has half a million of them.
	maxManifest  = 128 << 20
	maxFiles     = 1 << 20
	maxNameBytes = 255
	maxDepth     = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrDamaged is wrapped by every error that says a file is not what was
// written.
var ErrDamaged = errors.New("snapshot is damaged")

// Meta says what state a snapshot holds.
type Meta struct {
	Term  uint64 `json:"term"`  // of the last log entry contained
	Index uint64 `json:"index"` // of the last log entry contained
	// Configuration is the membership at Index, a JSON document that is opaque
	// to this package; nil for none.
	Configuration json.RawMessage `json:"configuration,omitempty"`
}

// FileInfo describes one file of a snapshot.
type FileInfo struct {
	Name   string `json:"name"` // below the snapshot's directory, with slashes
	Size   int64  `json:"size"` // bytes
	CRC32C uint32 `json:"crc32c"`
}

// Manifest lists what a snapshot consists of.
type Manifest struct {
	Format    int   `json:"format"`
	CreatedMS int64 `json:"created_ms"` // Unix milliseconds
	Meta
	Dirs  []string   `json:"directories"`
	Files []FileInfo `json:"files"`
}

// Size returns the bytes of all files.
func (m *Manifest) Size() int64 {
	var n int64
	for i := range m.Files {
		n += m.Files[i].Size
	}
	return n
}

func damaged(path, format string, args ...any) error {
	return &decision.Error{
		Kind: decision.KindInternal, Op: "snapshot",
		Msg: fmt.Sprintf("%s: %s; the snapshot cannot be used: restore this node from its peers, or move the snapshot's directory away to start from an older one",
			path, fmt.Sprintf(format, args...)),
		Err: ErrDamaged,
	}
}

// encode returns the manifest as it stands on disk.
func (m *Manifest) encode() ([]byte, error) {
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the manifest: %w", err)
	}
	b = append(b, '\n')
	b = fmt.Appendf(b, "crc32c %08x\n", crc32.Checksum(b, castagnoli))
	if len(b) > maxManifest {
		return nil, fmt.Errorf("manifest has %d bytes, at most %d are allowed", len(b), maxManifest)
	}
	return b, nil
}

// trailerSize is the length of the checksum line.
const trailerSize = len("crc32c 00000000\n")

// decodeManifest reads what encode wrote; path is for the error.
func decodeManifest(path string, b []byte) (Manifest, error) {
	var m Manifest
	if len(b) < trailerSize {
		return m, damaged(path, "has %d bytes, want at least %d", len(b), trailerSize)
	}
	body, trailer := b[:len(b)-trailerSize], b[len(b)-trailerSize:]
	if want := fmt.Appendf(nil, "crc32c %08x\n", crc32.Checksum(body, castagnoli)); !bytes.Equal(trailer, want) {
		return m, damaged(path, "ends with %q, want %q", trailer, want)
	}
	var version struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(body, &version); err != nil {
		return m, damaged(path, "is not JSON: %v", err)
	}
	if version.Format != Format {
		return m, &decision.Error{Kind: decision.KindInternal, Op: "snapshot", Msg: fmt.Sprintf(
			"%s: format is %d, this build reads format %d; start a build that knows it", path, version.Format, Format)}
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return m, damaged(path, "is not a manifest: %v", err)
	}
	if err := m.validate(); err != nil {
		return m, damaged(path, "%v", err)
	}
	return m, nil
}

func (m *Manifest) validate() error {
	if len(m.Files) > maxFiles {
		return fmt.Errorf("lists %d files, at most %d are allowed", len(m.Files), maxFiles)
	}
	dirs := make(map[string]bool, len(m.Dirs))
	for _, d := range m.Dirs {
		if err := validName(d); err != nil {
			return err
		}
		if dirs[d] {
			return fmt.Errorf("lists directory %q twice", d)
		}
		dirs[d] = true
	}
	seen := make(map[string]bool, len(m.Files))
	var total int64
	for i := range m.Files {
		f := &m.Files[i]
		if err := validFile(f.Name, dirs); err != nil {
			return err
		}
		if seen[f.Name] {
			return fmt.Errorf("lists file %q twice", f.Name)
		}
		seen[f.Name] = true
		if f.Size < 0 || f.Size > math.MaxInt64/2-total {
			return fmt.Errorf("file %q: size is %d", f.Name, f.Size)
		}
		total += f.Size
	}
	// A name may not be a file here and the directory of another file there.
	for name := range seen {
		for dir, ok := parent(name); ok; dir, ok = parent(dir) {
			if seen[dir] {
				return fmt.Errorf("%q is both a file and a directory", dir)
			}
		}
	}
	return nil
}

func parent(name string) (string, bool) {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return "", false
	}
	return name[:i], true
}

// validName checks the name of a section or of a directory.
func validName(name string) error {
	if name == "" || len(name) > maxNameBytes {
		return fmt.Errorf("name %q has %d bytes, want 1 to %d", name, len(name), maxNameBytes)
	}
	if strings.EqualFold(name, manifestName) {
		return fmt.Errorf("name %q is taken by the manifest", name)
	}
	return validComponent(name)
}

// validFile checks the path of a file: a section, or something below a listed
// directory.
func validFile(name string, dirs map[string]bool) error {
	if len(name) > maxDepth*maxNameBytes {
		return fmt.Errorf("a name has %d bytes, want at most %d", len(name), maxDepth*maxNameBytes)
	}
	parts := strings.Split(name, "/")
	if err := validName(parts[0]); err != nil {
		return err
	}
	if len(parts) == 1 {
		if dirs[name] {
			return fmt.Errorf("%q is both a section and a directory", name)
		}
		return nil
	}
	if !dirs[parts[0]] {
		return fmt.Errorf("file %q is in no listed directory", name)
	}
	if len(parts) > maxDepth {
		return fmt.Errorf("file %q is %d levels deep, want at most %d", name, len(parts), maxDepth)
	}
	for _, p := range parts[1:] {
		if err := validComponent(p); err != nil {
			return err
		}
	}
	return nil
}

func validComponent(s string) error {
	if s == "" || s == "." || s == ".." || len(s) > maxNameBytes {
		return fmt.Errorf("%q is not a name", s)
	}
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '-', c == '_':
		default:
			return fmt.Errorf("name %q has the character %q, want letters, digits, '.', '-' and '_'", s, c)
		}
	}
	return nil
}

// readManifest reads the manifest of the snapshot in dir.
func readManifest(fsys FS, dir string) (Manifest, error) {
	path := filepath.Join(dir, manifestName)
	f, err := fsys.Open(path)
	if err != nil {
		return Manifest{}, damaged(path, "cannot be opened: %v", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return Manifest{}, damaged(path, "cannot be read: %v", err)
	}
	if len(b) > maxManifest {
		return Manifest{}, damaged(path, "has more than %d bytes", maxManifest)
	}
	return decodeManifest(path, b)
}
