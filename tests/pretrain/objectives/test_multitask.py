"""Supervised multi-task learning: what is read, that padding is nothing, and whose labels it sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from stages import paths
from stages.errors import StageError
from stages.finetune import examples
from stages.finetune.tokenization import Tokenization
from stages.model import visibility
from stages.model.transformer import Memory
from stages.pretrain import labelled, source_target
from stages.pretrain.source_target import Pairs
from stages.tokenizer.special import CLS_ID, PAD_ID, SEP_ID
from tests.pretrain import made
from tests.pretrain.corpus import VOCABULARY


def tasks(folder: Path, limit: int | None = None, seed: int = 0) -> list[labelled.Task]:
    made.write_examples(folder / labelled.FOLDER)
    return labelled.read(folder, "train", limit, seed)


def batch(folder: Path, indices: list[int], length: int = 40) -> Pairs:
    return labelled.Examples(tasks(folder), length, 2).take(np.array(indices), made.generator())


def test_a_row_is_the_tasks_name_its_text_and_the_name_of_its_label(tmp_path: Path) -> None:
    """Of all tasks, one after another; cut and padded to one length."""
    high, long = tasks(tmp_path)
    rows = batch(tmp_path, [3, 60 + 7])
    for row, (task, place) in enumerate(((high, 3), (long, 7))):
        text = [*task.prompt, *task.store[place].tolist()][:40]
        assert rows.source.input_ids[row].tolist() == [PAD_ID] * (40 - len(text)) + text
    assert rows.target.input_ids[0].tolist() == high.targets[str(int(high.store.labels[3]))]
    fifth = f"{round(float(long.store.labels[7]) * 5) / 5:.1f}"
    assert rows.target.input_ids[1].tolist() == long.targets[fifth]


@pytest.mark.parametrize("architecture", ["encoder_decoder", "prefix_decoder"])
def test_padding_changes_nothing(architecture: str, tmp_path: Path) -> None:
    """The loss of a row alone, unpadded, with logits and cross-entropy written out."""
    objective = made.objective_of("multitask", architecture=architecture)
    model = made.model_of(objective, disturbed=True)
    rows = batch(tmp_path, [0, 1, 2, 60])
    found = objective.terms(model, rows, made.generator(), torch.float32)["multitask"]
    alone = torch.zeros(())
    for source, target in zip(rows.source.input_ids, rows.target.input_ids, strict=True):
        text = source[source != PAD_ID][None]
        if architecture == "encoder_decoder":
            start = torch.tensor([[CLS_ID, int(target[0])]])
            hidden = model.decode(start, Memory(model.model(text)[-1], None))
        else:
            whole, length = torch.cat([text, target[None]], 1), text.shape[1]
            seen = visibility.prefix(torch.tensor([length]), length + 2)
            hidden = model.model(whole, seen, causal=False)[-1][:, length - 1 : -1]
        alone = alone + F.cross_entropy(model.logits(hidden)[0], target, reduction="sum")
    torch.testing.assert_close(found.total, alone, rtol=1e-5, atol=1e-4)
    changed = rows.source.input_ids.masked_fill(rows.source.input_ids == PAD_ID, VOCABULARY - 1)
    again = Pairs(rows.source._replace(input_ids=changed), rows.target)
    torch.testing.assert_close(source_target.loss(model, again, torch.float32).total, found.total)
    assert found.count == 8


def test_shorter_names_are_no_targets_beyond_their_end(tmp_path: Path) -> None:
    """With room for more tokens than a name has, what is predicted stays the name."""
    objective = made.objective_of("multitask", target_length=5)
    model = made.model_of(objective, disturbed=True)
    short, roomy = (
        labelled.Examples(tasks(tmp_path), 40, length).take(np.arange(4), made.generator()) for length in (2, 5)
    )
    terms = [objective.terms(model, rows, made.generator(), torch.float32)["multitask"] for rows in (short, roomy)]
    torch.testing.assert_close(terms[0].total, terms[1].total)
    assert terms[0].count == terms[1].count == 8


def test_a_name_that_is_too_long_is_an_error(tmp_path: Path) -> None:
    found = tasks(tmp_path)
    found[0].targets["1"] = [120, 121, SEP_ID]
    with pytest.raises(StageError, match="multitask: a label's name has 3 tokens: set target_length"):
        labelled.Examples(found, 40, 2)


@pytest.mark.parametrize("seed", [0, 1])
def test_its_labels_are_those_that_fine_tuning_is_given(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The very same examples with the same seed, and others with another."""
    high = tasks(tmp_path, limit=20, seed=seed)[0]
    monkeypatch.setattr(paths, "ENCODED", tmp_path / labelled.FOLDER)
    tuning = examples.load("high", "train", Tokenization(None, PAD_ID, 40), limit=20, seed=seed)
    assert np.array_equal(high.places, tuning.indices)
    assert not np.array_equal(high.places, tasks(tmp_path, limit=20, seed=seed + 1)[0].places)


def test_nothing_gathered_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="has no examples: run `dvc repro`"):
        labelled.read(tmp_path, "train", None, 0)
