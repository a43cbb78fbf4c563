"""Reading a fetched source: its rows in order, cleaned, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stages import paths
from stages.corpus import answers, labels, marks, words
from stages.corpus.clean import clean
from stages.corpus.fingerprints import PAIR
from stages.corpus.tables import read_batches
from stages.errors import StageError
from stages.metrics.base import Answers
from stages.params import Source, SourceTask


@dataclass(frozen=True)
class Rows:
    """Some rows of a task: `texts[c][i]` is row i's text in column c."""

    texts: list[list[str]]
    labels: Answers

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, chosen: NDArray[np.bool_]) -> Rows:
        """The chosen rows."""
        places = np.flatnonzero(chosen).tolist()
        return Rows([[column[place] for place in places] for column in self.texts], self.labels[chosen])

    @property
    def joined(self) -> list[str]:
        """Each row as one text."""
        return [PAIR.join(row) for row in zip(*self.texts, strict=True)]

    @property
    def empty(self) -> NDArray[np.bool_]:
        """Which rows lack a text, or the one that is to be written."""
        said = (label != "" for label in self.labels)
        return np.asarray([not all(row) for row in zip(*self.texts, said, strict=True)], dtype=np.bool_)


def raw_files(name: str) -> dict[str, Path]:
    """The fetched splits of a source, by name, in order.

    Raises:
        StageError: the source was not fetched.
    """
    files = {path.stem: path for path in sorted(paths.raw(name).glob("*.parquet"))}
    if not files:
        raise StageError(f"source {name} is not here: run `python -m stages.corpus download --source {name}`")
    return files


def task_rows(name: str, source: Source, task: SourceTask, split: str, *, labelled: bool = True) -> Iterator[Rows]:
    """A task's rows in one of its source's own splits; labels that are not looked at are NaN.

    Raises:
        StageError: the source has no such split or column, or a label cannot be understood.
    """
    for chosen in _chosen(name, source, task, split):
        try:
            yield _rows(source, chosen, labelled)
        except StageError as error:
            raise StageError(f"source {name}, split {split}: {error}") from None


def _rows(source: Source, batch: pa.RecordBatch, labelled: bool) -> Rows:
    texts = _columns(source, batch)
    if not labelled:
        return Rows(texts, np.full(batch.num_rows, np.nan))
    if source.answers:
        raw = [text or "" for text in words.joined(batch[source.text[1]])]
        return Rows(texts, answers.located(batch[source.label], raw, texts[1]))
    rows = Rows(texts, labels.parse(batch[source.label], source))
    if source.tags:
        _check_tags(rows)
    return rows


def _columns(source: Source, batch: pa.RecordBatch) -> list[list[str]]:
    """The text columns, with marks where the source has them."""
    if not source.marks:
        return [_texts(batch[column]) for column in source.text]
    return [[clean(text) for text in marks.marked(batch, source.text[0], source.marks)]]


def _check_tags(rows: Rows) -> None:
    for text, tags in zip(rows.texts[0], rows.labels, strict=True):
        if (words := len(text.split())) != (count := len(tags.split())):
            raise StageError(
                f"{count} tags for the {words} words of {text[:60]!r}: each word needs one, and blanks part words; "
                "correct the file, or leave such rows out by `where`"
            )


def is_labelled(name: str, source: Source, task: SourceTask, split: str) -> bool:
    """Whether a split has any label.

    Raises:
        StageError: the source has no such split.
    """
    hidden = answers.are_hidden if source.answers else labels.are_hidden
    return not all(hidden(chosen[source.label]) for chosen in _chosen(name, source, task, split))


def _chosen(name: str, source: Source, task: SourceTask, split: str) -> Iterator[pa.RecordBatch]:
    """A task's rows as they were fetched."""
    files = raw_files(name)
    if split not in files:
        raise StageError(
            f"source {name} has no split {split}; it has {', '.join(files)}: "
            f"name them under `splits` of its tasks in params.yaml"
        )
    for batch in read_batches(files[split]):
        _check_columns(name, split, batch, [*source.columns, *task.where])
        yield _where(batch, source.where | task.where)


def corpus_texts(name: str, source: Source) -> Iterator[list[str]]:
    """All texts of a source, labelled or not, each by itself.

    Raises:
        StageError: a text column is none.
    """
    for split, path in raw_files(name).items():
        for batch in read_batches(path, [*source.text, *source.where]):
            _check_columns(name, split, batch, [*source.text, *source.where])
            chosen = _where(batch, source.where)
            try:
                texts = [text for column in source.text for text in _texts(chosen[column])]
            except StageError as error:
                raise StageError(f"source {name}, split {split}: {error}") from None
            yield texts


def _check_columns(name: str, split: str, batch: pa.RecordBatch, needed: list[str]) -> None:
    if missing := [column for column in dict.fromkeys(needed) if column not in batch.schema.names]:
        present = ", ".join(batch.schema.names)
        raise StageError(
            f"source {name}, split {split}, has no column {', '.join(missing)}; it has {present}: "
            f"run `python -m stages.corpus download --source {name}`, for its entry in params.yaml was changed"
        )


def _where(batch: pa.RecordBatch, where: dict[str, str | int]) -> pa.RecordBatch:
    matches = [pc.equal(batch[column].cast(pa.string()), str(value)) for column, value in where.items()]
    return batch.filter(reduce(pc.and_, matches)) if matches else batch


def _texts(column: pa.Array) -> list[str]:
    return [clean(text or "") for text in words.joined(column)]
