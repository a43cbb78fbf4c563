"""One task's evaluation: every run's values and intervals, its flags, and the comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages import metrics
from stages.evaluate import bootstrap, comparisons
from stages.evaluate.bootstrap import Replicates
from stages.evaluate.comparisons import Group, Yardstick
from stages.evaluate.order import order
from stages.evaluate.runs import Listed, Run
from stages.evaluate.schema import NONE, Compression, Evaluation, Flag, Order, Row
from stages.metrics.base import Answers, Metrics
from stages.params import Params
from stages.record import Record

SIZES = ("parameters", "trainable_parameters", "bytes")
"""What a record tells of a model besides its quality."""

IDENTITY = {"objective", "task", "method", "compressor", "seed"}
"""What a row and a record have in common."""


@dataclass(frozen=True)
class Measured:
    """A task's runs, their metrics and the metrics' replicates; a run has the same place in all."""

    runs: Sequence[Run]
    values: dict[str, list[float]]
    replicates: dict[str, Replicates]

    @property
    def labels(self) -> Answers:
        return self.runs[0].predictions.labels

    @property
    def metrics(self) -> Metrics:
        """Those of the task's family."""
        return metrics.of(self.runs[0].record.family)

    @property
    def metric(self) -> str:
        """The one that models are compared by."""
        return self.runs[0].record.metric


def evaluate(params: Params, task: str, listed: Listed) -> Evaluation:
    """Measure and compare the runs of a task."""
    runs = listed.runs
    measured = _measure(task, runs, params.evaluate.bootstrap)
    further = [_further(name, runs, params.evaluate.bootstrap) for name in runs[0].further]
    groups = [group for method in params.finetune.methods if (group := _group(measured, params, method)).objectives]
    return Evaluation(
        task=task,
        metrics=list(measured.metrics.names),
        metric=measured.metric,
        rows=[row for place in range(len(runs)) for row in _rows(measured, place)]
        + [row for each in further for place in range(len(runs)) for row in _figures(each, place)],
        inapplicable=listed.inapplicable,
        flags=[flag(run) for run in runs if is_degenerate(run)],
        comparisons=comparisons.compare(groups, Yardstick(measured.metric, measured.metrics, measured.labels)),
        compressions=_compressions(measured),
        orders=_orders(measured),
        best=listed.best,
    )


def summary(evaluation: Evaluation) -> dict[str, dict[str, dict[str, float]]]:
    """Means over seeds as method → objective → metric; of compressed models the method is ``compressed/<compressor>``.

    Those on a further set are found under ``<method>/<set>``.
    """
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for row in evaluation.rows:
        if row.metric in evaluation.metrics:
            outer = row.method if row.compressor == NONE else f"compressed/{row.compressor}"
            outer += row.task.removeprefix(evaluation.task)
            found.setdefault(outer, {}).setdefault(row.objective, {}).setdefault(row.metric, []).append(row.value)
    return {
        outer: {inner: {name: fmean(values) for name, values in cell.items()} for inner, cell in cells.items()}
        for outer, cells in found.items()
    }


def flat(means: dict[str, dict[str, dict[str, float]]]) -> dict[str, float]:
    """A summary as ``method.objective.metric`` to mean."""
    return {
        f"{outer}.{inner}.{name}": value
        for outer, cells in means.items()
        for inner, cell in cells.items()
        for name, value in cell.items()
    }


def is_degenerate(run: Run) -> bool:
    """Whether a model gives one answer to every example, or word: it learned nothing, or broke."""
    return len(_said(run)) == 1


def _said(run: Run) -> set[Any]:
    """All different answers; of examples whose words are answered, those to words."""
    answers = run.predictions.predictions.tolist()
    tagged = run.record.family == "token_classification"
    return {tag for answer in answers for tag in answer.split()} if tagged else set(answers)


def flag(run: Run) -> Flag:
    """Why a degenerate run is flagged."""
    (answer,) = _said(run)
    asked = "word" if run.record.family == "token_classification" else "example"
    said = f"class {answer}" if run.predictions.classes else answer if asked == "word" else f"{answer:.4g}"
    identity = run.record.model_dump(include={"objective", "method", "compressor", "seed"})
    return Flag(**identity, reason=f"predicts {said} for every {asked}")


def _measure(task: str, runs: Sequence[Run], resamples: int) -> Measured:
    first, family = runs[0].predictions, metrics.of(runs[0].record.family)
    predictions = np.stack([run.predictions.predictions for run in runs])
    found = [family.values(first.labels, row, first.classes) for row in predictions]
    values = {name: [figures[name] for figures in found] for name in family.names}
    replicates = bootstrap.replicates(family, first.labels, predictions, first.classes, resamples, task)
    return Measured(runs, values, replicates)


