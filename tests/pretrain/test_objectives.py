"""Every objective: its definition, its determinism, and that it learns."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from stages.errors import StageError
from stages.model import transformer
from stages.model.config import TransformerConfig
from stages.model.cross_entropy import linear_cross_entropy
from stages.model.transformer import LanguageModel, initialize
from stages.pretrain import objectives
from stages.pretrain.objectives import OBJECTIVES
from stages.pretrain.objectives.base import Objective
from stages.pretrain.objectives.mlm import EVALUATION_PROBABILITY, MaskedLM
from stages.pretrain.sequences import Sequences, ShuffledBatches
from stages.pretrain.workload import Pretraining
from stages.tokenizer.special import MASK_ID, SEP_ID, SPECIAL_TOKENS
from stages.training.checkpoint import Checkpoint
from stages.training.loop import Plan, train
from stages.training.optimizer import muon_adamw
from tests.pretrain.corpus import VOCABULARY, write
from tests.training.toy import Silent

OPTIONS = {"mlm": {"mlm_probability": 0.3}}
LEARNING = [name for name, kind in OBJECTIVES.items() if kind.trains]


def build(name: str) -> tuple[Objective, LanguageModel]:
    """An objective and a 32-dim model for it."""
    kind = OBJECTIVES[name]
    model = LanguageModel(TransformerConfig(VOCABULARY, 32, 2, 2, 48, kind.causal))
    initialize(model, torch.Generator().manual_seed(0))
    return kind(kind.Options(**OPTIONS.get(name, {})), VOCABULARY), model


def ids(rows: int = 8, length: int = 32) -> torch.Tensor:
    """Random tokens with a separator in each row."""
    drawn = torch.randint(len(SPECIAL_TOKENS), VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(2))
    drawn[:, 10] = SEP_ID
    return drawn


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_all_that_is_computed_is_computed_where_the_model_is(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches and draws stay on the CPU; what reaches the embeddings and the loss is on the model's device."""
    objective, model = build(name)
    seen: set[str] = set()

    def watched(*tensors: torch.Tensor) -> torch.Tensor:
        seen.update(tensor.device.type for tensor in tensors)
        return linear_cross_entropy(*tensors)

    monkeypatch.setattr(transformer, "linear_cross_entropy", watched)
    model.model.embeddings.register_forward_pre_hook(lambda _, arguments: seen.add(arguments[0].device.type))
    total, count = objective.nll(model.to("meta"), ids(), generator(), torch.float32)
    (total / count).backward()
    assert seen == {"meta"}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_untrained_model_guesses(name: str) -> None:
    """The mean loss is near ln V, and the same draws give the same loss."""
    objective, model = build(name)
    total, count = objective.nll(model, ids(), generator(), torch.float32)
    again, _ = objective.nll(model, ids(), generator(), torch.float32)
    assert total.item() / count == pytest.approx(math.log(VOCABULARY), rel=0.25)
    assert torch.equal(total, again)


@pytest.mark.parametrize("name", LEARNING)
def test_it_learns_a_made_language(name: str, tmp_path: Path) -> None:
    """Held-out loss falls far below that of knowing the words' frequencies alone."""
    objective, model = build(name)
    train_set, held_out = (Sequences(write(tmp_path / str(seed), 300, seed), 16, "made") for seed in (0, 1))
    workload = Pretraining(
        model, objective, ShuffledBatches(train_set, 16, 0), held_out, bytes_per_token=4.0, seed=0, dtype=torch.float32
    )
    optimizers = muon_adamw(model, learning_rate=0.01, matrix_learning_rate=0.02, weight_decay=0.0, dtype=torch.float32)
    plan = Plan(steps=300, evaluations=2, warmup=0.05, decay=0.5, max_grad_norm=1.0)
    curve = train(workload, optimizers, plan, Checkpoint(tmp_path, "made", {}), Silent())
    assert curve[-1]["loss"] < 0.6 * math.log(VOCABULARY)
    assert curve[-1]["perplexity"] == pytest.approx(math.exp(curve[-1]["loss"]))
    assert curve[-1]["bits_per_byte"] == pytest.approx(curve[-1]["loss"] / math.log(2) / 4)


def test_clm_is_the_likelihood_of_the_next_token() -> None:
    """Against logits and cross-entropy written out."""
    objective, model = build("clm")
    total, count = objective.nll(model, ids(), generator(), torch.float32)
    logits = model.logits(model.model(ids())[-1])
    reference = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids()[:, 1:].flatten(), reduction="sum")
    assert count == 8 * 31
    torch.testing.assert_close(total, reference, rtol=1e-5, atol=1e-3)


def test_mlm_is_the_likelihood_at_masked_positions() -> None:
    """Against logits at all positions and ignored labels, as transformers computes it."""
    objective, model = build("mlm")
    assert isinstance(objective, MaskedLM)
    batch = objective.corrupt(ids(), 0.3, generator())
    labels = torch.full((8 * 32,), -100).index_copy(0, batch.positions, batch.labels)
    logits = model.logits(model.model(batch.input_ids)[-1]).flatten(0, 1)
    reference = F.cross_entropy(logits, labels, ignore_index=-100, reduction="sum")
    total, count = objective.nll(model.train(), ids(), generator(), torch.float32)
    assert count == len(batch.labels)
    torch.testing.assert_close(total, reference, rtol=1e-5, atol=1e-3)


def test_masks_follow_bert() -> None:
    """The rate is exact, 80/10/10 holds, special tokens are never touched, and all else stays."""
    objective, _ = build("mlm")
    assert isinstance(objective, MaskedLM)
    text = ids(400, 128)
    batch = objective.corrupt(text, EVALUATION_PROBABILITY, generator())
    flat, changed = text.flatten(), batch.input_ids.flatten()
    assert len(batch.labels) == round(EVALUATION_PROBABILITY * text.numel())
    assert torch.equal(flat[batch.positions], batch.labels)
    assert (batch.labels >= len(SPECIAL_TOKENS)).all()
    untouched = torch.ones_like(flat, dtype=torch.bool).index_fill(0, batch.positions, False)
    assert torch.equal(flat[untouched], changed[untouched])
    inputs, count = changed[batch.positions], len(batch.labels)
    masked, kept = (inputs == MASK_ID).sum() / count, (inputs == batch.labels).sum() / count
    # four standard deviations of a binomial share; a random replacement is the original once in V - 5
    spread = 4 * math.sqrt(0.25 / count)
    assert masked.item() == pytest.approx(0.8, abs=spread)
    assert kept.item() == pytest.approx(0.1 + 0.1 / (VOCABULARY - 5), abs=spread)
    where = torch.bincount(batch.positions % 128, minlength=128)
    assert where[10] == 0


def test_masks_are_dynamic() -> None:
    """Another step draws other targets."""
    objective, _ = build("mlm")
    assert isinstance(objective, MaskedLM)
    first, second = (objective.corrupt(ids(), 0.15, generator(seed)).positions for seed in (0, 1))
    assert not torch.equal(first, second)


def test_an_unknown_objective_is_named() -> None:
    """With those that there are."""
    with pytest.raises(StageError, match=r"pretrain\.objectives.*'bert'.*mlm"):
        objectives.get("bert")
