"""How often each pre-trained model finds the good sentence of a minimal pair likelier."""

from __future__ import annotations

from stages.report.formats import code, spread
from stages.report.inputs import Inputs
from stages.report.results import ZERO_SHOT, Results, scored
from stages.report.tables import Table, traced
from stages.report.tables import cell as origin

NONE = "–"


def zero_shot(inputs: Inputs, results: Results, source: str) -> Table:
    """Percent of the source's pairs, mean ± standard deviation over seeds: a row an objective and way to score."""
    phenomena = sorted({name for item in inputs.zero_shot for found in item.modes.values() for name in found.phenomena})

    def cell(objective: str, mode: str, task: str) -> str:
        rows = results.cell(objective, task, ZERO_SHOT, scored(mode))
        text = spread([row.value for row in rows], 1, scale=100) if rows else NONE
        return traced(text, origin(objective, task, ZERO_SHOT, scored(mode)))

    return Table(
        header=["objective", "score", "all", *(name.replace("_", " ") for name in phenomena)],
        rows=[
            [code(objective), mode, *(cell(objective, mode, task) for task in _tasks(source, phenomena))]
            for objective in inputs.params.pretrain.objectives
            for mode in _modes(inputs, objective)
        ],
        names=2,
    )


def _tasks(source: str, phenomena: list[str]) -> list[str]:
    return [source, *(f"{source}/{name}" for name in phenomena)]


def _modes(inputs: Inputs, objective: str) -> list[str]:
    return list(dict.fromkeys(mode for item in inputs.zero_shot if item.objective == objective for mode in item.modes))
