package httpapi

import (
	"bytes"

	"github.com/praetor-engine/praetor/internal/decision"
)

// checkFraming refuses requests whose end two parsers could see at different
// places: Content-Length beside Transfer-Encoding, either of them twice, or a
// coding other than chunked. The caller must close the connection.
func checkFraming(raw []byte) error {
	var lengths, codings int
	for len(raw) > 0 {
		line := raw
		if i := bytes.IndexByte(raw, '\n'); i >= 0 {
			line, raw = raw[:i], raw[i+1:]
		} else {
			raw = nil
		}
		if len(line) < len("content-length") || (line[0]|0x20 != 'c' && line[0]|0x20 != 't') {
			continue
		}
		name, value, found := bytes.Cut(line, []byte{':'})
		if !found {
			continue
		}
		switch name = bytes.TrimRight(name, " \t"); {
		case equalFold(name, "content-length"):
			lengths++
		case equalFold(name, "transfer-encoding"):
			codings++
			if !equalFold(bytes.TrimSpace(value), "chunked") {
				return decision.Errorf(decision.KindBadRequest, "transfer-encoding must be chunked, got %q", clip(alias(value)))
			}
		}
	}
	if lengths+codings > 1 {
		return decision.Errorf(decision.KindBadRequest,
			"one content-length or one transfer-encoding is permitted, got %d and %d", lengths, codings)
	}
	return nil
}

// equalFold compares ASCII without regard to case; want is in lower case.
func equalFold(b []byte, want string) bool {
	if len(b) != len(want) {
		return false
	}
	for i, ch := range b {
		if 'A' <= ch && ch <= 'Z' {
			ch |= 0x20
		}
		if ch != want[i] {
			return false
		}
	}
	return true
}

// checkTarget refuses request targets that a proxy or the router could read as
// another path than the one that is authorised: empty, "." and ".." segments,
// encoded slashes, backslashes and NULs, control characters, absolute URIs.
func checkTarget(uri []byte) error {
	path := uri
	if i := bytes.IndexByte(uri, '?'); i >= 0 {
		path = uri[:i]
	}
	if len(path) == 0 || path[0] != '/' {
		return badTarget("must start with a slash")
	}
	segment := path[1:]
	for more := true; more; {
		var s []byte
		s, segment, more = bytes.Cut(segment, []byte{'/'})
		if len(s) == 0 && len(path) > 1 && more {
			return badTarget("must not have an empty segment")
		}
		if dots(s) {
			return badTarget(`must not have a segment "." or ".."`)
		}
	}
	for i, ch := range path {
		switch {
		case ch <= ' ' || ch == '\\' || ch == '#' || ch >= 0x7f:
			return badTarget("has a character that must be percent-encoded")
		case ch != '%':
		case i+2 >= len(path):
			return badTarget("has a broken percent-encoding")
		default:
			code, ok := unhex(path[i+1], path[i+2])
			if !ok || code < ' ' || code == '/' || code == '\\' || code == 0x7f {
				return badTarget("has a percent-encoding that is not permitted")
			}
		}
	}
	return nil
}

func badTarget(why string) error {
	return decision.Errorf(decision.KindBadRequest, "the path %s", why)
}

// dots reports whether a segment is "." or "..", also percent-encoded.
func dots(s []byte) bool {
	n := 0
	for ; len(s) > 0 && n <= 2; n++ {
		switch {
		case s[0] == '.':
			s = s[1:]
		case len(s) >= 3 && s[0] == '%' && s[1] == '2' && s[2]|0x20 == 'e':
			s = s[3:]
		default:
			return false
		}
	}
	return n == 1 || n == 2
}

func unhex(hi, lo byte) (byte, bool) {
	r, ok := hex4([]byte{'0', '0', hi, lo})
	return byte(r), ok
}

// appendUnescaped appends a path segment, which checkTarget accepted, without
// its percent-encoding.
func appendUnescaped(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' {
			code, _ := unhex(s[i+1], s[i+2])
			dst = append(dst, code)
			i += 2
			continue
		}
		dst = append(dst, s[i])
	}
	return dst
}
