"""Contrastive learning of windows (Gao et al. 2021, SimCSE, §3), beside masked language modelling.

A window is encoded twice, and dropout alone makes the two differ: each must be told from the other windows of the
batch. A window's vector is the mean of its last states, for windows of running text have no [CLS].

SimCSE goes on from BERT, with masked language modelling as an option of weight 0.1. Here the weights are the other way
round, because nothing has been learnt yet: which window it is can be read off the bag of its words, so that the
contrastive loss is soon close to none and would teach neither grammar nor what words mean. The masked tokens teach
that, in a pass of their own without dropout, as `mlm` does it.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from stages import params
from stages.errors import StageError
from stages.model import flops
from stages.model.config import TransformerConfig
from stages.model.dropout import Dropout
from stages.model.transformer import LanguageModel, Linear
from stages.pretrain import masking
from stages.pretrain.objectives.base import Objective
from stages.pretrain.objectives.mlm import EVALUATION_PROBABILITY, restored
from stages.pretrain.sequences import Text
from stages.training import distributed
from stages.training.loss import Term

VIEWS = 2


class Projected(LanguageModel):
    """A language model with the projection that windows are compared in while training."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.projection = Linear(config.hidden_size, config.hidden_size)

    def embed(self, hidden: Tensor) -> Tensor:
        """(rows, length, hidden_size) -> (rows, hidden_size)."""
        return self.projection(hidden.mean(1)).tanh()


class Contrastive(Objective[Text]):
    """Tell a window, seen through dropout, from the other windows of its batch; and restore masked tokens.

    The contrastive loss grows with the number of windows that are compared, which is ``pretrain.batch_size`` in
    training and another in evaluation: the two do not compare, and neither do runs of unequal batches. A last batch of
    a single held-out window has nothing to be told from, and a loss of zero.
    """

    architecture = "encoder"
    scoring = ("pseudo",)

    class Options(params.Section):
        """``mlm_probability``: share of the tokens that are targets while training; ``dropout``: of a view's states.

        ``temperature``: what similarities are divided by; ``contrastive_weight``: of that loss, where that of masked
        tokens has 1.
        """

        mlm_probability: params.Share
        dropout: params.Share = 0.1
        temperature: Annotated[float, Field(gt=0)] = 0.05
        contrastive_weight: Annotated[float, Field(gt=0)] = 0.1

    def build(self, config: TransformerConfig) -> Projected:
        return Projected(config)

    def terms(self, model: Projected, batch: Text, generator: torch.Generator, dtype: torch.dtype) -> dict[str, Term]:
        probability = self.options.mlm_probability if model.training else EVALUATION_PROBABILITY
        masked = masking.mask(batch.input_ids, probability, self.vocabulary, generator)
        hidden = model.model(masked.input_ids, batch.attention_mask, dtype, causal=False)[-1]
        first, second = self.views(model, batch, generator, dtype)
        all_second, place = distributed.gathered(second) if model.training else (second, 0)
        told = info_nce(first, all_second, self.options.temperature, place)
        return {
            "mlm": restored(model, hidden, masked),
            "contrastive": Term(told, len(first), weight=self.options.contrastive_weight),
        }

    def views(
        self, model: Projected, batch: Text, generator: torch.Generator, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """Each window's vector (batch, hidden_size), twice.

        Dropout is on in evaluation as well, or the two would be the same and the loss would be of nothing.
        """
        seen = batch.attention_mask
        twice = None if seen is None else torch.cat([seen] * VIEWS)
        dropout = Dropout(self.options.dropout, generator)
        hidden = model.model(torch.cat([batch.input_ids] * VIEWS), twice, dtype, causal=False, dropout=dropout)[-1]
        first, second = model.embed(hidden).chunk(VIEWS)
        return first, second

    def flops(self, config: TransformerConfig, batch_size: int, length: int) -> int:
        """
        Raises:
            StageError: there is one window a batch, and so none to tell it from.
        """
        if batch_size < 2:
            raise StageError(
                "params.yaml: pretrain.batch_size: contrastive compares the windows of a batch: give 2 or more"
            )
        width, targets = config.hidden_size, masking.count(batch_size * length, self.options.mlm_probability)
        restoring = flops.stack(config, batch_size, length) + flops.head(config, targets)
        views = flops.stack(config, VIEWS * batch_size, length) + flops.product(VIEWS * batch_size, width, width)
        return flops.TRAINING * (restoring + views + flops.product(batch_size, width, batch_size))


def info_nce(first: Tensor, second: Tensor, temperature: float, place: int = 0) -> Tensor:
    """Summed loss of finding each row of ``first`` (rows, width) among those of ``second``, by cosine similarity.

    ``place``: of the first one's counterpart in ``second``; the others follow it.
    """
    similarities = F.normalize(first.float(), dim=-1) @ F.normalize(second.float(), dim=-1).t()
    counterparts = torch.arange(place, place + len(first), device=first.device)
    return F.cross_entropy(similarities / temperature, counterparts, reduction="sum")
