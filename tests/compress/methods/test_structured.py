"""Neurons and heads: which ones go is counted by hand, and what is left computes as if the others gave zero."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stages import artifacts, paths
from stages.compress import files, units
from stages.compress.base import Material
from stages.compress.importance import measure
from stages.compress.pruning import rising
from stages.compress.structured import KEPT
from stages.compress.units import HEADS, NEURONS, Block
from stages.errors import Inapplicable, StageError
from stages.finetune import files as tuned_files
from stages.finetune.methods.base import Tuned
from stages.model import classifier
from stages.model.classifier import Classifier
from stages.model.config import TransformerConfig
from stages.model.prompted import Prompted
from stages.model.transformer import Seq2Seq, initialize
from tests.compress.conftest import save
from tests.compress.made import compress, material, steps
from tests.finetune.methods.made import classifier_on, method, pretrained
from tests.model.checkpoints import batch
from tests.model.test_transformer import made

UNITS = {"prune_neurons": (NEURONS, 48), "prune_heads": (HEADS, 2)}
FITTING = [
    *(("prune_neurons", kind) for kind in ("encoder", "decoder", "bert", "roberta", "distilbert", "deberta-v2", "t5")),
    *(("prune_heads", kind) for kind in ("encoder", "decoder", "bert", "roberta", "distilbert")),
]
Hook = Callable[[int, Block, Tensor], Tensor]


def hooked(blocks: list[Block], change: Hook) -> list[torch.utils.hooks.RemovableHandle]:
    """Let what each block hands to its writing map pass through ``change``."""
    return [
        block.writes.register_forward_pre_hook(
            lambda _, given, place=place, block=block: (change(place, block, given[0]),)
        )
        for place, block in enumerate(blocks)
    ]


def by_hand(model: Classifier, blocks: list[Block], data: Material, importance: str) -> list[Tensor]:
    """The importance of every unit, one example after the other, without padding."""
    gates = [torch.ones(block.units, requires_grad=True) for block in blocks]
    norms, tokens, changes = [torch.zeros(block.units) for block in blocks], 0, [torch.zeros(b.units) for b in blocks]

    def change(place: int, block: Block, given: Tensor) -> Tensor:
        for row in given[0].detach():
            norms[place] += torch.stack([unit.norm() for unit in row.split(block.width)])
        return given * gates[place].repeat_interleave(block.width)

    handles = hooked(blocks, change)
    for place in range(len(data.train)):
        one = data.train.batch(np.array([place]))
        tokens += one.input_ids.shape[1]
        loss = data.family.loss(model(one.input_ids, one.attention_mask), one.labels)
        for total, gradient in zip(changes, torch.autograd.grad(loss, gates), strict=True):
            total += gradient.abs()
    for handle in handles:
        handle.remove()
    if importance == "taylor":
        return [total / len(data.train) for total in changes]
    return [total / tokens for total in norms]


@pytest.mark.parametrize("importance", ["activation", "taylor"])
@pytest.mark.parametrize(("name", "kind"), FITTING)
def test_importance_is_that_of_its_definition(name: str, kind: str, importance: str, tmp_path: Path) -> None:
    """Whatever padding stands in the batches."""
    saved = save(tmp_path / kind, kind)
    model, data = classifier.load(saved), material(tmp_path / "data", saved, count=40)
    blocks = units.find(model, UNITS[name][0])
    assert [block.units for block in blocks] == [UNITS[name][1]] * len(blocks)
    found = measure(model, blocks, importance, data, 40)  # type: ignore[arg-type]
    for ours, theirs in zip(found, by_hand(model, blocks, data, importance), strict=True):
        torch.testing.assert_close(ours.float(), theirs, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("norm", [1, 2])
def test_the_norm_is_over_all_weights_of_a_neuron(norm: int, tmp_path: Path) -> None:
    """Of ours those of value and gate, and of what it writes."""
    model = classifier.load(save(tmp_path / "encoder", "encoder"))
    blocks = units.find(model, NEURONS)
    found = measure(model, blocks, f"l{norm}", material(tmp_path / "data", tmp_path / "encoder" / "model"), 1)  # type: ignore[arg-type]
    for layer, values in zip(model.transformer.layers, found, strict=True):  # type: ignore[attr-defined]
        for neuron in range(48):
            parts = layer.mlp.Wi.weight[neuron], layer.mlp.Wi.weight[48 + neuron], layer.mlp.Wo.weight[:, neuron]
            expected = sum(part.detach().abs().pow(norm).sum() for part in parts) ** (1 / norm)
            torch.testing.assert_close(values[neuron], torch.as_tensor(expected))


@pytest.mark.parametrize(("name", "kind"), FITTING)
def test_what_is_left_computes_as_if_the_others_gave_zero(name: str, kind: str, tmp_path: Path) -> None:
    """The most important half, in their order; rows and columns are gone from the file, too."""
    saved = save(tmp_path / kind, kind)
    model, data = classifier.load(saved), material(tmp_path / "data", saved)
    compress(tmp_path / "small", saved, (name, {"sparsity": 0.5, "examples": 60}), data=data)
    blocks = units.find(model, UNITS[name][0])
    kept = []
    for values in by_hand(model, blocks, data, "taylor"):
        kept.append((values >= values.sort().values[len(values) // 2]).float())
    hooked(blocks, lambda place, block, given: given * kept[place].repeat_interleave(block.width))
    small = files.load(tmp_path / "small")
    with torch.no_grad():
        torch.testing.assert_close(small(*batch()), model(*batch()), rtol=1e-4, atol=1e-5)
    assert isinstance(small, Classifier)
    removed = sum(tensor.numel() for tensor in model.parameters()) - sum(p.numel() for p in small.parameters())
    assert removed >= sum(block.weights().numel() for block in blocks) // 2
    assert tuned_files.size(tmp_path / "small") < tuned_files.size(saved) - 3 * removed


@pytest.mark.parametrize(("name", "kind"), FITTING)
def test_nothing_goes_where_nothing_is_asked_for(name: str, kind: str, tmp_path: Path) -> None:
    saved = save(tmp_path / kind, kind)
    compress(tmp_path / "same", saved, (name, {"sparsity": 0.0}))
    with torch.no_grad():
        assert torch.equal(files.load(tmp_path / "same")(*batch()), classifier.load(saved)(*batch()))


def test_one_unit_is_always_left(tmp_path: Path) -> None:
    saved = save(tmp_path / "bert", "bert")
    compress(tmp_path / "small", saved, ("prune_heads", {"sparsity": 0.99}), ("prune_neurons", {"sparsity": 0.99}))
    small = files.load(tmp_path / "small")
    assert isinstance(small, nn.Module)
    assert {block.units for block in units.find(small, (*HEADS, *NEURONS))} == {1}


def test_a_stack_that_reads_another_loses_heads_and_neurons_of_both() -> None:
    """Of an encoder–decoder: each of its three attentions in a layer, and it still runs."""
    model = Seq2Seq(TransformerConfig(40, 32, 2, 4, 48, num_decoder_layers=1)).eval()
    initialize(model, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
    heads, neurons = units.find(model, HEADS), units.find(model, NEURONS)
    assert (len(heads), len(neurons)) == (2 + 2, 2 + 1)
    ids = torch.arange(10)[None]
    handles = hooked(heads, lambda _, block, given: given * torch.tensor([0.0, 1, 0, 1]).repeat_interleave(8))
    with torch.no_grad():
        expected = model(ids)[-1]
        for handle in handles:
            handle.remove()
        for block in heads:
            block.keep([1, 3])
        torch.testing.assert_close(model(ids)[-1], expected)


def test_shares_are_those_of_what_there_was(tmp_path: Path) -> None:
    """Round by round a cubic curve (Zhu & Gupta 2017, equation 1), and the last one is what was asked for."""
    saved = save(tmp_path / "encoder", "encoder")
    recovery = {"learning_rate": 1e-3, "batch_size": 16}
    left = []
    for rounds in (1, 3):
        options = {"sparsity": 0.5, "rounds": rounds, "recovery": recovery, "importance": "l1"}
        compress(tmp_path / str(rounds), saved, ("prune_neurons", options))
        (record,) = artifacts.read_json(tmp_path / str(rounds) / files.COMPRESSION)
        left.append(set(record["shape"][KEPT].values()))
    assert left == [{24}, {24}]
    assert [rising(0.5, number, 3) for number in (1, 2, 3)] == pytest.approx([0.5 * 19 / 27, 0.5 * 26 / 27, 0.5])


@pytest.mark.parametrize("tuned", ["prefix", "adapter", "prompt"])
@pytest.mark.parametrize("name", ["prune_neurons", "prune_heads"])
def test_what_a_method_left_attached_is_kept_or_refused(
    tuned: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Virtual tokens go on; a prefix has as many heads as there were, and bottlenecks stand where a map is sought."""
    monkeypatch.setattr(paths, "MODELS", tmp_path)
    saved = attached(tmp_path, tuned)
    if (tuned, name) in (("adapter", "prune_neurons"), ("adapter", "prune_heads"), ("prefix", "prune_heads")):
        with pytest.raises(Inapplicable, match=r"compressors\.made\.0: .*(Adapted|prefix)"):
            compress(tmp_path / "small", saved, (name, {"sparsity": 0.5}))
        return
    compress(tmp_path / "small", saved, (name, {"sparsity": 0.5, "importance": "activation"}))
    with torch.no_grad():
        assert files.load(tmp_path / "small")(*batch()).shape == (2, 2)


