"""What is answered before a training starts."""

import contextlib
import json
import random
import struct
import time

import pytest
from conftest import body, drain, encode, header, rows, until

from praetor_mlworker import server
from praetor_mlworker.protocol import CONTENT_TYPE

HEAD = f"POST /train HTTP/1.1\r\nHost: w\r\nContent-Type: {CONTENT_TYPE}\r\n".encode()


def test_health(start):
    worker = start(token="secret")
    got = worker.ask(method="GET", path="/health")
    document = json.loads(got.content)
    assert got.status == 200
    assert document["status"] == "ok" and document["capabilities"] == ["lightgbm"] and document["protocol"] == 1
    assert document["versions"]["lightgbm"] == "test" and document["limits"]["maxRows"] == 20_000_000


@pytest.mark.parametrize("authorization", [None, "", "secret", "Bearer", "Bearer wrong", "Bearer secret ", "Bearer secrets", "bearer secret", "Basic secret"])
def test_wrong_token(start, authorization):
    worker = start(token="secret")
    got = worker.ask(body(), {} if authorization is None else {"Authorization": authorization})
    assert (got.status, got.code, got.headers["WWW-Authenticate"]) == (401, "UNAUTHORIZED", "Bearer")
    assert b"secret" not in got.content and not worker.jobs


def test_right_token(start):
    assert start(token="secret").ask(body(), {"Authorization": "Bearer secret"}).status == 200


@pytest.mark.parametrize(
    "method, path, headers, want",
    [
        ("GET", "/", {}, 404),
        ("GET", "/train/", {}, 404),
        ("GET", "/../health", {}, 404),
        ("GET", "/train", {}, 405),
        ("PUT", "/train", {}, 405),
        ("POST", "/health", {}, 405),
        ("PURGE", "/health", {}, 405),
        ("POST", "/train", {"Content-Type": "application/json"}, 415),
        ("POST", "/train", {"Content-Type": ""}, 415),
        ("POST", "/train", {"Content-Length": "-1"}, 400),
        ("POST", "/train", {"Content-Length": "1_0"}, 400),
        ("POST", "/train", {"Content-Length": "9" * 19}, 400),
        ("POST", "/train", {"Transfer-Encoding": "gzip"}, 400),
        ("POST", "/train", {"Transfer-Encoding": "chunked", "Content-Length": "5"}, 400),
    ],
)
def test_statuses(start, method, path, headers, want):
    worker = start()
    lines = {"Host": "w", "Content-Type": CONTENT_TYPE} | headers
    raw = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()) + "\r\n"
    got = worker.raw(raw.encode())
    head, _, content = got.partition(b"\r\n\r\n")
    assert int(head.split()[1]) == want
    assert json.loads(content)["error"]["message"]
    assert (b"\r\nAllow: " in head) == (want == 405)


def test_length_required(start):
    assert b" 411 " in start().raw(HEAD + b"\r\n")
    assert b" 505 " in start().raw(HEAD.replace(b"1.1", b"1.0") + b"Content-Length: 4\r\n\r\n")


