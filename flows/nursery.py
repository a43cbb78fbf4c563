"""Stages as children of one process that has read the whole graph: a fork takes milliseconds where DVC takes seconds.

    python -m flows.nursery ROOT       serves the flow at the other end of its stdin

Each stage is a process in a session of its own that logs to a file. When it is gone, what is left of its session is
killed. If the flow is killed, the children go on to their end, and the nursery with them. If the nursery is killed,
they go on as well; the flow waits until they are gone and starts another one.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Never

from flows import processes
from flows.limits import Limits
from flows.result import Result
from stages.errors import StageError

MESSAGE = 1 << 16
"""More bytes than any message has."""

TRIES = 3
"""How often a nursery is started for one stage, if it is killed again and again, or cannot start."""

DESCRIPTORS = 64
"""More than are passed on with any stage."""


class Work(StrEnum):
    """What is done with a stage; all but `MAKE` is `flows.exchange`'s."""

    MAKE = "make"
    OFFER = "offer"
    SERVE = "serve"
    FETCH = "fetch"


@dataclass(frozen=True)
class Job:
    """What a nursery is asked for.

    Attributes:
        stage: as DVC addresses it.
        log: the file for all that it prints.
        environment: variables that are other than the flow's own.
        memory: bytes that it may take, if that is limited.
        seconds: that it may take, if that is limited.
        again: whether an earlier try came to nothing; it may have recorded the stage all the same.
        work: what is to be done.
    """

    stage: str
    log: str
    environment: dict[str, str]
    memory: int | None = None
    seconds: float | None = None
    again: bool = False
    work: Work = Work.MAKE


class Nursery:
    """The flow's side. Threads may share it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._guard = threading.Lock()
        self._line: Line | None = None

    def start(self, job: Job, descriptors: Sequence[int]) -> Child:
        """Start a stage, which holds the `descriptors` until it ends; in a new nursery if there is none.

        Raises:
            StageError: no nursery can be started.
        """
        with self._guard:
            for _ in range(TRIES):
                self._line = self._line if self._line and not self._line.is_broken else Line(self._root)
                if pid := self._line.ask(job, descriptors):
                    return Child(pid, self._line, self._guard)
        log = self._root / ".state" / "logs" / "nursery.log"
        raise StageError(f"the process that starts stages ends by itself: see {log}")

    def close(self) -> None:
        """Let it go once its children have ended."""
        if self._line:
            self._line.close()


class Line:
    """The connection to one nursery process."""

    def __init__(self, root: Path) -> None:
        self._socket, theirs = socket.socketpair()
        path = os.environ.get("PATH", os.defpath)
        # A stage's `python` is the one that runs this, activated or not; its waiting threads sleep (see `stages`)
        own = {"GOMP_SPINCOUNT": "0", "PATH": f"{Path(sys.executable).parent}{os.pathsep}{path}"}
        log = root / ".state" / "logs" / "nursery.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with theirs, log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "flows.nursery", str(root)],
                stdin=theirs.fileno(),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **own},
                cwd=root,
            )
        self._rest = b""
        self.codes: dict[int, int] = {}
        self.is_broken = False

    def ask(self, job: Job, descriptors: Sequence[int]) -> int:
        """Have a stage started; its pid, or 0 if there is nobody at the other end."""
        try:
            socket.send_fds(self._socket, [json.dumps(asdict(job)).encode() + b"\n"], list(descriptors))
        except OSError:
            self.is_broken = True
        started = 0
        while not started and not self.is_broken:
            started = self._read(0)
        return started

    def look(self) -> None:
        """Take in which children have ended."""
        self._read(socket.MSG_DONTWAIT)

    def close(self) -> None:
        """Hang up, and wait until the nursery has gone, which it does once its children have."""
        self._socket.close()
        self._process.wait()

    def _read(self, flags: int) -> int:
        """Read what there is; the pid of a child that was started, if one was."""
        try:
            received = self._socket.recv(MESSAGE, flags)
        except BlockingIOError:
            return 0
        except OSError:
            received = b""
        self.is_broken = self.is_broken or not received
        *lines, self._rest = (self._rest + received).split(b"\n")
        messages = [json.loads(line) for line in lines]
        self.codes |= {message["ended"]: message["code"] for message in messages if "ended" in message}
        return next((message["started"] for message in messages if "started" in message), 0)


class Child:
    """A stage's process."""

    def __init__(self, pid: int, line: Line, guard: threading.Lock) -> None:
        self.pid = pid
        self._line, self._guard = line, guard

    def poll(self) -> Result | None:
        """How it ended; None while it runs."""
        with self._guard:
            if self.pid not in self._line.codes and not self._line.is_broken:
                self._line.look()
        if self.pid in self._line.codes:
            return Result.of(self._line.codes[self.pid])
        return Result.LOST if self._line.is_broken and not processes.is_alive(self.pid) else None


