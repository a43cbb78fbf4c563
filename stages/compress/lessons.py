"""What a student learns of its teacher besides the labels, each as a loss that is summed over examples.

``logits``: the classes' softened distribution (Hinton et al. 2015, Distilling the Knowledge in a Neural Network, §2).
``hidden``: the states of the layers that its own stand for, through a map that is learnt where widths differ (Jiao et
al. 2020, TinyBERT, equations 8 and 9), brought to one length each, so that long ones do not outweigh the others (Sun et
al. 2019, Patient Knowledge Distillation, equation 7). ``relations``: how alike, in the last layer, the queries of any
two tokens are, and their keys and values (Wang et al. 2021, MiniLMv2, §3.1), which asks nothing of widths and heads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stages.compress import student, units
from stages.compress.base import Material
from stages.compress.recovery import soft_loss
from stages.compress.student import Unteachable
from stages.compress.units import HEADS, Block
from stages.finetune.examples import Batch
from stages.model.classifier import Classifier
from stages.training import randomness

Lesson = Literal["logits", "hidden", "relations"]

UNSEEN = -1e9
"""What is added to a relation to padding."""


@dataclass
class Seen:
    """What went on in a model while it answered.

    Attributes:
        outputs: what it answered.
        states: of every depth.
        vectors: queries, keys and values of the last layer, all heads together, (batch, length, heads · head_dim).
    """

    outputs: Tensor = field(default_factory=lambda: torch.empty(0))
    states: tuple[Tensor, ...] = ()
    vectors: list[Tensor] = field(default_factory=list)


class Lessons:
    """A student before its teacher.

    Attributes:
        maps: from the student's states to the teacher's width, of each depth; none where the widths are the same.
    """

    def __init__(
        self, teacher: Classifier, taught: Classifier, asked: Sequence[Lesson], temperature: float, material: Material
    ) -> None:
        """Raises `Unteachable` where a model lacks what a lesson is about."""
        self._teacher, self._student, self._asked = teacher, taught, asked
        self._temperature, self._material = temperature, material
        both = teacher, taught
        self._heads = [_last_heads(model) if "relations" in asked else None for model in both]
        self._pairs = student.pairs(*(len(student.layers(model)) for model in both)) if "hidden" in asked else []
        widths = [model.transformer.hidden_size for model in both]
        with randomness.drawing(material.seed, "compress-maps"):
            count = len(self._pairs) if widths[0] != widths[1] else 0
            self.maps = nn.ModuleList(nn.Linear(widths[1], widths[0], bias=False) for _ in range(count))

    def __call__(self, batch: Batch) -> Mapping[str, Tensor]:
        """All losses of a batch, that of the labels first."""
        said, losses = self._learn(batch)
        return {"labels": self._material.family.loss(said.outputs, batch.labels), **losses}

    def unlabelled(self, batch: Batch) -> Mapping[str, Tensor]:
        """What the teacher alone has to say of a batch."""
        return self._learn(batch)[1]

    def _learn(self, batch: Batch) -> tuple[Seen, Mapping[str, Tensor]]:
        """What the student says, and what it has to learn from the teacher."""
        with torch.no_grad():
            told = _see(self._teacher, self._heads[0], batch, self._material.dtype)
        said = _see(self._student, self._heads[1], batch, self._material.dtype)
        given: dict[Lesson, Callable[[Seen, Seen, Batch], Tensor]] = {
            "logits": self._logits,
            "hidden": self._hidden,
            "relations": self._relations,
        }
        return said, {name: given[name](said, told, batch) for name in self._asked}

    def _logits(self, said: Seen, told: Seen, batch: Batch) -> Tensor:
        return soft_loss(said.outputs, told.outputs, batch, self._material.family.task.family, self._temperature)

    def _hidden(self, said: Seen, told: Seen, batch: Batch) -> Tensor:
        total = torch.zeros(())
        for depth, of_teacher in enumerate(self._pairs):
            ours, theirs = said.states[depth].float(), told.states[of_teacher].float()
            ours = self.maps[depth](ours) if len(self.maps) else ours
            distances = (F.normalize(ours, dim=-1) - F.normalize(theirs, dim=-1)).pow(2).sum(-1)
            total = total + _over_tokens(distances, batch)
        return total / len(self._pairs)

    def _relations(self, said: Seen, told: Seen, batch: Batch) -> Tensor:
        heads = math.gcd(*(block.units for block in self._heads if block is not None))
        total = torch.zeros(())
        for ours, theirs in zip(said.vectors, told.vectors, strict=True):
            student, teacher = (relations(vectors, heads, batch) for vectors in (ours, theirs))
            divergence = F.kl_div(student, teacher, reduction="none", log_target=True).sum(-1).mean(1)
            total = total + _over_tokens(divergence, batch)
        return total / len(said.vectors)


def relations(vectors: Tensor, heads: int, batch: Batch) -> Tensor:
    """log softmax(AAᵀ/√d) of each head: (batch, length, heads · d) -> (batch, heads, length, length)."""
    split = vectors.float().unflatten(-1, (heads, -1)).transpose(1, 2)
    scores = split @ split.transpose(-1, -2) * split.shape[-1] ** -0.5
    return scores.masked_fill(~_real(batch)[:, None, None], UNSEEN).log_softmax(-1)


def _real(batch: Batch) -> Tensor:
    """Where tokens are; in a model all padding is on the right."""
    lengths = batch.attention_mask.sum(1, keepdim=True)
    return torch.arange(batch.input_ids.shape[1]) < lengths


def _over_tokens(values: Tensor, batch: Batch) -> Tensor:
    """The mean over each example's own tokens, (batch, length), summed over examples."""
    real = _real(batch)
    return ((values * real).sum(1) / real.sum(1)).sum()


def _last_heads(model: Classifier) -> Block:
    last = f"transformer.{student.layers(model)[-1]}."
    found = [block for block in units.find(model, HEADS) if block.name.startswith(last)]
    if not found:
        raise Unteachable("where the model has queries, keys and values is not to be told")
    return found[-1]


def _see(model: Classifier, heads: Block | None, batch: Batch, dtype: torch.dtype) -> Seen:
    seen = Seen()
    with _watching(model, heads, seen):
        seen.outputs = model(batch.input_ids, batch.attention_mask, dtype)
    return seen


@contextmanager
def _watching(model: Classifier, heads: Block | None, seen: Seen) -> Iterator[None]:
    """Note what the backbone gives, and what the maps that read for a block of heads do."""

    def note(_: nn.Module, __: object, states: tuple[Tensor, ...]) -> None:
        seen.states = states

    assert isinstance(model.transformer, nn.Module)
    handles = [model.transformer.register_forward_hook(note)]
    for linear, vectors in heads.reads if heads is not None else ():
        handles.append(
            linear.register_forward_hook(
                lambda _, __, given, parts=vectors: seen.vectors.extend(given.chunk(parts, -1))
            )
        )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
