"""A tokenizer on disk, as transformers loads it as its own."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer

from stages import artifacts
from stages.errors import StageError
from stages.tokenizer.special import CLS, MASK, PAD, SEP, UNK

CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "pad_token": PAD,
    "unk_token": UNK,
    "cls_token": CLS,
    "sep_token": SEP,
    "mask_token": MASK,
    "clean_up_tokenization_spaces": False,
    "model_input_names": ["input_ids", "attention_mask"],
}


def save(tokenizer: Tokenizer, folder: Path) -> None:
    """Write `tokenizer.json` and what `AutoTokenizer.from_pretrained` asks for beside it."""
    with artifacts.atomic_folder(folder) as temporary:
        tokenizer.save(str(temporary / "tokenizer.json"))
        artifacts.write_json(temporary / "tokenizer_config.json", CONFIG)


def load(folder: Path) -> Tokenizer:
    """Open a saved tokenizer.

    Raises:
        StageError: it is missing or damaged.
    """
    try:
        return Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the library raises nothing more specific
        raise StageError(f"{folder} has no readable tokenizer ({error}): run `dvc repro` to make it") from None
