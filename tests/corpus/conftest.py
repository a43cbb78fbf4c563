"""A project in a temporary folder, and text to fill it with."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from stages import params, paths

VOCABULARY = [a + b + c for a in ("ba", "do", "ki", "lu", "me") for b in ("n", "r", "st", "") for c in "aeiou"]
CONTENT: dict[str, Any] = yaml.safe_load(paths.PARAMS.read_text())


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The layout of `stages.paths`, moved to a temporary folder."""
    for name in ("DATA", "RAW", "CORPUS", "CORPORA", "TASKS", "METRICS", "PACKED", "ENCODED", "MODELS", "TOKENIZER"):
        relative = getattr(paths, name).relative_to(paths.ROOT)
        monkeypatch.setattr(paths, name, tmp_path / relative)
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def sentences() -> Callable[..., list[str]]:
    """Makes distinct random sentences, the same for the same seed."""

    def make(count: int, seed: int = 0, words: int = 14) -> list[str]:
        rng = random.Random(seed)
        return [" ".join(rng.choices(VOCABULARY, k=words)).capitalize() + "." for _ in range(count)]

    return make


@pytest.fixture
def settings() -> Callable[..., params.Params]:
    """Makes parameters with the given sources, all in use, and the given keys of `data`."""

    def make(sources: dict[str, dict[str, Any]], **data: Any) -> params.Params:
        content = copy.deepcopy(CONTENT)
        content["sources"] = {name: {"kind": "file", "path": name, **source} for name, source in sources.items()}
        content["data"] |= {"sources": list(sources), "corpus_validation": 0.1, **data}
        content["tasks"] = [task for source in sources.values() for task in source["tasks"]][:1]
        return params.parse(params.Params, content, "params.yaml")

    return make


@pytest.fixture
def raw(project: Path) -> Callable[..., None]:
    """Writes a source's split as the download would."""

    def write(source: str, split: str = "train", **columns: list[Any]) -> None:
        paths.raw(source).mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), paths.raw(source) / f"{split}.parquet")

    return write
