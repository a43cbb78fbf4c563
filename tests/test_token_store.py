"""Token stores: what is written is what is read, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from stages import artifacts, token_store
from stages.errors import StageError

TEXTS = [([1, 2, 3], 10), ([], 0), ([65535], 4)]


def test_roundtrip(tmp_path: Path) -> None:
    token_store.write(tmp_path / "store", TEXTS, np.asarray([0, 1, 1]))
    store = token_store.read(tmp_path / "store")
    assert len(store) == 3
    assert [store[index].tolist() for index in range(3)] == [ids for ids, _ in TEXTS]
    assert store.lengths.tolist() == [3, 0, 1]
    assert store.bytes.tolist() == [10, 0, 4]
    assert store.labels is not None
    assert store.labels.tolist() == [0, 1, 1]
    assert isinstance(store.tokens, np.memmap)


@pytest.mark.parametrize("texts", [TEXTS, [], [([70_000, 3], 8)]])
def test_a_store_in_memory_reads_as_one_on_disk(texts: list[tuple[list[int], int]]) -> None:
    """Of vocabularies that files cannot hold as well."""
    store = token_store.collect(texts, np.arange(len(texts)))
    assert [store[index].tolist() for index in range(len(store))] == [ids for ids, _ in texts]
    assert store.lengths.tolist() == [len(ids) for ids, _ in texts]
    assert store.bytes.tolist() == [size for _, size in texts]
    assert store.labels is not None
    assert store.labels.tolist() == list(range(len(texts)))


def test_scores_stay_floats(tmp_path: Path) -> None:
    token_store.write(tmp_path / "store", TEXTS[:1], np.asarray([2.5], dtype=np.float32))
    assert token_store.read(tmp_path / "store").labels == np.asarray([2.5], dtype=np.float32)


@pytest.mark.parametrize("texts", [[], [([], 0)], [([], 0), ([], 3)]])
def test_stores_without_tokens(tmp_path: Path, texts: list[tuple[list[int], int]]) -> None:
    token_store.write(tmp_path / "store", texts)
    store = token_store.read(tmp_path / "store")
    assert len(store) == len(texts)
    assert store.lengths.tolist() == [0] * len(texts)


def test_same_texts_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        token_store.write(tmp_path / name, TEXTS, np.asarray([0, 1, 1]))
    assert artifacts.md5(tmp_path / "first") == artifacts.md5(tmp_path / "second")


def test_a_failing_writer_leaves_the_old_store(tmp_path: Path) -> None:
    token_store.write(tmp_path / "store", TEXTS)
    before = artifacts.md5(tmp_path)

    def failing() -> Iterator[tuple[list[int], int]]:
        yield [1], 1
        raise RuntimeError

    with pytest.raises(RuntimeError):
        token_store.write(tmp_path / "store", failing())
    assert artifacts.md5(tmp_path) == before


def test_an_id_beyond_uint16_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OverflowError):
        token_store.write(tmp_path / "store", [([65536], 1)])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["missing", "truncated", "other tokens", "other labels"])
def test_a_damaged_store_is_a_clear_error(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "store"
    token_store.write(folder, TEXTS, np.asarray([0, 1, 1]))
    if damage == "missing":
        (folder / "offsets.npy").unlink()
    elif damage == "truncated":
        (folder / "tokens.npy").write_bytes(b"")
    elif damage == "other tokens":
        np.save(folder / "tokens.npy", np.zeros(9, dtype=np.uint16))
    else:
        np.save(folder / "labels.npy", np.zeros(9, dtype=np.int64))
    with pytest.raises(StageError, match="store is not a readable token store"):
        token_store.read(folder)
