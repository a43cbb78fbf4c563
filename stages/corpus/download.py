"""Fetching a source: its rows, as they are, into one parquet file per split."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from stages import artifacts, progress
from stages.corpus.sources import FETCHERS
from stages.corpus.tables import TableWriter
from stages.errors import StageError

if TYPE_CHECKING:
    from stages.corpus.readers import Batches
    from stages.params import Params, Source


def pick(params: Params, name: str) -> Source:
    """The source's entry in `params.yaml`.

    Raises:
        StageError: there is none.
    """
    if name not in params.sources:
        raise StageError(f"params.yaml: sources has no {name!r}; it has: {', '.join(params.sources)}")
    return params.sources[name]


def download(name: str, source: Source, folder: Path) -> None:
    """Fetch a source into `folder`, which appears whole or not at all.

    Raises:
        StageError: the source cannot be fetched, is not as described, or is empty; the message
            names it.
    """
    try:
        with tempfile.TemporaryDirectory() as scratch, artifacts.atomic_folder(folder) as target:
            for split, batches in FETCHERS[source.kind](source, Path(scratch)).items():
                _write(f"download {name}", batches, target / f"{split}.parquet")
    except StageError as error:
        raise StageError(f"source {name}: {error}") from None


def _write(description: str, batches: Batches, path: Path) -> None:
    first = next(batches, None)
    if first is None:
        raise StageError(f"{path.stem} is empty: it has no rows")
    with progress.bar(description, None, "rows") as bar, TableWriter(path, first.schema) as writer:
        writer.write(first)
        for batch in batches:
            writer.write(batch)
            bar.advance(batch.num_rows)
        bar.advance(first.num_rows)
    if not writer.rows:
        raise StageError(f"{path.stem} is empty: it has no rows")
