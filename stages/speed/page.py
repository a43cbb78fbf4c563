"""``reports/speed.csv``, the same as a page to read, and what scores and losses cost as pictures."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields
from pathlib import Path

import torch
from matplotlib.figure import Figure

from stages.artifacts import atomic_file
from stages.report.figures import style
from stages.speed.models import BATCH_SIZE
from stages.speed.rows import Row

COLUMNS = [field.name for field in fields(Row)]

HEAD = """# Speed

Medians on the machine that ran `dvc repro` last, {threads} threads, subjects and peers taking turns. No two
measurements are alike, so none of this is a DVC out. Ratios compare to the peer in the same run: below 1 is faster for
latency and seconds, slower for throughput and tokens. Models are measured over real test texts, fp32 in and out;
pre-training over real steps with the optimizer, without evaluations. Peak memory is that of a process that does nothing
but load one model and answer {batch} texts, Python and the libraries among it. A model is no faster than its ratio
says, however many of its weights are zero.

![Scores against size and latency](pareto.svg)

Dashed: what no model is both cheaper and better than.

![Validation loss against seconds of training](speed.svg)

"""


def write(rows: Sequence[Row], figures: Mapping[str, Figure], folder: Path) -> None:
    """Write ``speed.csv``, ``speed.md`` and the figures by name."""
    with atomic_file(folder / "speed.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_cells(row) for row in rows)
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---|---|---|---|---:|---:|"]
    lines += ["| " + " | ".join(_cells(row)) + " |" for row in rows]
    with atomic_file(folder / "speed.md") as temporary:
        text = HEAD.format(threads=torch.get_num_threads(), batch=BATCH_SIZE) + "\n".join(lines) + "\n"
        temporary.write_text(text, encoding="utf-8")
    for name, figure in figures.items():
        with atomic_file(folder / f"{name}.svg") as temporary:
            style.save(figure, temporary)


def _cells(row: Row) -> list[str]:
    return ["" if cell is None else f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in astuple(row)]
