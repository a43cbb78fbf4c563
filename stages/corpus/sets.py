"""Writing a set of texts while counting what the split's metrics tell of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stages.corpus import labels
from stages.corpus.rows import Rows
from stages.corpus.tables import TEXT_COLUMNS, TableWriter
from stages.params import Source


class SetWriter:
    """One parquet file of texts; counts its rows, words and UTF-8 bytes, and keeps its texts' keys."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = schema
        self._table = TableWriter(path, schema)
        self._keys: list[NDArray[np.uint64]] = []
        self._counts: Counter[str] = Counter(rows=0, words=0, bytes=0)

    @property
    def rows(self) -> int:
        return self._table.rows

    @property
    def keys(self) -> NDArray[np.uint64]:
        """The key of each distinct text."""
        return np.unique(np.concatenate(self._keys)) if self._keys else np.empty(0, dtype=np.uint64)

    def write(self, texts: list[list[str]], keys: NDArray[np.uint64], **columns: Any) -> None:
        """Append rows: their text columns, the keys of all their texts, and their other columns."""
        named = dict(zip(TEXT_COLUMNS, texts, strict=False)) | columns
        arrays = [pa.array(named[field.name], field.type) for field in self._schema]
        self._table.write(pa.record_batch(arrays, schema=self._schema))
        self._keys.append(keys.ravel())
        for column in texts:
            self._counts["words"] += sum(len(text.split()) for text in column)
            self._counts["bytes"] += sum(len(text.encode()) for text in column)

    def statistics(self) -> dict[str, Any]:
        return {**self._counts, "rows": self.rows}

    def __enter__(self) -> Self:
        self._table.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._table.__exit__(kind, error, trace)


class CorpusWriter(SetWriter):
    """A set of the corpus: nothing but text."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, pa.schema([("text", pa.string())]))


class TaskWriter(SetWriter):
    """A set of a task: its one or two texts, label and id; no label where it is hidden."""

    def __init__(self, path: Path, source: Source, *, labelled: bool = True) -> None:
        texts = [(name, pa.string()) for name in TEXT_COLUMNS[: len(source.text)]]
        label = [("label", labels.arrow_type(source))] if labelled else []
        super().__init__(path, pa.schema([*texts, *label, ("id", pa.string())]))
        self._source, self._labelled = source, labelled
        self._labels: Counter[float | str] = Counter()

    def write_rows(self, rows: Rows, ids: NDArray[np.uint64], text_keys: NDArray[np.uint64]) -> None:
        """Append rows; ids are written in hexadecimal."""
        self.write(rows.texts, text_keys, label=rows.labels, id=[f"{value:016x}" for value in ids])
        for label in rows.labels.tolist() if self._source.labels or self._source.score else ():
            self._labels.update(label.split() if self._source.tags else [label])

    def statistics(self) -> dict[str, Any]:
        """With the rows of each class, or the mean of the scores, if labels are such."""
        if not self._labelled or not (self._source.labels or self._source.score):
            return super().statistics()
        if self._source.score:
            total = sum(float(score) * count for score, count in sorted(self._labels.items()))
            return {**super().statistics(), "mean_score": total / max(self.rows, 1)}
        names = enumerate(self._source.labels)
        counts = {name: self._labels[name if self._source.tags else index] for index, name in names}
        return {**super().statistics(), "labels": counts}
