"""A stand-in for the tracking store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest

from stages import tracking


class Tracked:
    """Takes the place of `stages.tracking.run`, and remembers what a command told it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.runs: list[str] = []
        self.summaries: list[Mapping[str, float]] = []
        self.artifacts: list[str] = []
        monkeypatch.setattr(tracking, "run", self._run)

    @contextmanager
    def _run(self, name: str, **_: Any) -> Iterator[Self]:
        self.runs.append(name)
        yield self

    def summary(self, metrics: Mapping[str, float]) -> None:
        self.summaries.append(metrics)

    def artifact(self, path: Path) -> None:
        self.artifacts.append(path.name)
