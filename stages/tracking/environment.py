"""On what a stage runs, and what it takes of it; none of this is part of any output."""

from __future__ import annotations

import os
import platform
import resource
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

LIBRARIES = ("torch", "transformers", "tokenizers", "datasets", "peft", "mlflow", "dvc", "prefect")
STATUS, PROCESSOR = Path("/proc/self/status"), Path("/proc/cpuinfo")
ENERGY = Path("/sys/class/powercap/intel-rapl:0/energy_uj")
"""Microjoules that the processor has taken since it started, where Linux tells them; all processes together."""


def tags() -> dict[str, str]:
    """Versions and the device; the GPU only if the stage itself has looked for one."""
    found = {f"environment.{name}": metadata.version(name) for name in LIBRARIES}
    found |= {"environment.python": platform.python_version(), "environment.platform": platform.platform()}
    processes = os.environ.get("WORLD_SIZE", "1")  # as torchrun tells those that it starts
    return found | {"device": _processor(), "device.cores": str(_cores()), "device.processes": processes}


def gpu() -> dict[str, str]:
    """The GPU that was computed on, asked only where torch was imported for the stage's own sake."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return {}
    return {"device": torch.cuda.get_device_name(), "device.count": str(torch.cuda.device_count())}


class Meter:
    """What the process takes from now on."""

    def __init__(self) -> None:
        self._started, self._energy = time.monotonic(), _energy()

    def read(self) -> Mapping[str, float]:
        """Seconds, those of all processors together, the most memory held at once, and energy where it is told."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        found = {
            "system/seconds": time.monotonic() - self._started,
            "system/cpu_seconds": used.ru_utime + used.ru_stime,
            "system/peak_memory_bytes": float(peak_memory()),
        }
        if self._energy is not None and (now := _energy()) is not None and now >= self._energy:
            found["system/machine_energy_joules"] = (now - self._energy) / 1e6
        return found


def _cores() -> int:
    """Those that this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = PROCESSOR.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _energy() -> float | None:
    try:
        return float(ENERGY.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def peak_memory() -> int:
    """The most bytes that this process has held at once; Linux's getrusage counts what its parent had at its start."""
    try:
        fields = dict(line.split(":", 1) for line in STATUS.read_text(encoding="ascii").splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most * (1 if sys.platform == "darwin" else 1024)
