"""What a run would do, and why, for a person to read before it starts."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping

from flows import resources
from flows.devices import Devices
from flows.graph import Plan
from flows.resources import Patterns
from flows.schedule import Schedule
from stages.progress import clock

SHOWN = 6
"""Reasons that are shown of one stage."""


def lines(
    plan: Plan, patterns: Patterns, devices: Devices, seconds: Mapping[str, float], workers: int
) -> Iterator[str]:
    """The stages in the order in which they would start, each with its device, its estimate and its reasons."""
    order, total = rehearse(plan, patterns, devices, seconds, workers)
    stages = {stage.name: stage for stage in plan.stages}
    for number, name in enumerate(order, 1):
        took = f"about {clock(seconds[name])}" if name in seconds else "no estimate"
        yield f"{number:>4}  {name}  ({_device(name, patterns, devices)}, {took})"
        reasons = stages[name].reasons or tuple(f"after {need}" for need in sorted(stages[name].needs))
        yield from (f"      {reason}" for reason in reasons[:SHOWN])
        if len(reasons) > SHOWN:
            yield f"      and {len(reasons) - SHOWN} more reasons"
    unknown = sum(name not in seconds for name in order)
    yield f"{len(order)} stages, {workers} at a time: at most {clock(total)}" + (
        f", and {unknown} of which no earlier run is known" if unknown else ""
    )


def rehearse(
    plan: Plan, patterns: Patterns, devices: Devices, seconds: Mapping[str, float], workers: int
) -> tuple[list[str], float]:
    """The order in which stages would start if each took as long as expected, and when the last would end."""
    schedule = Schedule(plan.stages, seconds)
    free = {"gpus": devices.gpus, "cpus": devices.cores}
    running: list[tuple[float, str, dict[str, int]]] = []
    order: list[str] = []
    now = 0.0
    while True:
        for name in schedule.ready:
            needs = resources.of(name, patterns)
            taken = {"gpus": min(needs.gpus, devices.gpus), "cpus": min(needs.cpus, devices.cores)}
            if len(running) < workers and all(taken[kind] <= free[kind] for kind in free):
                free = {kind: free[kind] - taken[kind] for kind in free}
                heapq.heappush(running, (now + seconds.get(name, 0.0), name, taken))
                schedule.start(name)
                order.append(name)
        if not running:
            return order, now
        now, name, taken = heapq.heappop(running)
        free = {kind: free[kind] + taken[kind] for kind in free}
        schedule.end(name, succeeded=True)


def _device(name: str, patterns: Patterns, devices: Devices) -> str:
    needs = resources.of(name, patterns)
    cores = min(needs.cpus, devices.cores)
    if gpus := min(needs.gpus, devices.gpus):
        return f"{gpus} GPU{'s' * (gpus > 1)}"
    return f"{cores} core{'s' * (cores > 1)}"
