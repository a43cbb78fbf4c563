"""Texts as token ids on disk: one flat array, and where each text begins and ends.

A store is a folder of three NumPy files (never pickled), read through memory maps:

- ``tokens.npy``, uint16 (number of tokens,): the ids of all texts, end to end;
- ``offsets.npy``, int64 (number of texts + 1,): text ``i`` is ``tokens[offsets[i]:offsets[i + 1]]``;
- ``bytes.npy``, int64 (number of texts,): UTF-8 bytes of each text, the denominator of bits per byte;
- ``labels.npy`` (number of texts,), only for tasks, where they are known: int64 classes or float32 scores.

One that is made in memory has its ids in int32: another's vocabulary may be larger than uint16 can number.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.artifacts import atomic_folder
from stages.errors import StageError

Ids = NDArray[np.uint16] | NDArray[np.int32]
Labels = NDArray[np.int64] | NDArray[np.float32]


@dataclass(frozen=True)
class TokenStore:
    """Token ids of a sequence of texts; indexing gives one text's ids."""

    tokens: Ids
    offsets: NDArray[np.int64]
    bytes: NDArray[np.int64]
    labels: Labels | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> Ids:
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text."""
        return np.diff(self.offsets)


def read(folder: Path) -> TokenStore:
    """Open a store.

    Raises:
        StageError: a file of it is missing or damaged.
    """
    try:
        tokens, offsets, sizes = (_map(folder / f"{name}.npy") for name in ("tokens", "offsets", "bytes"))
        labels = _map(folder / "labels.npy") if (folder / "labels.npy").exists() else None
        _check(tokens, offsets, sizes, labels)
    except (OSError, ValueError, EOFError) as error:
        raise StageError(f"{folder} is not a readable token store ({error}): run `dvc repro` to make it") from None
    return TokenStore(tokens, offsets, sizes, labels)


def _map(path: Path) -> NDArray[Any]:
    array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _check(tokens: NDArray[Any], offsets: NDArray[Any], sizes: NDArray[Any], labels: NDArray[Any] | None) -> None:
    if not len(offsets) or offsets[-1] != len(tokens):
        raise ValueError("tokens.npy and offsets.npy do not belong together")
    if len(sizes) != len(offsets) - 1 or (labels is not None and len(labels) != len(sizes)):
        raise ValueError("offsets.npy, bytes.npy and labels.npy are of different numbers of texts")


def collect(texts: Iterable[tuple[list[int], int]], labels: Labels | None) -> TokenStore:
    """A store in memory, of what `write` takes; for vocabularies of any size."""
    pairs = list(texts)
    offsets = np.cumsum([0, *(len(ids) for ids, _ in pairs)])
    tokens = np.fromiter((token for ids, _ in pairs for token in ids), np.int32, offsets[-1])
    return TokenStore(tokens, offsets, np.asarray([size for _, size in pairs], dtype=np.int64), labels)


def write(folder: Path, texts: Iterable[tuple[list[int], int]], labels: Labels | None = None) -> None:
    """Write a store from ``(token ids, UTF-8 bytes)`` pairs, one text at a time.

    The ids are appended to a raw file and given their header at the end, so that memory does not
    grow with the corpus.
    """
    offsets, sizes = [0], []
    with atomic_folder(folder) as temporary:
        raw = temporary / "tokens.raw"
        with raw.open("wb") as file:
            for ids, size in texts:
                np.asarray(ids, dtype=np.uint16).tofile(file)
                offsets.append(offsets[-1] + len(ids))
                sizes.append(size)
        _give_header(raw, temporary / "tokens.npy", offsets[-1])
        np.save(temporary / "offsets.npy", np.asarray(offsets, dtype=np.int64))
        np.save(temporary / "bytes.npy", np.asarray(sizes, dtype=np.int64))
        if labels is not None:
            np.save(temporary / "labels.npy", labels)


def _give_header(raw: Path, target: Path, length: int) -> None:
    array = np.lib.format.open_memmap(target, mode="w+", dtype=np.uint16, shape=(length,))
    if length:
        array[:] = np.memmap(raw, dtype=np.uint16, mode="r", shape=(length,))
        array.flush()
    raw.unlink()
