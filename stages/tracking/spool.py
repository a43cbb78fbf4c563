"""The folder through which stages speak to the recorder: one file of JSON lines for each run.

A file begins with the run's ``start`` and is removed by the recorder once the run's ``end`` is in the store: a file
that is there tells of a run that is not recorded in full yet. A stage that dies leaves its file, and nothing is lost.
What went wrong while a run was recorded stands beside its file, for the stage to say.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

from stages import paths

SUFFIX, WARNING = ".jsonl", ".warning"

Event = dict[str, Any]


def folder() -> Path:
    """Shared by the stages of one MLflow environment, that is one store and one set of credentials."""
    settings = {key: value for key, value in os.environ.items() if key.startswith("MLFLOW_")}
    settings.pop("MLFLOW_RUN_ID", None)
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    return paths.STATE / "tracking" / key[:16]


def event(name: str, /, **content: Any) -> Event:
    """What happened, and now."""
    return {"event": name, "time": time.time_ns() // 1_000_000, **content}


class Writer:
    """A run's file, from the stage's side; it appears with its first event already in it."""

    def __init__(self, place: Path, start: Event) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self.path = place / f"{time.time_ns()}-{os.getpid()}{SUFFIX}"
        hidden = self.path.with_suffix(".new")
        self._file = hidden.open("w", encoding="utf-8")
        self.write(start)
        hidden.rename(self.path)

    def write(self, happened: Event) -> None:
        """Append an event; it is out of this process's hands when this returns."""
        self._file.write(json.dumps(happened) + "\n")
        self._file.flush()

    @property
    def is_recorded(self) -> bool:
        """Whether the recorder is done with this run."""
        return not self.path.exists()

    def warning(self) -> str:
        """What went wrong while it was recorded; empty if nothing did."""
        file = self.path.with_suffix(WARNING)
        return file.read_text(encoding="utf-8") if file.exists() else ""

    def close(self) -> None:
        """Close the file, and remove the warning that has been said."""
        self._file.close()
        self.path.with_suffix(WARNING).unlink(missing_ok=True)


class Reader:
    """A run's file, from the recorder's side."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open(encoding="utf-8")
        self._rest = ""

    def read(self) -> list[Event]:
        """The events that came since the last call."""
        *lines, self._rest = (self._rest + self._file.read()).split("\n")
        return [json.loads(line) for line in lines]

    def warn(self, reason: str) -> None:
        """Leave word for the stage."""
        self._path.with_suffix(WARNING).write_text(reason, encoding="utf-8")

    def remove(self) -> None:
        """Say that the run is recorded."""
        self._file.close()
        self._path.unlink(missing_ok=True)
