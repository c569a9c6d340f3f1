"""Starts the worker: python -m praetor_mlworker."""

import os
import signal
import sys
import threading

from .job import probe
from .logs import log
from .server import Server
from .settings import SettingsError, from_environment


def main() -> int:
    try:
        settings = from_environment(os.environ)
        server = Server(settings, probe())
    except (SettingsError, RuntimeError, OSError) as e:
        log("error", "the worker cannot start", error=str(e))
        return 2
    for number in (signal.SIGTERM, signal.SIGINT):
        # shutdown waits for the loop that this handler interrupts
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    log("info", "listening", host=settings.host, port=server.server_port, lightgbm=server.lightgbm,
        threads=settings.training_threads(), token=bool(settings.token))
    server.serve_forever()
    server.server_close()
    log("info", "stopped")  # trainings under way end with this process
    return 0


if __name__ == "__main__":
    sys.exit(main())
