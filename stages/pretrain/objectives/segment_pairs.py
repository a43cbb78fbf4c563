"""What next sentence prediction and sentence order prediction share: masks, and a question about the pair."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from stages import params
from stages.model import flops
from stages.model.config import TransformerConfig
from stages.model.transformer import LanguageModel, Linear
from stages.pretrain import masking
from stages.pretrain.objectives.base import Objective
from stages.pretrain.objectives.mlm import EVALUATION_PROBABILITY, restored
from stages.pretrain.segments import SegmentPairs, SegmentReader
from stages.token_store import TokenStore
from stages.training.loss import Term

ANSWERS = 2


class PairHead(nn.Module):
    """BERT's pooler and classifier: dense and tanh over the state of [CLS], and a score for either answer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.pooler = Linear(width, width)
        self.classifier = Linear(width, ANSWERS)

    def forward(self, hidden: Tensor) -> Tensor:
        """(batch, length, hidden_size) -> (batch, 2)."""
        return self.classifier(self.pooler(hidden[:, 0]).tanh())


class PairModel(LanguageModel):
    """A language model that answers a question about its two segments."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.pair = PairHead(config.hidden_size)


class SegmentObjective(Objective[SegmentPairs]):
    """Restore masked tokens of two segments, and tell whether the second follows the first; both weigh the same.

    A subclass names its ``question`` and says in `reader` what a wrong pair is. The segments of a row must see each
    other, whichever documents they come from, so ``pretrain.document_mask`` changes nothing here.

    The number of targets comes from the shape of a batch, padding included, for a step must always cost the same. Rows
    are at least half full, so that the share of the text's tokens that are targets is ``mlm_probability`` at least and
    about twice that at most, and there are always enough of them in rows of 15 tokens or more.
    """

    architecture = "encoder"
    scoring = ("pseudo",)
    question: ClassVar[str]

    class Options(params.Section):
        """``mlm_probability``: share of a batch's tokens that are targets while training; ``whole_word``: words are."""

        mlm_probability: Annotated[float, Field(gt=0, le=0.4)]
        whole_word: bool = False

    @abstractmethod
    def reader(self, store: TokenStore, length: int, key: str, *, document_mask: bool) -> SegmentReader:
        """Rows of two segments."""

    def build(self, config: TransformerConfig) -> PairModel:
        return PairModel(config)

    def terms(
        self, model: PairModel, batch: SegmentPairs, generator: torch.Generator, dtype: torch.dtype
    ) -> dict[str, Term]:
        masked = masking.mask(
            batch.input_ids,
            self._probability(model, batch),
            self.vocabulary,
            generator,
            whole_word=self.options.whole_word,
        )
        hidden = model.model(masked.input_ids, batch.attention_mask, dtype, causal=False)[-1]
        scores = model.pair(hidden).float()
        answered = F.cross_entropy(scores, batch.labels.to(scores.device), reduction="sum")
        return {"mlm": restored(model, hidden, masked), self.question: Term(answered, len(scores))}

    def _probability(self, model: PairModel, batch: SegmentPairs) -> float:
        """In evaluation, where no step's cost counts, as many targets as there would be without padding."""
        if model.training:
            return float(self.options.mlm_probability)
        return EVALUATION_PROBABILITY * batch.attention_mask.float().mean().item()

    def flops(self, config: TransformerConfig, batch_size: int, length: int) -> int:
        width, targets = config.hidden_size, masking.count(batch_size * length, self.options.mlm_probability)
        pair = flops.product(batch_size, width, width) + flops.product(batch_size, width, ANSWERS)
        return flops.TRAINING * (flops.stack(config, batch_size, length) + flops.head(config, targets) + pair)
