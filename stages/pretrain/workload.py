"""Pre-training as the engine sees it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from stages.errors import StageError
from stages.model.transformer import LanguageModel
from stages.pretrain.material import Corpus
from stages.pretrain.objectives.base import Objective
from stages.pretrain.sequences import Order
from stages.training import distributed, randomness
from stages.training.loss import Loss, Term

EVALUATION_BATCH = 32


@dataclass(frozen=True)
class Batching:
    """How much of the corpus a step takes: ``batch_size`` rows of ``sequence_length`` tokens."""

    batch_size: int
    sequence_length: int

    @property
    def tokens(self) -> int:
        """Tokens a step."""
        return self.batch_size * self.sequence_length


class Pretraining:
    """One objective on a corpus."""

    def __init__(
        self,
        model: LanguageModel,
        objective: Objective,
        corpus: Corpus,
        batching: Batching,
        *,
        seed: int,
        dtype: torch.dtype,
        earlier: Corpus | None = None,
    ) -> None:
        """
        Args:
            earlier: a corpus that was learnt before, and is measured on to see what is forgotten.

        Raises:
            StageError: there are several processes, and what each gets of a batch is uneven or too little.
        """
        self._earlier = earlier
        self.model, self._objective, self._corpus, self._dtype, self._seed = model, objective, corpus, dtype, seed
        self._order = Order(len(corpus.train), batching.batch_size, seed)
        self._tokens = batching.tokens
        self._flops = _flops(objective, model, batching, distributed.world_size())

    def loss(self, step: int) -> Loss:
        """The objective's loss on this process's share of batch ``step``."""
        rows, position = distributed.share(self._order[step]), distributed.position(step)
        batch = self._corpus.train.take(rows, randomness.torch_generator(self._seed, "batch", position))
        generator = randomness.torch_generator(self._seed, "objective", position)
        terms = self._objective.terms(self.model, batch, generator, self._dtype)
        return Loss(terms, self._tokens, self._flops)

    def evaluate(self) -> dict[str, float]:
        """The loss on all held-out rows, its parts if it has several, what a likelihood means, and the earlier loss.

        The draws are the same at every evaluation and for every seed. Perplexity and bits per byte are of the first
        term, of which bits per byte take the loss of a target as that of every token: for causal models that is the
        likelihood of the text, for others a figure that compares across tokenizers.
        """
        figures = self._measure(self._corpus)
        return figures | ({"earlier_loss": self._measure(self._earlier)["loss"]} if self._earlier else {})

    def _measure(self, corpus: Corpus) -> dict[str, float]:
        totals: dict[str, float] = {}
        counts: dict[str, float] = {}
        weights: dict[str, float] = {}
        for start in range(0, len(corpus.validation), EVALUATION_BATCH):
            for name, term in self._validate(corpus, start).items():
                totals[name] = totals.get(name, 0.0) + term.total.item()
                counts[name] = counts.get(name, 0) + term.count
                weights[name] = term.weight
        means = {name: totals[name] / counts[name] for name in totals}
        figures = {"loss": sum(weights[name] * means[name] for name in means)}
        if len(means) > 1:
            figures |= {f"{name}_loss": mean for name, mean in means.items()}
        if self._objective.likelihood:
            figures |= _likelihood(next(iter(means.values())), corpus.bytes_per_token)
        return figures

    def _validate(self, corpus: Corpus, start: int) -> dict[str, Term]:
        indices = np.arange(start, min(start + EVALUATION_BATCH, len(corpus.validation)))
        batch = corpus.validation.take(indices, randomness.torch_generator(0, "validation-batch", start))
        generator = randomness.torch_generator(0, "validation", start)
        return self._objective.terms(self.model, batch, generator, self._dtype)


def _flops(objective: Objective, model: LanguageModel, batching: Batching, processes: int) -> int:
    """Of a step of all processes together."""
    rows, left = divmod(batching.batch_size, processes)
    if left:
        raise StageError(
            f"params.yaml: pretrain.batch_size: {processes} processes cannot share {batching.batch_size} sequences "
            f"evenly: give a multiple of {processes}"
        )
    try:
        return processes * objective.flops(model.config, rows, batching.sequence_length)
    except StageError as error:
        raise error if processes == 1 else StageError(f"{error}; each of {processes} processes has {rows}") from None


def _likelihood(loss: float, bytes_per_token: float) -> dict[str, float]:
    return {"perplexity": math.exp(loss), "bits_per_byte": loss / math.log(2) / bytes_per_token}
