"""The rows of every task: which split each belongs to, which are dropped and why.

A task is read twice. The first reading (`scan`) remembers keys, labels and, of held-out rows,
fingerprints; from these it decides what happens to the held-out rows, and indexes them. The
second (`write`) compares the training rows with what all tasks hold out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages import task as task_files
from stages.corpus import cut, fingerprints, further
from stages.corpus.fingerprints import Fingerprints
from stages.corpus.further import FurtherSet
from stages.corpus.held_out import HeldOut, RowPrints, stands_in
from stages.corpus.near import Index
from stages.corpus.rows import Rows, task_rows
from stages.corpus.sets import TaskWriter
from stages.errors import StageError
from stages.metrics.base import Answers
from stages.params import Data, Params, Source, SourceTask


class Fate(IntEnum):
    """What becomes of a row, and why."""

    KEPT = 0
    EMPTY = 1
    DUPLICATE = 2
    """The same text stands before it in its split with the same label, or in a split held out from it.

    The same is what differs in case, punctuation and blanks only.
    """
    CONTRADICTORY = 3
    """The same text, letter for letter, stands in its split with another label; all such are dropped."""
    NEAR_DUPLICATE = 4
    """A row of a split that is held out from it is nearly the same."""
    HELD_OUT_ELSEWHERE = 5
    """A training row of which a text is held out, or nearly so, by another task."""


@dataclass(frozen=True)
class Task:
    """A task after the first reading; the arrays have an entry per row, in reading order."""

    name: str
    source_name: str
    source: Source
    entry: SourceTask
    ids: NDArray[np.uint64]
    text_keys: NDArray[np.uint64]
    splits: NDArray[np.int8]
    fates: NDArray[np.int8]
    held_out: HeldOut
    further: list[FurtherSet]

    def keys_found(self) -> dict[str, NDArray[np.uint64]]:
        """The keys of each split's distinct texts, before anything is dropped."""
        return {
            f"{self.name}/{name}": np.unique(self.text_keys[self.splits == code])
            for code, name in enumerate(cut.SPLITS)
        }

    def removed(self) -> dict[str, dict[str, int]]:
        """How many rows of each split are dropped, by reason."""
        return {
            f"{self.name}/{name}": self._reasons(self.fates[self.splits == code])
            for code, name in enumerate(cut.SPLITS)
        }

    def _reasons(self, fates: NDArray[np.int8]) -> dict[str, int]:
        counts = Counter(fates.tolist())
        return {fate.name.lower(): counts[fate] for fate in Fate if fate != Fate.KEPT}


@dataclass(frozen=True)
class _Batch:
    """What the first reading remembers of some rows; `held_out` is of the rows not in train."""

    ids: NDArray[np.uint64]
    keys: NDArray[np.uint64]
    text_keys: NDArray[np.uint64]
    splits: NDArray[np.int8]
    labels: Answers
    empty: NDArray[np.bool_]
    held_out: RowPrints


def scan(name: str, params: Params) -> Task:
    """Read a task for the first time, and decide about its held-out rows."""
    source_name, source, entry = _find(name, params)
    batches = [_remember(rows, own, entry, params.data) for own, rows in _read(source_name, source, entry)]
    ids, keys, text_keys, splits, labels, empty = (
        np.concatenate([getattr(batch, field) for batch in batches])
        for field in ("ids", "keys", "text_keys", "splits", "labels", "empty")
    )
    fates = np.where(empty, Fate.EMPTY, Fate.KEPT).astype(np.int8)
    if labels.dtype == np.object_:
        labels = np.unique(labels, return_inverse=True)[1].astype(np.float64)
    if not source.target:  # a text may be translated in more than one way
        drop_contradictory(fates, splits, ids, labels)
    drop_duplicates(fates, splits, keys, labels)
    prints, sets = RowPrints.join([batch.held_out for batch in batches]), further.scan(name, source_name, params)
    held_out = _hold_out(prints, [item.prints for item in sets], fates, splits, params.data.near_duplicate)
    return Task(name, source_name, source, entry, ids, text_keys, splits, fates, held_out, sets)


def _find(name: str, params: Params) -> tuple[str, Source, SourceTask]:
    holders = (key for key in params.data.sources if name in params.sources[key].tasks)
    source_name = next(holders)
    source = params.sources[source_name]
    return source_name, source, source.tasks[name]


def _read(source_name: str, source: Source, entry: SourceTask) -> Iterator[tuple[str, Rows]]:
    """The task's rows, with the split that its source has them in."""
    own_splits = {"train": "train", **entry.splits}
    for split in cut.SPLITS:
        if split in own_splits:
            for rows in task_rows(source_name, source, entry, own_splits[split]):
                yield split, rows


def _remember(rows: Rows, own: str, entry: SourceTask, data: Data) -> _Batch:
    joined = rows.joined
    keys = fingerprints.keys(joined)
    columns = [keys] if len(rows.texts) == 1 else [fingerprints.keys(column) for column in rows.texts]
    splits = _cut(keys, own, entry, data)
    held_out = RowPrints.of(rows.select(splits != cut.TRAIN))
    columns_keys = np.stack(columns, axis=1)
    return _Batch(fingerprints.exact(joined), keys, columns_keys, splits, rows.labels, rows.empty, held_out)


