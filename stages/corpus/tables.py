"""Parquet files that are written as they come, the same bytes every time, and read in small batches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from stages.errors import StageError

ROW_GROUP = 2048
"""Rows written, and read, at a time: what is held in memory of a file."""

TEXT_COLUMNS = ("text", "text_pair")
"""The text columns of a set; a set of single texts has the first alone."""

FURTHER = "further"
"""The folder of a task's further sets, beside its splits."""


class TableWriter:
    """Writes one parquet file in row groups of `ROW_GROUP` rows, however its batches are cut."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(path, schema.remove_metadata(), compression="zstd")
        self._pending: list[pa.RecordBatch] = []
        self.rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        self._pending.append(batch.replace_schema_metadata())
        self.rows += batch.num_rows
        if sum(pending.num_rows for pending in self._pending) >= ROW_GROUP:
            self._flush(whole_groups_only=True)

    def _flush(self, whole_groups_only: bool) -> None:
        table = pa.Table.from_batches(self._pending)
        length = table.num_rows - table.num_rows % ROW_GROUP if whole_groups_only else table.num_rows
        self._writer.write_table(table.slice(0, length), row_group_size=ROW_GROUP)
        self._pending = table.slice(length).to_batches()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pending and error is None:
            self._flush(whole_groups_only=False)
        self._writer.close()


def read_batches(path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The file's rows, `ROW_GROUP` at a time.

    Raises:
        StageError: the file is missing or damaged.
    """
    try:
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(ROW_GROUP, columns=columns)
    except (OSError, pa.ArrowInvalid) as error:
        raise StageError(f"{path} is not readable ({error}): run `dvc repro` to make it") from None


def count_rows(path: Path) -> int:
    """Rows of a parquet file, from its footer alone."""
    return int(pq.read_metadata(path).num_rows)
