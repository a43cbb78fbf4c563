"""Linear maps as products of two narrow ones: the truncated singular value decomposition of their matrices.

It is the nearest matrix of its rank (Eckart & Young 1936). With ``weighting: activations`` what is near is not the
matrix but what the map says of training texts: decomposed is the matrix times the Cholesky factor of its inputs' second
moments, whose error is just that (Wang et al. 2024, SVD-LLM, §3.1). Scaling each column by itself, as ASVD does (Yuan
et al. 2023, §3.2), leaves out that inputs hang together, and here made answers worse than no weighting.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from stages import params
from stages.compress import inputs, modules
from stages.compress.base import Compressor, Material, Shape
from stages.compress.pruning import classifier
from stages.compress.recovery import Recovery, recover
from stages.compress.units import LINEAR
from stages.model.answerer import Answerer
from stages.model.transformer import Linear

RANKS = "ranks"
DAMPING = 1e-6


class LowRank(nn.Module):
    """``up(down(x))``."""

    def __init__(self, linear: nn.Linear, rank: int) -> None:
        """Of the shape of a map; the weights are still to be given."""
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        plain = type(linear) is Linear
        self.down = Linear(self.in_features, rank) if plain else nn.Linear(self.in_features, rank, bias=False)
        has_bias = linear.bias is not None
        self.up = Linear(rank, self.out_features) if plain else nn.Linear(rank, self.out_features, bias=has_bias)

    @property
    def weight(self) -> Tensor:
        """The matrix of both."""
        return self.up.weight @ self.down.weight

    def forward(self, input: Tensor) -> Tensor:
        found: Tensor = self.up(self.down(input))
        return found


class LowRankMaps(Compressor):
    """Every linear map of the backbone, wherever that makes it smaller."""

    class Options(params.Section):
        """One of three says the ranks: ``rank`` itself; ``energy``, the share of each matrix's squared singular values
        to keep; ``parameters``, the share of all maps' weights to keep, spent where a weight keeps most energy.

        ``examples``: training texts to look at for ``weighting``.
        """

        rank: Annotated[int, Field(ge=1)] | None = None
        energy: Annotated[float, Field(gt=0, le=1)] | None = None
        parameters: Annotated[float, Field(gt=0, le=1)] | None = None
        weighting: Literal["none", "activations"] = "activations"
        examples: Annotated[int, Field(ge=1)] = 256
        recovery: Recovery | None = None

        @model_validator(mode="after")
        def _one_says_the_ranks(self) -> Self:
            given = [name for name in ("rank", "energy", "parameters") if getattr(self, name) is not None]
            if len(given) != 1:
                raise ValueError(f"give one of rank, energy, parameters, not {', '.join(given) or 'none'}")
            return self

    @property
    def trains(self) -> bool:
        return self.options.recovery is not None

    def refusal(self, before: Sequence[str]) -> str | None:
        filled = "low_rank would fill the zeros of prune_magnitude: put prune_magnitude behind it"
        return filled if "prune_magnitude" in before else None

    def compress(self, model: Answerer, material: Material) -> Shape:
        tuned = classifier(self, model)
        maps = self._maps(tuned)
        factors = self._factors(tuned, maps, material)
        found = {name: _decompose(linear.weight, factors[name]) for name, linear in maps.items()}
        ranks = self._ranks(maps, {name: values.square() for name, (_, values, _) in found.items()})
        self.shape(tuned, {RANKS: ranks})
        for name, rank in ranks.items():
            _give(tuned.get_submodule(name), found[name], rank, factors[name], maps[name].bias)
        if self.options.recovery is not None:
            recover(tuned, material, self.options.recovery, {})
        return {RANKS: ranks}

    def shape(self, model: Answerer, shape: Shape) -> None:
        for name, rank in shape[RANKS].items():
            linear = model.get_submodule(name)
            modules.replace(model, linear, LowRank(linear, rank))  # type: ignore[arg-type]

    def _maps(self, model: nn.Module) -> dict[str, nn.Linear]:
        """All but the head."""
        maps = {
            name: module
            for name, module in model.named_modules()
            if type(module) in LINEAR and isinstance(module, nn.Linear) and not name.startswith("classifier")
        }
        if not maps:
            raise self.unfit("the model has no linear maps that it could factor: leave this step out")
        return maps

    def _factors(self, model: nn.Module, maps: Mapping[str, nn.Linear], material: Material) -> dict[str, Tensor]:
        """What each matrix is multiplied with before it is decomposed, (columns, columns), lower triangular."""
        plain = {name: torch.eye(linear.in_features, dtype=torch.float64) for name, linear in maps.items()}
        if self.options.weighting == "none":
            return plain
        found = inputs.moments(model, maps, material, self.options.examples)
        return plain | {name: torch.linalg.cholesky(_regular(moments)) for name, moments in found.items()}

    def _ranks(self, maps: Mapping[str, nn.Linear], energies: Mapping[str, Tensor]) -> dict[str, int]:
        """Of those maps that become smaller."""
        if self.options.parameters is not None:
            ranks = spend(energies, {name: _sizes(linear) for name, linear in maps.items()}, self.options.parameters)
        elif self.options.energy is not None:
            ranks = {name: _enough(energy, self.options.energy) for name, energy in energies.items()}
        else:
            ranks = {name: self._rank(name, linear) for name, linear in maps.items()}
        return {
            name: rank for name, rank in ranks.items() if rank * sum(_sizes(maps[name])) < maps[name].weight.numel()
        }

    def _rank(self, name: str, linear: nn.Linear) -> int:
        if self.options.rank > min(_sizes(linear)):
            raise self.refuse(
                f"rank: {self.options.rank} is above that of {name}, which is {min(_sizes(linear))} at most"
            )
        return int(self.options.rank)


def spend(energies: Mapping[str, Tensor], sizes: Mapping[str, tuple[int, int]], share: float) -> dict[str, int]:
    """The ranks that keep most of the matrices' energy, each relative to its own sum, within a share of all weights.

    One singular value after the other, the most energy a weight first; a matrix whose factors would be no smaller is
    whole. Every matrix keeps one.
    """
    whole = {name: rows * columns for name, (rows, columns) in sizes.items()}
    costs = {name: sum(size) for name, size in sizes.items()}
    gains = {name: (energy / energy.sum().clamp_min(1e-30) / costs[name]).tolist() for name, energy in energies.items()}
    ranks = dict.fromkeys(energies, 1)
    left = share * sum(whole.values()) - sum(min(costs[name], whole[name]) for name in ranks)
    queue = [(-gains[name][1], name) for name in ranks if len(gains[name]) > 1]
    heapq.heapify(queue)
    while queue:
        _, name = heapq.heappop(queue)
        before, after = (min(rank * costs[name], whole[name]) for rank in (ranks[name], ranks[name] + 1))
        if after - before > left:
            continue
        left -= after - before
        ranks[name] += 1
        if ranks[name] < len(gains[name]):
            heapq.heappush(queue, (-gains[name][ranks[name]], name))
    return ranks


def _enough(energy: Tensor, share: float) -> int:
    """The least rank that keeps this share; all of them where that is everything."""
    if share == 1:
        return len(energy)
    kept = energy.double().cumsum(0) / energy.double().sum().clamp_min(1e-30)
    return min(int((kept < share).sum()) + 1, len(energy))


def _sizes(linear: nn.Linear) -> tuple[int, int]:
    return linear.out_features, linear.in_features


def _regular(moments: Tensor) -> Tensor:
    """With a little of every direction, for those that no text has taken."""
    return moments + DAMPING * moments.diagonal().mean().clamp_min(DAMPING) * torch.eye(len(moments)).double()


@torch.no_grad()
def _decompose(weight: Tensor, factor: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """U, singular values and Vᵀ of a matrix times what it is multiplied with; in fp64."""
    return torch.linalg.svd(weight.double() @ factor, full_matrices=False)


@torch.no_grad()
def _give(
    module: nn.Module, found: tuple[Tensor, Tensor, Tensor], rank: int, factor: Tensor, bias: Tensor | None
) -> None:
    """Give both maps the root of each singular value, so that neither is much larger than the other."""
    assert isinstance(module, LowRank)
    left, values, right = found
    root = values[:rank].sqrt()
    module.up.weight.copy_(left[:, :rank] * root)
    back = torch.linalg.solve_triangular(factor.T, right[:rank].T, upper=True).T  # right times the factor's inverse
    module.down.weight.copy_(root[:, None] * back)
    if bias is not None:
        module.up.bias.copy_(bias)