@pytest.mark.parametrize(
    "content, want, message",
    [
        (b"", 400, "body: got 0 bytes"),
        (b"abc", 400, "body: got 3 bytes"),
        (struct.pack("<I", 1000) + b"{}", 400, "header: got 2 bytes, want 1000"),
        (struct.pack("<I", (4 << 20) + 1), 413, "header: got 4194305 bytes"),
        (encode(b"{}"), 400, "columns is missing"),
        (encode(header(200)), 400, "rows: got 0 bytes"),
        (body()[:-1], 400, "want 6400 for 200 rows of 3 columns"),
        (body() + b"x", 400, "want 6400 for 200 rows of 3 columns"),
        (encode(header(10**9)), 413, "ML_WORKER_MAX_ROWS"),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies(start, content, want, message, chunked):
    worker = start()
    if chunked:
        got = worker.ask(iter([content[:3], content[3:]]) if content else iter([]), {"Transfer-Encoding": "chunked"}, chunked=True)
        message = message.split(", want")[0].split("want 6400")[0].split(" 0 bytes")[0]
    else:
        got = worker.ask(content, {"Content-Length": str(len(content))})
    assert got.status == want and message in got.message
    assert not worker.jobs or chunked


@pytest.mark.parametrize("chunk", [b"xyz\r\n", b"-5\r\n", b"\r\n", b"0x5\r\n", b"5\n12345\n", b"4\r\n12345\r\n", b"f" * 17 + b"\r\n", b"1;" + b"e" * 300 + b"\r\n"])
def test_broken_chunks(start, chunk):
    assert b" 400 " in start().raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)


def test_memory_is_refused_before_rows_are_read(start):
    worker = start()
    with worker.connect() as connection:  # announces 1.7 TB, sends the header only
        head = encode(header(20_000_000, columns=10_000))
        connection.sendall(HEAD + f"Content-Length: {len(head) + 20_000_000 * 80_008}\r\n\r\n".encode() + head)
        assert b" 413 " in drain(connection)
    assert not worker.jobs


def test_refusal_reaches_a_client_that_is_still_sending(start):
    worker = start(token="secret")
    content = b"\0" * (32 << 20)
    with worker.connect() as connection:
        connection.sendall(HEAD + f"Content-Length: {len(content)}\r\n\r\n".encode())
        connection.sendall(content)
        assert b" 401 " in drain(connection)


def test_expect_continue(start):
    worker = start(token="secret")
    content = body()
    head = HEAD + f"Expect: 100-continue\r\nContent-Length: {len(content)}\r\n".encode()
    with worker.connect() as connection:
        connection.sendall(head + b"\r\n")
        assert drain(connection).startswith(b"HTTP/1.1 401 ")
    with worker.connect() as connection:
        connection.sendall(head + b"Authorization: Bearer secret\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(content)
        assert drain(connection).startswith(b"HTTP/1.1 200 ")


def test_silent_body(start):
    worker = start(read_timeout=1)
    content = body()
    with worker.connect() as connection:
        connection.sendall(HEAD + f"Content-Length: {len(content)}\r\n\r\n".encode() + content[:-100])
        got = drain(connection)
    assert b" 408 " in got and b"REQUEST_TIMEOUT" in got


def test_dripping_body(start):
    """A byte now and then does not hold the worker."""
    worker = start(read_timeout=1)
    content, started = body(), time.monotonic()
    with worker.connect() as connection:
        connection.sendall(HEAD + f"Content-Length: {len(content)}\r\n\r\n".encode() + content[:-3000])
        connection.settimeout(0.1)
        got = b""
        while not got and time.monotonic() - started < 15:
            connection.sendall(b"\0")
            with contextlib.suppress(TimeoutError):
                got = connection.recv(1000)
    assert b" 408 " in got and time.monotonic() - started < 10
    assert worker.ask(body()).status == 200  # the turn was given back


def test_silent_head(start, monkeypatch):
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.5)
    worker = start()
    with worker.connect() as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost:")
        assert drain(connection) == b""


def test_connections_are_bounded(start, monkeypatch):
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 2)
    worker = start()
    held = [worker.connect() for _ in range(2)]
    with worker.connect() as third:
        assert drain(third) == b""
    for connection in held:
        connection.close()


def test_garbage_on_the_port(start):
    worker, rnd = start(read_timeout=1), random.Random(2)
    good = HEAD + f"Content-Length: {len(body())}\r\n\r\n".encode() + body()
    for i in range(40):
        data = bytearray(good) if i % 2 else bytearray(rnd.randbytes(rnd.randint(1, 2000)))
        for _ in range(5):
            data[rnd.randrange(len(data) if i % 4 < 2 else min(len(data), 400))] = rnd.randrange(256)
        worker.raw(bytes(data), close_writing=True)
    assert worker.ask(method="GET", path="/health").status == 200


def test_logs_hold_no_values_and_no_token(start, capfd):
    worker = start(token="se-cret")
    content = encode(header(200)) + rows(200).tobytes()
    worker.ask(content, {"Authorization": "Bearer se-cret"})
    worker.ask(content, {"Authorization": "Bearer other"})
    written = []  # the line about an answer comes after the answer
    assert until(lambda: written.append(capfd.readouterr().err) or len("".join(written).splitlines()) == 3)
    lines = [json.loads(line) for line in "".join(written).splitlines()]
    lines.sort(key=lambda line: line["message"])
    assert [line["message"] for line in lines] == ["answered", "refused", "training"]
    assert "cret" not in json.dumps(lines)
    assert (lines[2]["rows"], lines[2]["columns"]) == (200, 3)
