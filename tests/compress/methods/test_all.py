"""Every compressor on every architecture."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from stages import artifacts
from stages.compress import files
from stages.compress.methods import COMPRESSORS
from stages.errors import Inapplicable, StageError
from stages.model import classifier
from tests.compress.conftest import save
from tests.compress.made import compress, material, steps
from tests.model.checkpoints import batch

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "distill": {"num_hidden_layers": 1, "learning_rate": 1e-3, "batch_size": 16},
    "prune_magnitude": {"sparsity": 0.5},
    "prune_neurons": {"sparsity": 0.5},
    "prune_heads": {"sparsity": 0.5},
    "vocabulary": {"min_count": 15},
    "low_rank": {"parameters": 0.5},
    "int8_dynamic": {},
    "int8_static": {},
    "int8_qat": {"recovery": {"learning_rate": 1e-3, "batch_size": 16}},
    "int8_weight_only": {},
    "int4_weight_only": {},
    "onnx": {},
    "onnx_int8": {},
}
"""Of each compressor, those with which a model of 32 dimensions is made clearly smaller."""


def test_no_compressor_is_left_out() -> None:
    assert set(OPTIONS) == set(COMPRESSORS)


REFUSED = {
    ("low_rank", "gpt2"),  # its maps are of a class of their own
    ("distill", "t5"),
    ("prune_heads", "deberta-v2"),
    ("prune_heads", "t5"),
    ("prune_heads", "gpt2"),
    ("prune_neurons", "gpt2"),
}


LAST = {"int8_dynamic", "int8_static", "int8_qat", "int8_weight_only", "int4_weight_only", "onnx", "onnx_int8"}
NOT_AFTER = {
    "low_rank": {"prune_neurons", "prune_heads"},
    "prune_magnitude": {"distill", "low_rank", "int8_qat"},
    **{name: set(OPTIONS) for name in LAST},
}
"""Of each step, those that cannot come after it."""


@pytest.mark.usefixtures("traced_once")
@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(OPTIONS, 2)))
def test_pairs_run_in_both_orders_or_say_why_not(first: str, second: str, tmp_path: Path) -> None:
    """What runs says what it said before it was saved."""
    source, target = save(tmp_path / "encoder", "encoder"), tmp_path / "small"
    pair = [(name, OPTIONS[name]) for name in (first, second)]
    if second in NOT_AFTER.get(first, ()):
        with pytest.raises(
            StageError,
            match=r"compressors\.made\.1: .*: ((put|prune) .* (last|behind it|before what.*)|leave one of them out)",
        ):
            compress(target, source, *pair)
        return
    compress(target, source, *pair)
    assert [step["compressor"] for step in artifacts.read_json(target / files.COMPRESSION)] == [first, second]
    if second.startswith("onnx"):
        return  # which checks by itself that the graph says what the model says
    model, data = classifier.load(source), material(tmp_path / "small-material", source)
    for place, step in enumerate(steps(*pair)):
        step.compressor.compress(model, data.part(f"{place}-{step.name}"))
    with torch.no_grad():
        assert torch.equal(files.load(target)(*batch()), model.eval()(*batch()))


UNREAD: list[tuple[str, Mapping[str, Any]]] = [
    *((name, options) for name, options in OPTIONS.items() if not name.startswith("onnx")),
    ("prune_heads", {"sparsity": 0.5, "importance": "activation"}),
    ("prune_neurons", {"sparsity": 0.5, "importance": "activation"}),
    ("distill", {**OPTIONS["distill"], "losses": ("logits", "hidden", "relations")}),
]


@pytest.mark.parametrize("depth", [0, 1])
@pytest.mark.parametrize(("name", "options"), UNREAD)
@pytest.mark.parametrize("kind", ["encoder", "bert"])
def test_layers_that_the_head_does_not_read_are_no_hindrance(
    kind: str, name: str, options: Mapping[str, Any], depth: int, tmp_path: Path
) -> None:
    """As where frozen features of one depth did best. Students come of layers that are read, if there are any."""
    source = save(tmp_path / kind, kind)
    model = classifier.load(source)
    width = model.classifier.in_features // len(model.config.depths)
    head = torch.nn.Linear(width, model.config.outputs)
    torch.nn.init.normal_(head.weight, generator=torch.Generator().manual_seed(0))
    model.config, model.classifier = replace(model.config, depths=(depth,)), head
    classifier.save(tmp_path / "read", model, source)
    if name == "distill" and not depth:
        with pytest.raises(Inapplicable, match=r"made\.0: its head reads no layer, .*: leave this step out"):
            compress(tmp_path / "small", tmp_path / "read", (name, options))
        return
    compress(tmp_path / "small", tmp_path / "read", (name, options))
    with torch.no_grad():
        assert files.load(tmp_path / "small")(*batch()).isfinite().all()


@pytest.mark.usefixtures("traced_once")
@pytest.mark.parametrize("name", OPTIONS)
def test_the_grid_runs(name: str, saved: Path, tmp_path: Path) -> None:
    """The same files for the same model, it loads again, and says something else; or there is a reason against it."""
    if (name, saved.parent.name) in REFUSED:
        with pytest.raises(Inapplicable, match=r"params\.yaml: compressors\.made\.0: .*: leave this step out"):
            compress(tmp_path / "a", saved, (name, OPTIONS[name]))
        return
    compress(tmp_path / "a", saved, (name, OPTIONS[name]))
    if not name.startswith("onnx"):  # whose bytes have a test of their own, for a trace takes seconds
        compress(tmp_path / "b", saved, (name, OPTIONS[name]))
        assert artifacts.md5(tmp_path / "a") == artifacts.md5(tmp_path / "b")
    assert (tmp_path / "a" / "tokenizer.json").exists()
    with torch.no_grad():
        original, small = (model(*batch()) for model in (classifier.load(saved), files.load(tmp_path / "a")))
        again = files.load(tmp_path / "a")(*batch())
    assert torch.equal(small, again)
    assert not torch.equal(small, original)
