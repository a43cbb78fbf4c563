"""Batches are fair samples; the parts that they are computed in are the cheapest, and add up to the whole."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from stages.compress.recovery import Learning
from stages.finetune import parts
from stages.finetune.workload import Finetuning, Regime
from stages.model.classifier import Classifier
from stages.model.classifier_config import ClassifierConfig
from tests.compress.conftest import save
from tests.compress.made import material
from tests.finetune.made import ARCHITECTURES, CLASSES, LENGTH, SCORES, TASK, backbone, job


def cost(cut: list[list[int]], per_pass: int) -> int:
    """Of parts, each given as its examples' lengths."""
    return sum(len(part) * max(part) + per_pass for part in cut)


def partitions(items: list[int]) -> Iterator[list[list[int]]]:
    """All ways to put items into groups."""
    if not items:
        yield []
        return
    first, *rest = items
    for others in partitions(rest):
        yield [[first], *others]
        for place, group in enumerate(others):
            yield [*others[:place], [first, *group], *others[place + 1 :]]


@pytest.mark.parametrize("per_pass", [0, 1, 5, 20, 1000])
@pytest.mark.parametrize("seed", range(10))
def test_no_other_parts_cost_less(per_pass: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all ways to put seven examples into parts, whether or not their lengths are neighbours."""
    monkeypatch.setitem(parts.PASS, "cpu", per_pass)
    lengths = np.random.default_rng(seed).integers(1, 20, 7)
    places = np.arange(7) + 100
    cut = parts.split(places, lengths)
    assert sorted(itertools.chain(*cut)) == places.tolist()
    longest = [lengths[part - 100].max() for part in cut]
    assert longest == sorted(longest, reverse=True)
    found = cost([lengths[part - 100].tolist() for part in cut], per_pass)
    assert found == min(cost(every, per_pass) for every in partitions(lengths.tolist()))


def test_texts_of_one_length_are_not_split() -> None:
    assert len(parts.split(np.arange(32), np.full(32, 256))) == 1


def test_a_gpu_takes_a_batch_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts.device, "find", lambda: torch.device("cuda"))
    assert len(parts.split(np.arange(32), np.arange(1, 33) * 16)) == 1


@pytest.mark.parametrize("per_pass", [0, 30])
@pytest.mark.parametrize("family", [CLASSES, SCORES])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_parts_add_up_to_the_padded_batch(
    architecture: str, family: object, per_pass: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loss and gradients, to those of all texts padded to the longest."""
    monkeypatch.setitem(parts.PASS, "cpu", per_pass)
    body, given = backbone(architecture), job(tmp_path, family=family)  # type: ignore[arg-type]
    labels = TASK.labels if family is CLASSES else ()
    model = Classifier(body, ClassifierConfig(labels, tuple(body.depths), LENGTH))
    torch.nn.init.normal_(model.classifier.weight, generator=torch.Generator().manual_seed(0))
    of = Finetuning(model, given, Regime(batch_size=16))
    places = given.train.shuffled(16, given.seed, 0)[0]
    assert len(parts.split(places, given.train.lengths[places])) > 1
    found = of.loss(0)
    found.value.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    batch = given.train.batch(places)
    expected = given.family.loss(model(batch.input_ids, batch.attention_mask), batch.labels) / len(places)
    expected.backward()  # type: ignore[no-untyped-call]
    assert found.value.item() == pytest.approx(expected.item(), rel=1e-6, abs=1e-5)
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(gradients[name], parameter.grad, atol=1e-5, rtol=1e-4)


def test_only_the_last_part_fills_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients of the others have the rows that they read; the sum has all, most of them zero, and the same bits."""
    monkeypatch.setitem(parts.PASS, "cpu", 0)
    body, given = backbone("encoder"), job(tmp_path)
    model = Classifier(body, ClassifierConfig(TASK.labels, tuple(body.depths), LENGTH))
    torch.nn.init.normal_(model.classifier.weight, generator=torch.Generator().manual_seed(0))
    (table,) = (module for module in model.modules() if isinstance(module, torch.nn.Embedding))
    left: list[bool] = []
    table.weight.register_post_accumulate_grad_hook(lambda weight: left.append(weight.grad.is_sparse))
    sums = []
    for _ in range(2):
        model.zero_grad()
        Finetuning(model, given, Regime(batch_size=16)).loss(0).value.backward()
        sums.append(table.weight.grad)
    once = left[: len(left) // 2]
    assert len(once) > 1
    assert once == [True] * (len(once) - 1) + [False]
    assert not table.sparse
    assert torch.equal(*sums)
    assert 0 < torch.count_nonzero(sums[0].abs().sum(1)) < len(sums[0])


def test_what_is_compressed_learns_the_same_from_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of several losses, and their gradients."""
    from stages.model import classifier

    saved = save(tmp_path / "encoder", "encoder")
    model, data = classifier.load(saved), material(tmp_path / "data", saved)

    def losses(batch: object) -> dict[str, torch.Tensor]:
        outputs = model(batch.input_ids, batch.attention_mask)  # type: ignore[attr-defined]
        return {"labels": data.family.loss(outputs, batch.labels), "size": outputs.pow(2).sum()}  # type: ignore[attr-defined]

    found = []
    for per_pass in (0, 10**6):
        monkeypatch.setitem(parts.PASS, "cpu", per_pass)
        model.zero_grad()
        loss = Learning(model, data, 16, losses).loss(0)
        loss.value.backward()
        terms = [term.mean.item() for term in loss.terms.values()]
        found.append([loss.tokens, *terms, *(p.grad.norm().item() for p in model.parameters() if p.grad is not None)])
    assert found[0] == pytest.approx(found[1], rel=1e-4, abs=1e-6)


def test_a_batch_is_a_fair_sample(tmp_path: Path) -> None:
    """Whatever lengths tell of labels: batch means vary as those of drawings without replacement do."""
    train = job(tmp_path).train
    size, count = 16, len(train)
    means = [train.lengths[places].mean() for epoch in range(200) for places in train.shuffled(size, 0, epoch)[:-1]]
    expected = train.lengths.var(ddof=1) / size * (1 - size / count)
    assert np.var(means) == pytest.approx(expected, rel=0.1)
