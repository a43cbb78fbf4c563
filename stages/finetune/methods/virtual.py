"""What the methods share that put virtual tokens before a text: rows of their own, looked up like those of words."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from stages.errors import Inapplicable
from stages.finetune.methods.gradient import Gradient, only
from stages.model.backbone import Backbone
from stages.model.dropout import Dropout
from stages.model.generator import Generator
from stages.model.imported import Imported
from stages.model.transformer import Transformer
from stages.model.tunable import Tunable
from stages.training import randomness


class Virtual(Gradient):
    """Trains what makes the rows of the virtual tokens, and the head."""

    class Options(Gradient.Options):
        """``virtual_tokens``: how many there are; a text can be that much shorter where positions are counted."""

        virtual_tokens: Annotated[int, Field(ge=1)]

    @property
    def virtual_tokens(self) -> int:
        return int(self.options.virtual_tokens)

    @abstractmethod
    def encoder(self, table: nn.Embedding) -> nn.Module:
        """What makes rows like those of ``table`` of the numbers of virtual tokens."""

    def attach(self, model: Tunable, seed: int) -> None:
        if isinstance(model, Generator):
            raise Inapplicable("virtual tokens stand before texts that are read, and this model writes")
        name, table = _table(model.transformer)
        with randomness.drawing(seed, "finetune-attach"):
            encoder = self.encoder(table).to(table.weight.device)
        model.transformer = Prepended(model.transformer, name, encoder, self.virtual_tokens)

    def prepare(self, model: Tunable) -> None:
        only(model, [name for name, _ in model.named_parameters() if name.startswith("transformer.encoder.")])

    def merge(self, model: Tunable) -> bool:
        return False


class Prepended(nn.Module):
    """A backbone that reads virtual tokens before each text, and gives the states of the text alone."""

    def __init__(self, base: Backbone, table: str, encoder: nn.Module, count: int) -> None:
        """``table``: the name of the module within ``base`` that looks up tokens."""
        super().__init__()
        self.base, self.encoder = base, encoder
        self._table, self._count = table, count

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.base.device

    @property
    def hidden_size(self) -> int:
        """Width of the states."""
        return self.base.hidden_size

    @property
    def depths(self) -> range:
        """All depths that can be pooled."""
        return self.base.depths

    @property
    def positions(self) -> int | None:
        """How many tokens a text may have beside the virtual ones."""
        return None if self.base.positions is None else self.base.positions - self._count

    def shrink_embeddings(self) -> None:
        """As the base does; virtual tokens stay."""
        self.base.shrink_embeddings()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        dtype: torch.dtype,
        depth: int,
        *,
        dropout: Dropout | None = None,
        first: bool = False,
    ) -> tuple[Tensor, ...]:
        """The states of ``input_ids``, all of which see the virtual tokens; the base's first are not of the text."""
        shape = (input_ids.shape[0], self._count)
        with self._looking_up() as stand_in:
            states = self.base(
                torch.cat([input_ids.new_full(shape, stand_in), input_ids], dim=1),
                torch.cat([attention_mask.new_ones(shape), attention_mask], dim=1),
                dtype,
                depth,
                dropout=dropout,
            )
        return tuple(state[:, self._count :] for state in states)

    @contextmanager
    def _looking_up(self) -> Iterator[int]:
        """Give the first places of each text our rows; yields what may stand there meanwhile, a token but padding."""
        table = self.base.get_submodule(self._table)  # type: ignore[attr-defined]
        rows = self.encoder(torch.arange(self._count, device=self.device))

        def replace(_: nn.Module, __: tuple[Tensor, ...], found: Tensor) -> Tensor:
            ours = rows.to(found.dtype).expand(found.shape[0], -1, -1)
            return torch.cat([ours, found[:, self._count :]], dim=1)

        handle = table.register_forward_hook(replace)
        try:
            yield int(getattr(table, "padding_idx", None) == 0)
        finally:
            handle.remove()


def _table(backbone: Backbone) -> tuple[str, nn.Embedding]:
    """What looks up tokens, and its name.

    Raises:
        Inapplicable: there are two that do.
    """
    if isinstance(backbone, Transformer):
        return "embeddings.tok_embeddings", backbone.embeddings.tok_embeddings
    assert isinstance(backbone, Imported)
    if backbone.decodes:
        raise Inapplicable("its decoder's end is read (finetune.pooling), but its decoder looks up tokens by itself")
    found = backbone.model.get_input_embeddings()
    assert isinstance(found, nn.Embedding)
    return next(name for name, module in backbone.named_modules() if module is found), found
