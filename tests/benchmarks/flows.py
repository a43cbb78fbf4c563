"""What a flow adds to each stage: hundreds of stages that do nothing, by the flow and, some of them, by `dvc repro`.

    python -m tests.benchmarks.flows                                 500 stages, two at a time
    python -m tests.benchmarks.flows --stages 100
    python -m tests.benchmarks.flows --graph                         what a flow saves of the default graph, in hours
    python -m tests.benchmarks.flows --graph --flops 1e12 --turns 1  with less pre-training, once

A stage's overhead is the wall time of the whole flow, its start with a Prefect server of its own included, times the
stages at a time, by stages: an upper bound, for the commands themselves are in it. With ``--graph`` the whole graph is
run by both (`tests.benchmarks.default_graph`), and reports/benchmarks/flows.csv is written.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from stages import command, paths
from tests.benchmarks import default_graph

WORKERS = 2
SERIAL = 20
"""Stages that `dvc repro` is measured with: its cost grows with the square of their number."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure both and print a table."""
    parser = command.parser("tests.benchmarks.flows", __doc__)
    parser.add_argument("--stages", type=int, default=500, help="that do nothing; default: 500")
    parser.add_argument("--graph", action="store_true", help="measure the default graph instead")
    parser.add_argument("--flops", type=float, help="of each pre-training in it, instead of those of params.yaml")
    parser.add_argument("--turns", type=int, default=3, help="of both in it; default: 3")
    options = parser.parse_args(arguments)
    if options.graph:
        print(default_graph.measure(options.turns, options.flops).read_text(encoding="utf-8"), end="")
        return
    with tempfile.TemporaryDirectory() as folder:
        flow = measure(Path(folder) / "flow", options.stages, "flows", "run", "--workers", str(WORKERS))
        serial = measure(Path(folder) / "serial", SERIAL, "dvc", "repro")
        first = measure(Path(folder) / "flow-again", SERIAL, "flows", "run", "--workers", str(WORKERS))
    print(f"flow, {options.stages} stages: {flow:.1f} s, {WORKERS * flow / options.stages:.3f} s a stage and worker")
    print(f"flow, {SERIAL} stages: {first:.1f} s")
    print(f"dvc repro, {SERIAL} stages: {serial:.1f} s, {serial / SERIAL:.3f} s a stage")


def measure(root: Path, stages: int, *module: str) -> float:
    """Seconds that ``python -m module`` takes in a new project of so many trivial stages; it must leave all done."""
    environment = {**os.environ, "PYTHONPATH": str(paths.ROOT), "PREFECT_HOME": str(root / ".state" / "prefect")}
    environment |= {"TMPDIR": str(root.parent), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment.pop("PREFECT_API_URL", None)
    project(root, stages, environment)
    since = time.perf_counter()
    _run(root, environment, *module)
    took = time.perf_counter() - since
    _run(root, environment, "dvc", "status", "--quiet")
    shutil.rmtree(root)
    return took


def project(root: Path, stages: int, environment: dict[str, str]) -> None:
    """Ten chains of stages that write a word."""
    root.mkdir()
    made = {}
    for number in range(stages):
        before = f"o{number - 10}" if number >= 10 else "source"
        made[f"s{number}"] = {"cmd": f"echo {number} > o{number}", "deps": [before], "outs": [f"o{number}"]}
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": made}))
    (root / "source").write_text("x")
    (root / ".gitignore").write_text("/o*\n")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    _run(root, environment, "dvc", "init", "-q")


def _run(root: Path, environment: dict[str, str], *module: str) -> None:
    done = subprocess.run([sys.executable, "-m", *module], cwd=root, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(module)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


if __name__ == "__main__":
    command.run(main)
