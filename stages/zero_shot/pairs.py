"""Minimal pairs in BLiMP's format (Warstadt et al. 2020, §3): a sentence, and one that differs in what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from stages.corpus.clean import clean
from stages.corpus.rows import raw_files
from stages.errors import StageError

GOOD, BAD, PARADIGM, PHENOMENON = "sentence_good", "sentence_bad", "UID", "linguistics_term"


class Pair(NamedTuple):
    """Two sentences of a paradigm (one generated contrast), which belongs to a phenomenon, if the source says so."""

    good: str
    bad: str
    paradigm: str
    phenomenon: str | None


class MinimalPairs(NamedTuple):
    """A source's pairs; ``equal`` counts those that were left out because their sentences are the same."""

    pairs: list[Pair]
    equal: int


def read(source: str) -> MinimalPairs:
    """All minimal pairs of a fetched source, whatever its splits, in the plain text that models are trained on.

    Raises:
        StageError: the source was not fetched, or a file of it is damaged, is empty, or lacks a column or a value.
    """
    found = [pair for path in raw_files(source).values() for pair in _read(path)]
    pairs = [pair for pair in found if pair.good != pair.bad]
    if not pairs:
        raise StageError(f"source {source}: the sentences of all {len(found)} pairs are equal: use another source")
    return MinimalPairs(pairs, len(found) - len(pairs))


def _read(path: Path) -> Iterator[Pair]:
    table = _table(path)
    good, bad = ([clean(text or "") for text in _strings(table, name)] for name in (GOOD, BAD))
    paradigms = _strings(table, PARADIGM)
    for name, values in ((GOOD, good), (BAD, bad), (PARADIGM, paradigms)):
        if missing := [row for row, value in enumerate(values, 1) if not value]:
            raise StageError(f"{path}: row {missing[0]}: {name} is empty: correct the source or remove the row")
    phenomena = _strings(table, PHENOMENON) if PHENOMENON in table.column_names else [None] * len(table)
    return map(Pair._make, zip(good, bad, paradigms, phenomena, strict=True))


def _table(path: Path) -> pa.Table:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise StageError(f"{path} is not readable ({error}): run `dvc repro` to make it") from None
    if missing := [name for name in (GOOD, BAD, PARADIGM) if name not in table.column_names]:
        raise StageError(
            f"{path}: column {', '.join(missing)} is missing; it has {', '.join(table.column_names)}: "
            "name a source of minimal pairs, and all its columns, in params.yaml"
        )
    if not len(table):
        raise StageError(f"{path} is empty: it has no pairs; correct the source in params.yaml")
    return table


def _strings(table: pa.Table, name: str) -> list[str | None]:
    strings: list[str | None] = table[name].cast(pa.string()).to_pylist()
    return strings
