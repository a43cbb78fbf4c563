"""A pre-trained model that is taught to write: a text in, another text out.

Each architecture does it as it can. Of an encoder–decoder one stack reads the text, and the other, from [CLS] on, what
it has written itself (Raffel et al. 2020, T5, §2.1). A causal stack goes on behind the text. So does one that is not:
the text sees itself alone, and what is written sees the text and all that it goes on from (Dong et al. 2019, UniLM,
§2.3). The table of embeddings is that of the output, as it was in pre-training.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from stages.model import visibility
from stages.model.classifier_config import ClassifierConfig
from stages.model.dropout import Dropout
from stages.model.generation import Search, beam_search
from stages.model.transformer import Memory, PredictionHead, Seq2Seq, Transformer
from stages.model.tunable import Tunable
from stages.tokenizer.special import CLS_ID

Reader = Callable[[Tensor, Tensor], Tensor]
"""From the row that each text belongs to (texts,) and what is written of it (texts, written) to the states that the
next token is told from, at the beginning and behind each token (texts, written + 1, hidden_size)."""


class Generator(Tunable):
    """A stack or two, and the head that they were pre-trained with; padding may stand on either side of a text."""

    def __init__(self, transformer: Transformer, head: PredictionHead, config: ClassifierConfig) -> None:
        super().__init__()
        self.transformer: Transformer = transformer
        self.head, self.config = head, config

    def shrink_embeddings(self) -> None:
        """Nothing: the table writes as well, where its size counts."""

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor,
        dtype: torch.dtype = torch.float32,
        dropout: Dropout | None = None,
    ) -> Tensor:
        """Logits of each token of ``labels`` (batch, written), told from the text and from those before it, fp32.

        Args:
            input_ids: (batch, length), the texts.
            labels: ids of what is to be written; below 0 behind its end.

        Returns:
            (batch, written, vocab_size).
        """
        read = self._reader(input_ids, attention_mask, dtype, dropout)
        states = read(torch.arange(len(input_ids)), labels[:, :-1].clamp_min(0))
        return self._logits(states, dropout)

    @torch.no_grad()
    def generate(
        self, input_ids: Tensor, attention_mask: Tensor, search: Search, dtype: torch.dtype = torch.float32
    ) -> list[list[int]]:
        """What the model writes of each text, without the token that ends it."""
        read = self._reader(input_ids, attention_mask, dtype, None)
        return beam_search(lambda rows, written: self._logits(read(rows, written)[:, -1]), len(input_ids), search)

    def _logits(self, states: Tensor, dropout: Dropout | None = None) -> Tensor:
        hidden = self.head(dropout(states) if dropout else states)
        return F.linear(hidden, self.transformer.embeddings.tok_embeddings.weight.to(hidden.dtype)).float()

    def _reader(self, input_ids: Tensor, attention_mask: Tensor, dtype: torch.dtype, dropout: Dropout | None) -> Reader:
        if isinstance(self.transformer, Seq2Seq):
            return _decoding(self.transformer, input_ids, attention_mask, dtype, dropout)
        return _continuing(self.transformer, input_ids, attention_mask, dtype, dropout)


def _decoding(
    transformer: Seq2Seq, input_ids: Tensor, attention_mask: Tensor, dtype: torch.dtype, dropout: Dropout | None
) -> Reader:
    """The text is read once."""
    states, _ = transformer.encode(input_ids, attention_mask, dtype, dropout=dropout)

    def read(rows: Tensor, written: Tensor) -> Tensor:
        memory = Memory(states[rows], attention_mask[rows])
        return transformer.decode(F.pad(written, (1, 0), value=CLS_ID), memory, dtype=dtype, dropout=dropout)[-1]

    return read


def _continuing(
    transformer: Transformer, input_ids: Tensor, attention_mask: Tensor, dtype: torch.dtype, dropout: Dropout | None
) -> Reader:
    """All padding goes to the left, so that nothing stands between a text and what is written behind it."""
    order = attention_mask.argsort(dim=1, stable=True)
    input_ids, attention_mask = input_ids.gather(1, order), attention_mask.gather(1, order)
    length = input_ids.shape[1]

    def read(rows: Tensor, written: Tensor) -> Tensor:
        whole = torch.cat([input_ids[rows], written], 1)
        seen = torch.cat([attention_mask[rows], torch.ones_like(written)], 1)
        if not transformer.config.causal:
            seen = seen[:, None] * visibility.prefix(torch.tensor([length]), whole.shape[1])
        return transformer(whole, seen, dtype, dropout=dropout)[-1][:, length - 1 :]

    return read
