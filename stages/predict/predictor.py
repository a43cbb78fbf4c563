"""A tuned model and all that it needs to answer: what lies in its folder, whoever trained it, compressed or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Encoding
from torch import Tensor

from stages import metrics, record
from stages.compress import files as compressed_files
from stages.corpus.tables import TEXT_COLUMNS
from stages.errors import StageError
from stages.finetune import files as tuned_files
from stages.finetune import tasks
from stages.finetune.examples import Examples
from stages.finetune.predict import BATCH, Scorer, scores
from stages.finetune.tasks.base import Family
from stages.finetune.tokenization import Tokenization
from stages.model import classifier
from stages.model.classifier_config import ClassifierConfig
from stages.params import Target
from stages.predict.texts import Unusable, prepare
from stages.task import Task
from stages.tokenizer import files as tokenizer_files
from stages.training import device

LABEL, SCORE, ANSWER, TEXT, PROBABILITY = "label", "score", "answer", "generated_text", "probability_"


@dataclass(frozen=True)
class Answer:
    """What a model says of a row.

    Attributes:
        values: the label and the probability of each class, or the score, or the tags of its words with spaces
            between, by the names of `Predictor.columns`.
        is_cut: whether its text was longer than the model reads.
    """

    values: dict[str, str | float]
    is_cut: bool


@dataclass(frozen=True)
class Refusal:
    """Why there is no answer."""

    reason: str


class Predictor:
    """Answers as the model that was evaluated does: the same cleaning, tokenizer, cut and head; in fp32.

    Attributes:
        labels: names of the classes; none if the answer is a score.
        max_length: longer texts are cut, in tokens.
        model: what is asked.
    """

    def __init__(self, folder: Path) -> None:
        """Open a folder that fine-tuning, selection or compression wrote.

        Raises:
            StageError: it is none, or a file of it is missing or damaged.
        """
        _check(folder)
        config = classifier.load_config(folder)
        tokenization = Tokenization.of(folder, config.max_length)
        self.labels, self.max_length = config.labels, config.max_length
        self._tokenizer = tokenization.tokenizer or tokenizer_files.load(folder)
        self._tokenization, self._config = tokenization, config
        self._family, self.model = _family(config), load(folder)

    @property
    def columns(self) -> list[str]:
        """Names of an answer's values, in their order."""
        return columns(self._config)

    def answer(
        self, rows: Sequence[Sequence[Any]], columns: Sequence[str], batch_size: int = BATCH
    ) -> list[Answer | Refusal]:
        """Of each row an answer, or why there is none.

        Args:
            rows: a text or a pair of texts each.
            columns: what those are called for who reads of a refusal.
            batch_size: rows that are computed at once; of similar lengths, whatever their order.
        """
        answers: dict[int, Answer | Refusal] = {}
        texts: dict[int, list[str]] = {}
        for place, row in enumerate(rows):
            try:
                texts[place] = prepare(row, columns)
            except Unusable as error:
                answers[place] = Refusal(str(error))
        encodings = dict(zip(texts, self._encode(list(texts.values())), strict=True))
        readable = {place: encoding for place, encoding in encodings.items() if encoding.ids}
        answers |= {place: Refusal("the model knows no token of it") for place in encodings if place not in readable}
        asked = [texts[place] for place in readable]
        examples = self._family.unlabelled(asked, self._tokenizer, self._tokenization)
        said = self._answers(examples, batch_size)
        cut = (_is_cut(encoding, self.max_length) for encoding in readable.values())
        answers |= zip(readable, map(Answer, said, cut), strict=True)
        return [answers[place] for place in range(len(rows))]

    @property
    def pad_id(self) -> int:
        """What rows are filled up with."""
        return self._tokenization.pad_id

    def tokens(self, texts: Sequence[str], length: int) -> tuple[Tensor, list[str]]:
        """A row's token ids (1, at most ``length``), as the model reads them, and the tokens themselves."""
        (encoding,) = self._encode([prepare(texts, TEXT_COLUMNS[: len(texts)])])
        kept = [*range(len(encoding.ids))]
        kept = kept if len(kept) <= length else [*kept[: length - 1], kept[-1]]
        ids = [encoding.ids[place] for place in kept]
        return torch.tensor([ids]), [self._tokenizer.id_to_token(token) or "" for token in ids]

    def _encode(self, texts: list[list[str]]) -> list[Encoding]:
        return self._tokenizer.encode_batch_fast([row[0] if len(row) == 1 else tuple(row) for row in texts])

    def _answers(self, examples: Examples, batch_size: int) -> list[dict[str, str | float]]:
        """Numbers as the shortest decimals that are these floats."""
        if not len(examples):
            return []
        rows = scores(self.model, self._family, examples, torch.float32, batch_size)
        if not self._family.pooled:
            (column,) = self.columns
            return [{column: said} for said in rows]
        names = [[self.labels[index]] if self.labels else [] for index in self._family.predictions(rows)]
        values = ([*name, *(float(str(value)) for value in row)] for name, row in zip(names, rows, strict=True))
        return [dict(zip(self.columns, row, strict=True)) for row in values]


def columns(config: ClassifierConfig) -> list[str]:
    """Names of the values of an answer: of what is one of several classes, of a score, of tags, or of a text."""
    if config.asked == "question_answering":
        return [ANSWER]
    if config.asked == "token_classification":
        return [LABEL]
    if config.asked == "generation":
        return [TEXT]
    return [LABEL, *(PROBABILITY + label for label in config.labels)] if config.labels else [SCORE]


def _is_cut(encoding: Encoding, max_length: int) -> bool:
    """By its tokenizer, or, of one that leaves texts whole, by `Examples`."""
    return bool(encoding.overflowing) or len(encoding.ids) > max_length


def load(folder: Path) -> Scorer:
    """A tuned model, compressed or not, where it computes; int8 has kernels for CPUs alone.

    Raises:
        StageError: a file is missing or damaged.
    """
    if (folder / compressed_files.COMPRESSION).is_file():
        return compressed_files.load(folder)
    return tuned_files.load(folder).to(device.find())


def _family(config: ClassifierConfig) -> Family:
    """What outputs mean; how good they are is not asked here, so any metric of the family will do."""
    name = config.asked
    target = None
    if (search := config.search) is not None:
        target = Target(max_length=search.max_new_tokens, beams=search.beams, length_penalty=search.length_penalty)
    metric = metrics.of(name).names[0]
    task = Task(family=name, labels=config.labels, metric=metric, silent=config.silent, target=target)
    return tasks.FAMILIES[name](task)


def _check(folder: Path) -> None:
    if (absence := record.absence(folder)) is not None:
        raise StageError(f"{folder} holds no model, for there cannot be one: {absence.reason}")
    if not (folder / classifier.CLASSIFIER).is_file():
        missing = "is no tuned model, for it lacks classifier.json" if folder.is_dir() else "is not there"
        raise StageError(
            f"{folder} {missing}: name a folder in models/selected/<task>, models/finetuned/<task> "
            "or models/compressed/<task>/<model>, which `dvc repro` makes, or a registered model such as "
            "models:/imdb@champion"
        )
