"""The worker's configuration: one table drives environment variable, default and bounds."""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Settings:
    """How the worker listens and what it grants; times are in seconds."""

    host: str = "127.0.0.1"
    port: int = 8000
    token: str = field(default="", repr=False)
    max_rows: int = 20_000_000
    max_bytes: int = 4 << 30  # memory of one training, see protocol.Header.memory_bytes
    concurrency: int = 1  # trainings at a time
    queue: int = 4  # trainings that may wait for one to end
    queue_timeout: int = 30  # how long they may wait
    threads: int = 0  # of one training; 0: see training_threads
    nice: int = 5  # added to the niceness of a training, which yields to an engine on the same machine
    read_timeout: int = 60  # longest silence of a client that is sending
    timeout: int = 3600  # of one training

    def training_threads(self) -> int:
        """All CPUs but one, unless told: OpenMP's threads wait for each other by
        spinning, and when something else needs one of their CPUs a training on
        all of them was measured to take ten times as long as on one fewer.
        """
        return self.threads or max(1, available_cpus() - 1)


class SettingsError(Exception):
    """Every problem of the environment, one a line."""


_PREFIX = "ML_WORKER_"
_INTEGERS = {  # field: (least, most)
    "port": (0, 65535),
    "max_rows": (1, 2_000_000_000),
    "max_bytes": (1 << 20, 1 << 50),
    "concurrency": (1, 64),
    "queue": (0, 1024),
    "queue_timeout": (0, 3600),
    "threads": (0, 1024),
    "nice": (0, 19),
    "read_timeout": (1, 3600),
    "timeout": (1, 7 * 24 * 3600),
}


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read ML_WORKER_*; a variable that is empty counts as not set."""
    values: dict[str, object] = {}
    problems: list[str] = []
    for name in ("host", "token"):
        if text := environment.get(_PREFIX + name.upper(), ""):
            values[name] = text
    for name, (least, most) in _INTEGERS.items():
        variable = _PREFIX + name.upper()
        if not (text := environment.get(variable, "")):
            continue
        if text.isascii() and text.isdigit() and least <= int(text) <= most:
            values[name] = int(text)
        else:
            problems.append(f"{variable}: got {text!r}, want a whole number from {least} to {most}")
    settings = Settings(**values)
    if not settings.token.isascii() or not settings.token.isprintable() or " " in settings.token:
        problems.append("ML_WORKER_TOKEN: want printable ASCII characters without spaces")
    if not settings.token and not _is_loopback(settings.host):
        problems.append(f"ML_WORKER_TOKEN: not set, and ML_WORKER_HOST is {settings.host!r}; only a worker on a loopback address may go without a token")
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def available_cpus() -> int:
    """The CPUs this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
