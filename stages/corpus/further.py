"""A task's further sets: what its models answer beside its test set, be it another test or what a leaderboard asks.

Every row stays, in its source's order: none is dropped for being empty, or for standing there twice. What they say is
held out from all training text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stages.corpus import fingerprints
from stages.corpus.held_out import RowPrints
from stages.corpus.rows import Rows, is_labelled, task_rows
from stages.corpus.sets import TaskWriter
from stages.corpus.tables import FURTHER
from stages.errors import StageError
from stages.params import Further, Params, Source, SourceTask


@dataclass(frozen=True)
class FurtherSet:
    """A further set after the first reading.

    Attributes:
        source_name, source, where: whose rows they are, and which of them.
        labelled: whether its labels are known.
        prints: of all its rows.
    """

    name: str
    entry: Further
    source_name: str
    source: Source
    where: SourceTask
    labelled: bool
    prints: RowPrints

    def rows(self) -> Iterator[Rows]:
        """Its rows in order."""
        return task_rows(self.source_name, self.source, self.where, self.entry.split, labelled=self.labelled)


def scan(task: str, holder: str, params: Params) -> list[FurtherSet]:
    """Read a task's further sets for the first time.

    Args:
        holder: name of the source that has the task.

    Raises:
        StageError: a set has no rows, or labels in some of them only.
    """
    entry = params.sources[holder].tasks[task]
    return [_scan(f"sources.{holder}.tasks.{task}.further", name, holder, entry, params) for name in entry.further]


def _scan(section: str, name: str, holder: str, task: SourceTask, params: Params) -> FurtherSet:
    entry = task.further[name]
    source_name, where = (entry.source, SourceTask()) if entry.source else (holder, task)
    source = params.sources[source_name]
    labelled = is_labelled(source_name, source, where, entry.split)
    rows = task_rows(source_name, source, where, entry.split, labelled=labelled)
    prints = [RowPrints.of(batch) for batch in rows if len(batch)]
    if not prints:
        raise StageError(f"params.yaml: {section}.{name}: split {entry.split} of source {source_name} has no rows")
    return FurtherSet(name, entry, source_name, source, where, labelled, RowPrints.join(prints))


def write(further: FurtherSet, folder: Path) -> TaskWriter:
    """Write a set's rows, each with its place as its id; return the writer, closed."""
    (folder / FURTHER).mkdir(exist_ok=True)
    target = folder / FURTHER / f"{further.name}.parquet"
    with TaskWriter(target, further.source, labelled=further.labelled) as writer:
        for rows in further.rows():
            ids = np.arange(writer.rows, writer.rows + len(rows), dtype=np.uint64)
            keys = np.stack([fingerprints.keys(column) for column in rows.texts], axis=1)
            writer.write_rows(rows, ids, keys)
    return writer
