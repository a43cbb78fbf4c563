"""Parts of a layer that can be taken away whole: neurons of a feed-forward, heads of an attention.

Both are the same thing to the matrices around them: rows of those that read the residual stream, and the columns of the
one that writes to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stages.model.transformer import Linear

LINEAR = (nn.Linear, Linear)
"""Of just these types: others do more than multiply."""


@dataclass(frozen=True)
class Layout:
    """Where units stand, by names within a module.

    Attributes:
        reads: the maps that read, and how many vectors of all units each of them gives, one behind the other.
        writes: the map that writes.
        width: the attribute that says how many numbers a unit is; one, where there is none.
    """

    reads: Mapping[str, int]
    writes: str
    width: str | None = None


NEURONS = (
    Layout({"Wi": 2}, "Wo"),  # ours and ModernBERT's: values, gates
    Layout({"intermediate.dense": 1}, "output.dense"),  # BERT and what is built like it
    Layout({"lin1": 1}, "lin2"),  # DistilBERT
    Layout({"wi": 1}, "wo"),  # T5
    Layout({"wi_0": 1, "wi_1": 1}, "wo"),  # T5 1.1
)
HEADS = (
    Layout({"Wqkv": 3}, "Wo", "head_dim"),  # ours and ModernBERT's
    Layout({"Wq": 1, "Wkv": 2}, "Wo", "head_dim"),  # ours, to another stack
    Layout({"self.query": 1, "self.key": 1, "self.value": 1}, "output.dense", "self.attention_head_size"),
    Layout({"q_lin": 1, "k_lin": 1, "v_lin": 1}, "out_lin", "attention_head_size"),
)


@dataclass(frozen=True)
class Block:
    """The units of one module.

    Attributes:
        name: of the module.
        reads: maps, and how many vectors each gives.
        width: how many numbers a unit is.
    """

    name: str
    reads: Sequence[tuple[nn.Linear, int]]
    writes: nn.Linear
    width: int

    @property
    def units(self) -> int:
        """How many there are."""
        return self.writes.in_features // self.width

    def keep(self, units: Sequence[int] | Tensor) -> None:
        """Leave these units alone, in this order."""
        chosen = torch.as_tensor(units)
        for linear, vectors in self.reads:
            rows = torch.arange(linear.out_features).view(vectors, -1, self.width)[:, chosen].flatten()
            _select(linear, 0, rows)
        _select(self.writes, 1, torch.arange(self.writes.in_features).view(-1, self.width)[chosen].flatten())

    def weights(self) -> Tensor:
        """All weights of each unit, (units, weights)."""
        rows = [
            linear.weight.detach().view(vectors, self.units, -1).transpose(0, 1).flatten(1)
            for linear, vectors in self.reads
        ]
        columns = self.writes.weight.detach().T.reshape(self.units, -1)
        return torch.cat([*rows, columns], dim=1)


class Unfit(Exception):
    """What stands where a map should; the message says so."""


def find(model: nn.Module, layouts: Sequence[Layout]) -> list[Block]:
    """All blocks of a model.

    Raises:
        Unfit: something has been put in the place of a map, or beside it.
    """
    return [
        _block(name, module, layout)
        for name, module in model.named_modules()
        for layout in layouts
        if all(_has(module, path) for path in (*layout.reads, layout.writes))
    ]


def _block(name: str, module: nn.Module, layout: Layout) -> Block:
    maps = {path: module.get_submodule(path) for path in (*layout.reads, layout.writes)}
    for path, found in maps.items():
        if type(found) not in LINEAR:
            raise Unfit(f"{name}.{path} is no longer a plain map but {type(found).__name__}")
    reads = [(maps[path], vectors) for path, vectors in layout.reads.items()]
    return Block(name, reads, maps[layout.writes], _width(module, layout.width))  # type: ignore[arg-type]


def _has(module: nn.Module, path: str) -> bool:
    for part in path.split("."):
        found = module._modules.get(part)
        if found is None:
            return False
        module = found
    return True


def _width(module: nn.Module, path: str | None) -> int:
    if path is None:
        return 1
    *parents, name = path.split(".")
    return int(getattr(module.get_submodule(".".join(parents)), name))


def _select(linear: nn.Linear, axis: int, places: Tensor) -> None:
    """Leave these rows (0) or columns (1) of a map."""
    with torch.no_grad():
        linear.weight = nn.Parameter(linear.weight.index_select(axis, places.to(linear.weight.device)))
        if axis == 0 and linear.bias is not None:
            linear.bias = nn.Parameter(linear.bias[places])
    linear.out_features, linear.in_features = linear.weight.shape
