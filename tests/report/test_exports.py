"""Tables as csv and LaTeX: the cells of the page."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from stages import paths
from stages.params import Params
from stages.report import exports, inputs, page
from stages.report.build import build
from stages.report.results import collect
from stages.report.tables import Table


def test_both_forms_hold_the_cells_of_the_page(settings: Params) -> None:
    found = inputs.read(settings)
    build(found, paths.REPORTS)
    tables = page.tables(page.content(found, collect(found)))
    assert {"scores-frozen", "scores-full", "differences", "pretraining", "models", "compression", "sets"} <= set(
        tables
    )
    written = {file.name for file in (paths.REPORTS / "tables").iterdir()}
    names = {f"{name}.{kind}" for name, table in tables.items() if table.rows for kind in ("csv", "tex")}
    assert written == names | {"curves.csv"}
    for name, table in tables.items():
        if table.rows:
            with (paths.REPORTS / "tables" / f"{name}.csv").open(newline="") as file:
                rows = list(csv.reader(file))
            assert rows == [[exports.plain(cell) for cell in row] for row in (table.header, *table.rows)]
            latex = (paths.REPORTS / "tables" / f"{name}.tex").read_text()
            assert latex.count(r"\\") == len(table.rows) + 1


def test_latex_is_escaped(tmp_path: Path) -> None:
    exports.write({"made": Table(header=["a_b", "100 %"], rows=[["`x_y`", "**1.5** & 2"]])}, tmp_path)
    text = (tmp_path / "made.tex").read_text()
    assert r"x\_y & 1.5 \& 2 \\" in text
    assert r"a\_b & 100 \% \\" in text
    assert text.startswith(r"\begin{tabular}{lr}")


@pytest.mark.parametrize(
    ("cell", "expected"), [("**72.6 ± 0.2**†", "72.6 ± 0.2†"), ("`mlm`", "mlm"), ("−1.5", "−1.5"), ("*all*", "all")]
)
def test_markup_is_left_out(cell: str, expected: str) -> None:
    assert exports.plain(cell) == expected
