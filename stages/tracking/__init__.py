"""MLflow for stages: what a stage did, on which bytes, and how it ended.

    with tracking.run(kind="pretrain", name="pretrain · mlm · seed 0", params=params.model_dump(),
                      tags={"objective": "mlm"}, inputs=[packed], outputs=[model]) as run:
        run.log({"loss": 4.2}, step=100)
        run.summary({"validation.loss": 4.1})

MLflow takes seconds to import and its store may be busy, full or far away. So a second process,
the recorder, does everything that needs MLflow while the stage works; `log` only writes a line to
its pipe. A stage that dies without a word (SIGKILL, out of memory) closes the pipe, and the
recorder ends its run as KILLED. If tracking fails, one warning goes to stderr and the stage goes
on: its result is worth more than its log.

The store is ``.state/mlflow.db``, or what ``MLFLOW_TRACKING_URI`` names. ``MLFLOW_RUN_ID`` continues
an existing run instead of making one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages import paths
from stages.tracking import lineage

PATIENCE = 60
"""Seconds that a finished stage waits for its recorder before it leaves it to end by itself."""


class Run:
    """One run of a stage, as the stage sees it."""

    def __init__(self, recorder: subprocess.Popen[str]) -> None:
        self._recorder = recorder
        self._last_step = 0
        self._lost = False

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Add one point to each metric's curve. Costs microseconds; call it as often as you like."""
        self._last_step = max(self._last_step, step)
        values = {key: float(value) for key, value in metrics.items()}
        self._send("metrics", values=values, step=step)

    def summary(self, metrics: Mapping[str, float]) -> None:
        """Record final values; in a curve of the same name they are its last point."""
        self.log(metrics, self._last_step)

    def artifact(self, path: Path) -> None:
        """Keep a copy of a small file (a figure, a table) with the run."""
        self._send("artifact", path=str(path.resolve()))

    def _send(self, event: str, **content: Any) -> None:
        line = json.dumps({"event": event, "time": time.time_ns() // 1_000_000, **content})
        assert self._recorder.stdin is not None
        try:
            self._recorder.stdin.write(line + "\n")
            self._recorder.stdin.flush()
        except OSError:
            self._warn("its recorder ended early")

    def _end(self, status: str, patience: float) -> None:
        self._send("end", status=status)
        try:
            self._recorder.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            if patience:
                self._warn(f"the store did not answer within {patience:.0f} s")

    def _warn(self, reason: str) -> None:
        if not self._lost:
            print(f"warning: this run may be missing in MLflow: {reason}", file=sys.stderr)
        self._lost = True


@contextmanager
def run(
    kind: str,
    name: str,
    params: Mapping[str, Any],
    tags: Mapping[str, Any],
    inputs: Sequence[Path],
    outputs: Sequence[Path],
) -> Iterator[Run]:
    """Record the block as an MLflow run named `name` in the experiment `kind`.

    Args:
        params: may be nested; keys are joined with dots.
        tags: what the run is found by (objective, task, seed, …); lineage tags are added.
        inputs: files and folders, hashed as `dvc.lock` does before the block, so that an edit made
            meanwhile cannot pass for what was used.
        outputs: hashed after the block, if it succeeds.

    The run ends as FINISHED, as FAILED if the block raises, as KILLED if it is interrupted; what the
    block raises is raised on.
    """
    described = {**{key: str(value) for key, value in tags.items()}, **lineage.origin()}
    described |= lineage.hashes("input", inputs)
    run = Run(_start_recorder())
    run._send("start", kind=kind, name=name, params=_flat(params), tags=described)
    try:
        yield run
        run._send("tags", tags=lineage.hashes("output", outputs))
    except KeyboardInterrupt:
        run._end("KILLED", patience=0)
        raise
    except BaseException as error:
        run._send("tags", tags={"error": f"{type(error).__name__}: {error}"})
        run._end("FAILED", PATIENCE)
        raise
    run._end("FINISHED", PATIENCE)


def _start_recorder() -> subprocess.Popen[str]:
    """Start the recorder in the stage's process group, so that who ends the group ends it too."""
    search_path = os.pathsep.join(filter(None, [str(paths.ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-m", "stages.tracking.recorder"],
        stdin=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": search_path},
    )


def _flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = str(value)
    return flat
