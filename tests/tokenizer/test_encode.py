"""The stage: files that transformers reads, and ids that are transformers' own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages import artifacts, params, paths, token_store
from stages.errors import StageError
from stages.tokenizer import __main__ as command
from stages.tokenizer.algorithms import ALGORITHMS
from stages.tokenizer.special import CLS_ID, SEP_ID


@pytest.fixture(params=ALGORITHMS)
def algorithm(request: pytest.FixtureRequest, project: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The project's tokenizer, trained with each algorithm."""
    loaded = params.load()
    tokenizer = loaded.tokenizer.model_copy(update={"algorithm": request.param})
    monkeypatch.setattr(params, "load", lambda: loaded.model_copy(update={"tokenizer": tokenizer}))
    command.main(["train"])
    return str(request.param)


def reference() -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(paths.TOKENIZER)


def test_transformers_gives_the_same_ids(algorithm: str) -> None:
    tokenizer = reference()
    for name in ("single", "pairs"):
        command.main(["encode", "--task", name])
        for split in ("train", "validation", "test"):
            frame = pd.read_parquet(paths.task(name) / f"{split}.parquet")
            columns = [list(frame[column]) for column in ("text", "text_pair") if column in frame]
            store = token_store.read(paths.encoded(name) / split)
            expected = tokenizer(*columns)["input_ids"]
            assert [store[index].tolist() for index in range(len(store))] == expected
            assert store.labels is not None
            assert store.labels.tolist() == frame["label"].tolist()
            assert store.labels.dtype == (np.float32 if name == "pairs" else np.int64)
            sizes = [sum(len(text.encode()) for text in row) for row in zip(*columns, strict=True)]
            assert store.bytes.tolist() == sizes


def test_further_sets_are_encoded_beside_the_splits(algorithm: str) -> None:
    """In their own order, with labels where these are known; an empty text has the frame alone."""
    folder = paths.task("single") / "further"
    folder.mkdir()
    asked = ["a film", "", "acting, mostly", "a film"]
    pq.write_table(pa.table({"text": asked, "id": list("0123")}), folder / "BOARD-x.parquet")
    pq.write_table(pa.table({"text": asked, "label": [0, 1, 1, 0], "id": list("0123")}), folder / "more.parquet")
    command.main(["encode", "--task", "single"])
    expected = reference()(asked)["input_ids"]
    for name, labels in (("BOARD-x", None), ("more", [0, 1, 1, 0])):
        store = token_store.read(paths.encoded("single") / "further" / name)
        assert [store[index].tolist() for index in range(len(store))] == expected
        assert (None if store.labels is None else store.labels.tolist()) == labels


def test_the_corpus_is_packed_with_separators_alone(algorithm: str) -> None:
    command.main(["pack"])
    tokenizer = reference()
    for split in ("train", "validation"):
        texts = list(pd.read_parquet(paths.CORPUS / f"{split}.parquet")["text"])
        store = token_store.read(paths.PACKED / split)
        expected = [[*ids, SEP_ID] for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]]
        assert [store[index].tolist() for index in range(len(store))] == expected
        assert CLS_ID not in store.tokens
        assert store.bytes.tolist() == [len(text.encode()) for text in texts]


def test_auto_tokenizer_loads_it(algorithm: str) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(paths.TOKENIZER)
    special = [tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.cls_token_id]
    assert [*special, tokenizer.sep_token_id, tokenizer.mask_token_id] == [0, 1, 2, 3, 4]
    batch = tokenizer(["film", "act"], ["a film", "acting, mostly"], padding=True, truncation=True, max_length=8)
    assert batch["input_ids"][0][0] == CLS_ID
    assert set(batch) == {"input_ids", "attention_mask"}
    assert len(tokenizer) == 450


def test_held_out_text_has_no_say(algorithm: str) -> None:
    before = artifacts.md5(paths.TOKENIZER)
    pq.write_table(pa.table({"text": ["zzz qqq xxx"] * 500}), paths.CORPUS / "validation.parquet")
    for name in ("single", "pairs"):
        for path in paths.task(name).iterdir():
            path.unlink()
    command.main(["train"])
    assert artifacts.md5(paths.TOKENIZER) == before


def test_outputs_are_the_same_bytes_twice(algorithm: str, project: Path) -> None:
    hashes = []
    for _ in range(2):
        for arguments in (["train"], ["pack"], ["encode", "--task", "pairs"]):
            command.main(arguments)
        folders = (paths.TOKENIZER, paths.PACKED, paths.ENCODED, paths.METRICS)
        hashes.append([artifacts.md5(folder) for folder in folders])
    assert hashes[0] == hashes[1]
    for path in (*paths.TOKENIZER.iterdir(), *paths.METRICS.iterdir()):
        assert str(project) not in path.read_text()


def test_statistics_are_of_the_validation_text(algorithm: str) -> None:
    figures = artifacts.read_json(paths.METRICS / "tokenizer.json")
    command.main(["pack"])
    store = token_store.read(paths.PACKED / "validation")
    tokens = len(store.tokens) - len(store)
    assert figures["bytes_per_token"] == pytest.approx(store.bytes.sum() / tokens)
    assert figures["unknown_rate"] == 0


@pytest.mark.parametrize("arguments", [["pack"], ["encode", "--task", "single"]])
def test_without_a_tokenizer(project: Path, arguments: list[str]) -> None:
    with pytest.raises(StageError, match=r"no readable tokenizer .*dvc repro"):
        command.main(arguments)


def test_without_a_task_or_a_corpus(project: Path) -> None:
    command.main(["train"])
    with pytest.raises(StageError, match=r"nowhere.train\.parquet is missing: run `dvc repro`"):
        command.main(["encode", "--task", "nowhere"])
    (paths.CORPUS / "train.parquet").unlink()
    with pytest.raises(StageError, match=r"train\.parquet"):
        command.main(["train"])


@pytest.mark.parametrize("arguments", [["--help"], ["encode", "--help"]])
def test_help_teaches(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        command.main(arguments)
    assert exit_.value.code == 0
    assert "python -m stages.tokenizer" in capsys.readouterr().out
