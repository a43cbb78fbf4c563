"""The page's tables for other programs: ``reports/tables/<name>.csv`` and ``.tex``, and the curves of its figures."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from stages.report.inputs import Inputs
from stages.report.tables import Table

CURVES = ("objective", "seed", "phase", "flops", "tokens", "loss")

MARKUP = re.compile(r"\*\*(.*?)\*\*|`(.*?)`|\*(.*?)\*")


def write(tables: Mapping[str, Table], folder: Path) -> None:
    """Both forms of each table that has rows, as booktabs has them in LaTeX; markup of the page is left out."""
    for name, table in tables.items():
        if not table.rows:
            continue
        frame = pd.DataFrame(
            [[plain(cell) for cell in row] for row in table.rows], columns=[plain(cell) for cell in table.header]
        )
        frame.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
        columns = "l" * table.names + "r" * (len(table.header) - table.names)
        text = frame.to_latex(index=False, escape=True, column_format=columns)
        (folder / f"{name}.tex").write_text(text, encoding="utf-8", newline="")


def write_curves(inputs: Inputs, folder: Path) -> None:
    """``curves.csv``: validation losses while pre-training, a row a point, as `dvc plots` draws them."""
    with (folder / "curves.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CURVES)
        for (objective, seed), points in inputs.curves.items():
            spent = ((point.phase, point.flops, point.tokens) for point in points)
            losses = (f"{point.loss:.6g}" for point in points)
            writer.writerows([objective, seed, *at, loss] for at, loss in zip(spent, losses, strict=True))


def plain(cell: str) -> str:
    """What a cell says, without markdown."""
    return MARKUP.sub(lambda found: next(part for part in found.groups() if part is not None), cell)