def _cut(keys: NDArray[np.uint64], own: str, entry: SourceTask, data: Data) -> NDArray[np.int8]:
    """The source's own split; of its train, what the source does not name is cut by key."""
    if own != "train":
        return np.full(len(keys), cut.SPLITS.index(own), dtype=np.int8)
    validation = 0.0 if "validation" in entry.splits else data.validation
    return cut.by_key(keys, validation, 0.0 if "test" in entry.splits else data.test)


def drop_contradictory(
    fates: NDArray[np.int8], splits: NDArray[np.int8], ids: NDArray[np.uint64], labels: NDArray[np.float64]
) -> None:
    """Of rows of a split that have one text but several labels, keep none."""
    order, starts = _groups(fates, splits, ids)
    if len(order):
        lowest = np.minimum.reduceat(labels[order], starts)
        highest = np.maximum.reduceat(labels[order], starts)
        sizes = np.diff(np.append(starts, len(order)))
        fates[order[np.repeat(lowest != highest, sizes)]] = Fate.CONTRADICTORY


def drop_duplicates(
    fates: NDArray[np.int8], splits: NDArray[np.int8], keys: NDArray[np.uint64], labels: NDArray[np.float64]
) -> None:
    """Of rows of a split that have one key and one label, keep the first."""
    order, starts = _groups(fates, splits, keys, labels)
    fates[order] = Fate.DUPLICATE
    fates[order[starts]] = Fate.KEPT


def _groups(fates: NDArray[np.int8], *columns: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The kept rows, equal ones side by side in reading order, and where each group of them starts."""
    kept = np.flatnonzero(fates == Fate.KEPT)
    order = kept[np.lexsort([kept, *(column[kept] for column in columns)])]
    differs = np.zeros(max(len(order) - 1, 0), dtype=np.bool_)
    for column in columns:
        differs |= column[order][1:] != column[order][:-1]
    return order, np.flatnonzero(np.concatenate([np.ones(min(len(order), 1), dtype=np.bool_), differs]))


def _hold_out(
    prints: RowPrints,
    more: Sequence[RowPrints],
    fates: NDArray[np.int8],
    splits: NDArray[np.int8],
    threshold: float,
) -> HeldOut:
    """Drop validation rows that stand in test, or in ``more`` sets like it, then index what is left of all."""
    held = np.flatnonzero(splits != cut.TRAIN)
    kept, test = fates[held] == Fate.KEPT, splits[held] == cut.TEST
    tests = HeldOut(RowPrints.join([prints.select(kept & test), *more]), threshold)
    _drop_copies(fates, held[kept & ~test], prints.select(kept & ~test).wholes, tests.rows)
    return HeldOut(RowPrints.join([prints.select(fates[held] == Fate.KEPT), *more]), threshold)


def _drop_copies(fates: NDArray[np.int8], places: NDArray[np.int64], prints: Fingerprints, index: Index) -> None:
    """Mark the rows at `places` that are the same, or nearly so, as a row of the index."""
    fates[places[index.near(prints)]] = Fate.NEAR_DUPLICATE
    fates[places[index.same(prints)]] = Fate.DUPLICATE


def write(task: Task, held_out_elsewhere: Sequence[Index], folder: Path) -> dict[str, TaskWriter]:
    """Read a task for the second time, drop training rows that are held out anywhere, write the rest.

    Returns:
        The writers of train, validation, test and the further sets, closed, for what they counted.

    Raises:
        StageError: a split has no rows.
    """
    folder.mkdir()
    start = 0
    writers = [TaskWriter(folder / f"{name}.parquet", task.source) for name in cut.SPLITS]
    with ExitStack() as stack:
        for writer in writers:
            stack.enter_context(writer)
        for _, rows in _read(task.source_name, task.source, task.entry):
            part = slice(start, start := start + len(rows))
            fates, splits = task.fates[part], task.splits[part]
            _drop_held_out(rows, fates, splits, task.held_out, held_out_elsewhere)
            for code, writer in enumerate(writers):
                chosen = (fates == Fate.KEPT) & (splits == code)
                writer.write_rows(rows.select(chosen), task.ids[part][chosen], task.text_keys[part][chosen])
    for name, writer in zip(cut.SPLITS, writers, strict=True):
        if not writer.rows:
            raise StageError(f"task {task.name}: no row is left for {name}: give more rows, or a larger share")
    further_writers = {item.name: further.write(item, folder) for item in task.further}
    labelled = [item.name for item in task.further if item.labelled]
    task_files.write(folder, task_files.describe(task.source, task.entry, labelled))
    return dict(zip(cut.SPLITS, writers, strict=True)) | further_writers


def _drop_held_out(
    rows: Rows, fates: NDArray[np.int8], splits: NDArray[np.int8], own: HeldOut, elsewhere: Sequence[Index]
) -> None:
    chosen = (fates == Fate.KEPT) & (splits == cut.TRAIN)
    places = np.flatnonzero(chosen)
    prints = RowPrints.of(rows.select(chosen))
    for column in prints.columns:
        fates[places[stands_in(column, elsewhere)]] = Fate.HELD_OUT_ELSEWHERE
    _drop_copies(fates, places, prints.wholes, own.rows)