def _further(name: str, runs: Sequence[Run], resamples: int) -> Measured:
    """The runs on a further set, which is to them a task of its own: ``mnli/mismatched``."""
    called = f"{runs[0].record.task}/{name}"
    asked = [Run(run.record.model_copy(update={"task": called}), run.further[name]) for run in runs]
    return _measure(called, asked, resamples)


def _rows(measured: Measured, place: int) -> list[Row]:
    record = measured.runs[place].record
    identity = record.model_dump(include=IDENTITY)
    sizes = [Row(**identity, split=NONE, metric=name, value=getattr(record, name)) for name in SIZES]
    return _figures(measured, place) + sizes


def _figures(measured: Measured, place: int) -> list[Row]:
    record = measured.runs[place].record
    identity = record.model_dump(include=IDENTITY)
    rows = []
    for name in measured.metrics.names:
        lower, upper = bootstrap.interval(measured.replicates[name][place]).tolist()
        bounds = {"lower": lower, "upper": upper, "examples": len(measured.labels)}
        rows.append(Row(**identity, split=record.split, metric=name, value=measured.values[name][place], **bounds))
    return rows


def _group(measured: Measured, params: Params, method: str) -> Group:
    seeds = params.seeds
    place = {_key(run.record): index for index, run in enumerate(measured.runs) if run.record.compressor == NONE}
    objectives = [name for name in params.pretrain.objectives if all((name, method, seed) in place for seed in seeds)]
    chosen = np.array([[place[name, method, seed] for seed in seeds] for name in objectives], dtype=np.int64)
    predictions = np.stack([run.predictions.predictions for run in measured.runs])
    flagged = np.array([is_degenerate(run) for run in measured.runs])
    return Group(
        method=method,
        objectives=objectives,
        seeds=seeds,
        scores=np.array(measured.values[measured.metric])[chosen],
        replicates=measured.replicates[measured.metric][chosen],
        predictions=predictions[chosen],
        flagged=flagged[chosen],
    )


def _key(record: Record) -> tuple[str, str, int]:
    return record.objective, record.method, record.seed


def _compressions(measured: Measured) -> list[Compression]:
    """Each compressed model against the one it was made from, on the same resamples."""
    return [_compression(measured, original, place) for original, place in _made_from(measured)]


def _made_from(measured: Measured) -> list[tuple[int, int]]:
    """The places of what compressed models were made from, and theirs."""
    records = [run.record for run in measured.runs]
    originals = {_key(record): place for place, record in enumerate(records) if record.compressor == NONE}
    return [(originals[_key(record)], place) for place, record in enumerate(records) if record.compressor != NONE]


def _orders(measured: Measured) -> list[Order]:
    """Of each compressor, over the objectives whose own best model it was given."""
    by_compressor: dict[str, dict[str, tuple[int, int]]] = {}
    for original, place in _made_from(measured):
        record = measured.runs[place].record
        by_compressor.setdefault(record.compressor, {}).setdefault(record.objective, (original, place))
    scores, replicates = np.array(measured.values[measured.metric]), measured.replicates[measured.metric]
    found = []
    for compressor, pairs in by_compressor.items():
        before, after = (list(places) for places in zip(*pairs.values(), strict=True))
        found.append(order(compressor, (scores[before], replicates[before]), (scores[after], replicates[after])))
    return [one for one in found if one is not None]


def _compression(measured: Measured, original: int, place: int) -> Compression:
    before, after = (measured.values[measured.metric][index] for index in (original, place))
    replicates, record = measured.replicates[measured.metric], measured.runs[place].record
    lower, upper = bootstrap.interval(replicates[place] - replicates[original]).tolist()
    kept = _kept(replicates[original], replicates[place]) if before > 0 else (None, None)
    return Compression(
        **record.model_dump(include={"objective", "method", "seed", "compressor"}),
        bytes_before=measured.runs[original].record.bytes if record.bytes_before is None else record.bytes_before,
        bytes_after=record.bytes,
        metric=measured.metric,
        before=before,
        after=after,
        difference=after - before,
        lower=lower,
        upper=upper,
        retention=after / before if before > 0 else None,
        retention_lower=kept[0],
        retention_upper=kept[1],
        p=measured.metrics.paired(
            measured.labels, *(measured.runs[index].predictions.predictions for index in (place, original))
        ),
    )


def _kept(before: NDArray[np.float64], after: NDArray[np.float64]) -> tuple[float, float]:
    """The interval of the share of the score that is left; of resamples those count where there was one."""
    there = before > 0
    lower, upper = bootstrap.interval(after[there] / before[there]).tolist()
    return lower, upper
