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
instead of making one; ``PIPELINE_RUN_ID`` puts it beneath another one (`stages.tracking.nesting`).
"""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.tracking import environment, lineage, nesting, service, spool

PATIENCE = 60
"""Seconds that a finished stage waits until its run is recorded before it leaves the recorder to it."""

HELD_OUT, FLOPS, OVER_FLOPS, GIGA = "validation.", "validation.flops", "over gigaflops/", 1e9
"""Names of metrics: what they begin with on held-out data, the cost so far, and the curves over it, in its unit."""

POLL, LOOK_AFTER = 0.02, 1.0
"""Seconds between two looks whether the run is recorded, and whether there still is a recorder."""


class Run:
    """One run of a stage, as the stage sees it."""

    def __init__(self, start: spool.Event, waits: bool = True) -> None:
        """With `waits` it starts a recorder, and waits for it at its end; else it leaves both to other runs."""
        self._last_step = 0
        self._status = "FINISHED"
        self._waits, self._warned = waits, False
        self._writer: spool.Writer | None = None
        try:
            self._writer = spool.Writer(spool.folder(), start)
            if waits:
                service.start(self._writer.path.parent)
        except OSError as error:
            self._warn(str(error))

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Add one point to each metric's curve. Costs microseconds; call it as often as you like.

        What is said of validation with its FLOPs goes into a second curve over these, for MLflow draws all runs over
        one axis, and that is of steps.
        """
        self._last_step = max(self._last_step, step)
        values = {key: float(value) for key, value in metrics.items()}
        self._send("metrics", values=values, step=step)
        if FLOPS in values:
            told = [key for key in values if key.startswith(HELD_OUT) and key != FLOPS]
            over = {OVER_FLOPS + key.removeprefix(HELD_OUT): values[key] for key in told}
            self._send("metrics", values=over, step=round(values[FLOPS] / GIGA))

    def summary(self, metrics: Mapping[str, float]) -> None:
        """Record final values; in a curve of the same name they are its last point."""
        self.log(metrics, self._last_step)

    def artifact(self, path: Path) -> None:
        """Keep a copy of a small file (a figure, a table) with the run."""
        self._send("artifact", path=str(path.resolve()))

    def fail(self, reason: str) -> None:
        """Have it end as FAILED."""
        self._status = "FAILED"
        self._send("tags", tags={"error": reason})

    def _send(self, event: str, **content: Any) -> None:
        if self._writer:
            try:
                self._writer.write(spool.event(event, **content))
            except OSError as error:
                self._warn(str(error))

    def _end(self) -> None:
        self._send("end", status=self._status)
        if self._writer is None:
            return
        patience = PATIENCE if self._waits and self._status != "KILLED" else 0
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
    described |= lineage.hashes("input", inputs) | environment.tags() | nesting.tags()
    meter = environment.Meter()
    continued = os.environ.get("MLFLOW_RUN_ID", "")
    start = spool.event("start", kind=kind, name=name, params=_flat(params), tags=described, run_id=continued)
    with _recorded(Run(start | {"above": nesting.above()})) as run:
        yield run
        run.summary(meter.read())
        run._send("tags", tags=lineage.hashes("output", outputs) | environment.gpu())


@contextmanager
def pipeline(name: str, params: Mapping[str, Any]) -> Iterator[Run]:
    """Record the block as the run above those of the stages that it starts, in the experiment ``pipeline``.

    It costs the block nothing: what the first of these stages starts writes it, and nobody waits for that. In a trial
    it is one more run beneath that of the trial.
    """
    above, own = nesting.above(), uuid.uuid4().hex
    described = lineage.origin() | ({} if above else {nesting.TAG: own})
    start = spool.event("start", kind=nesting.KIND, name=name, params=_flat(params), tags=described, run_id="")
    run = Run(start | {"above": above}, waits=False)
    os.environ.setdefault(nesting.VARIABLE, own)
    try:
        with _recorded(run):
            yield run
    finally:
        if not above:
            del os.environ[nesting.VARIABLE]


@contextmanager
def _recorded(run: Run) -> Iterator[Run]:
    """End `run` as the block ends."""
    try:
        yield run
    except KeyboardInterrupt:
        run._status = "KILLED"
        raise
    except BaseException as error:
        run.fail(f"{type(error).__name__}: {error}")
        raise
    finally:
        run._end()


def _flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = str(value)
    return flat
