"""Which stage may start next. Plain bookkeeping: it starts nothing itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flows.graph import Stage


class Schedule:
    """Stages on their way through a run."""

    def __init__(self, stages: Sequence[Stage], seconds: Mapping[str, float] | None = None) -> None:
        """Of `stages` in the order of a serial run, with how long each is expected to take."""
        self._waiting = {stage.name: set(stage.needs) for stage in stages}
        self._running: set[str] = set()
        self._left = _longest_ways(stages, seconds or {})

    @property
    def ready(self) -> list[str]:
        """Stages that may start now: those first behind which most is waiting, then in the order of a serial run."""
        ready = [name for name, needs in self._waiting.items() if not needs]
        return sorted(ready, key=lambda name: -self._left[name])

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


def _longest_ways(stages: Sequence[Stage], seconds: Mapping[str, float]) -> dict[str, float]:
    """For each stage the time to the end of the graph, with itself, on the longest way."""
    ways = {stage.name: 0.0 for stage in stages}
    for stage in reversed(stages):
        ways[stage.name] += seconds.get(stage.name, 0.0)
        for need in stage.needs:
            ways[need] = max(ways[need], ways[stage.name])
    return ways
