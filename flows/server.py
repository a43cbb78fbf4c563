"""A Prefect server for the time of one run, unless ``PREFECT_API_URL`` names one that stays.

Prefect can start one itself, but in the terminal's process group: Ctrl-C would then end the server
first, and the flow would wait minutes for it. This one has a session of its own, and lives as long as
the pipe to its stdin: it goes with the process that started it, however that ends.

    python -m flows.server 4200        serves on that port until stdin closes
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stages import paths
from stages.errors import StageError

START = 300
"""Seconds that a server is given to start: ten on an idle machine, and the first one makes its database."""

POLL = 0.1

SETTLE = 60
"""Seconds that a flow waits at its end for a server that is starting again, and for what is to be told to it."""

RESTARTS = 3
"""How often a server that dies is started again; Prefect's clients repeat meanwhile what they could not tell it."""


class Server:
    """A server process of our own, and the one in its place if it is killed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._process = _start(port)
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)

    @property
    def pid(self) -> int:
        """The present process."""
        return self._process.pid

    @property
    def is_dead(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def keep(self) -> None:
        """From now on, start it again whenever it dies."""
        self._keeper.start()

    def end(self) -> None:
        """End it for good."""
        self._over.set()
        if self._keeper.is_alive():
            self._keeper.join()
        self._process.kill()
        self._process.wait()

    def _keep(self) -> None:
        for _ in range(RESTARTS):
            while not self.is_dead:
                if self._over.wait(POLL):
                    return
            if not self._over.is_set():
                self._process = _start(self._port)


@contextmanager
def starting() -> Iterator[Server | None]:
    """Start a server, and end it after the block; it answers once `wait` has returned."""
    if os.environ.get("PREFECT_API_URL"):
        yield None
        return
    port = _free_port()
    server = Server(port)
    os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    try:
        yield server
    finally:
        del os.environ["PREFECT_API_URL"]
        server.end()


def wait(server: Server | None) -> None:
    """Wait until the server that `starting` gave, or that ``PREFECT_API_URL`` names, answers.

    Raises:
        StageError: it ended, or does not answer within `START` seconds; one that was already there
            has a tenth of that.
    """
    address = os.environ["PREFECT_API_URL"]
    limit = time.monotonic() + (START if server else START / 10)
    while time.monotonic() < limit:
        if server and server.is_dead:
            raise StageError(f"the Prefect server ended as it started: see {_log()}")
        if _answers():
            break
        time.sleep(POLL)
    else:
        raise StageError(f"no Prefect server answers at {address}: start it, or unset PREFECT_API_URL")
    if server:
        server.keep()


def settle(server: Server | None) -> None:
    """Let Prefect tell a server of our own what it still holds, while there is one: of one that was killed just now.

    At its exit it would wait for minutes, for each event and each line of a log anew.
    """
    if server is None:
        return
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    limit = time.monotonic() + SETTLE
    while not _answers() and time.monotonic() < limit:
        time.sleep(POLL)
    for told in (EventsWorker, APILogWorker):
        told.drain_all(timeout=SETTLE, at_exit=False)


def _answers() -> bool:
    try:
        with urllib.request.urlopen(f"{os.environ['PREFECT_API_URL']}/health"):
            return True
    except (urllib.error.URLError, ConnectionError):
        return False


def _start(port: int) -> subprocess.Popen[bytes]:
    _log().parent.mkdir(parents=True, exist_ok=True)
    with _log().open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.server", str(port)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PREFECT_SERVER_UI_ENABLED": "false"},
            cwd=paths.ROOT,
            start_new_session=True,
        )


def main() -> None:
    """Serve until stdin closes."""
    import uvicorn

    threading.Thread(target=_end_with_stdin, daemon=True).start()
    application = "prefect.server.api.server:create_app"
    uvicorn.run(application, factory=True, host="127.0.0.1", port=int(sys.argv[1]), log_level="error")


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def _log() -> Path:
    return Path(os.environ["PREFECT_HOME"]) / "server.log"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


if __name__ == "__main__":
    main()
