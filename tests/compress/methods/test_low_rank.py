"""Factored maps against the definition of the singular value decomposition."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from stages.compress import files
from stages.compress.methods.low_rank import LowRank, spend
from stages.errors import StageError
from stages.model import classifier
from tests.compress.conftest import save
from tests.compress.made import compress, material, steps
from tests.model.checkpoints import batch

PLAIN = {"weighting": "none"}


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return save(tmp_path / "encoder", "encoder")


def factored(model: torch.nn.Module) -> dict[str, LowRank]:
    return {name: module for name, module in model.named_modules() if isinstance(module, LowRank)}


def test_a_map_is_the_nearest_of_its_rank(encoder: Path, tmp_path: Path) -> None:
    """As NumPy's decomposition has it."""
    compress(tmp_path / "small", encoder, ("low_rank", {"rank": 5, **PLAIN}))
    original, small = classifier.load(encoder), files.load(tmp_path / "small")
    maps = factored(small)  # type: ignore[arg-type]
    assert maps
    for name, module in maps.items():
        left, values, right = np.linalg.svd(original.get_submodule(name).weight.detach().double().numpy())
        expected = (left[:, :5] * values[:5]) @ right[:5]
        torch.testing.assert_close(module.weight.detach(), torch.from_numpy(expected).float(), atol=1e-5, rtol=1e-5)


def test_activations_decide_what_is_near(encoder: Path, tmp_path: Path) -> None:
    """What maps say of the training texts is nearer to what they said than without weighting."""
    data, errors = material(tmp_path / "material", encoder), {}
    original = classifier.load(encoder)
    examples = next(data.batches(60, 60))
    given: dict[str, list[torch.Tensor]] = {}
    names = [name for name in factored(_compressed(encoder, tmp_path / "x", "none")) if name.startswith("transformer")]
    for name in names:
        original.get_submodule(name).register_forward_pre_hook(
            lambda _, x, name=name: given.setdefault(name, []).append(x[0])
        )
    with torch.no_grad():
        original(examples.input_ids, examples.attention_mask)
        real = examples.attention_mask.bool()
        for weighting in ("none", "activations"):
            maps = factored(_compressed(encoder, tmp_path / weighting, weighting))
            errors[weighting] = [
                float((maps[name](rows) - F.linear(rows, original.get_submodule(name).weight)).square().sum())
                for name, rows in ((name, given[name][0][real]) for name in names)
            ]
    assert (np.array(errors["activations"]) < np.array(errors["none"])).all()


def _compressed(source: Path, target: Path, weighting: str) -> torch.nn.Module:
    compress(target, source, ("low_rank", {"rank": 5, "weighting": weighting}))
    return files.load(target)  # type: ignore[return-value]


@pytest.mark.parametrize("options", [{"parameters": 1.0}, {"energy": 1.0}, {"rank": 24}])
def test_what_keeps_everything_changes_nothing(options: dict[str, float], encoder: Path, tmp_path: Path) -> None:
    """A map is factored only where that makes it smaller."""
    compress(tmp_path / "small", encoder, ("low_rank", options))
    small = files.load(tmp_path / "small")
    original = classifier.load(encoder)
    for name, module in factored(small).items():  # type: ignore[arg-type]
        weight = original.get_submodule(name).weight
        assert sum(part.numel() for part in module.parameters()) < weight.numel()
    if "rank" not in options:
        with torch.no_grad():
            assert torch.equal(small(*batch()), original(*batch()))


def test_energy_is_what_was_asked_for(encoder: Path, tmp_path: Path) -> None:
    """With one value less it would not be."""
    compress(tmp_path / "small", encoder, ("low_rank", {"energy": 0.6, **PLAIN}))
    maps = factored(files.load(tmp_path / "small"))  # type: ignore[arg-type]
    assert maps
    for name, module in maps.items():
        values = np.linalg.svd(classifier.load(encoder).get_submodule(name).weight.detach().numpy(), compute_uv=False)
        share = np.cumsum(values.astype(np.float64) ** 2) / np.sum(values.astype(np.float64) ** 2)
        rank = module.down.out_features
        assert share[rank - 1] >= 0.6
        assert rank == 1 or share[rank - 2] < 0.6


def test_parameters_stay_within_the_budget(encoder: Path, tmp_path: Path) -> None:
    """And nearly fill it."""
    compress(tmp_path / "small", encoder, ("low_rank", {"parameters": 0.5}))
    original, small = classifier.load(encoder), files.load(tmp_path / "small")
    whole = {name: p.numel() for name, p in original.named_parameters() if p.ndim == 2 and ".layers." in name}
    left = sum(p.numel() for name, p in small.named_parameters() if p.ndim == 2 and ".layers." in name)  # type: ignore[attr-defined]
    assert 0.45 * sum(whole.values()) < left <= 0.5 * sum(whole.values())


def test_the_budget_is_spent_where_it_keeps_most() -> None:
    """As trying all ranks has it, where one matrix has its energy in fewer values than the other."""
    energies = {"a": torch.tensor([800.0, 100.0, 50.0, 50.0]), "b": torch.tensor([3.0, 2.9, 2.1, 2.0])}
    sizes = {"a": (20, 20), "b": (20, 20)}
    share = 5 * 40 / 800
    found = spend(energies, sizes, share)
    tried = {
        ranks: sum(
            float(energies[name][:rank].sum() / energies[name].sum()) for name, rank in zip("ab", ranks, strict=True)
        )
        for ranks in itertools.product(range(1, 5), repeat=2)
        if sum(ranks) * 40 <= share * 800
    }
    assert (found["a"], found["b"]) == max(tried, key=tried.__getitem__)


def test_what_cannot_be_is_said(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"compressors\.made\.0: rank: 500 is above that of .*, which is \d+ at most"):
        compress(tmp_path / "small", encoder, ("low_rank", {"rank": 500}))
    with pytest.raises(StageError, match=r"compressors\.made\.0: give one of rank, energy, parameters, not none"):
        steps("low_rank")
    with pytest.raises(StageError, match=r"compressors\.made\.1: .*put prune_magnitude behind it"):
        steps(("prune_magnitude", {"sparsity": 0.5}), ("low_rank", {"rank": 4}))
    with pytest.raises(StageError, match=r"compressors\.made\.0: .*energy"):
        steps(("low_rank", {"energy": 1.2}))


def test_recovery_finds_the_way_back(encoder: Path, tmp_path: Path) -> None:
    """To what the whole model said of texts of the training kind."""
    recovery = {"epochs": 3, "learning_rate": 3e-3, "batch_size": 16}
    compress(tmp_path / "cut", encoder, ("low_rank", {"rank": 2}))
    compress(tmp_path / "trained", encoder, ("low_rank", {"rank": 2, "recovery": recovery}))
    data = material(tmp_path / "material", encoder)
    (examples,) = data.batches(60, 60)
    with torch.no_grad():
        losses = [
            float(
                data.family.loss(
                    files.load(tmp_path / name)(examples.input_ids, examples.attention_mask), examples.labels
                )
            )
            for name in ("cut", "trained")
        ]
    assert losses[1] < losses[0]
