"""Quality against size and against latency: a row of panels for each task, and the line that no model is beyond."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, NullFormatter

from stages import artifacts, paths
from stages.evaluate.schema import Evaluation
from stages.params import Params, parse
from stages.report.figures import style
from stages.report.formats import CORRELATIONS
from stages.speed.models import SELECTED
from stages.speed.rows import Row

COSTS = {"weights on disk": "weights on disk, bytes", "latency p50": "latency p50 at batch 1, ms"}


class Point(NamedTuple):
    """A model: what it costs, and how good it is."""

    name: str
    cost: float
    score: float


def figure(settings: Params, rows: Sequence[Row]) -> Figure:
    """All tasks whose evaluation is there."""
    values = {(row.subject, row.figure): row.value for row in rows}
    made = Figure(figsize=(0.6 + 3.8 * len(COSTS), 0.4 + 2.8 * len(settings.tasks)), layout="constrained")
    grid = made.subplots(len(settings.tasks), len(COSTS), squeeze=False, sharey="row")
    for panels, task in zip(grid, settings.tasks, strict=True):
        path = paths.METRICS / "evaluate" / f"{task}.json"
        evaluation = parse(Evaluation, artifacts.read_json(path), str(path))
        found = scores(evaluation)
        for axes, (cost, label) in zip(panels, COSTS.items(), strict=True):
            _panel(axes, [Point(name, values[f"{task}/{name}", cost], score) for name, score in found.items()])
            axes.set_title(task)
            axes.set_xlabel(label)
        panels[0].set_ylabel(f"test {evaluation.metric}, " + ("× 100" if evaluation.metric in CORRELATIONS else "%"))
    return made


def scores(evaluation: Evaluation) -> Mapping[str, float]:
    """Of the selected model and of what was made from it; nothing where nothing was compressed."""
    compressed = evaluation.compressions
    before = {SELECTED: compressed[0].before} if compressed else {}
    return before | {item.compressor: item.after for item in compressed}


def frontier(points: Sequence[Point]) -> list[Point]:
    """Those that no other is at least as good as at no more cost, the cheapest first."""
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, -point.score)):
        if not best or point.score > best[-1].score:
            best.append(point)
    return best


def _panel(axes: Axes, points: Sequence[Point]) -> None:
    colors = style.colors([point.name for point in points])
    ahead = frontier(points)
    axes.step(
        [point.cost for point in ahead],
        [100 * point.score for point in ahead],
        where="post",
        color=style.FAINT,
        linewidth=1.0,
        linestyle=(0, (4, 3)),
        zorder=1,
    )
    for point in points:
        axes.plot(point.cost, 100 * point.score, "o", markersize=5, color=colors[point.name])
        axes.annotate(
            point.name, (point.cost, 100 * point.score), (5, 4), textcoords="offset points", color=colors[point.name]
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.25, y=0.15)
