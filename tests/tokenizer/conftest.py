"""A small corpus to learn vocabularies from."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from stages import params, paths

STEMS = [a + b + c for a in ("fil", "ac", "lau", "won", "plo", "scri") for b in "mtghd" for c in ("er", "i", "on", "u")]
ENDINGS = ["", "s", "ed", "ing", "er", "ful", "less", "ly", "ation", "able", "'s", "-like", "é", "…"]
FRAMES = ["The {} is {}.", "I {} it, and {}!", "{}? {}", "A {} ({}), 1997", "naïve {} “{}”", "{}\n{}"]


def make_texts(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)

    def word() -> str:
        text = rng.choice(STEMS) + rng.choice(ENDINGS)
        return text.capitalize() if rng.random() < 0.2 else text

    return [
        " ".join(rng.choice(FRAMES).format(word(), word()) for _ in range(rng.randrange(1, 9))) for _ in range(count)
    ]


@pytest.fixture
def texts() -> Callable[[], Iterator[list[str]]]:
    """Five hundred texts in two batches."""
    return lambda: iter([make_texts(250, 1), make_texts(250, 2)])


@pytest.fixture
def settings() -> Callable[..., params.Tokenizer]:
    def make(algorithm: str, vocab_size: int = 450, lowercase: bool = True) -> params.Tokenizer:
        return params.Tokenizer.model_validate(
            {"algorithm": algorithm, "vocab_size": vocab_size, "lowercase": lowercase}
        )

    return make


@pytest.fixture
def project(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in a temporary folder, with a corpus, and with tasks of single texts and of pairs.

    All of them share a store of runs and its recorder, which takes seconds to start.
    """
    shared = tmp_path_factory.getbasetemp()
    monkeypatch.setattr(paths, "STATE", shared / paths.STATE.name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{shared / 'mlflow.db'}")
    for name in ("DATA", "CORPUS", "TASKS", "METRICS", "PACKED", "ENCODED", "MODELS", "TOKENIZER"):
        monkeypatch.setattr(paths, name, tmp_path / getattr(paths, name).relative_to(paths.ROOT))
    content: dict[str, Any] = yaml.safe_load(paths.PARAMS.read_text())
    content["tokenizer"]["vocab_size"] = 450
    monkeypatch.setattr(params, "load", lambda: params.parse(params.Params, content, "params.yaml"))
    for folder in (paths.CORPUS, paths.task("single"), paths.task("pairs")):
        folder.mkdir(parents=True)
    for seed, split in enumerate(("train", "validation", "test")):
        batch, other = make_texts(60, seed), make_texts(60, seed + 10)
        ids = [f"{index:016x}" for index in range(60)]
        if split != "test":
            pq.write_table(pa.table({"text": make_texts(300, seed + 20)}), paths.CORPUS / f"{split}.parquet")
        single = {"text": batch, "label": [index % 2 for index in range(60)], "id": ids}
        pq.write_table(pa.table(single), paths.task("single") / f"{split}.parquet")
        scores = pa.array([index / 8 for index in range(60)], pa.float32())
        pairs = {"text": batch, "text_pair": other, "label": scores, "id": ids}
        pq.write_table(pa.table(pairs), paths.task("pairs") / f"{split}.parquet")
    return tmp_path
