"""The GPUs and cores that stages run on, leased by file locks that outlive the flow.

A lease is one lock file for each device. Its descriptors are passed on to the stage, and a lock lasts until the last
process that has a descriptor is gone: a flow that is killed frees nothing that is still in use, and two flows on one
machine, whatever they run, never share a device. GPUs are those that ``CUDA_VISIBLE_DEVICES`` lets the flow see.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stages.training import launch

VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Lease:
    """What one stage may use.

    Attributes:
        gpus: as ``CUDA_VISIBLE_DEVICES`` names them.
        cores: numbers of places, one for each core that is to be busy.
        descriptors: of the locks, to be passed on.
    """

    gpus: tuple[str, ...]
    cores: tuple[str, ...]
    descriptors: tuple[int, ...]

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which a stage sees its own GPUs and no others, and is a process on each."""
        return {VISIBLE: ",".join(self.gpus), launch.PROCESSES: str(max(1, len(self.gpus)))}


NOTHING = Lease((), (), ())
"""What a stage needs here that is made on another machine."""


class Devices:
    """All devices of this machine that a flow may use."""

    def __init__(self, gpus: Sequence[str], cores: int) -> None:
        self._gpus = tuple(gpus)
        self._cores = tuple(str(number) for number in range(cores))

    @classmethod
    def found(cls, workers: int) -> Devices:
        """Those of this machine: at least as many places as `workers`, which may be more than there are cores."""
        return cls(_visible_gpus(), max(workers, len(os.sched_getaffinity(0))))

    @property
    def gpus(self) -> int:
        """How many GPUs there are."""
        return len(self._gpus)

    @property
    def cores(self) -> int:
        """How many places for busy cores there are."""
        return len(self._cores)

    def take(self, gpus: int, cores: int) -> Lease | None:
        """Lease that many devices, all or none: without a GPU in the machine none are needed, nor more than all cores.

        None if they are not free now.
        """
        wanted_gpus, wanted_cores = min(gpus, self.gpus), min(cores, self.cores)
        locks = {**_lock("gpu", self._gpus, wanted_gpus), **_lock("cpu", self._cores, wanted_cores)}
        if len(locks) < wanted_gpus + wanted_cores:
            _close(locks.values())
            return None
        taken = {kind: tuple(name for at, name in locks if at == kind) for kind in ("gpu", "cpu")}
        return Lease(taken["gpu"], taken["cpu"], tuple(locks.values()))

    def give_back(self, lease: Lease) -> None:
        """End the flow's part in a lease; a stage that still runs keeps its own."""
        _close(lease.descriptors)


def _lock(kind: str, names: Sequence[str], count: int) -> dict[tuple[str, str], int]:
    """Lock up to `count` devices that nobody holds."""
    taken: dict[tuple[str, str], int] = {}
    for name in names:
        if len(taken) == count:
            break
        descriptor = os.open(_folder() / f"{kind}-{re.sub(r'[^A-Za-z0-9-]', '-', name)}.lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            taken[kind, name] = descriptor
        except BlockingIOError:
            os.close(descriptor)
    return taken


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _folder() -> Path:
    """One for this user and machine, so that flows of several workspaces know of each other."""
    folder = Path(tempfile.gettempdir()) / f"flow-devices-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _visible_gpus() -> list[str]:
    """What ``CUDA_VISIBLE_DEVICES`` lists, or all that the driver has. Asking torch would take seconds."""
    if (visible := os.environ.get(VISIBLE)) is not None:
        return [name for name in visible.split(",") if name]
    if not shutil.which("nvidia-smi"):
        return []
    query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    listed = subprocess.run(query, capture_output=True, text=True, check=False)
    return listed.stdout.split() if not listed.returncode else []
