"""The HTTP service: health, train, and what is refused before a training starts."""

import contextlib
import hashlib
import hmac
import http.server
import io
import json
import platform
import secrets
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Iterator

from . import job as jobs
from .body import Body, ConnectionReader
from .logs import log
from .protocol import (
    CONTENT_TYPE,
    HEADER_LENGTH,
    MAX_HEADER_BYTES,
    PROTOCOL,
    Header,
    Refusal,
    bad_request,
    parse_header,
    too_large,
)
from .settings import Settings

MAX_CONNECTIONS = 64
HEAD_SECONDS = 10  # for the request line and the HTTP headers together
SEND_SECONDS = 30  # for a client to take one piece of an answer
LEAST_RATE = 1 << 20  # bytes a second; a body that comes slower is given up
PIECE_BYTES = 256 << 10
MAX_FIRST_LINE = 64 << 10
MAX_MESSAGE = 300
LINGER_BYTES, LINGER_SECONDS = 64 << 20, 2.0
ROUTES = {"/health": "GET", "/train": "POST"}


class Gate:
    """Admits `concurrency` trainings at a time and lets `queue` more wait."""

    def __init__(self, concurrency: int, queue: int, wait: float):
        self._places = threading.BoundedSemaphore(concurrency + queue)
        self._running = threading.BoundedSemaphore(concurrency)
        self._wait = wait

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise self._busy()
        try:
            yield
        finally:
            self._places.release()

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        if not self._running.acquire(timeout=self._wait):
            raise self._busy()
        try:
            yield
        finally:
            self._running.release()

    @staticmethod
    def _busy() -> Refusal:
        return Refusal(503, "BUSY", "as many trainings as may run and wait are under way", Retry_After="5")


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Listens, and keeps what the requests share."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, settings: Settings, lightgbm: str, command: list[str] = jobs.TRAINER):
        self.settings, self.lightgbm, self.command = settings, lightgbm, command
        self.gate = Gate(settings.concurrency, settings.queue, settings.queue_timeout)
        self._connections = threading.BoundedSemaphore(MAX_CONNECTIONS)
        if ":" in settings.host:
            self.address_family = socket.AF_INET6
        super().__init__((settings.host, settings.port), Handler)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # without a look-up of the host's name
        self.server_name, self.server_port = self.server_address[:2]

    def process_request(self, request, client_address) -> None:
        if not self._connections.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no more threads
            self._connections.release()
            raise

    def process_request_thread(self, request, client_address) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.release()

    def handle_error(self, request, client_address) -> None:
        log("error", "a connection failed", error=repr(sys.exc_info()[1]))

    def authorized(self, header: str) -> bool:
        """Compares digests, so that neither content nor length shows in the time."""
        if not self.settings.token:
            return True
        got, want = (hashlib.sha256(text.encode(errors="replace")).digest() for text in (header, "Bearer " + self.settings.token))
        return hmac.compare_digest(got, want)


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection, one request: every answer closes the connection."""

    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        self.reader = ConnectionReader(self.connection, self.server.settings.read_timeout)
        self.rfile = io.BufferedReader(self.reader, PIECE_BYTES)
        self.reader.allow(HEAD_SECONDS)
        self.started = time.monotonic()

    def version_string(self) -> str:
        return "praetor-mlworker"

    def log_message(self, *_) -> None:
        """Requests are logged by _route."""

    def send_error(self, code, message=None, explain=None) -> None:
        """What the base class finds wrong with a request, in our shape."""
        self.close_connection = True
        if code == http.HTTPStatus.NOT_IMPLEMENTED:
            e = Refusal(405, "METHOD_NOT_ALLOWED", "want GET /health or POST /train", Allow="GET, POST")
        else:
            e = Refusal(int(code), "BAD_REQUEST", (message or "the request is not valid")[:MAX_MESSAGE])
        self._answer_refusal(e)

    def handle_expect_100(self) -> bool:
        return True  # _train says go on when the rest of the head is in order

    def _route(self) -> None:
        self.close_connection = True
        path = self.path.split("?", 1)[0]
        self.streaming = False
        try:
            if path not in ROUTES:
                raise Refusal(404, "NOT_FOUND", "no such path; want /health or /train")
            if self.command != ROUTES[path]:
                raise Refusal(405, "METHOD_NOT_ALLOWED", f"got {self.command}, want {ROUTES[path]}", Allow=ROUTES[path])
            self._health() if path == "/health" else self._train()
        except Refusal as e:
            log("info", "refused", path=path if path in ROUTES else None, status=e.status, code=e.code, error=e.message)
            self._answer_refusal(e)
        except TimeoutError:
            log("info", "the client was too slow", path=path)
            self._answer_refusal(Refusal(408, "REQUEST_TIMEOUT", "the body came too slowly"))
        except (ConnectionError, jobs.ClientGone):
            log("info", "the client went away", path=path)
        except Exception as e:  # the service outlives any defect of one request
            log("error", "a request failed", path=path, error=f"{type(e).__name__}: {e}")
            self._answer_refusal(Refusal(500, "INTERNAL", "the worker failed; its log says why"))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _route

    def _health(self) -> None:
        settings = self.server.settings
        self._answer(200, {
            "status": "ok",
            "capabilities": ["lightgbm"],
            "protocol": PROTOCOL,
            "versions": {"lightgbm": self.server.lightgbm, "python": platform.python_version()},
            "limits": {"maxRows": settings.max_rows, "maxBytes": settings.max_bytes},
        })

    def _train(self) -> None:
        body = self._open_body()
        settings, gate = self.server.settings, self.server.gate
        with gate.place():
            if self.headers.get("Expect", "").lower() == "100-continue":
                self.send_response_only(100)
                self.end_headers()
            self.reader.allow(settings.read_timeout)
            header = self._read_header(body)
            with gate.turn():
                self.reader.allow(settings.read_timeout + header.body_bytes() / LEAST_RATE)
                self._run(header, body)

    def _open_body(self) -> Body:
        """Check the head of a training request."""
        if self.request_version != "HTTP/1.1":
            raise Refusal(505, "BAD_REQUEST", "want HTTP/1.1")
        if not self.server.authorized(self.headers.get("Authorization", "")):
            raise Refusal(401, "UNAUTHORIZED", "want Authorization: Bearer with the worker's token", WWW_Authenticate="Bearer")
        if self.headers.get("Content-Type", "").split(";", 1)[0].strip().lower() != CONTENT_TYPE:
            raise Refusal(415, "UNSUPPORTED_MEDIA_TYPE", f"want Content-Type {CONTENT_TYPE}")
        lengths, codings = self.headers.get_all("Content-Length", []), self.headers.get_all("Transfer-Encoding", [])
        if len(lengths) + len(codings) > 1:
            raise bad_request("want one Content-Length or one Transfer-Encoding")
        if codings:
            if codings[0].strip().lower() != "chunked":
                raise bad_request("Transfer-Encoding: want chunked")
            return Body(self.rfile, None)
        if not lengths:
            raise Refusal(411, "LENGTH_REQUIRED", "want a Content-Length or Transfer-Encoding: chunked")
        text = lengths[0].strip()
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise bad_request("Content-Length: want a whole number")
        return Body(self.rfile, int(text))

    def _read_header(self, body: Body) -> Header:
        settings = self.server.settings
        raw = body.read(HEADER_LENGTH.size)
        if len(raw) < HEADER_LENGTH.size:
            raise bad_request(f"body: got {len(raw)} bytes, want the header's length in {HEADER_LENGTH.size}")
        (length,) = HEADER_LENGTH.unpack(raw)
        if length > MAX_HEADER_BYTES:
            raise too_large(f"header: got {length} bytes, want at most {MAX_HEADER_BYTES}")
        raw = body.read(length)
        if len(raw) < length:
            raise bad_request(f"header: got {len(raw)} bytes, want {length}")
        header = parse_header(raw, settings.max_rows, settings.max_bytes)
        if body.declared is not None and body.declared != header.body_bytes():
            raise bad_request(f"rows: got {body.declared} bytes by Content-Length, want {header.body_bytes()} for {header.rows} rows of {len(header.columns)} columns")
        return header

    def _run(self, header: Header, body: Body) -> None:
        """Train in a process of its own and pass on what it says."""
        settings = self.server.settings
        train = secrets.token_hex(4)  # ties the lines of the log together
        log("info", "training", train=train, rows=header.rows, columns=len(header.columns), **header.params)
        with jobs.Job(self.server.command) as job:
            deadline = time.monotonic() + settings.timeout
            taken = self._feed(job, header, body, deadline)
            # A client that is still sending rows is no client that has gone.
            piece = self._first_line(job, self.connection if taken else None, deadline)
            self._start_stream()
            sent, ends_line = 0, True
            while piece:
                self._send_chunk(piece)
                sent, ends_line = sent + len(piece), piece.endswith(b"\n")
                piece = job.read(self.connection, deadline - time.monotonic())
            if piece is None:
                job.kill()
            if failed := job.failed():
                log("error", "the training failed", train=train, code=failed[0], error=failed[1], stderr=job.last_words())
                if not ends_line:
                    return  # within a line: only a broken answer is an honest one
                self._send_chunk(_line(failure(*failed)))
            self._send_chunk(b"")
        log("info", "answered", train=train, bytes=sent, seconds=round(time.monotonic() - self.started, 3))

    def _feed(self, job: jobs.Job, header: Header, body: Body, deadline: float) -> bool:
        """Pass the rows on to the process, no more and no fewer than announced;
        False when it stopped taking them."""
        settings = self.server.settings
        buffer = memoryview(bytearray(PIECE_BYTES))
        left = header.body_bytes()
        guard = threading.Timer(deadline - time.monotonic(), job.kill)  # a write to a stuck process has no timeout
        guard.daemon = True
        guard.start()
        try:
            if not job.feed(memoryview(header.task(settings.training_threads(), settings.nice))):
                return False
            while left:
                n = body.read_some(buffer[: min(left, PIECE_BYTES)])
                if not n:
                    raise bad_request(f"rows: got {header.body_bytes() - left} bytes, want {header.body_bytes()}")
                left -= n
                if not job.feed(buffer[:n]):
                    return False  # it has said why, or died; _first_line tells
            if body.read_some(buffer[:1]):
                raise bad_request(f"rows: got more than {header.body_bytes()} bytes")
            return True
        finally:
            guard.cancel()

    def _first_line(self, job: jobs.Job, client: socket.socket | None, deadline: float) -> bytes:
        """What the process says first: that it took the rows, or why not."""
        first = b""
        while b"\n" not in first:
            piece = job.read(client, deadline - time.monotonic())
            if not piece or len(first) > MAX_FIRST_LINE:
                if piece is None:
                    job.kill()
                code, message = job.failed() or ("CRASHED", "the training process gave no answer")
                log("error", "the training failed", code=code, error=message, stderr=job.last_words())
                raise Refusal(500, code, message)
            first += piece
        line = json.loads(first.split(b"\n", 1)[0])
        if error := line.get("error"):
            raise Refusal(400 if error["code"] == "BAD_REQUEST" else 500, error["code"], error["message"])
        return first

    def _start_stream(self) -> None:
        self.streaming = True
        self.connection.settimeout(SEND_SECONDS)
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()

    def _send_chunk(self, piece: bytes) -> None:
        """One chunk; an empty one ends the answer."""
        try:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        except TimeoutError:
            raise ConnectionError("the client does not take the answer") from None

    def _answer(self, status: int, document: dict, **headers: str) -> None:
        content = _line(document)
        self.connection.settimeout(SEND_SECONDS)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _answer_refusal(self, e: Refusal) -> None:
        if getattr(self, "streaming", False):
            return  # too late for a status; the broken answer tells
        with contextlib.suppress(OSError):
            self._answer(e.status, failure(e.code, e.message), **e.headers)
            self._linger()

    def _linger(self) -> None:
        """Take what the client is still sending, within bounds: closing on unread
        bytes would reset the connection and lose the answer."""
        self.connection.shutdown(socket.SHUT_WR)
        self.reader.allow(LINGER_SECONDS)
        buffer, taken = bytearray(PIECE_BYTES), 0
        while taken < LINGER_BYTES and (n := self.reader.readinto(buffer)):
            taken += n


def failure(code: str, message: str) -> dict:
    return {"error": {"code": code, "message": message}}


def _line(document: dict) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode() + b"\n"
