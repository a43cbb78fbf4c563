"""How a model reads texts: with the tokenizer that it was trained with, whose files lie beside its weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tokenizers import Tokenizer

from stages import artifacts, paths
from stages.errors import StageError
from stages.model import files
from stages.tokenizer import files as tokenizer_files
from stages.tokenizer.special import PAD_ID

TOKENIZER = "tokenizer.json"


@dataclass(frozen=True)
class Tokenization:
    """What turns a task's texts into batches for one model.

    Attributes:
        tokenizer: the model's own; None if that is models/tokenizer, whose ids lie in data/encoded.
        pad_id: what rows are filled up with.
        max_length: longer texts are cut, in tokens.
    """

    tokenizer: Tokenizer | None
    pad_id: int
    max_length: int

    @classmethod
    def of(cls, folder: Path, max_length: int) -> Self:
        """Read it off a model's folder.

        Raises:
            StageError: the tokenizer is missing or damaged, or has tokens that the model does not know.
        """
        config = artifacts.read_json(folder / files.CONFIG)
        declared, size = config.get("pad_token_id"), config.get("vocab_size")
        pad_id = PAD_ID if declared is None or declared < 0 else declared
        if _md5(folder) == _md5_of_ours():
            return cls(None, pad_id, max_length)
        tokenizer = tokenizer_files.load(folder)
        if size is not None and (highest := max(tokenizer.get_vocab().values())) >= size:
            raise StageError(
                f"{folder / TOKENIZER} has the id {highest}, but the model knows only {size} tokens: give the "
                "checkpoint the tokenizer that it was trained with"
            )
        tokenizer.no_padding()
        if files.is_own(folder):
            tokenizer.no_truncation()  # `Examples` cuts them, as it does those that were encoded before
        else:
            tokenizer.enable_truncation(max_length)
        return cls(tokenizer, pad_id, max_length)


def _md5(folder: Path) -> str:
    if not (folder / TOKENIZER).is_file():
        raise StageError(
            f"{folder / TOKENIZER} is missing: write it into the checkpoint's folder with "
            "`AutoTokenizer.from_pretrained(folder).save_pretrained(folder)`, and name that folder in params.yaml: "
            "checkpoints, with `kind: file`"
        )
    return artifacts.md5(folder / TOKENIZER)


def _md5_of_ours() -> str | None:
    """None where it is not: a model is used on another machine than it was made on."""
    ours = paths.TOKENIZER / TOKENIZER
    return artifacts.md5(ours) if ours.is_file() else None
