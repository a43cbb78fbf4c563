"""How a stage ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Result(Enum):
    """How a stage ended; `BUSY` and `LOST` say nothing of the stage itself, so that it is tried again."""

    RAN = "ran"
    RESTORED = "restored from the cache"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    STOPPED = "stopped"
    BUSY = "waits for another DVC command"
    LOST = "killed"
    ABSENT = "not in the cache"
    ELSEWHERE = "ran on a worker"

    @property
    def code(self) -> int:
        """The exit code by which a stage's process says it; none that Python or a shell gives by itself."""
        return FIRST_CODE + list(Result).index(self)

    @property
    def succeeded(self) -> bool:
        """Whether the stage's outputs are as they should be."""
        return self in (Result.RAN, Result.RESTORED, Result.UNCHANGED, Result.ELSEWHERE)

    @classmethod
    def of(cls, code: int) -> Result:
        """What the exit code of a stage's process says; `LOST` if it did not end by itself."""
        return next((result for result in cls if result.code == code), cls.LOST)


FIRST_CODE = 40


@dataclass(frozen=True)
class Outcome:
    """What became of a stage. A failed one's `detail` is the end of its log."""

    stage: str
    result: Result
    seconds: float
    log: Path
    detail: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether the stage's outputs are as they should be."""
        return self.result.succeeded
