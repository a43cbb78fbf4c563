"""The default graph from raw text to report: two stages at a time by the flow, and one after the other by `dvc repro`.

Each time in a fresh clone of the checked-out commit with an empty cache of its own, one thread to a stage, the two
taking turns; both must leave the same `dvc.lock`. What is downloaded comes before the clock starts.
"""

from __future__ import annotations

import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from stages import paths
from stages.artifacts import atomic_file

OURS, PEER = ("flows", "run", "--workers", "2"), ("dvc", "repro")
"""What each runs, as a module."""

HEADER = ("subject", "peer", "figure", "unit", "value", "ratio", "deviation", "peer_value", "peer_deviation")


def measure(turns: int, flops: float | None) -> Path:
    """Measure, print, and write reports/benchmarks/flows.csv, in which a ratio is our seconds by the peer's."""
    seconds: dict[tuple[str, ...], list[float]] = {PEER: [], OURS: []}
    for turn in range(turns):
        locks = set()
        for module in (PEER, OURS) if turn % 2 == 0 else (OURS, PEER):
            took, lock = _timed(module, flops)
            seconds[module].append(took)
            locks.add(lock)
            print(f"python -m {' '.join(module)}: {took:.0f} s", flush=True)
        if len(locks) > 1:
            raise SystemExit("the two have left different lock files: their times do not compare")
    target = paths.REPORTS / "benchmarks" / "flows.csv"
    with atomic_file(target) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows((HEADER, _row(seconds[OURS], seconds[PEER], flops)))
    return target


def _row(ours: list[float], peers: list[float], flops: float | None) -> tuple[str, ...]:
    figure = "default graph" + (f" at {flops:.0e} FLOPs" if flops else "") + ", one thread a stage"
    ratio = statistics.median(one / two for one, two in zip(ours, peers, strict=True))
    means, spreads = zip(*((statistics.mean(took), _spread(took)) for took in (ours, peers)), strict=True)
    return (
        "flow, two stages at a time", "dvc repro", figure, "s",
        f"{means[0]:.0f}", f"{ratio:.2f}", spreads[0], f"{means[1]:.0f}", spreads[1],
    )  # fmt: skip


def _spread(took: list[float]) -> str:
    """Empty of a single turn."""
    return f"{statistics.stdev(took):.0f}" if len(took) > 1 else ""


def _timed(module: tuple[str, ...], flops: float | None) -> tuple[float, bytes]:
    """Seconds of a run in a new clone, and the lock file that it leaves."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(paths.ROOT), str(root)], check=True)
        _set(root / "params.yaml", flops)
        environment = _environment(Path(folder))
        _run(root, environment, "dvc", "repro", "download")
        since = time.perf_counter()
        _run(root, environment, *module)
        took = time.perf_counter() - since
        _run(root, environment, "dvc", "status", "--quiet")
        return took, (root / "dvc.lock").read_bytes()


def _set(file: Path, flops: float | None) -> None:
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    content["engine"]["threads"] = 1
    if flops:
        content["pretrain"]["budget"] = {"flops": flops}
    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _environment(folder: Path) -> dict[str, str]:
    """One that leads to nothing outside the clone: no server, no store, no locks of other flows' devices."""
    led = ("PREFECT_", "MLFLOW_", "DVC_", "PYTHONPATH")
    own = {name: value for name, value in os.environ.items() if not name.startswith(led)}
    return own | {"TMPDIR": str(folder), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def _run(root: Path, environment: dict[str, str], *module: str) -> None:
    done = subprocess.run([sys.executable, "-m", *module], cwd=root, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(module)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
