"""The mixture of denoisers against UL2's table, and its rows against the texts that they were."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from stages.errors import StageError
from stages.pretrain.objectives.mixture_of_denoisers import corrupted, denoisers, divided
from stages.pretrain.sequences import Text
from stages.pretrain.source_target import SHARED
from stages.tokenizer.special import MODE_IDS, SENTINEL_IDS
from tests.pretrain import made
from tests.pretrain.test_masking import ids
from tests.pretrain.test_spans import restored

R, S, X = MODE_IDS.values()
NAME = "mixture_of_denoisers"


def test_the_denoisers_are_those_of_the_table() -> None:
    """UL2, Table 1, at its own length of 512: tokens and spans taken out by each."""
    table = [
        (R, 3, 0.15),
        (R, 8, 0.15),
        (S, 128, 0.25),
        (X, 3, 0.5),
        (X, 8, 0.5),
        (X, 64, 0.15),
        (X, 64, 0.5),
    ]
    text = Text(ids(7, 512), None)
    for (mode, mean, rate), pairs in zip(table, corrupted(text, made.generator()), strict=True):
        source, target = (side.input_ids[0] for side in pairs)
        sentinels = sum(token in SENTINEL_IDS for token in source.tolist())
        assert source[0] == mode
        assert len(target) - (0 if mode == S else sentinels + 1) == round(rate * 512)
        assert max(sentinels, 1) == round(rate * 512 / mean)


def test_every_row_is_corrupted_once() -> None:
    """Behind a mode that all documents see; source and target of each give the text back."""
    text = Text(ids(16, 128), torch.zeros(16, 128, dtype=torch.long))
    found = []
    for source, target in corrupted(text, made.generator()):
        assert source.documents is not None
        assert (source.documents[:, 0] == SHARED).all()
        assert (source.documents[:, 1:] == 0).all()
        for before, after in zip(source.input_ids.tolist(), target.input_ids.tolist(), strict=True):
            mode, *rest = before
            found.append((mode, rest + after if mode == S else restored(rest, after)))
    assert [row for _, row in found] == text.input_ids.tolist()
    assert [mode for mode, _ in found] == [R] * 4 + [S] * 2 + [X] * 10


def test_rows_are_divided_evenly() -> None:
    """All of them, in order, whatever their number."""
    for rows in range(40):
        shares = divided(rows, 7)
        assert [row for share in shares for row in share] == list(range(rows))
        assert {len(share) for share in shares} <= {rows // 7, -(-rows // 7)}


def test_it_is_the_likelihood_of_all_targets() -> None:
    """Each denoiser's rows in a run of their own, their targets together."""
    objective, text = made.objective_of(NAME), Text(ids(9, 32), None)
    model = made.model_of(objective, disturbed=True)
    term = objective.terms(model, text, made.generator(), torch.float32)[NAME]
    total, count = torch.tensor(0.0), 0
    for source, target in corrupted(text, made.generator()):
        whole, prefix = torch.cat([source.input_ids, target.input_ids], 1), source.input_ids.shape[1]
        mask = torch.ones(1, whole.shape[1], whole.shape[1]).tril()
        mask[:, :, :prefix] = 1
        logits = model.logits(model.model(whole, mask)[-1])[:, prefix - 1 : -1].flatten(0, 1)
        total = total + F.cross_entropy(logits, target.input_ids.flatten(), reduction="sum")
        count += target.input_ids.numel()
    assert term.count == count
    torch.testing.assert_close(term.total, total, rtol=1e-5, atol=1e-3)


def test_a_batch_needs_a_row_for_each_denoiser() -> None:
    """To train on; the last rows of held-out text may be fewer."""
    objective = made.objective_of(NAME)
    config = objective.configure(made.ENCODER)
    assert objective.flops(config, 7, 32) > 0
    with pytest.raises(StageError, match=r"pretrain\.batch_size: 6 .*7 denoisers.*objectives\.mixture_of_denoisers"):
        objective.flops(config, 6, 32)
    term = objective.terms(made.model_of(objective), Text(ids(1, 32), None), made.generator(), torch.float32)[NAME]
    assert term.count == denoisers(32)[-1].lengths[1]


def test_texts_with_more_spans_than_sentinels_are_an_error() -> None:
    """With the key that helps."""
    with pytest.raises(StageError, match=r"objectives\.mixture_of_denoisers.*pretrain\.sequence_length"):
        denoisers(1024)
