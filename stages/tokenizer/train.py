"""Training a tokenizer, and writing it so that transformers loads it as its own."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from stages import artifacts, params
from stages.errors import StageError
from stages.tokenizer.algorithms import ALGORITHMS
from stages.tokenizer.special import CLS, CLS_ID, MASK, PAD, SEP, SEP_ID, SPECIAL_TOKENS, UNK
from stages.tokenizer.texts import Texts

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


def train(texts: Texts, settings: params.Tokenizer) -> Tokenizer:
    """Learn a vocabulary and frame its texts as [CLS] A [SEP] B [SEP].

    It has `settings.vocab_size` pieces, or fewer if the texts have no more to give.
    """
    tokenizer = ALGORITHMS[settings.algorithm](texts, settings)
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    tokenizer.post_processor = TemplateProcessing(
        single=f"{CLS}:0 $A:0 {SEP}:0",
        pair=f"{CLS}:0 $A:0 {SEP}:0 $B:1 {SEP}:1",
        special_tokens=[(CLS, CLS_ID), (SEP, SEP_ID)],
    )
    return tokenizer


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
