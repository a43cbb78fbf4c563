"""Which stage may start next. Plain bookkeeping: it starts nothing itself."""

from __future__ import annotations

from collections.abc import Sequence

from flows.graph import Stage


class Schedule:
    """Stages on their way through a run."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._waiting = {stage.name: set(stage.needs) for stage in stages}
        self._running: set[str] = set()

    @property
    def ready(self) -> list[str]:
        """Stages that may start now, in the order of a serial run."""
        return [name for name, needs in self._waiting.items() if not needs]

    @property
    def running(self) -> bool:
        """Whether any stage has started and not ended."""
        return bool(self._running)

    @property
    def left(self) -> list[str]:
        """Stages that have not started; once nothing runs or is ready, those that stand on a failed one."""
        return list(self._waiting)

    def start(self, name: str) -> None:
        """`name` has started."""
        del self._waiting[name]
        self._running.add(name)

    def end(self, name: str, *, succeeded: bool) -> None:
        """`name` has ended; only if it succeeded may what needs it start."""
        self._running.remove(name)
        if succeeded:
            for needs in self._waiting.values():
                needs.discard(name)
