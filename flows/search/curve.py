"""What a trial has reached: its curve while the stage still runs, and its value once it has ended."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flows.search.space import Goal
from stages import artifacts
from stages.errors import StageError
from stages.tracking import spool


class GoalError(StageError):
    """What trials are judged by is not there, or is not to be judged by: that is so of all of them."""


class LiveCurve:
    """The points that a stage has told of itself so far, read where its recorder reads them too.

    Only runs that begin after this object was made count: what an earlier trial has left there may not be read yet.
    """

    def __init__(self, root: Path, stage: str, metric: str) -> None:
        self._folder = root / ".state" / "tracking"
        self._stage, self._metric = stage, metric
        self._since = time.time_ns() // 1_000_000
        self._readers: dict[Path, spool.Reader | None] = {}

    def read(self) -> Iterator[tuple[int, float]]:
        """The points that came since the last call: the step of the training, and the value."""
        for path in sorted(self._folder.glob(f"*/*{spool.SUFFIX}")):
            if path not in self._readers:
                self._readers[path] = _opened(path)
        for path, reader in self._readers.items():
            for event in reader.read() if reader else ():
                if event["event"] == "start" and not self._is_meant(event):
                    self._readers[path] = None
                    break
                if event["event"] == "metrics" and self._metric in event["values"]:
                    yield event["step"], event["values"][self._metric]

    def _is_meant(self, start: spool.Event) -> bool:
        return start["tags"].get("dvc.stage") == self._stage and start["time"] >= self._since


def points(root: Path, goal: Goal) -> list[float]:
    """The whole curve that a stage has written, without rows that lack the column.

    Raises:
        GoalError: there is no such file or column, or no point in it.
    """
    file = root / goal.file
    try:
        with file.open(newline="", encoding="utf-8") as opened:
            rows = list(csv.DictReader(opened))
    except FileNotFoundError:
        raise GoalError(f"goal.file: {goal.file} is not there after the trial's run") from None
    found = [float(row[goal.key]) for row in rows if row.get(goal.key)]
    if not found:
        columns = ", ".join(rows[0]) if rows else "nothing"
        raise GoalError(f"goal.key: {goal.file} has no column {goal.key!r} with a value in it; it has: {columns}")
    return found


def value(root: Path, goal: Goal) -> float:
    """What a trial has reached in the end.

    Raises:
        GoalError: it is not there, is no number, or was not measured on validation.
        StageError: it is not finite.
    """
    if goal.point == "last":
        found = points(root, goal)[-1]
    elif goal.is_curve:
        found = (max if goal.direction == "maximize" else min)(points(root, goal))
    else:
        found = _metric(root, goal)
    if not math.isfinite(found):
        raise StageError(f"{goal.file}: {goal.key} is {found}, which is no result")
    return found


def _metric(root: Path, goal: Goal) -> float:
    where = f"goal: {goal.file}"
    try:
        content = artifacts.read_json(root / goal.file)
    except StageError as error:
        raise GoalError(f"goal.file: {error}") from None
    if not isinstance(content, dict) or not (content.get("split") == VALIDATION or goal.key.startswith(VALIDATION)):
        raise GoalError(f"{where} does not say `split: validation`, and nothing may be chosen by the test split")
    found: Any = content
    for part in goal.key.split("."):
        if not (isinstance(found, dict) and part in found):
            known = f"it has: {', '.join(found)}" if isinstance(found, dict) else "nothing is under it"
            raise GoalError(f"{where} has no key {goal.key}: {part!r} is not there; {known}")
        found = found[part]
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise GoalError(f"{where}: {goal.key} is no number")
    return float(found)


VALIDATION = "validation"
"""What a metric's file says as its ``split``, or the key under which a file of several splits has these figures."""


def _opened(path: Path) -> spool.Reader | None:
    """None if the run was recorded, and its file removed, since it was listed."""
    try:
        return spool.Reader(path)
    except FileNotFoundError:
        return None
