"""What a pre-training objective is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, ClassVar, Generic, Literal, TypeVar

import torch

from stages import params
from stages.model.config import ScoringMode, TransformerConfig
from stages.model.transformer import EncoderDecoder, LanguageModel
from stages.pretrain.material import Corpus, Material
from stages.pretrain.sequences import Reader, Sequences, Text
from stages.token_store import TokenStore
from stages.tokenizer.vocabulary import Vocabulary
from stages.training.loss import Term

Architecture = Literal["encoder", "decoder", "prefix_decoder", "encoder_decoder"]
"""Who sees whom. A prefix decoder is a stack that sees all of a prefix and is causal behind it; what a task gives it is
all prefix, so it goes on as an encoder, as does the encoder of an encoder–decoder."""

Batch = TypeVar("Batch")
"""What an objective's reader gives: `Text` unless it says otherwise."""


class Objective(ABC, Generic[Batch]):
    """One way to turn text into a loss.

    A subclass states its ``architecture``, its ``Options`` (the keys under ``objectives.<name>``), what it does to a
    batch (`terms`), and what that costs (`flops`). One that needs more than a Transformer and its vocabulary overrides
    `build`; one that needs other rows than windows of the text, `reader`.
    """

    architecture: Architecture
    trains: ClassVar[bool] = True
    scoring: ClassVar[tuple[ScoringMode, ...]] = ()
    """How sentences can be scored by its models without any tuning."""

    reads_labels: ClassVar[bool] = False
    """Whether it learns from the tasks' labelled examples."""

    likelihood: ClassVar[bool] = True
    """Whether the first term is a negative log-likelihood of tokens, which perplexity and bits per byte are made of."""

    class Options(params.Section):
        """No options."""

    def __init__(self, options: Any, vocabulary: Vocabulary) -> None:
        self.options, self.vocabulary = options, vocabulary

    def configure(self, config: TransformerConfig) -> TransformerConfig:
        """The encoder's configuration turned into that of this objective's architecture."""
        decoder_layers = config.num_hidden_layers if self.architecture == "encoder_decoder" else 0
        return replace(config, causal=self.architecture == "decoder", num_decoder_layers=decoder_layers)

    def build(self, config: TransformerConfig) -> LanguageModel:
        """A model with weights yet to be drawn (`stages.model.transformer.initialize`)."""
        return EncoderDecoder(config) if config.num_decoder_layers else LanguageModel(config)

    def corpus(self, material: Material) -> Corpus:
        """What there is to read, as rows of this objective's reader.

        Raises:
            StageError: something is missing, or too short.
        """
        stores, length = material.stores(), material.sequence_length
        train, validation = (
            self.reader(store, length, f"{material.packed.name}/{part}", document_mask=material.document_mask)
            for part, store in stores.items()
        )
        held_out = stores["validation"]
        return Corpus(train, validation, float(held_out.bytes.sum()) / len(held_out.tokens))

    def reader(self, store: TokenStore, length: int, key: str, *, document_mask: bool) -> Reader:
        """The rows of a packed corpus; see `stages.pretrain.sequences.Sequences` for the arguments."""
        return Sequences(store, length, key, document_mask=document_mask)

    @abstractmethod
    def terms(self, model: Any, batch: Batch, generator: torch.Generator, dtype: torch.dtype) -> dict[str, Term]:
        """The parts of the loss by name, the leading one first: summed losses in nats, and their numbers of targets.

        Args:
            model: what `build` gave; in training mode while learning, in evaluation mode for held-out text.
            batch: rows of the reader.
            generator: for all draws that belong to this batch.
            dtype: the type to compute in.
        """

    @abstractmethod
    def flops(self, config: TransformerConfig, batch_size: int, length: int) -> int:
        """Floating-point operations of one training step, counted from its shapes (`stages.model.flops`).

        Args:
            config: of the model that `build` was given.
            batch_size: rows a step.
            length: tokens a row.
        """


TextObjective = Objective[Text]
