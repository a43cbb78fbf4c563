"""Texts of the corpus that students learn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages import paths
from stages.compress import unlabelled
from stages.errors import StageError
from stages.finetune.tokenization import Tokenization
from stages.params import Tokenizer as Settings
from stages.tokenizer import files
from stages.tokenizer.train import train

WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "and", "runs", "away"]


@pytest.fixture
def tokenization(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tokenization:
    """The project's own, beside a corpus of eleven texts."""
    monkeypatch.setattr(paths, "CORPUS", tmp_path / "corpus")
    monkeypatch.setattr(paths, "TOKENIZER", tmp_path / "tokenizer")
    texts = [" ".join(np.roll(WORDS, place)) for place in range(11)]
    settings = Settings(algorithm="wordpiece", vocab_size=400, lowercase=True)
    files.save(train(lambda: iter([texts]), settings), paths.TOKENIZER)
    write(texts)
    return Tokenization(None, 0, 8)


def write(texts: list[str]) -> None:
    paths.CORPUS.mkdir(exist_ok=True)
    pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), paths.CORPUS / "train.parquet")


def test_they_are_read_as_the_model_reads_texts(tokenization: Tokenization) -> None:
    """Each once, framed and cut; the seed decides which."""
    tokenizer = files.load(paths.TOKENIZER)
    texts = pq.read_table(paths.CORPUS / "train.parquet")["text"].to_pylist()
    whole = {(*tokenizer.encode(text).ids[:7], tokenizer.encode(text).ids[-1]) for text in texts}
    rows = [
        {tuple(row) for row in unlabelled.read(tokenization, seed, 4).padded(np.arange(4))[0].tolist()}
        for seed in (0, 0, 1)
    ]
    assert all(len(found) == 4 and found <= whole for found in rows)
    assert rows[0] == rows[1] != rows[2]
    assert len(unlabelled.read(tokenization, 0, 100)) == 11


def test_a_model_with_another_tokenizer_reads_by_that(tokenization: Tokenization) -> None:
    theirs = files.load(paths.TOKENIZER)
    theirs.enable_truncation(5)
    found = unlabelled.read(Tokenization(theirs, 0, 5), 0, 3)
    assert found.lengths.tolist() == [5, 5, 5]


def test_a_corpus_without_texts_is_named(tokenization: Tokenization) -> None:
    write([])
    with pytest.raises(StageError, match=r"train\.parquet has no texts: let a source of params\.yaml: data\.sources"):
        unlabelled.read(tokenization, 0, 3)
    (paths.CORPUS / "train.parquet").unlink()
    with pytest.raises(StageError, match=r"train\.parquet is missing"):
        unlabelled.read(tokenization, 0, 3)
