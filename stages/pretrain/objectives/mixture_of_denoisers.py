"""Mixture of denoisers (Tay et al. 2023, UL2, §3.1.2, Table 1, and §3.1.3): one model, several ways to corrupt a text.

Each row begins with the mode of its denoiser: [R] takes out few tokens in short spans, [X] many tokens or long spans,
both as T5 does, and [S] the last quarter of the text, which goes on without sentinels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch.nn import functional as F

from stages import params
from stages.errors import StageError
from stages.model import flops
from stages.model.config import TransformerConfig
from stages.model.transformer import LanguageModel
from stages.pretrain import source_target
from stages.pretrain.objectives.text_to_text import TextToText
from stages.pretrain.sequences import Text
from stages.pretrain.source_target import SHARED, Pairs, moved
from stages.pretrain.spans import Corruption
from stages.tokenizer.special import MODE_IDS
from stages.training.loss import Term

REMEDY = "objectives.mixture_of_denoisers takes shorter texts; lower pretrain.sequence_length"


@dataclass(frozen=True)
class Continuation:
    """The last ``target_length`` tokens of a text, taken from the ``source_length`` before them."""

    source_length: int
    target_length: int

    def pairs(self, text: Text, generator: torch.Generator) -> Pairs:
        """Texts of this length, cut; nothing is drawn."""
        cut = self.source_length
        return Pairs(moved(text, lambda tokens: tokens[:, :cut]), moved(text, lambda tokens: tokens[:, cut:]))


@dataclass(frozen=True)
class Denoiser:
    """A way to corrupt a text, and the mode that announces it."""

    mode: str
    corruption: Corruption | Continuation

    @property
    def lengths(self) -> tuple[int, int]:
        """Of the source, with its mode, and of the target."""
        return 1 + self.corruption.source_length, self.corruption.target_length

    def pairs(self, text: Text, generator: torch.Generator) -> Pairs:
        """Corrupted texts, behind a mode that all documents see."""
        source, target = self.corruption.pairs(text, generator)
        documents = None if source.documents is None else F.pad(source.documents, (1, 0), value=SHARED)
        return Pairs(Text(F.pad(source.input_ids, (1, 0), value=MODE_IDS[self.mode]), documents), target)


def denoisers(length: int) -> list[Denoiser]:
    """UL2's seven. Its longest spans, of 64 tokens in texts of 512, are an eighth of a text of any length."""

    def spans(noise_density: float, mean_span_length: float) -> Corruption:
        return Corruption.of(length, noise_density, mean_span_length, remedy=REMEDY)

    quarter = round(length / 4)
    return [
        Denoiser("[R]", spans(0.15, 3)),
        Denoiser("[R]", spans(0.15, 8)),
        Denoiser("[S]", Continuation(length - quarter, quarter)),
        Denoiser("[X]", spans(0.5, 3)),
        Denoiser("[X]", spans(0.5, 8)),
        Denoiser("[X]", spans(0.15, length / 8)),
        Denoiser("[X]", spans(0.5, length / 8)),
    ]


class MixtureOfDenoisers(TextToText[Text]):
    """Predict what was taken from a text, which its rows lost in different ways; the loss is of all their targets.

    The rows of a batch are divided evenly between the denoisers, always alike, and padded to one length: seven small
    passes would take three times as long. Where there are fewer rows, as at the end of held-out text, some denoisers
    get none.
    """

    class Options(params.Section):
        """How the source is read."""

        architecture: source_target.Architecture = "prefix_decoder"

    def terms(
        self, model: LanguageModel, batch: Text, generator: torch.Generator, dtype: torch.dtype
    ) -> dict[str, Term]:
        pairs = source_target.joined(list(corrupted(batch, generator)))
        return {"mixture_of_denoisers": source_target.loss(model, pairs, dtype)}

    def flops(self, config: TransformerConfig, batch_size: int, length: int) -> int:
        every = denoisers(length)
        if batch_size < len(every):
            raise StageError(
                f"params.yaml: pretrain.batch_size: {batch_size} sequences are fewer than the {len(every)} denoisers "
                "of objectives.mixture_of_denoisers, each of which needs one: raise it"
            )
        sources, targets = zip(*(denoiser.lengths for denoiser in every), strict=True)
        shares = divided(batch_size, len(every))
        real = sum(len(rows) * length for rows, length in zip(shares, targets, strict=True))
        return flops.TRAINING * source_target.cost(config, batch_size, max(sources), max(targets), real)


def corrupted(text: Text, generator: torch.Generator) -> Iterator[Pairs]:
    """Each denoiser's share of the rows, corrupted by it."""
    rows, length = text.input_ids.shape
    every = denoisers(length)
    for denoiser, share in zip(every, divided(rows, len(every)), strict=True):
        if share:
            yield denoiser.pairs(_rows(text, share), generator)


def divided(rows: int, parts: int) -> list[range]:
    """Rows in order, in parts whose sizes differ by one at most."""
    return [range(first, last) for first, last in pairwise(part * rows // parts for part in range(parts + 1))]


def _rows(text: Text, rows: range) -> Text:
    return moved(text, lambda tokens: tokens[rows.start : rows.stop])
