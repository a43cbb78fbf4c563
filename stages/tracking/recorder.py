"""The process beside the stages that writes their runs to MLflow.

It reads the files of one folder (`stages.tracking.spool`): one JSON event a line, first ``start``, then ``metrics``,
``tags`` and ``artifact``, then ``end``. The first stage starts it, those after it find it warm, and it goes when
there has been nothing to do for a while; not meant to be run by hand.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from stages.tracking import lineage, nesting, service, spool, store
from stages.tracking.spool import Event

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Metric, Param, RunTag

T = TypeVar("T")

FLUSH = 2.0
"""Seconds for which events are gathered into one write to the store."""

IDLE = 10.0
"""Seconds without a run after which the recorder goes; between two stages of `dvc repro` lie one or two."""

POLL = 0.1
"""Seconds between two looks into the folder."""

POLITENESS = 5
"""How much the recorder's own work stands back behind the stages'."""

DIGEST = 36
"""Characters that MLflow keeps of a dataset's digest."""

MAX_METRICS, MAX_OTHERS = 1000, 100
"""What MLflow takes in one batch."""


def main() -> None:
    """Record the runs of the folder that is named, until there are none for a while."""
    folder = Path(sys.argv[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(POLITENESS)
    with service.claimed(folder) as is_ours:
        if is_ours:
            _record_all(folder)
            for warning in folder.glob(f"*{spool.WARNING}"):
                warning.unlink()  # nobody waits for them any more


def _record_all(folder: Path) -> None:
    recorders: dict[Path, Recorder] = {}
    busy = time.monotonic()
    while time.monotonic() < busy + IDLE:
        for path in sorted(folder.glob(f"*{spool.SUFFIX}")):
            if path not in recorders:
                recorders[path] = Recorder(spool.Reader(path))
        for path, recorder in list(recorders.items()):
            busy = time.monotonic()
            if recorder.work():
                del recorders[path]
        time.sleep(POLL)


class Recorder:
    """One MLflow run. A store that fails costs one warning and what could not be written."""

    def __init__(self, reader: spool.Reader) -> None:
        self._reader = reader
        self._events: list[Event] = reader.read()
        self._start = self._events[0]
        self._process = self._start["tags"]["process"]
        self._warned = False
        self._written = 0.0
        self._run_id = ""
        with self._tolerant():
            self._open(self._start)

    def work(self) -> bool:
        """Write what has come, if it is time; whether the run has ended."""
        gone = lineage.is_dead(self._process)  # before the last look, so that no line is missed
        self._events += self._reader.read()
        ended = any(event["event"] == "end" for event in self._events)
        if gone and not ended:
            self._events.append(spool.event("end", status="KILLED"))
            ended = True
        if self._events and (ended or time.monotonic() > self._written + FLUSH):
            self._write(self._events)
            self._events, self._written = [], time.monotonic()
        if ended:
            self._reader.remove()
        return ended

    def _write(self, batch: list[Event]) -> None:
        """Write a batch of events, all metrics and tags in one go."""
        if not self._run_id:
            return
        with self._tolerant():
            self._log(_metrics(batch), tags=_tags(batch))
        for event in batch:
            with self._tolerant():
                if event["event"] == "artifact":
                    self._client.log_artifact(self._run_id, event["path"])
                elif event["event"] == "end":
                    self._tag(self._note())
                    self._client.set_terminated(self._run_id, event["status"], event["time"])

    def _open(self, start: Event) -> None:
        from mlflow.entities import Param

        self._client = store.connect()
        store.reconcile(self._client)
        self._run_id = start["run_id"] or self._create(start)
        self._client.update_run(self._run_id, status="RUNNING", name=start["name"])
        self._log(params=[Param(*item) for item in start["params"].items()])
        self._tag(nesting.parent(self._client, start["above"]) if start["above"] else self._note())
        self._client.log_inputs(self._run_id, datasets=_datasets(start["tags"]))

    def _note(self) -> dict[str, str]:
        """What leads from a pipeline to the runs beneath it, in the experiments that there are by now."""
        name = self._start["tags"].get(nesting.TAG) if self._start["kind"] == nesting.KIND else None
        return nesting.note(self._client, name) if name else {}

    def _tag(self, tags: dict[str, str]) -> None:
        self._log(tags=_tags([{"tags": tags}]))

    def _create(self, start: Event) -> str:
        experiment = store.experiment(self._client, start["kind"])
        return str(self._client.create_run(experiment, start_time=start["time"], tags=start["tags"]).info.run_id)

    def _log(self, metrics: Sequence[Metric] = (), params: Sequence[Param] = (), tags: Sequence[RunTag] = ()) -> None:
        for some_metrics in _batched(metrics, MAX_METRICS):
            self._client.log_batch(self._run_id, metrics=some_metrics, synchronous=True)
        for some_params in _batched(params, MAX_OTHERS):
            self._client.log_batch(self._run_id, params=some_params, synchronous=True)
        for some_tags in _batched(tags, MAX_OTHERS):
            self._client.log_batch(self._run_id, tags=some_tags, synchronous=True)

    @contextmanager
    def _tolerant(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever a store may raise, the stage goes on
            if not self._warned:
                reason = str(error).partition("\n")[0]
                self._reader.warn(f"{store.uri()} lost a part of it: {reason}")
            self._warned = True


def _datasets(tags: dict[str, str]) -> list[DatasetInput]:
    """The data that a stage reads, by its hashes; what is too long for MLflow's digest is cut."""
    from mlflow.entities import Dataset, DatasetInput

    data = {name.removeprefix("input."): value for name, value in tags.items() if name.startswith("input.data/")}
    return [
        DatasetInput(Dataset(name=name, digest=digest[:DIGEST], source_type="local", source=json.dumps({"uri": name})))
        for name, digest in data.items()
    ]


def _metrics(batch: list[Event]) -> list[Metric]:
    from mlflow.entities import Metric

    return [
        Metric(key, value, event["time"], event["step"])
        for event in batch
        if event["event"] == "metrics"
        for key, value in event["values"].items()
    ]


def _tags(batch: list[Event]) -> list[RunTag]:
    from mlflow.entities import RunTag

    return [RunTag(*item) for event in batch for item in event.get("tags", {}).items()]


def _batched(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """`items` in pieces of at most `size`."""
    for first in range(0, len(items), size):
        yield items[first : first + size]


if __name__ == "__main__":
    main()
