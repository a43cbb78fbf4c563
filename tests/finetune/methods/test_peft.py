"""LoRA, AdaLoRA and IA3 against PEFT's own way through them, and against their definitions in our block."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stages.errors import StageError
from stages.finetune.methods.adalora import AdaLora
from stages.model import backbone
from stages.model.classifier import Classifier
from stages.training import randomness
from stages.training.optimizer import Optimizers
from tests.finetune.made import VOCABULARY
from tests.finetune.methods.made import classifier_on, method, pretrained
from tests.model import checkpoints

BERT = ["query", "key", "value", "dense"]
REFERENCES: dict[str, tuple[str, dict[str, Any]]] = {
    "lora": ("LoraConfig", {"r": 4, "lora_alpha": 8, "target_modules": BERT}),
    "adalora": (
        "AdaLoraConfig",
        {"init_r": 4, "target_r": 2, "lora_alpha": 8, "total_step": 40, "target_modules": BERT},
    ),
    "ia3": (
        "IA3Config",
        {
            "target_modules": r".*\.(key|value)|.*layer\.\d\.output\.dense",
            "feedforward_modules": r".*layer\.\d\.output\.dense",
        },
    ),
}


def disturb(parameters: dict[str, nn.Parameter]) -> None:
    """Give what is trained values that matter, each name its own."""
    with torch.no_grad():
        for name, parameter in parameters.items():
            drawn = torch.randn(parameter.shape, generator=randomness.torch_generator(0, name)) * 0.3
            parameter.copy_(drawn + ("ia3_" in name))


def batch() -> tuple[Tensor, Tensor]:
    return checkpoints.batch(VOCABULARY)


def added(module: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("name", REFERENCES)
def test_bert_is_what_peft_makes_of_it(name: str, tmp_path: Path) -> None:
    """Through `get_peft_model`, which finds the maps by its own rules: the same parameters, the same states."""
    import peft

    model = classifier_on(pretrained(tmp_path / "base", "imported"))
    chosen = method(name)
    chosen.attach(model, 0)
    kind, options = REFERENCES[name]
    reference = peft.get_peft_model(checkpoints.model("bert", VOCABULARY), getattr(peft, kind)(**options))
    ours = {key.removeprefix("model."): p for key, p in added(model.transformer).items()}
    theirs = {key.removeprefix("base_model.model."): p for key, p in added(reference).items() if "pooler" not in key}
    assert set(ours) == set(theirs)
    disturb(ours)
    disturb(theirs)
    reference.base_model.model.pooler = None
    with torch.no_grad():
        found = model.transformer(*batch())
        ids, mask = batch()
        expected = reference.base_model.model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    for one, other in zip(found, expected.hidden_states, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def definition(name: str, layer: nn.Module, x: Tensor) -> Tensor:
    """What the paper says of a map that was injected into."""
    weight = layer.base_layer.weight
    if name == "lora":
        return x @ weight.T + 8 / 4 * (x @ layer.lora_A.default.weight.T @ layer.lora_B.default.weight.T)
    if name == "adalora":
        delta = layer.lora_B.default @ torch.diag(layer.lora_E.default.flatten()) @ layer.lora_A.default
        return x @ weight.T + 8 / (4 + 1e-5) * (x @ delta.T)
    factor = layer.ia3_l.default.flatten()
    return (x * factor) @ weight.T if layer.is_feedforward else (x @ weight.T) * factor


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("architecture", ["encoder", "decoder"])
def test_our_block_is_as_the_definition_says(name: str, architecture: str, tmp_path: Path) -> None:
    """Each map, in fp32 exactly and in bf16 as near as that is, and in the type of what comes in."""
    model = classifier_on(pretrained(tmp_path / "base", architecture))
    method(name).attach(model, 0)
    disturb(added(model.transformer))
    x = torch.randn(3, 5, 32, generator=torch.Generator().manual_seed(0))
    expected_places = {"Wqkv", "Wo"} if name == "ia3" else {"Wqkv", "Wo", "Wi"}
    wrapped = {key: m for key, m in model.named_modules() if hasattr(m, "base_layer")}
    assert {key.rpartition(".")[2] for key in wrapped} == expected_places
    assert len(wrapped) == 2 * (2 if name == "ia3" else 4)
    for layer in wrapped.values():
        given = x if layer.in_features == 32 else torch.nn.functional.pad(x, (0, layer.in_features - 32), value=0.5)
        torch.testing.assert_close(layer(given), definition(name, layer, given), atol=1e-5, rtol=1e-5)
        rounded = layer(given.bfloat16())
        assert rounded.dtype == torch.bfloat16
        torch.testing.assert_close(rounded.float(), definition(name, layer, given), atol=0.15, rtol=0.05)


@pytest.mark.parametrize("name", REFERENCES)
def test_it_begins_as_the_pretrained_model(name: str, tmp_path: Path) -> None:
    """And draws nothing from the global generator."""
    model = classifier_on(pretrained(tmp_path / "base", "encoder"))
    state = torch.get_rng_state()
    with torch.no_grad():
        before = model(*batch())
        method(name).attach(model, 0)
        assert torch.equal(model(*batch()), before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("kind", ["gpt2", "t5", "deberta-v2", "distilbert"])
def test_merged_it_says_the_same(name: str, kind: str, tmp_path: Path) -> None:
    """Without a module of PEFT left, in architectures that hold their matrices in several ways."""
    folder = checkpoints.save(tmp_path / kind, kind)
    model = classifier_on(folder)
    names = set(model.state_dict())
    chosen = method(name)
    chosen.attach(model, 0)
    disturb(added(model.transformer))
    with torch.no_grad():
        before = model(*checkpoints.batch())
        assert chosen.merge(model)
        torch.testing.assert_close(model(*checkpoints.batch()), before, atol=1e-4, rtol=1e-4)
    assert set(model.state_dict()) == names


def losses(model: Classifier, step: int) -> Tensor:
    """Something to learn that differs from step to step."""
    ids = torch.randint(5, VOCABULARY, (8, 12), generator=torch.Generator().manual_seed(step))
    return (model(ids, torch.ones_like(ids))[:, 0] - (ids[:, 0] > 30).float()).pow(2).mean()


def ranked(model: Classifier) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters() if "lora_" in name}


def allocated(base: Path) -> tuple[Classifier, Optimizers]:
    model, chosen = classifier_on(base), method("adalora")
    chosen.attach(model, 0)
    assert isinstance(chosen, AdaLora)
    chosen.prepare(model)
    return model, chosen.optimizers(model, 0.01, 20)


def test_ranks_fall_as_in_peft(tmp_path: Path) -> None:
    """Step by step those of `AdaLoraModel.update_and_allocate`, down to the rank that was asked for."""
    from peft.tuners.adalora import AdaLoraModel

    base = pretrained(tmp_path / "base", "encoder")
    model, ours = allocated(base)
    chosen, other = method("adalora"), classifier_on(base)
    assert isinstance(chosen, AdaLora)
    config = chosen.config(other.transformer, 20)
    with randomness.drawing(0, "finetune-attach"):
        tuner = AdaLoraModel(other.transformer, config, "default")
    for parameter in other.classifier.parameters():
        parameter.requires_grad_(True)
    theirs = super(AdaLora, chosen).optimizers(other, 0.01, 20)
    ranks = []
    for step in range(20):
        for one in (model, other):
            losses(one, step).backward()
        ours.step(1.0)
        for part in theirs.parts:
            part.step()
        tuner.update_and_allocate(step)
        for part in theirs.parts:
            part.zero_grad()
        expected = ranked(other)
        assert all(torch.equal(value, expected[name]) for name, value in ranked(model).items()), step
        ranks.append(sum(int((p != 0).sum()) for name, p in ranked(model).items() if "lora_E" in name))
    assert ranks[3] == 8 * 4
    assert ranks[-1] == 8 * 2
    assert sorted(ranks, reverse=True) == ranks


@pytest.mark.parametrize("stop", [2, 8, 16])
def test_ranks_fall_the_same_after_a_break(stop: int, tmp_path: Path) -> None:
    """Before they begin to, while they do, and after: all that is needed is in the state of model and optimizer."""
    base = pretrained(tmp_path / "base", "encoder")
    whole, optimizers = allocated(base)
    for step in range(stop):
        losses(whole, step).backward()
        optimizers.step(1.0)
    again, resumed = allocated(base)
    again.load_state_dict(whole.state_dict())
    resumed.parts[0].load_state_dict(copy.deepcopy(optimizers.parts[0].state_dict()))
    for step in range(stop, 20):
        for model, stepped in ((whole, optimizers), (again, resumed)):
            losses(model, step).backward()
            stepped.step(1.0)
    expected = ranked(whole)
    assert all(torch.equal(value, expected[name]) for name, value in ranked(again).items())


def test_orthogonality_is_that_of_peft(tmp_path: Path) -> None:
    """What `AdaLoraModel.forward` adds to a loss of 0."""
    from types import SimpleNamespace

    from peft.tuners.adalora import AdaLoraModel

    base = pretrained(tmp_path / "base", "encoder")
    chosen, model = method("adalora"), classifier_on(base)
    assert isinstance(chosen, AdaLora)
    tuner = AdaLoraModel(model.transformer, chosen.config(backbone.load(base), 20), "default")
    disturb(added(model.transformer))
    tuner.peft_config["default"].orth_reg_weight = 0.1
    tuner.model.forward = lambda: SimpleNamespace(loss=torch.zeros(()))
    term = chosen.penalties(model)["orthogonality"]
    assert (term.weight * term.mean).item() == pytest.approx(tuner.forward().loss.item(), rel=1e-5)


def test_too_few_steps_for_ranks_to_fall_are_named(tmp_path: Path) -> None:
    chosen = method("adalora")
    assert isinstance(chosen, AdaLora)
    with pytest.raises(StageError, match=r"methods\.adalora: in 1 steps .*raise epochs"):
        chosen.config(backbone.load(pretrained(tmp_path / "base", "encoder")), 1)


def test_ia3_is_not_pulled_to_nothing(tmp_path: Path) -> None:
    """Weight decay leaves the factors alone."""
    model, chosen = classifier_on(pretrained(tmp_path / "base", "encoder")), method("ia3", weight_decay=0.5)
    chosen.attach(model, 0)
    decays = {
        name: group["weight_decay"]
        for group in chosen.optimizers(model, 0.1, 1).groups()
        for name, parameter in model.named_parameters()
        if any(parameter is one for one in group["params"])
    }
    assert {decay for name, decay in decays.items() if "ia3_" in name} == {0.0}
    assert decays["classifier.weight"] == 0.5
