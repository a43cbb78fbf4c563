"""MLflow for stages: what a stage did, on which bytes, and how it ended.

    with tracking.run(kind="pretrain", name="pretrain · mlm · seed 0", params=params.model_dump(),
                      tags={"objective": "mlm"}, inputs=[packed], outputs=[model]) as run:
        run.log({"loss": 4.2}, step=100)
        run.summary({"validation.loss": 4.1})

MLflow takes seconds to import and its store may be busy, full or far away. So a second process, the recorder, does
everything that needs MLflow, for one stage after the other; `log` only adds a line to a file that the recorder reads
(`stages.tracking.spool`). A stage waits at its end until its run is in the store. If a stage dies without a word
(SIGKILL, out of memory), the recorder ends its run as KILLED. If tracking fails, one warning goes to stderr and the
stage goes on: its result is worth more than its log.

The store is ``.state/mlflow.db``, or what ``MLFLOW_TRACKING_URI`` names. ``MLFLOW_RUN_ID`` continues an existing run
instead of making one.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.tracking import environment, lineage, service, spool

PATIENCE = 60
"""Seconds that a finished stage waits until its run is recorded before it leaves the recorder to it."""

POLL, LOOK_AFTER = 0.02, 1.0
"""Seconds between two looks whether the run is recorded, and whether there still is a recorder."""


class Run:
    """One run of a stage, as the stage sees it."""

    def __init__(self, start: spool.Event) -> None:
        self._last_step = 0
        self._warned = False
        self._writer: spool.Writer | None = None
        try:
            self._writer = spool.Writer(spool.folder(), start)
            service.start(self._writer.path.parent)
        except OSError as error:
            self._warn(str(error))

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
        if self._writer:
            try:
                self._writer.write(spool.event(event, **content))
            except OSError as error:
                self._warn(str(error))

    def _end(self, status: str, patience: float) -> None:
        self._send("end", status=status)
        if self._writer is None:
            return
        if not _wait(self._writer, patience) and patience:
            self._warn(f"the store did not answer within {patience:.0f} s")
        if reason := self._writer.warning():
            self._warn(reason)
        self._writer.close()

    def _warn(self, reason: str) -> None:
        if not self._warned:
            print(f"warning: this run may be missing in MLflow: {reason}", file=sys.stderr)
        self._warned = True


def _wait(writer: spool.Writer, patience: float) -> bool:
    """Whether the run was recorded in time; a recorder that died is replaced."""
    deadline = time.monotonic() + patience
    looked = time.monotonic()
    while not writer.is_recorded and time.monotonic() < deadline:
        time.sleep(POLL)
        if time.monotonic() - looked > LOOK_AFTER:
            service.start(writer.path.parent)
            looked = time.monotonic()
    return writer.is_recorded


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
    described |= lineage.hashes("input", inputs) | environment.tags()
    meter = environment.Meter()
    continued = os.environ.get("MLFLOW_RUN_ID", "")
    run = Run(spool.event("start", kind=kind, name=name, params=_flat(params), tags=described, run_id=continued))
    try:
        yield run
        run.summary(meter.read())
        run._send("tags", tags=lineage.hashes("output", outputs) | environment.gpu())
    except KeyboardInterrupt:
        run._end("KILLED", patience=0)
        raise
    except BaseException as error:
        run._send("tags", tags={"error": f"{type(error).__name__}: {error}"})
        run._end("FAILED", PATIENCE)
        raise
    run._end("FINISHED", PATIENCE)


def _flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = str(value)
    return flat
