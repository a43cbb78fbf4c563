"""Students: what they are made of, and what they learn, computed example by example."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from stages.compress import files, student
from stages.compress.lessons import Lessons
from stages.errors import Inapplicable, StageError
from stages.finetune.predict import scores
from stages.finetune.tasks.token_classification import TokenClassification
from stages.model import classifier
from stages.model.classifier import Classifier
from stages.model.parts import parts
from stages.model.transformer import Transformer
from stages.task import Task
from tests.compress.conftest import save
from tests.compress.made import compress, examples, material, steps
from tests.model.checkpoints import batch

LAYERS = {"encoder": 3, "decoder": 3, "bert": 2, "distilbert": 2, "gpt2": 2, "deberta-v2": 2}


def skip(_: Any, given: tuple[Any, ...], named: dict[str, Any], output: Any) -> Any:
    """A hook that makes a layer give what it was given."""
    states = given[0] if given else named["hidden_states"]
    return (states, *output[1:]) if isinstance(output, tuple) else states


@pytest.mark.parametrize("kind", LAYERS)
def test_of_one_layer_it_is_the_last_one(kind: str, tmp_path: Path) -> None:
    """It computes as the teacher does whose other layers do nothing; the head reads the depths that are left."""
    teacher = classifier.load(save(tmp_path / kind, kind))
    thin = copy.deepcopy(teacher)
    student.thin(thin, 1)
    names = parts(teacher.transformer).layers
    assert (len(names), len(student.layers(thin))) == (LAYERS[kind], 1)
    for name in names[:-1]:
        teacher.transformer.get_submodule(name).register_forward_hook(skip, with_kwargs=True)  # type: ignore[attr-defined]
    left = [0, *range(len(names), len(teacher.config.depths))]
    with torch.no_grad():
        features = teacher.features(*batch(), torch.float32).unflatten(1, (-1, 32))[:, left]
        weight = teacher.classifier.weight.unflatten(1, (-1, 32))[:, left]
        expected = torch.einsum("bdw,cdw->bc", features, weight) + teacher.classifier.bias
        torch.testing.assert_close(thin(*batch()), expected, rtol=1e-4, atol=1e-5)
    assert thin.config.depths == tuple(range(len(left)))


@pytest.mark.parametrize(
    ("teachers", "students", "expected"),
    [(12, 6, [0, 2, 4, 6, 8, 10, 12]), (12, 4, [0, 3, 6, 9, 12]), (5, 2, [0, 2, 5])],
)
def test_layers_are_taken_evenly(teachers: int, students: int, expected: list[int]) -> None:
    """TinyBERT's g(m) = m · L / k."""
    assert student.pairs(teachers, students) == expected


