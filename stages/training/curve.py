"""A training curve as csv: what `dvc plots` and the report draw."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from stages.artifacts import atomic_file


def write_curve(path: Path, rows: Sequence[dict[str, float]]) -> None:
    """One line per evaluation, with the columns of all rows; what a row lacks is left empty."""
    columns = list(dict.fromkeys(name for row in rows for name in row)) or ["step"]
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
