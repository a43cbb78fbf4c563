"""A text turned into a source and a target: what is predicted token by token, from what is seen as a whole.

Two architectures do it (Raffel et al. 2020, T5, §3.2.1). In an encoder–decoder one stack reads the source, and a causal
one reads its own past and the states of the first. In a prefix decoder one stack does both: the source is the prefix,
which all positions see, and the target goes on behind it; its positions count from the source's first token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from stages.model import flops, visibility
from stages.model.config import TransformerConfig
from stages.model.transformer import EncoderDecoder, LanguageModel, Memory
from stages.pretrain.sequences import Text
from stages.tokenizer.special import CLS_ID, PAD_ID
from stages.training.loss import Term

Architecture = Literal["encoder_decoder", "prefix_decoder"]
"""Those of `stages.pretrain.objectives.base.Architecture` that tell a source and a target apart."""

SHARED = -1
"""The document of a token that belongs to none: all documents see it, and it sees no other."""

PADDING = -2
"""The document of what is no text: no document sees it."""


class Pairs(NamedTuple):
    """A batch of sources (batch, source_length) and their targets (batch, target_length).

    Where documents are told apart, each token keeps the number of the one that it comes from, or is `SHARED`, or is
    `PADDING`: before a source, whose last token must be text for a prefix decoder to predict from, or behind a target.
    """

    source: Text
    target: Text


def moved(text: Text, move: Callable[[Tensor], Tensor]) -> Text:
    """The tokens at other places, and their documents along with them."""
    return Text(move(text.input_ids), None if text.documents is None else move(text.documents))


def joined(parts: Sequence[Pairs]) -> Pairs:
    """Batches of other lengths as one, padded to the longest source and the longest target."""
    source, target = (max(part[side].input_ids.shape[1] for part in parts) for side in (0, 1))
    return Pairs(
        _stacked([_padded(part.source, (source - part.source.input_ids.shape[1], 0)) for part in parts]),
        _stacked([_padded(part.target, (0, target - part.target.input_ids.shape[1])) for part in parts]),
    )


def _padded(text: Text, amount: tuple[int, int]) -> Text:
    """With as many [PAD] before and behind each row."""
    documents = torch.zeros_like(text.input_ids) if text.documents is None else text.documents
    return Text(F.pad(text.input_ids, amount, value=PAD_ID), F.pad(documents, amount, value=PADDING))


def _stacked(texts: Sequence[Text]) -> Text:
    return Text(*(torch.cat(column) for column in zip(*texts, strict=True)))


def loss(model: LanguageModel, pairs: Pairs, dtype: torch.dtype) -> Term:
    """The summed loss of all tokens of the targets but [PAD], by the architecture that the model has.

    The state that predicts a token belongs to the document of the token before it, as in a causal model: documents
    meet where one ends and the next begins, and nowhere else.
    """
    hidden = _decoded(model, pairs, dtype) if isinstance(model, EncoderDecoder) else _continued(model, pairs, dtype)
    rows, labels = hidden.flatten(0, 1), pairs.target.input_ids.flatten()
    if len(targets := labels.nonzero().squeeze(1)) < len(labels):
        rows, labels = rows[targets], labels[targets]
    return Term(model.nll(rows, labels), len(labels))


def cost(
    config: TransformerConfig, batch: int, source_length: int, target_length: int, targets: int | None = None
) -> int:
    """Floating-point operations of `loss`, forward; ``targets``: how many there are, if some are padding."""
    if config.num_decoder_layers:
        encoder = flops.stack(config, batch, source_length)
        stacks = encoder + flops.decoder(config, batch, target_length, source_length)
    else:
        stacks = flops.stack(config, batch, source_length + target_length)
    return stacks + flops.head(config, batch * target_length if targets is None else targets)


def _decoded(model: EncoderDecoder, pairs: Pairs, dtype: torch.dtype) -> Tensor:
    """What a decoder that reads the encoded source predicts the target from; it starts from [CLS]."""
    source, shifted = pairs.source, moved(pairs.target, lambda tokens: torch.cat([tokens[:, :1], tokens[:, :-1]], 1))
    shifted.input_ids[:, 0] = CLS_ID
    states = model.model(source.input_ids, _seen(source, source), dtype, causal=False)[-1]
    return model.decode(shifted.input_ids, Memory(states, _seen(shifted, source)), _seen(shifted, shifted), dtype)


def _continued(model: LanguageModel, pairs: Pairs, dtype: torch.dtype) -> Tensor:
    """What a prefix decoder predicts the target from: the source's last token, and all of the target but its last."""
    whole, length = _joined(*pairs), pairs.source.input_ids.shape[1]
    seen, known = visibility.prefix(torch.tensor([length]), whole.input_ids.shape[1]), _seen(whole, whole)
    attention_mask = seen if known is None else seen & known
    return model.model(whole.input_ids, attention_mask, dtype, causal=False)[-1][:, length - 1 : -1]


def _joined(source: Text, target: Text) -> Text:
    """Each row's target behind its source."""
    input_ids = torch.cat([source.input_ids, target.input_ids], 1)
    if source.documents is None or target.documents is None:
        return Text(input_ids, None)
    return Text(input_ids, torch.cat([source.documents, target.documents], 1))


def _seen(queries: Text, keys: Text) -> Tensor | None:
    """(batch, queries, keys), bool: who may see whom as far as documents go; None where they do not matter."""
    if queries.documents is None or keys.documents is None:
        return None
    return visibility.within(queries.documents, keys.documents) | (keys.documents == SHARED)[:, None, :]
