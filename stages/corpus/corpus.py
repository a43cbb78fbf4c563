"""A corpus: all text of its sources that may be trained on, once, and a part of it for validation.

There is the corpus, which all objectives read, and there may be further ones, by name. Each is read twice, as the tasks
are: first the texts for validation are found and indexed, then the training texts are compared with them, and with what
the tasks hold out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.corpus import cut, fingerprints
from stages.corpus.fingerprints import concatenate, fingerprint
from stages.corpus.held_out import stands_in
from stages.corpus.near import Index
from stages.corpus.rows import corpus_texts
from stages.corpus.sets import CorpusWriter
from stages.errors import StageError
from stages.params import Params


class Corpus:
    """Chooses a corpus's texts; `removed` counts what was left out, by reason."""

    def __init__(self, params: Params, held_out: Sequence[Index], name: str | None = None) -> None:
        """``held_out``: what must not stand in it; ``name``: of a further corpus, None for the corpus."""
        self._params, self._held_out, self._name = params, held_out, name
        self.removed: Counter[str] = Counter(empty=0, duplicate=0, held_out=0, near_validation=0)

    def write(self, folder: Path) -> list[CorpusWriter]:
        """Write `train.parquet` and `validation.parquet`; return their writers, closed.

        Raises:
            StageError: one of them has no text.
        """
        folder.mkdir(exist_ok=True)
        validation = self.validation()
        with (
            CorpusWriter(folder / "train.parquet") as train_writer,
            CorpusWriter(folder / "validation.parquet") as validation_writer,
        ):
            for texts, is_validation in self._fresh_texts(self.removed):
                prints = fingerprint(texts)
                held_out = stands_in(prints, self._held_out)
                near = ~held_out & ~is_validation & validation.near(prints)
                self.removed.update(held_out=int(held_out.sum()), near_validation=int(near.sum()))
                for writer, chosen in (
                    (train_writer, ~held_out & ~near & ~is_validation),
                    (validation_writer, ~held_out & is_validation),
                ):
                    writer.write([_select(texts, chosen)], prints.keys[chosen])
        if not (train_writer.rows and validation_writer.rows):
            called = f"the corpus {self._name}" if self._name else "the corpus"
            raise StageError(f"{called} is too small to be cut in two: use more sources, or more text")
        return [train_writer, validation_writer]

    def validation(self) -> Index:
        """The validation texts, to be compared with."""
        parts = []
        for texts, is_validation in self._fresh_texts(Counter()):
            prints = fingerprint(_select(texts, is_validation))
            parts.append(prints.select(~stands_in(prints, self._held_out)))
        return Index(concatenate(parts), self._params.data.near_duplicate)

    def _fresh_texts(self, removed: Counter[str]) -> Iterator[tuple[list[str], NDArray[np.bool_]]]:
        """Texts that were not seen before, and which of them are for validation."""
        seen: set[int] = set()
        for name in self._params.data.sources:
            source = self._params.sources[name]
            for texts in corpus_texts(name, source) if source.corpus == (self._name or True) else ():
                filled = [text for text in texts if text]
                keys = fingerprints.keys(filled)
                fresh = np.asarray([_add(seen, key) for key in keys.tolist()], dtype=np.bool_)
                removed.update(empty=len(texts) - len(filled), duplicate=int((~fresh).sum()))
                share = self._params.data.corpus_validation
                yield _select(filled, fresh), cut.corpus_validation(keys[fresh], share)


def _add(seen: set[int], key: int) -> bool:
    """Add a key to those seen; tell whether it is new."""
    before = len(seen)
    seen.add(key)
    return len(seen) > before


def _select(texts: list[str], chosen: NDArray[np.bool_]) -> list[str]:
    return [texts[place] for place in np.flatnonzero(chosen).tolist()]