def by_hand(teacher: Classifier, taught: Classifier, lesson: str, ids: Tensor, layers: tuple[int, int]) -> float:
    """A lesson's loss of one example without padding."""
    mask, body = torch.ones_like(ids), (teacher.transformer, taught.transformer)
    if lesson == "logits":
        told, said = ((model(ids, mask)[0] / 2).softmax(-1) for model in (teacher, taught))
        return float((told * (told / said).log()).sum() * 4)
    if lesson == "hidden":
        told, said = (one(ids, mask, torch.float32, count) for one, count in zip(body, layers, strict=True))
        distances = [
            (F.normalize(said[depth], dim=-1) - F.normalize(told[depth * layers[0] // layers[1]], dim=-1))
            .pow(2)
            .sum(-1)
            for depth in range(layers[1] + 1)
        ]
        return float(torch.stack(distances).mean(-1).mean())
    losses = []
    for theirs, ours in zip(*(vectors(model, ids) for model in (teacher, taught)), strict=True):
        for head in range(2):
            told, said = (one[0, :, 16 * head : 16 * head + 16] for one in (theirs, ours))
            told, said = ((one @ one.T / 4).softmax(-1) for one in (told, said))
            losses.append((told * (told / said).log()).sum(-1).mean())
    return float(torch.stack(losses).mean())


def vectors(model: Classifier, ids: Tensor) -> list[Tensor]:
    """Queries, keys and values of the last layer, of ours without rotation."""
    body: Any = model.transformer
    states = body(ids, torch.ones_like(ids), torch.float32)
    if isinstance(body, Transformer):
        layer = body.layers[-1]
        found: list[Tensor] = list(layer.attn.Wqkv(layer.attn_norm(states[len(body.layers) - 1])).chunk(3, -1))
        return found
    attention = body.model.encoder.layer[-1].attention.self
    return [read(states[-2]) for read in (attention.query, attention.key, attention.value)]


@pytest.mark.parametrize("kind", ["encoder", "bert"])
@pytest.mark.parametrize("lesson", ["logits", "hidden", "relations"])
def test_lessons_are_those_of_their_definitions(lesson: Any, kind: str, tmp_path: Path) -> None:
    """Summed over the examples of a batch, whatever padding it has; a student that is the teacher has none to learn."""
    saved = save(tmp_path / kind, kind)
    teacher, data = classifier.load(saved), material(tmp_path / "data", saved)
    taught = copy.deepcopy(teacher)
    student.thin(taught, 1)
    given = data.train.batch(np.arange(12))
    assert len(set(given.attention_mask.sum(1).tolist())) > 3
    with torch.no_grad():
        found = Lessons(teacher, taught, [lesson], 2.0, data)(given)
        expected = sum(
            by_hand(teacher, taught, lesson, ids[: int(mask.sum())][None], (LAYERS[kind], 1))
            for ids, mask in zip(given.input_ids, given.attention_mask, strict=True)
        )
        nothing = Lessons(teacher, copy.deepcopy(teacher), [lesson], 2.0, data)(given)
    assert list(found) == ["labels", lesson]
    assert float(found[lesson]) == pytest.approx(expected, rel=1e-3)
    assert float(nothing[lesson]) == pytest.approx(0, abs=1e-4)


def test_what_is_taught_is_learnt(tmp_path: Path) -> None:
    """The student's answers come nearer to the teacher's."""
    saved = save(tmp_path / "encoder", "encoder")
    data = material(tmp_path / "data", saved)
    options = {"num_hidden_layers": 1, "learning_rate": 3e-3, "batch_size": 8, "epochs": 16}
    compress(tmp_path / "small", saved, ("distill", options), data=data)
    teacher, untaught = classifier.load(saved), classifier.load(saved)
    student.thin(untaught, 1)
    told, before, after = (
        scores(model, data.family, data.train, torch.float32)
        for model in (teacher, untaught, files.load(tmp_path / "small"))
    )
    assert np.abs(after - told).mean() < 0.7 * np.abs(before - told).mean()


def test_texts_teach_without_labels(tmp_path: Path) -> None:
    """What they are labelled with changes no bit; the student comes nearer to its teacher than by the task alone."""
    saved = save(tmp_path / "encoder", "encoder")
    few = material(tmp_path / "data", saved, count=8)
    options = {"num_hidden_layers": 1, "learning_rate": 3e-3, "batch_size": 8}
    wrong = few.texts(400)
    wrong.labels = 2 - wrong.labels
    others = replace(few, texts=lambda _: wrong)
    for name, data, count in (("task", few, 0), ("texts", few, 400), ("again", others, 400)):
        own = replace(data, checkpoints=tmp_path / f"{name}-checkpoints")
        compress(tmp_path / name, saved, ("distill", {**options, "texts": count}), data=own)
    unseen = examples(tmp_path / "unseen", 28, 60, 4)
    told, without, taught, again = (
        scores(model, few.family, unseen, torch.float32)
        for model in (classifier.load(saved), *(files.load(tmp_path / name) for name in ("task", "texts", "again")))
    )
    np.testing.assert_array_equal(taught, again)
    assert np.abs(taught - told).mean() < 0.7 * np.abs(without - told).mean()


def test_texts_are_for_whole_texts(tmp_path: Path) -> None:
    """Where words are answered one by one, a text of the corpus has no words to be asked about."""
    saved = save(tmp_path / "encoder", "encoder")
    task = Task(family="token_classification", labels=("negative", "positive"), metric="f1")
    data = material(tmp_path / "data", saved, family=TokenClassification(task))
    with pytest.raises(Inapplicable, match=r"made\.0: texts: in token_classification an answer is"):
        compress(tmp_path / "small", saved, ("distill", {"num_hidden_layers": 1, "texts": 9}), data=data)


SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}


@pytest.mark.parametrize("losses", [["logits"], ["logits", "hidden", "relations"]])
def test_a_fresh_student_is_of_our_block_whoever_teaches(losses: list[str], saved: Path, tmp_path: Path) -> None:
    """Its sizes are those asked for; what is between the widths is not kept."""
    options = {"model": SIZES, "losses": losses, "batch_size": 16}
    if len(losses) > 1 and saved.parent.name in ("t5", "gpt2", "deberta-v2"):
        with pytest.raises(Inapplicable, match=r"compressors\.made\.0: losses: .*: take logits alone"):
            compress(tmp_path / "small", saved, ("distill", options))
        return
    compress(tmp_path / "small", saved, ("distill", options))
    small = files.load(tmp_path / "small")
    assert isinstance(small, Classifier)
    assert isinstance(small.transformer, Transformer)
    assert small.transformer.config.to_dict().items() >= SIZES.items()
    assert not any("maps" in name for name in small.state_dict())
    with torch.no_grad():
        assert small(*batch()).shape == classifier.load(saved)(*batch()).shape


def test_a_fresh_table_is_the_best_one_of_its_width(tmp_path: Path) -> None:
    """Rows are those of the singular value decomposition, cut off (Eckart & Young 1936), but for sign and length."""
    model = classifier.load(save(tmp_path / "bert", "bert"))
    table = student.vocabulary(model).clone()
    student.fresh(model, SIZES, 0)
    left, values, _ = torch.linalg.svd(table)
    best = left[:, :16] * values[:16]
    ours = student.vocabulary(model)
    ours, best = (rows / rows.std(1, keepdim=True) for rows in (ours, best))
    signs = (ours * best).sum(0).sign()
    cosine = F.cosine_similarity(ours, best * signs, dim=1)
    assert cosine.min() > 0.9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"compressors\.made\.0: give one of num_hidden_layers, model"),
        ({"num_hidden_layers": 0}, r"compressors\.made\.0: num_hidden_layers: "),
        ({"model": {"preset": "nano", "hidden_size": 10}}, r"compressors\.made\.0: model: hidden_size 10 must be"),
        ({"num_hidden_layers": 1, "losses": ["looks"]}, r"compressors\.made\.0: losses\.0: "),
        ({"num_hidden_layers": 9}, r"compressors\.made\.0: num_hidden_layers: the model has only 3"),
    ],
)
def test_errors_name_the_key(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=message):
        compress(tmp_path / "small", save(tmp_path / "encoder", "encoder"), ("distill", options))


def test_a_fresh_student_comes_first() -> None:
    with pytest.raises(
        StageError, match=r"made\.1: model: a fresh one has nothing left of prune_neurons: put this step first"
    ):
        steps(("prune_neurons", {"sparsity": 0.5}), ("distill", {"model": SIZES}))
