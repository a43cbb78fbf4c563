"""Spans of a text taken out, and the sentinels that stand for them (Raffel et al. 2020, T5, §3.1.4 and Figure 2).

How many tokens and how many spans are taken out follows from the length of the text, as in T5's own code
(`random_spans_noise_mask`), so that shapes are static; only the places are drawn. A span may cover any token, [SEP] as
well; T5 cannot take out its end of sequence only because it is put behind the spans.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from stages.errors import StageError
from stages.pretrain.sequences import Text
from stages.pretrain.source_target import Pairs, moved
from stages.tokenizer.special import SENTINEL_IDS


@dataclass(frozen=True)
class Corruption:
    """How much is taken out of a text of ``length`` tokens: ``noise`` tokens, in ``spans`` spans."""

    length: int
    noise: int
    spans: int

    @classmethod
    def of(cls, length: int, noise_density: float, mean_span_length: float, *, remedy: str) -> Self:
        """As T5 counts: something is taken out, something stays, and each span has a token that stays before it.

        Raises:
            StageError: it takes more sentinels than there are; the message ends in ``remedy``.
        """
        noise = min(max(round(noise_density * length), 1), length - 1)
        spans = min(max(round(noise / mean_span_length), 1), length - noise)
        if spans >= len(SENTINEL_IDS):
            raise StageError(
                f"params.yaml: {noise} of {length} tokens in spans of {mean_span_length:g} take {spans + 1} sentinels, "
                f"and there are {len(SENTINEL_IDS)}: {remedy}"
            )
        return cls(length, noise, spans)

    @property
    def source_length(self) -> int:
        """What stays, and a sentinel for each span."""
        return self.length - self.noise + self.spans

    @property
    def target_length(self) -> int:
        """What is taken out, a sentinel before each span, and one behind the last."""
        return self.noise + self.spans + 1

    def pairs(self, text: Text, generator: torch.Generator) -> Pairs:
        """Texts of this length, corrupted at random places."""
        return corrupt(text, self.draw(len(text.input_ids), generator))

    def draw(self, rows: int, generator: torch.Generator) -> Tensor:
        """Which tokens are taken out (rows, length), bool: every second span, all ways to cut spans equally likely."""
        stays = partition(rows, self.length - self.noise, self.spans, generator)
        goes = partition(rows, self.noise, self.spans, generator)
        ends = torch.stack([stays, goes], -1).flatten(1).cumsum(1)
        places = torch.arange(self.length).expand(rows, -1).contiguous()
        return torch.searchsorted(ends, places, right=True) % 2 == 1


def partition(rows: int, items: int, parts: int, generator: torch.Generator) -> Tensor:
    """Lengths (rows, parts) of parts that ``items`` are cut into, none empty, all ways equally likely."""
    cuts = torch.rand(rows, items - 1, generator=generator).topk(parts - 1).indices.sort().values + 1
    return F.pad(F.pad(cuts, (1, 0)), (0, 1), value=items).diff()


def corrupt(text: Text, noise: Tensor) -> Pairs:
    """What stays, with a sentinel for each span; and what was taken out, each span behind its sentinel, one at the end.

    A sentinel belongs to the document of the span's first token, the one at the end to that of the last token before.

    Args:
        text: (batch, length).
        noise: what is taken out (batch, length), bool: of every row as many tokens, in as many spans.
    """
    rows = len(noise)
    first = noise & ~F.pad(noise, (1, -1))
    sentinels = SENTINEL_IDS.start - 1 + first.cumsum(1)
    marked = text._replace(input_ids=torch.where(first, sentinels, text.input_ids))
    source = moved(marked, lambda tokens: tokens[first | ~noise].view(rows, -1))
    opened = moved(text, lambda tokens: tokens.repeat_interleave(2, 1))
    opened.input_ids[:, ::2] = marked.input_ids
    chosen = torch.stack([first, noise], -1).flatten(1)
    spans = moved(opened, lambda tokens: tokens[chosen].view(rows, -1))
    target = moved(spans, lambda tokens: torch.cat([tokens, tokens[:, -1:]], 1))
    target.input_ids[:, -1] = sentinels[:, -1] + 1
    return Pairs(source, target)
