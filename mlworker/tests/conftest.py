"""A worker in this process, and the client side of its protocol."""

import http.client
import json
import os
import socket
import struct
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from praetor_mlworker import job, server
from praetor_mlworker.protocol import CONTENT_TYPE
from praetor_mlworker.settings import Settings

PARAMS = {"numTrees": 10, "numLeaves": 7, "learningRate": 0.1, "minDataInLeaf": 5, "featureFraction": 1.0, "seed": 7}
ENDLESS = {"numTrees": 10_000, "numLeaves": 100, "minDataInLeaf": 1}


def header(rows: int, columns: int = 3, categorical: dict[int, int] | None = None, **params) -> dict:
    categorical = categorical or {}
    return {
        "protocol": 1,
        "columns": [{"name": f"c{i}", "categorical": i in categorical, "categories": categorical.get(i, 0)} for i in range(columns)],
        "rows": rows,
        "params": PARAMS | params,
    }


def rows(n: int, columns: int = 3, categorical: dict[int, int] | None = None, seed: int = 1) -> numpy.ndarray:
    """Rows whose label depends on the first column; a tenth of the values miss."""
    random = numpy.random.default_rng(seed)
    block = numpy.zeros(n, [("label", "<f4"), ("weight", "<f4"), ("values", "<f8", (columns,))])
    values = random.normal(size=(n, columns))
    for i, categories in (categorical or {}).items():
        values[:, i] = random.integers(0, categories, n)
    block["label"] = random.random(n) < 1 / (1 + numpy.exp(-values[:, 0]))
    values[random.random((n, columns)) < 0.1] = numpy.nan
    block["values"], block["weight"] = values, random.integers(1, 4, n)
    return block


def encode(head: dict | bytes) -> bytes:
    raw = head if isinstance(head, bytes) else json.dumps(head).encode()
    return struct.pack("<I", len(raw)) + raw


def body(n: int = 200, columns: int = 3, categorical: dict[int, int] | None = None, **params) -> bytes:
    return encode(header(n, columns, categorical, **params)) + rows(n, columns, categorical).tobytes()


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes
    complete: bool = True

    @property
    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.content.splitlines()]

    @property
    def code(self) -> str:
        return json.loads(self.content)["error"]["code"]

    @property
    def message(self) -> str:
        return json.loads(self.content)["error"]["message"]


class Worker:
    """A running server and what the tests ask of it."""

    def __init__(self, service: server.Server):
        self.service = service
        self.port = service.server_port
        self.jobs: list[job.Job] = []

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def open(self, content, headers: dict | None = None, method: str = "POST", path: str = "/train", chunked: bool = False) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, content, {"Content-Type": CONTENT_TYPE} | (headers or {}), encode_chunked=chunked)
        return connection

    def ask(self, content=None, headers: dict | None = None, **more) -> Answer:
        connection = self.open(content, headers, **more)
        return finish(connection)

    def raw(self, data: bytes, close_writing: bool = False) -> bytes:
        """Send bytes, return everything that comes back."""
        with self.connect() as connection:
            try:
                connection.sendall(data)
                if close_writing:
                    connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            return drain(connection)


def finish(connection: http.client.HTTPConnection) -> Answer:
    response = connection.getresponse()
    try:
        content, complete = response.read(), True
    except http.client.IncompleteRead as e:
        content, complete = e.partial, False
    connection.close()
    return Answer(response.status, dict(response.headers), content, complete)


def drain(connection: socket.socket) -> bytes:
    got = b""
    try:
        while piece := connection.recv(65536):
            got += piece
    except ConnectionError:
        pass
    return got


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def start(monkeypatch):
    """start(token=…, …) starts a worker; `script` replaces the training process."""
    running: list[server.Server] = []

    def begin(script: str | None = None, **settings) -> Worker:
        command = [sys.executable, "-c", script] if script else job.TRAINER
        service = server.Server(Settings(port=0, threads=1, **settings), "test", command)
        worker = Worker(service)

        class Recorded(job.Job):
            def __init__(self, command):
                super().__init__(command)
                worker.jobs.append(self)

        monkeypatch.setattr(server.jobs, "Job", Recorded)
        threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        running.append(service)
        return worker

    yield begin
    for service in running:
        service.shutdown()
        service.server_close()


def until(condition, seconds: float = 10.0) -> bool:
    """Wait for a condition."""
    tick = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if condition():
            return True
        tick.wait(0.01)
    return False
