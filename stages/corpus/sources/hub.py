"""A dataset of the Hugging Face hub, or a local folder of parquet laid out like one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from stages import paths
from stages.corpus.readers import Batches, Request
from stages.corpus.sources.file import chain, split_files
from stages.corpus.tables import ROW_GROUP
from stages.errors import StageError
from stages.params import HubSource


def fetch(source: HubSource, scratch: Path) -> dict[str, Batches]:
    """The rows of the splits that the source names; nothing of the dataset's own code is run.

    Raises:
        StageError: the hub cannot be reached, or has no such dataset, configuration or split.
    """
    source = source.model_copy(update={"id": named(source.id)})
    folder = paths.ROOT / Path(source.id).expanduser()
    if folder.is_dir():
        return _from_folder(folder, source)
    return {split: _from_hub(source, split) for split in source.splits}


def named(identifier: str) -> str:
    """With the variables of the environment that it names.

    Raises:
        StageError: one of them is not set.
    """
    named = os.path.expandvars(identifier)
    if "$" in named:
        raise StageError(f"{identifier}: there is no such variable in the environment: set it to a folder or a hub id")
    return named


def _from_folder(folder: Path, source: HubSource) -> dict[str, Batches]:
    """A configuration is a folder in it, as on the hub."""
    if source.config and (folder / source.config).is_dir():
        folder = folder / source.config
    files = split_files(folder)
    if missing := [split for split in source.splits if split not in files]:
        raise StageError(f"{source.id} has no split {', '.join(missing)}; it has {', '.join(files)}")
    return {split: chain(files[split], Request(source.columns)) for split in source.splits}


def _from_hub(source: HubSource, split: str) -> Batches:
    from datasets import load_dataset

    try:
        yield from _batches(load_dataset(source.id, name=source.config, split=split, revision=source.revision), source)
    except StageError:
        raise
    except Exception as error:  # the hub's client raises those of many libraries
        raise StageError(_explain(source, split, error)) from None


def _explain(source: HubSource, split: str, error: Exception) -> str:
    where = "/".join(part for part in (source.id, source.config, split) if part)
    reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
    return (
        f"{where} could not be loaded from the hub ({type(error).__name__}: {reason}). "
        f"Check id, config, revision and splits, and that the hub can be reached (or HF_ENDPOINT, a mirror); "
        f"or download the dataset's parquet files elsewhere and name their folder as `id`; "
        f"or use another source in data.sources"
    )


def _batches(dataset: Any, source: HubSource) -> Iterator[pa.RecordBatch]:
    columns = list(dataset.column_names or [])
    if missing := [column for column in source.columns if column not in columns]:
        raise StageError(f"column {', '.join(missing)} is missing; {source.id} has {', '.join(columns)}")
    for table in dataset.select_columns(source.columns).with_format("arrow").iter(ROW_GROUP):
        yield from table.to_batches()
