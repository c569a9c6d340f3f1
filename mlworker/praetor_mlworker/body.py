"""Reading a request with deadlines: the connection, and the body in both framings."""

import io
import socket
import time

from .protocol import bad_request

MAX_CHUNK_LINE = 256


class ConnectionReader(io.RawIOBase):
    """The receiving side of a connection.

    A read fails with TimeoutError when the peer is silent for `idle` seconds or
    the deadline has passed, so that a byte now and then does not hold a thread.
    """

    def __init__(self, connection: socket.socket, idle: float):
        self._connection, self._idle = connection, idle
        self._deadline = 0.0
        self.allow(idle)

    def allow(self, seconds: float) -> None:
        """Set the deadline from now."""
        self._deadline = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request took too long")
        self._connection.settimeout(min(self._idle, left))
        return self._connection.recv_into(buffer)


class Body:
    """A request body, read piece by piece."""

    def __init__(self, stream: io.BufferedReader, length: int | None):
        """A length of None is the chunked framing."""
        self._stream = stream
        self._chunked = length is None
        self._left = length or 0  # of the body, or of the current chunk
        self._ended = length == 0

    @property
    def declared(self) -> int | None:
        """What is left to come, None when the framing does not tell."""
        return None if self._chunked else self._left

    def read_some(self, buffer: memoryview) -> int:
        """Fill a part of the buffer; 0 at the end of the body."""
        if self._chunked and self._left == 0 and not self._ended:
            self._next_chunk()
        if self._ended:
            return 0
        n = self._stream.readinto1(buffer[: min(len(buffer), self._left)])
        if not n:
            raise ConnectionError("the connection ended within the body")
        self._left -= n
        if self._left == 0:
            if self._chunked:
                self._expect_line(b"")
            else:
                self._ended = True
        return n

    def read(self, size: int) -> bytes:
        """Exactly size bytes; fewer only where the body ends."""
        buffer = bytearray(size)
        view, filled = memoryview(buffer), 0
        while filled < size and (n := self.read_some(view[filled:])):
            filled += n
        return bytes(view[:filled])

    def _next_chunk(self) -> None:
        line = self._line().split(b";", 1)[0].strip()
        if not 1 <= len(line) <= 16 or not all(c in b"0123456789abcdefABCDEF" for c in line):
            raise bad_request("body: a chunk's length is not a hexadecimal number")
        self._left = int(line, 16)
        if self._left == 0:  # the last chunk; trailers are not taken
            self._expect_line(b"")
            self._ended = True

    def _expect_line(self, want: bytes) -> None:
        if self._line() != want:
            raise bad_request("body: a chunk does not end where its length says")

    def _line(self) -> bytes:
        line = self._stream.readline(MAX_CHUNK_LINE)
        if not line:
            raise ConnectionError("the connection ended within the body")
        if not line.endswith(b"\r\n"):
            raise bad_request("body: a chunk's line is too long or not ended by CRLF")
        return line[:-2]
