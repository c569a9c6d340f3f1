"""Structured logs: one JSON object a line on stderr, never a row's value or a token."""

import json
import sys
import threading
import time

_lock = threading.Lock()


def log(level: str, message: str, **fields) -> None:
    """Write one line; fields that are None are left out."""
    now = time.time()
    line = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z",
        "level": level,
        "message": message,
    }
    line.update((name, value) for name, value in fields.items() if value is not None)
    text = json.dumps(line) + "\n"
    with _lock:
        sys.stderr.write(text)
        sys.stderr.flush()
