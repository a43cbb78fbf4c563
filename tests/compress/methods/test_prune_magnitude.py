"""Which weights become zero, counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from stages.compress import files
from stages.errors import StageError
from stages.finetune import files as tuned_files
from stages.model import classifier
from stages.model import files as model_files
from tests.compress.conftest import save
from tests.compress.made import compress, material, steps
from tests.model.checkpoints import batch

GPT2 = ("c_attn.weight", "c_fc.weight", "c_proj.weight")
KEPT = ("embed", "wte", "wpe", "classifier", "pooler", "shared", "attention_bias")
"""What no linear map of the backbone has in its name."""


def weights(folder: Path) -> dict[str, Tensor]:
    return model_files.load_weights(folder / model_files.WEIGHTS)


def matrices(folder: Path) -> dict[str, Tensor]:
    """The linear maps inside the backbone, (outputs, inputs)."""
    found = {name: tensor for name, tensor in weights(folder).items() if tensor.ndim == 2}
    found = {name: tensor for name, tensor in found.items() if not any(part in name for part in KEPT)}
    return {name: tensor.T if name.endswith(GPT2) else tensor for name, tensor in found.items()}


@pytest.mark.parametrize("sparsity", [0.3, 0.77])
def test_of_each_matrix_the_smallest_weights_go(sparsity: float, saved: Path, tmp_path: Path) -> None:
    """As many as asked for to within one; all that is left is as it was, and nothing else is touched."""
    compress(tmp_path / "small", saved, ("prune_magnitude", {"sparsity": sparsity}))
    before, after = matrices(saved), matrices(tmp_path / "small")
    assert len(before) >= 8
    for name, matrix in before.items():
        gone = after[name] == 0
        assert abs(int(gone.sum()) - sparsity * matrix.numel()) <= 1
        assert matrix[gone].abs().max() <= matrix[~gone].abs().min()
        assert torch.equal(after[name][~gone], matrix[~gone])
    gone_in_all = sum(int((matrix == 0).sum()) for matrix in after.values())
    assert files.nonzero(tmp_path / "small") == files.nonzero(saved) - gone_in_all  # type: ignore[operator]
    assert tuned_files.size(tmp_path / "small") == tuned_files.size(saved)
    others = weights(saved).keys() - before.keys()
    assert all(torch.equal(weights(saved)[name], weights(tmp_path / "small")[name]) for name in others)


def test_of_all_together_the_smallest_go(tmp_path: Path) -> None:
    """One threshold for all matrices, some of which lose more than others."""
    saved = save(tmp_path / "bert", "bert")
    compress(tmp_path / "small", saved, ("prune_magnitude", {"sparsity": 0.6, "scope": "global"}))
    before, after = matrices(saved), matrices(tmp_path / "small")
    flat, left = (torch.cat([one[name].flatten() for name in before]) for one in (before, after))
    assert abs(int((left == 0).sum()) - 0.6 * len(flat)) <= 1
    assert flat[left == 0].abs().max() <= flat[left != 0].abs().min()
    shares = [float((matrix == 0).float().mean()) for matrix in after.values()]
    assert max(shares) - min(shares) > 0.01


@pytest.mark.parametrize(("kept", "size"), [(2, 4), (1, 4), (4, 8)])
def test_the_pattern_holds_in_every_group(kept: int, size: int, saved: Path, tmp_path: Path) -> None:
    """Of so many weights in a row just the largest are left."""
    compress(tmp_path / "small", saved, ("prune_magnitude", {"pattern": f"{kept}:{size}"}))
    after = matrices(tmp_path / "small")
    for name, matrix in matrices(saved).items():
        for row, left in zip(matrix.reshape(-1, size), after[name].reshape(-1, size), strict=True):
            largest = row.abs().sort(descending=True).values[:kept]
            assert torch.equal(left[left != 0].abs().sort(descending=True).values, largest)


def test_a_pattern_must_fit(tmp_path: Path) -> None:
    saved = save(tmp_path / "bert", "bert")
    with pytest.raises(StageError, match=r"compressors\.made\.0: pattern: the 32 inputs of .* no multiple of 5"):
        compress(tmp_path / "small", saved, ("prune_magnitude", {"pattern": "2:5"}))


def test_nothing_goes_where_nothing_is_asked_for(saved: Path, tmp_path: Path) -> None:
    compress(tmp_path / "same", saved, ("prune_magnitude", {"sparsity": 0.0}))
    with torch.no_grad():
        assert torch.equal(files.load(tmp_path / "same")(*batch()), classifier.load(saved)(*batch()))
    assert tuned_files.size(tmp_path / "same") == tuned_files.size(saved)


@pytest.mark.parametrize("kind", ["encoder", "gpt2"])
def test_recovery_moves_all_but_zeros(kind: str, tmp_path: Path) -> None:
    """In rounds, at the end of which the share is the one that was asked for."""
    saved = save(tmp_path / kind, kind)
    recovery = {"epochs": 1, "learning_rate": 1e-3, "batch_size": 16, "distill": False}
    options = {"sparsity": 0.5, "rounds": 2, "recovery": recovery}
    compress(tmp_path / "small", saved, ("prune_magnitude", options), data=material(tmp_path / "data", saved))
    before, after = matrices(saved), matrices(tmp_path / "small")
    for name, matrix in before.items():
        left = after[name] != 0
        assert abs(int(left.sum()) - matrix.numel() / 2) <= 1
        assert not torch.equal(after[name][left], matrix[left])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sparsity": 1.2}, r"compressors\.made\.0: sparsity: .*less than 1"),
        ({}, r"compressors\.made\.0: give one of sparsity, pattern"),
        ({"sparsity": 0.5, "pattern": "2:4"}, "give one of sparsity, pattern"),
        ({"pattern": "5:4"}, "pattern: 5:4 would keep more"),
        ({"pattern": "half"}, r"compressors\.made\.0: pattern: "),
        ({"pattern": "2:4", "scope": "global"}, "pattern: .*no scope"),
        ({"sparsity": 0.5, "rounds": 3}, "rounds: without `recovery`"),
        ({"sparsity": 0.5, "recovery": {"epoch": 3}}, r"compressors\.made\.0: recovery\.epoch: unknown key"),
    ],
)
def test_errors_name_the_key(options: dict[str, object], message: str) -> None:
    with pytest.raises(StageError, match=message):
        steps(("prune_magnitude", options))
