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
from stages.speed import labels
from stages.speed.labels import Label
from stages.speed.rows import Row

COSTS = {"weights on disk": "weights on disk, bytes", "latency p50": "latency p50 at batch 1, ms"}


UNCOMPRESSED = "uncompressed"


class Scored(NamedTuple):
    """A model: what `speed.csv` calls it, whose best it is, what was made of that, and how good it is."""

    subject: str
    model: str
    kind: str
    score: float


class Point(NamedTuple):
    """A model: what it costs, and how good it is; ``kind`` is the compressor, or that there was none."""

    name: str
    kind: str
    cost: float
    score: float


def figure(settings: Params, rows: Sequence[Row]) -> Figure:
    """All tasks whose evaluation is there."""
    values = {(row.subject, row.figure): row.value for row in rows}
    made = Figure(figsize=(0.6 + 3.8 * len(COSTS), 0.4 + 2.8 * len(settings.tasks)), layout="constrained")
    grid = made.subplots(len(settings.tasks), len(COSTS), squeeze=False, sharey="row")
    shown: list[tuple[Axes, list[Point]]] = []
    for panels, task in zip(grid, settings.tasks, strict=True):
        path = paths.METRICS / "evaluate" / f"{task}.json"
        evaluation = parse(Evaluation, artifacts.read_json(path), str(path))
        panels[0].set_ylabel(f"test {evaluation.metric}, " + ("× 100" if evaluation.metric in CORRELATIONS else "%"))
        for axes, (cost, label) in zip(panels, COSTS.items(), strict=True):
            points = _points(evaluation, settings.compress.models, cost, values)
            _panel(axes, points)
            axes.set_title(task)
            axes.set_xlabel(label)
            shown.append((axes, points))
    made.draw_without_rendering()  # gives the panels the sizes that the names are fitted to
    made.set_layout_engine("none")
    for axes, points in shown:
        _name(axes, points, frontier(points) if len(settings.compress.models) > 1 else points)
    return made


def _points(
    evaluation: Evaluation, models: Sequence[str], cost: str, values: Mapping[tuple[str, str], float]
) -> list[Point]:
    several = len(models) > 1
    return [
        Point(f"{model} · {one.kind}" if several else one.kind, one.kind, values[one.subject, cost], one.score)
        for model in models
        for one in scored(evaluation, model)
    ]


def scored(evaluation: Evaluation, model: str) -> list[Scored]:
    """A selected model and what was made from it; nothing where nothing was compressed."""
    made, subject = evaluation.of_model(model), f"{evaluation.task}/{model}"
    before = [Scored(subject, model, UNCOMPRESSED, made[0].before)] if made else []
    return before + [Scored(f"{subject}/{item.compressor}", model, item.compressor, item.after) for item in made]


def frontier(points: Sequence[Point]) -> list[Point]:
    """Those that no other is at least as good as at no more cost, the cheapest first."""
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, -point.score)):
        if not best or point.score > best[-1].score:
            best.append(point)
    return best


def _panel(axes: Axes, points: Sequence[Point]) -> None:
    colors, ahead = _colors(points), frontier(points)
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
        axes.plot(point.cost, 100 * point.score, "o", markersize=5, color=colors[point.kind])
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.25, y=0.15)


def _name(axes: Axes, points: Sequence[Point], named: Sequence[Point]) -> None:
    colors = _colors(points)
    labels.place(
        axes,
        [Label(point.name, point.cost, 100 * point.score, colors[point.kind]) for point in named],
        [(point.cost, 100 * point.score) for point in points],
    )


def _colors(points: Sequence[Point]) -> dict[str, str]:
    return style.colors(list(dict.fromkeys(point.kind for point in points))) | {UNCOMPRESSED: style.FAINT}