def attached(folder: Path, name: str) -> Path:
    """A model that stands alone with what the method attached to it."""
    base, chosen = pretrained(folder / "pretrained" / "made-0", "imported"), method(name)
    model = classifier_on(base)
    chosen.attach(model, 0)
    tuned_files.save(folder / "saved", Tuned(model, 0, [], frozenset(model.state_dict())), name, chosen, base)
    (folder / "alone").mkdir()
    tuned_files.stand_alone(folder / "saved", folder / "alone")
    return folder / "alone"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("prune_neurons", {"sparsity": 0.5}),
        ("prune_magnitude", {"sparsity": 0.5}),
        ("vocabulary", {}),
        ("distill", {"num_hidden_layers": 1}),
    ],
)
def test_models_that_are_asked_in_words_are_refused(name: str, options: dict[str, object], tmp_path: Path) -> None:
    saved = save(tmp_path / "encoder", "encoder")
    asked = Prompted(made(False), None, None)  # type: ignore[arg-type]
    (step,) = steps((name, options))
    with pytest.raises(Inapplicable, match=r"compressors\.made\.0: Prompted models, .*keep their weights"):
        step.compressor.compress(asked, material(tmp_path / "data", saved))


def test_errors_name_the_key() -> None:
    for options, message in (
        ({"sparsity": 1.2}, r"compressors\.made\.0: sparsity: .*less than 1"),
        ({"sparsity": 0.5, "examples": 0}, r"compressors\.made\.0: examples: .*greater than or equal to 1"),
        ({"sparsity": 0.5, "importance": "luck"}, r"compressors\.made\.0: importance: "),
        ({}, r"compressors\.made\.0: sparsity: Field required"),
    ):
        with pytest.raises(StageError, match=message):
            steps(("prune_neurons", options))
