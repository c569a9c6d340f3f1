package httpapi

import (
	"bytes"
	"errors"
	"io"
	"net"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/decision"
)

// The media types that are read and written.
const (
	mediaJSON   = "application/json"
	mediaNDJSON = "application/x-ndjson"
	mediaBytes  = "application/octet-stream"
)

// bodyReader is the body of a request as it arrives. The server hands bodies
// over unread (beyond the first 8 KiB), so that memory grows with what has
// arrived and never with what was announced, and no byte is read for a client
// that is not permitted.
type bodyReader struct {
	r      io.Reader
	length int  // announced; -1: not
	done   bool // all of it was read
	broken bool // reading failed; there is no sense in going on
}

func newBodyReader(ctx *fasthttp.RequestCtx) bodyReader {
	b := bodyReader{r: ctx.RequestBodyStream(), length: ctx.Request.Header.ContentLength()}
	b.done = b.r == nil || b.length == 0 || b.length < -1
	return b
}

// Read reads the next bytes.
func (b *bodyReader) Read(p []byte) (int, error) {
	if b.done {
		return 0, io.EOF
	}
	n, err := b.r.Read(p)
	switch {
	case err == io.EOF:
		b.done = true
		if n > 0 {
			err = nil
		}
	case err != nil:
		b.broken = true
	}
	return n, err
}

// readAll appends the whole body to dst, which is at most most bytes.
func (b *bodyReader) readAll(dst []byte, most int) ([]byte, error) {
	if b.length > most {
		return dst, errTooLarge(most)
	}
	for !b.done {
		if len(dst) == cap(dst) {
			dst = grow(dst, b.length)
		}
		n, err := b.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if len(dst) > most {
			return dst, errTooLarge(most)
		}
		if err != nil && err != io.EOF {
			return dst, readError(err)
		}
	}
	return dst, nil
}

// firstRead is what a body's buffer starts with: what the server has read
// already.
const firstRead = 8 << 10

// grow makes room for more of a body, at once for all of a small announced one.
func grow(dst []byte, announced int) []byte {
	size := max(2*cap(dst), 1<<10)
	if announced > 0 && announced <= firstRead {
		size = max(announced, cap(dst)+1)
	}
	grown := make([]byte, len(dst), size)
	copy(grown, dst)
	return grown
}

func errTooLarge(most int) error {
	return decision.Errorf(decision.KindTooLarge, "the body is larger than the %d bytes permitted here", most)
}

// readError tells a slow client from a broken one.
func readError(err error) error {
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		return &decision.Error{Kind: decision.KindRequestTimeout, Msg: "the body did not arrive in time", Err: err}
	}
	return &decision.Error{Kind: decision.KindBadRequest, Msg: "the body ended early or is not well framed", Err: err}
}

// What an unread body may cost before the connection is given up.
const (
	maxDrain  = 2 << 20
	drainTime = time.Second
)

// drain reads the rest of a body so that the next request of the connection is
// found behind it, and so that the answer reaches a client that is still
// sending. It reports whether the end was reached; if not, the connection must
// be closed.
func (b *bodyReader) drain(conn net.Conn, scratch []byte) bool {
	if b.done {
		return true
	}
	if b.broken || b.length > maxDrain {
		return false
	}
	_ = conn.SetReadDeadline(time.Now().Add(drainTime))
	for total := 0; total < maxDrain; {
		n, err := b.Read(scratch)
		total += n
		if b.done {
			return true
		}
		if err != nil {
			return false
		}
	}
	return false
}

// checkMedia refuses a body of another type than the route reads, or a
// compressed one; no body needs no type.
func checkMedia(contentType, coding []byte, hasBody, ndjson bool) (isNDJSON bool, err error) {
	media, _, _ := bytes.Cut(contentType, []byte{';'})
	media = bytes.TrimSpace(media)
	isNDJSON = ndjson && (equalFold(media, mediaNDJSON) || equalFold(media, "application/ndjson"))
	if !hasBody {
		return isNDJSON, nil
	}
	if len(coding) > 0 && !equalFold(coding, "identity") {
		return false, decision.Errorf(decision.KindUnsupportedMedia, "the body must not be compressed, got Content-Encoding %q", clip(string(coding)))
	}
	if isNDJSON || equalFold(media, mediaJSON) {
		return isNDJSON, nil
	}
	want := mediaJSON
	if ndjson {
		want += " or " + mediaNDJSON
	}
	return false, decision.Errorf(decision.KindUnsupportedMedia, "Content-Type must be %s, got %q", want, clip(string(contentType)))
}