def main() -> None:
    """Serve one flow: start stages, tell when they end; go when the flow and the last child have gone."""
    from flows import reproduce

    root = Path(sys.argv[1])
    connection = socket.socket(fileno=os.dup(0))
    woken, wake = socket.socketpair()
    for end in (woken, wake):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Server(root, reproduce.load(root), connection, woken).serve()


class Server:
    """The nursery's own side."""

    def __init__(self, root: Path, stages: dict[str, Any], connection: socket.socket, woken: socket.socket) -> None:
        self._root, self._stages = root, stages
        self._connection, self._woken = connection, woken
        self._running: set[int] = set()

    def serve(self) -> None:
        """Work until nobody asks any more and nothing runs."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            selector.register(self._connection, selectors.EVENT_READ)
            asked = True
            while asked or self._running:
                for key, _ in selector.select():
                    if key.fileobj is self._woken:
                        self._woken.recv(MESSAGE)
                    elif not self._answer():
                        selector.unregister(self._connection)
                        asked = False
                self._reap()

    def _answer(self) -> bool:
        """Start what the flow asks for; False once it has hung up."""
        try:
            message, descriptors, _, _ = socket.recv_fds(self._connection, MESSAGE, DESCRIPTORS)
        except ConnectionError:
            return False
        if not message:
            return False
        job = Job(**json.loads(message))
        pid = os.fork() or self._become(job, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        self._running.add(pid)
        self._tell(started=pid)
        return True

    def _become(self, job: Job, descriptors: Sequence[int]) -> Never:
        """Be the child, and never return."""
        code = Result.LOST.code
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._connection.close()
            os.setsid()
            _log_to(Path(job.log), append=job.again)
            os.environ.update(job.environment)
            code = self._reproduce(job, descriptors).code
        except KeyboardInterrupt:
            code = Result.STOPPED.code
        except BaseException:
            traceback.print_exc()
            code = Result.FAILED.code
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _reproduce(self, job: Job, descriptors: Sequence[int]) -> Result:
        from flows import exchange, reproduce

        stage = (reproduce.load(self._root) if job.again else self._stages)[job.stage]
        limits = Limits(job.memory, job.seconds)
        match job.work:
            case Work.OFFER:
                return exchange.offer(stage)
            case Work.FETCH:
                return exchange.fetch(stage)
            case Work.SERVE:
                return exchange.serve(stage, limits, descriptors)
        return reproduce.reproduce(stage, limits, descriptors)

    def _reap(self) -> None:
        while self._running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            self._running.discard(pid)
            processes.end_session(pid)
            self._tell(ended=pid, code=os.waitstatus_to_exitcode(status))

    def _tell(self, **message: int) -> None:
        try:
            self._connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            return  # the flow is gone: nobody wants to know


def _log_to(log: Path, append: bool) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab" if append else "wb") as file, open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


if __name__ == "__main__":
    main()
