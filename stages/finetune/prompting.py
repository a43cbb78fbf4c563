"""A task's prompt in token ids, and a language model that is asked it: what the methods without tuning share.

Examples of the task may stand before each text with the words of their labels (Brown et al. 2020, GPT-3, §2). All texts
then have an equal share of the room.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from stages.errors import Inapplicable, StageError
from stages.finetune.examples import Examples
from stages.finetune.methods.base import Job
from stages.model import files
from stages.model.classifier_config import ClassifierConfig
from stages.model.config import ScoringMode
from stages.model.prompted import TEXT, TEXT_PAIR, WORD, Ids, Prompt, Prompted
from stages.task import Task
from stages.tokenizer import files as tokenizer_files
from stages.tokenizer.special import MASK_ID, SEP_ID
from stages.training import randomness

KINDS, FIXED = {"{text}": TEXT, "{text_pair}": TEXT_PAIR, "{word}": WORD}, 0
PLACES = "|".join(f"( ?{re.escape(place)})" for place in KINDS)
"""With the space before it: to many tokenizers a part of the word."""
FILLER = "a"
"""What stands for a text while the template around it is encoded."""


def ask(job: Job, device: torch.device, demonstrations: int = 0) -> Prompted:
    """The pre-trained language model itself, with the task's prompt before which so many of its examples stand.

    Raises:
        Inapplicable: the task has scores, or the model's head was not trained to find texts likely.
        StageError: a word of the prompt has no tokens, or two classes have the same.
    """
    modes = files.scoring(job.pretrained)
    if job.family.task.family != "classification":
        raise Inapplicable("labels that are no classes of a text have no words to ask for")
    if not modes:
        raise Inapplicable("it is no language model: its head does not say how likely a word is")
    mode: ScoringMode = "pseudo" if "pseudo" in modes else "causal"
    tokenizer = tokenizer_files.load(job.pretrained)
    prompt = encode(job.family.task, tokenizer, mode, job.max_length)
    if demonstrations:
        prompt = prompt.after(_demonstrations(prompt, job, demonstrations))
    config = ClassifierConfig(job.family.task.labels, (), job.max_length, family=job.family.task.family)
    return Prompted(files.load(job.pretrained).to(device), prompt, config).eval()


def encode(task: Task, tokenizer: Tokenizer, mode: ScoringMode, max_length: int) -> Prompt:
    """A task's template and words as a tokenizer has them.

    Raises:
        StageError: a word has no tokens, or two have the same, or one is not apart from what stands around it.
    """
    patterns, words = zip(*(_encode(task.template, word, tokenizer) for word in task.words), strict=True)
    if not all(words) or len(set(words)) < len(words) or len(set(patterns)) > 1:
        raise StageError(
            f"params.yaml: prompt.words: {', '.join(task.words)}: each must be a word of its own to the tokenizer, in "
            f"the place that prompt.template ({task.template}) has for it"
        )
    return Prompt(mode, patterns[0], words, (), max_length, SEP_ID, MASK_ID)


def _encode(template: str, word: str, tokenizer: Tokenizer) -> tuple[Ids, Ids]:
    """The pattern, and the word's tokens, told apart by where in the whole sentence they end."""
    sentence, kinds = "", []
    for part in filter(None, re.split(PLACES, template)):
        place = part.strip() if part.strip() in KINDS else None
        written = part.replace(place, word if place == "{word}" else FILLER) if place else part
        sentence += written
        kinds += [KINDS[place] if place else FIXED] * len(written)
    encoding = tokenizer.encode(sentence, add_special_tokens=False)
    found = [(kinds[end - 1], token) for token, (_, end) in zip(encoding.ids, encoding.offsets, strict=True)]
    pattern: list[int] = []
    for kind, group in groupby(found, key=itemgetter(0)):
        pattern += [token for _, token in group] if kind == FIXED else [kind]
    return tuple(pattern), tuple(token for kind, token in found if kind == WORD)


def _demonstrations(prompt: Prompt, job: Job, count: int) -> Ids:
    """Training examples in the pattern with their words, each ended by [SEP]."""
    room = (job.max_length - 2) // (count + 1) - 1
    ids: list[int] = []
    for place in _balanced(job.train, len(prompt.words), count, job.seed):
        texts = prompt.texts(job.train.batch(np.array([place])).input_ids[0])
        word = prompt.words[int(job.train.labels[place])]
        ids += [*Prompt.filled(prompt.pattern, texts, word, room)[0], prompt.separator]
    return tuple(ids)


def _balanced(train: Examples, classes: int, count: int, seed: int) -> Sequence[int]:
    """Places of examples, the classes taking turns as long as there are any, in an order that is drawn."""
    generator = randomness.numpy_generator(seed, "demonstrations", 0)
    order = generator.permutation(len(train))
    queues = [order[train.labels[order] == index].tolist() for index in range(classes)]
    turns = [queue[turn] for turn in range(count) for queue in queues if turn < len(queue)]
    chosen: NDArray[np.int64] = generator.permutation(turns[:count])
    return [int(place) for place in chosen]
