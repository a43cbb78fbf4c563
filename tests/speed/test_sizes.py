"""Bytes, parameters and memory of models as they lie on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from stages.errors import StageError
from stages.finetune.examples import Batch
from stages.model import classifier
from stages.speed import memory, sizes
from tests.compress.conftest import save
from tests.compress.made import compress


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return save(tmp_path / "encoder", "encoder")


def test_sizes_are_those_of_the_model(encoder: Path) -> None:
    """As PyTorch counts them."""
    parameters = list(classifier.load(encoder).parameters())
    found = sizes.measure(encoder)
    assert found.bytes == (encoder / "model.safetensors").stat().st_size
    assert found.parameters == sum(parameter.numel() for parameter in parameters)
    assert found.nonzero == sum(int((parameter != 0).sum()) for parameter in parameters)


def test_zeros_are_counted_whatever_holds_them(encoder: Path, tmp_path: Path) -> None:
    """Of what was pruned by half, the zeros that pruning set; in a graph as many."""
    compress(tmp_path / "pruned", encoder, ("prune_magnitude", {"sparsity": 0.5}))
    compress(tmp_path / "graph", encoder, ("prune_magnitude", {"sparsity": 0.5}), "onnx")
    whole, pruned, graph = (sizes.measure(path) for path in (encoder, tmp_path / "pruned", tmp_path / "graph"))
    assert pruned.parameters == whole.parameters
    assert pruned.nonzero < 0.8 * whole.nonzero
    assert abs(graph.nonzero - pruned.nonzero) < 100


def test_weights_of_few_bits_are_counted_each(encoder: Path, tmp_path: Path) -> None:
    """Beside their steps; none is lost in a byte that holds two."""
    whole = sizes.measure(encoder)
    matrices = sum(p.numel() for p in classifier.load(encoder).parameters() if p.ndim == 2)
    for name in ("int4_weight_only", "onnx_int8"):
        compress(tmp_path / name, encoder, name)
        found = sizes.measure(tmp_path / name)
        assert matrices < found.parameters < 1.15 * whole.parameters
        assert found.bytes < whole.bytes


def test_memory_is_that_of_a_process_that_holds_the_model(encoder: Path, tmp_path: Path) -> None:
    """A model that is 64 MiB larger needs that much more."""
    ids = torch.full((2, 8), 5)
    batch = Batch(ids, torch.ones_like(ids), torch.zeros(2))
    model = classifier.load(encoder)
    small = memory.measure(encoder, batch)
    config = (encoder / "config.json").read_text()
    table = model.transformer.embeddings.tok_embeddings.weight  # type: ignore[union-attr]
    rows = 2**24 // table.shape[1]
    (encoder / "config.json").write_text(config.replace(f'"vocab_size": {len(table)}', f'"vocab_size": {rows}'))
    from stages.model import files

    grown = torch.cat([table.detach(), torch.from_numpy(np.zeros((rows - len(table), table.shape[1]), np.float32))])
    files.save_weights(
        encoder / files.WEIGHTS, {**model.state_dict(), "transformer.embeddings.tok_embeddings.weight": grown}
    )
    assert memory.measure(encoder, batch) - small > 60 * 2**20


def test_what_does_not_answer_is_an_error(tmp_path: Path) -> None:
    ids = torch.full((1, 4), 5)
    with pytest.raises(StageError, match="did not answer in a process of its own"):
        memory.measure(tmp_path / "nothing", Batch(ids, torch.ones_like(ids), torch.zeros(1)))
