"""Of the table of embeddings only the rows stay that the task's training texts use.

After Abdaoui et al. 2020, Load What You Need: Smaller Versions of Multilingual BERT, §3. The tokenizer stays as it is:
an index leads from each id to its row, and from those that have none any more to that of the unknown token. At small
sizes most parameters are in this table.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from stages import artifacts, params
from stages.compress import modules
from stages.compress.base import Compressor, Material, Shape
from stages.compress.pruning import classifier
from stages.model import files
from stages.model.answerer import Answerer
from stages.model.imported import Imported
from stages.model.transformer import Transformer
from stages.tokenizer import files as tokenizer_files

ROWS = "rows"
BATCH = 64
UNKNOWN = ("[UNK]", "<unk>")
"""What the token is called where the tokenizer does not say which one it is, as those of bytes, which need none."""


class Indexed(nn.Module):
    """A table of fewer rows than there are ids."""

    def __init__(self, table: nn.Embedding, index: Tensor, padding_idx: int | None) -> None:
        """``index``: (ids,), of each id its row; ``padding_idx``: the id of padding."""
        super().__init__()
        self.table, self.padding_idx = table, padding_idx
        self.register_buffer("index", index)
        self.index: Tensor

    def forward(self, input_ids: Tensor) -> Tensor:
        found: Tensor = self.table(self.index[input_ids])
        return found


class Vocabulary(Compressor):
    """Rows of what looks up tokens."""

    class Options(params.Section):
        """``min_count``: how often the training texts must hold a token; special ones always stay."""

        min_count: Annotated[int, Field(ge=1)] = 1

    def refusal(self, before: Sequence[str]) -> str | None:
        return "rows have gone before: give the higher min_count there" if "vocabulary" in before else None

    def compress(self, model: Answerer, material: Material) -> Shape:
        table, unknown = self._table(classifier(self, model)), _unknown(material.source)
        counts = torch.zeros(table.num_embeddings, dtype=torch.long)
        for batch in material.batches(len(material.train), BATCH):
            counts += torch.bincount(batch.input_ids[batch.attention_mask.bool()], minlength=len(counts))
        special = {index for index in _special(material.source) if index < len(counts)}
        counts[sorted({*special, unknown})] = self.options.min_count
        kept = torch.nonzero(counts >= self.options.min_count).flatten()
        index = torch.full((len(counts),), int(torch.searchsorted(kept, unknown)), dtype=torch.int32)
        index[kept] = torch.arange(len(kept), dtype=torch.int32)
        small = nn.Embedding.from_pretrained(table.weight.detach()[kept], freeze=False)
        modules.replace(model, table, Indexed(small, index, table.padding_idx))
        return {ROWS: len(kept)}

    def shape(self, model: Answerer, shape: Shape) -> None:
        table = self._table(model)
        index = torch.zeros(table.num_embeddings, dtype=torch.int32)
        small = nn.Embedding(shape[ROWS], table.embedding_dim)
        modules.replace(model, table, Indexed(small, index, table.padding_idx))

    def _table(self, model: Answerer) -> nn.Embedding:
        """What looks up tokens."""
        body = next(module for module in model.modules() if isinstance(module, Transformer | Imported))
        found = body.embeddings.tok_embeddings if isinstance(body, Transformer) else body.model.get_input_embeddings()
        if type(found) is not nn.Embedding:
            raise self.unfit(f"tokens are looked up in {type(found).__name__}, which is no plain table: leave it out")
        return found


def _special(folder: Path) -> set[int]:
    """The ids of the tokens that begin, end and fill texts."""
    config = artifacts.read_json(folder / files.CONFIG)
    return {
        index for name, index in config.items() if name.endswith("_token_id") and isinstance(index, int) and index >= 0
    }


def _unknown(folder: Path) -> int:
    """The id of the unknown token; where there is none, that of padding, or the first."""
    tokenizer = tokenizer_files.load(folder)
    described = json.loads(tokenizer.to_str())["model"]
    if isinstance(described.get("unk_id"), int):
        return int(described["unk_id"])
    names: Sequence[str] = [described.get("unk_token") or "", *UNKNOWN, "[PAD]", "<pad>"]
    ids = (tokenizer.token_to_id(name) for name in names)
    return next((index for index in ids if index is not None), 0)
