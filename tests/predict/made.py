"""Tuned models of 32 dimensions with heads that are not zero, and their answers computed another way."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer

from stages import params
from stages.compress import files as compressed_files
from stages.model import backbone, classifier, files
from stages.model.classifier import Classifier
from stages.model.classifier_config import ClassifierConfig
from stages.model.config import TransformerConfig
from stages.model.transformer import LanguageModel, initialize
from stages.tokenizer import files as tokenizer_files
from stages.tokenizer import train as tokenizer_training
from tests.compress.made import compress
from tests.model import checkpoints

LABELS = ("low", "middle", "high")
LENGTH = 20
KINDS = ("encoder", "decoder", "bert", "roberta", "int8 encoder", "int8 bert")
"""Ours and others', and compressed ones."""


def tokenizer(folder: Path, word: str = "film") -> Path:
    """A tokenizer of ours; another word trains another one."""
    settings = params.load().tokenizer.model_copy(update={"vocab_size": 400})
    words = " ".join([*checkpoints.HIGH, *checkpoints.LOW, word])
    tokenizer_files.save(tokenizer_training.train(lambda: iter([[words] * 3]), settings), folder)
    return folder


def pretrained(folder: Path, kind: str) -> Path:
    """A backbone that nothing has tuned yet."""
    if kind not in ("encoder", "decoder"):
        return checkpoints.save(folder, kind)
    own = tokenizer(folder.with_name(f"{folder.name}-tokenizer"))
    size = tokenizer_files.load(own).get_vocab_size()
    model = LanguageModel(TransformerConfig(size, 32, 2, 2, 48, kind == "decoder"))
    initialize(model, torch.Generator().manual_seed(0))
    files.save(folder, model, own)
    return folder


def tuned(folder: Path, kind: str, labels: tuple[str, ...] = LABELS, seed: int = 0) -> Path:
    """A classifier, or of no labels a scorer, in a folder as fine-tuning or compression writes it."""
    base = pretrained(folder.with_name(f"{folder.name}-pretrained"), kind.removeprefix("int8 "))
    transformer = backbone.load(base)
    model = Classifier(transformer, ClassifierConfig(labels, tuple(transformer.depths), LENGTH))
    torch.nn.init.normal_(model.classifier.weight, generator=torch.Generator().manual_seed(seed))
    _spread(model, base)
    if not kind.startswith("int8"):
        classifier.save(folder, model, base)
        return folder
    whole = folder.with_name(f"{folder.name}-whole")
    classifier.save(whole, model, base)
    compress(folder, whole, "int8_dynamic")
    return folder


def _spread(model: Classifier, base: Path) -> None:
    """Bring outputs to mean 0 and deviation 1 over texts, so that these are told apart."""
    pairs = [f"{low} {high}" for low in checkpoints.LOW for high in checkpoints.HIGH]
    with torch.no_grad():
        ids = [torch.tensor([token_ids(base, text)]) for text in pairs]
        given = torch.cat([model(one, torch.ones_like(one)) for one in ids])
        model.classifier.weight /= given.std(0)[:, None]
        model.classifier.bias -= given.mean(0) / given.std(0)


def outputs(folder: Path, *texts: str) -> list[float]:
    """What the model gives for one text or pair, alone in its batch, read as it was in training."""
    is_compressed = (folder / compressed_files.COMPRESSION).exists()
    model = compressed_files.load(folder) if is_compressed else classifier.load(folder)
    with torch.no_grad():
        given = model(ids := torch.tensor([token_ids(folder, *texts)]), torch.ones_like(ids))[0]
    return (given.softmax(-1) if model.config.labels else given).tolist()


def token_ids(folder: Path, *texts: str) -> list[int]:
    """Ours keeps the first tokens and the last, which is [SEP]; others cut as transformers does."""
    if files.is_own(folder):
        ids: list[int] = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(*texts).ids
        return ids if len(ids) <= LENGTH else [*ids[: LENGTH - 1], ids[-1]]
    from transformers import PreTrainedTokenizerFast

    reference = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    read: list[int] = reference(*texts, truncation=True, max_length=LENGTH, padding=False)["input_ids"]
    return read
