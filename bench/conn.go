package bench

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
)

// Conn is a client's end of one HTTP/1.1 connection that is kept alive. It does
// as little as measuring permits: it writes prepared bytes, finds the end of
// the answer and hands out its body. It is for one goroutine.
type Conn struct {
	conn net.Conn
	buf  []byte
}

// Dial opens a connection to host:port.
func Dial(addr string) (*Conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	return &Conn{conn: c, buf: make([]byte, 16<<10)}, nil
}

// Close closes the connection.
func (c *Conn) Close() error { return c.conn.Close() }

var (
	endOfHeader   = []byte("\r\n\r\n")
	contentLength = []byte("\r\nContent-Length: ")
)

// Do sends a whole request and returns the answer's status and body; the body
// is valid until the next call. An answer without Content-Length is an error.
func (c *Conn) Do(request []byte) (status int, body []byte, err error) {
	if _, err := c.conn.Write(request); err != nil {
		return 0, nil, fmt.Errorf("bench: send: %w", err)
	}
	n, head := 0, -1
	for head < 0 {
		if n == len(c.buf) {
			c.buf = append(c.buf, make([]byte, len(c.buf))...)
		}
		m, err := c.conn.Read(c.buf[n:])
		if err != nil {
			return 0, nil, fmt.Errorf("bench: receive: %w", err)
		}
		from := max(0, n-len(endOfHeader)+1)
		n += m
		if i := bytes.Index(c.buf[from:n], endOfHeader); i >= 0 {
			head = from + i + len(endOfHeader)
		}
	}
	status, length, err := parseHead(c.buf[:head])
	if err != nil {
		return 0, nil, err
	}
	end := head + length
	if n > end {
		return 0, nil, fmt.Errorf("bench: got %d bytes after the answer", n-end)
	}
	if more := end - len(c.buf); more > 0 {
		c.buf = append(c.buf, make([]byte, more)...)
	}
	if _, err := io.ReadFull(c.conn, c.buf[n:end]); err != nil {
		return 0, nil, fmt.Errorf("bench: receive: %w", err)
	}
	return status, c.buf[head:end], nil
}

// parseHead reads the status line and the length of the body.
func parseHead(head []byte) (status, length int, err error) {
	const version = "HTTP/1.1 "
	if len(head) < len(version)+3 || string(head[:len(version)]) != version {
		return 0, 0, fmt.Errorf("bench: got %.40q, want an HTTP/1.1 answer", head)
	}
	if status, err = strconv.Atoi(string(head[len(version) : len(version)+3])); err != nil {
		return 0, 0, fmt.Errorf("bench: status: %w", err)
	}
	i := bytes.Index(head, contentLength)
	if i < 0 {
		if status == 204 {
			return status, 0, nil
		}
		return 0, 0, errors.New("bench: got an answer without Content-Length")
	}
	digits := head[i+len(contentLength):]
	digits = digits[:bytes.IndexByte(digits, '\r')]
	if length, err = strconv.Atoi(string(digits)); err != nil || length < 0 {
		return 0, 0, fmt.Errorf("bench: got Content-Length %q", digits)
	}
	return status, length, nil
}

// PrepareRequest makes the bytes of a JSON request.
func PrepareRequest(path, key string, body []byte) []byte {
	b := make([]byte, 0, len(body)+256)
	b = fmt.Appendf(b, "POST %s HTTP/1.1\r\nHost: praetor\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		path, key, len(body))
	return append(b, body...)
}
