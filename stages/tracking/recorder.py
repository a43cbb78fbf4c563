"""The process beside a stage that writes its run to MLflow.

Reads one JSON event a line from stdin: ``start``, then ``metrics``, ``tags`` and ``artifact``, then
``end``. Started by `stages.tracking.run`; not meant to be run by hand.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from stages.tracking import store

if TYPE_CHECKING:
    from mlflow.entities import Metric, Param, RunTag

T = TypeVar("T")

FLUSH = 2.0
"""Seconds for which events are gathered into one write to the store."""

POLITENESS = 5
"""How much the recorder's own work (three to five processor seconds) stands back behind the stage's."""

MAX_METRICS, MAX_OTHERS = 1000, 100
"""What MLflow takes in one batch."""

Event = dict[str, Any]
Events = SimpleQueue[Event]


def main() -> None:
    """Record the run that stdin tells of."""
    _outlive_the_stage()
    os.nice(POLITENESS)
    events: Events = SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin, events), daemon=True).start()
    start = events.get()
    if start["event"] != "start":
        return
    recorder = Recorder(start)
    for batch in _batches(events):
        recorder.write(batch)


def _outlive_the_stage() -> None:
    """Ctrl-C and SIGTERM reach the stage's whole group; the recorder has its run to end first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _read(stream: TextIO, events: Events) -> None:
    """Empty the pipe at all times, so that the stage never waits; its sudden end is an ``end`` too."""
    for line in stream:
        events.put(json.loads(line))
    events.put({"event": "end", "status": "KILLED", "time": time.time_ns() // 1_000_000})


def _batches(events: Events) -> Iterator[list[Event]]:
    """What came within `FLUSH` seconds after a first event, again and again; ``end`` ends it at once."""
    while True:
        batch = [events.get()]
        deadline = time.monotonic() + FLUSH
        while batch[-1]["event"] != "end":
            try:
                batch.append(events.get(timeout=max(0.0, deadline - time.monotonic())))
            except Empty:
                break
        yield batch
        if batch[-1]["event"] == "end":
            return


class Recorder:
    """One MLflow run. A store that fails costs one warning and what could not be written."""

    def __init__(self, start: Event) -> None:
        self._warned = False
        self._run_id = ""
        with self._tolerant():
            self._open(start)

    def write(self, batch: list[Event]) -> None:
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
                    self._client.set_terminated(self._run_id, event["status"], event["time"])

    def _open(self, start: Event) -> None:
        from mlflow.entities import Param

        self._client = store.connect()
        store.reconcile(self._client)
        self._run_id = os.environ.get("MLFLOW_RUN_ID") or self._create(start)
        self._client.update_run(self._run_id, status="RUNNING", name=start["name"])
        self._log(params=[Param(*item) for item in start["params"].items()], tags=_tags([start]))

    def _create(self, start: Event) -> str:
        experiment = store.experiment(self._client, start["kind"])
        return str(self._client.create_run(experiment, start_time=start["time"]).info.run_id)

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
                print(f"warning: MLflow ({store.uri()}) lost a part of this run: {reason}", file=sys.stderr)
            self._warned = True


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
