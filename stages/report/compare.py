"""What changed between two revisions: parameters, and the scores of both reports.

A revision is whatever git knows, or the name of a DVC experiment. Both must hold ``params.yaml`` and
``reports/results.csv``. Means over seeds are told apart by Welch's test (1947), corrected by Holm's method; where one
side has a single seed, nothing is.
"""

from __future__ import annotations

import csv
import io
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import yaml

from stages import paths
from stages.errors import StageError
from stages.evaluate import statistics
from stages.report.formats import ABSENT, code, p_value, points, spread
from stages.report.tables import Table

CELL = ("task", "method", "objective", "compressor", "metric")
PARAMS, RESULTS = "params.yaml", "reports/results.csv"
SHARES = {"accuracy", "f1", "matthews", "pearson", "spearman", "precision", "recall", "exact_match"}
"""Metrics of which a hundredth is a point; others are left as they are."""


@dataclass(frozen=True)
class Revision:
    """What one side holds: parameters by their dotted names, and values by cell."""

    name: str
    params: dict[str, Any]
    cells: dict[tuple[str, ...], list[float]]

    @classmethod
    def read(cls, name: str) -> Revision:
        """Read it from git; nothing is checked out.

        Raises:
            StageError: there is no such revision, or a file is missing or damaged in it.
        """
        commit = _resolve(name)
        rows = csv.DictReader(io.StringIO(_show(commit, name, RESULTS)))
        cells: dict[tuple[str, ...], list[float]] = {}
        try:
            for row in rows:
                cells.setdefault(tuple(row[column] for column in CELL), []).append(float(row["value"]))
        except (KeyError, TypeError, ValueError) as error:
            raise StageError(f"{name}: {RESULTS} is damaged ({error}): take another revision") from None
        return cls(name, dict(_flat(yaml.safe_load(_show(commit, name, PARAMS)))), cells)


def params(before: Revision, after: Revision) -> Table:
    """Parameters that differ, and those alone."""
    names = [name for name in before.params if before.params[name] != after.params.get(name)]
    names += [name for name in after.params if name not in before.params]
    return Table(
        header=["parameter", before.name, after.name],
        rows=[[code(name), *(_said(side.params, name) for side in (before, after))] for name in names],
        names=3,
    )


def scores(before: Revision, after: Revision) -> Table:
    """Scores that differ, and those that one side lacks; of compressed models and of pre-training as well."""
    changed = [cell for cell in before.cells if sorted(before.cells[cell]) != sorted(after.cells.get(cell, []))]
    changed += [cell for cell in after.cells if cell not in before.cells]
    levels = _corrected({cell: _welch(before.cells.get(cell, []), after.cells.get(cell, [])) for cell in changed})
    return Table(
        header=[*CELL, before.name, after.name, "difference", "p (Holm)"],
        rows=[_row(cell, before.cells.get(cell), after.cells.get(cell), levels.get(cell)) for cell in changed],
        names=len(CELL),
    )


def _row(cell: tuple[str, ...], before: list[float] | None, after: list[float] | None, p: float | None) -> list[str]:
    scale, digits = (100, 1) if cell[-1] in SHARES else (1, 3)
    sides = [spread(side, digits, scale=scale) if side else ABSENT for side in (before, after)]
    difference = mean(after) - mean(before) if before and after else None
    told = ABSENT if difference is None else points(difference) if scale == 100 else f"{difference:+,.3g}"
    return [*cell, *sides, told, p_value(p)]


def _welch(before: Sequence[float], after: Sequence[float]) -> float | None:
    from scipy.stats import ttest_ind

    if min(len(before), len(after)) < 2 or len({*before, *after}) < 2:
        return None
    if len(set(before)) == len(set(after)) == 1:
        return 0.0  # no seed differs from another, and the sides do
    return float(ttest_ind(before, after, equal_var=False).pvalue)


def _corrected(found: Mapping[tuple[str, ...], float | None]) -> dict[tuple[str, ...], float]:
    tested = {cell: p for cell, p in found.items() if p is not None}
    return dict(zip(tested, statistics.holm(list(tested.values())), strict=True))


def _flat(content: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(content, dict) and content:
        for key, value in content.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, content


def _said(params: Mapping[str, Any], name: str) -> str:
    if name not in params:
        return ABSENT
    return yaml.safe_dump(params[name], default_flow_style=True, width=10_000).split("\n")[0]


def _resolve(name: str) -> str:
    found = _git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    found = found or _git("for-each-ref", "--format=%(objectname)", f"refs/exps/*/*/{name}")
    if not found:
        raise StageError(
            f"{name} is no revision that git knows, nor an experiment of DVC: see `git log`, `dvc exp list`"
        )
    return found.splitlines()[0]


def _show(commit: str, name: str, file: str) -> str:
    if (text := _git("show", f"{commit}:{file}")) is None:
        raise StageError(
            f"{name} has no {file}: take a revision at which the pipeline was run and its results committed"
        )
    return text


def _git(*arguments: str) -> str | None:
    done = subprocess.run(["git", "-C", str(paths.ROOT), *arguments], capture_output=True, text=True, check=False)
    return None if done.returncode else done.stdout.rstrip("\n") if arguments[0] != "show" else done.stdout
