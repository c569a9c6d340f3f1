"""The training process as the service sees it."""

import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

TRAINER = [sys.executable, "-I", str(Path(__file__).with_name("trainer.py"))]
READ_BYTES = 64 << 10
KEPT_STDERR = 2000  # characters of a crash's last words
EXIT_SECONDS = 10.0


class ClientGone(Exception):
    """The client closed the connection: nobody wants the model any more."""


class Job:
    """One training process; a context manager that leaves none behind."""

    def __init__(self, command: list[str]):
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=_environment(os.environ),
        )
        self._timed_out = False
        self._last_words = b""
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __enter__(self) -> "Job":
        return self

    def __exit__(self, *_) -> None:
        self._process.kill()  # there is no state to save: cancelling is this
        self._process.wait()
        self._listener.join()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            pipe.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def feed(self, piece: memoryview) -> bool:
        """Pass on a piece of the rows; False when the process takes no more."""
        try:
            while len(piece):
                piece = piece[self._process.stdin.write(piece) :]
        except BrokenPipeError:
            return False
        return True

    def kill(self) -> None:
        """End it at its deadline; from any thread."""
        self._timed_out = True
        self._process.kill()

    def read(self, client: socket.socket | None, timeout: float) -> bytes | None:
        """The next piece of its output: b"" at the end, None after the timeout.

        Raises ClientGone when the client closes its connection, or sends more
        than it should have, meanwhile.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if client:
                selector.register(client, selectors.EVENT_READ)
            ready = {key.fileobj for key, _ in selector.select(timeout)}
        if client in ready:
            raise ClientGone
        if not ready:
            return None
        return os.read(self._process.stdout.fileno(), READ_BYTES)

    def failed(self) -> tuple[str, str] | None:
        """How it ended, once its output has: None for well, else code and message."""
        try:
            status = self._process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            return "CRASHED", "the training process closed its output and went on"
        if self._timed_out:
            return "TIMEOUT", "the training took longer than ML_WORKER_TIMEOUT allows"
        if status == 0:
            return None
        if status == -signal.SIGKILL:
            return "OUT_OF_MEMORY", "the training process was killed, most likely because the memory ran out"
        if status < 0:
            return "CRASHED", f"the training process was ended by signal {-status}"
        return "CRASHED", f"the training process ended with status {status}"

    def last_words(self) -> str | None:
        """The end of what it wrote to stderr, for the log."""
        return self._last_words.decode(errors="replace") or None

    def _listen(self) -> None:
        while piece := os.read(self._process.stderr.fileno(), READ_BYTES):
            self._last_words = (self._last_words + piece)[-KEPT_STDERR:]


def probe() -> str:
    """LightGBM's version as a training process sees it; raises RuntimeError when
    it cannot be loaded (a missing libgomp, say)."""
    code = "import numpy, lightgbm; print(lightgbm.__version__)"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, env=_environment(os.environ))
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-KEPT_STDERR:])
    return done.stdout.strip()


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without the token."""
    return {name: value for name, value in environment.items() if name != "ML_WORKER_TOKEN"}
