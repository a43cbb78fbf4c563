"""Next sentence prediction, and what sentence order prediction shares with it, against transformers' BERT."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from transformers import BertConfig, BertForPreTraining
from transformers.modeling_outputs import BaseModelOutputWithPooling

from stages import token_store
from stages.model.config import NORM_EPS
from stages.pretrain import masking
from stages.pretrain.material import Material
from stages.pretrain.objectives.base import Objective
from stages.pretrain.objectives.segment_pairs import PairModel
from stages.pretrain.segments import WRONG, SegmentPairs
from stages.pretrain.workload import Batching, Pretraining
from stages.tokenizer.special import PAD_ID, SEP_ID, SPECIAL_TOKENS
from stages.training.checkpoint import Checkpoint
from stages.training.loop import Plan, train
from stages.training.loss import Loss
from stages.training.optimizer import muon_adamw
from tests.pretrain import made
from tests.pretrain.corpus import VOCABULARY, WORDS, vocabulary, write
from tests.pretrain.test_segments import numbered, shuffled, traced
from tests.training.toy import Silent

Texts = list[tuple[list[int], int]]


def batch_of(objective: Objective[Any], folder: Path) -> SegmentPairs:
    """Rows of the made language, as full and as empty as they come."""
    reader = objective.reader(write(folder / "store"), made.LENGTH, "corpus", document_mask=False)
    batch: Any = reader.take(np.arange(16), made.generator(3))
    assert bool((batch.input_ids == PAD_ID).any())
    return batch


class Stack(nn.Module):
    """Our last states where transformers has BERT's, and BERT's own pooler over them."""

    def __init__(self, model: PairModel, pooler: nn.Module) -> None:
        super().__init__()
        self.model, self.pooler = model, pooler

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **_: Any) -> BaseModelOutputWithPooling:
        states = self.model.model(input_ids, attention_mask)[-1]
        return BaseModelOutputWithPooling(states, self.pooler(states))


def bert(model: PairModel) -> BertForPreTraining:
    """BERT with our weights in its heads; it has biases, which are zero."""
    config = BertConfig(vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
    config.layer_norm_eps = NORM_EPS
    reference = BertForPreTraining(config).eval()
    weights = {
        "bert.pooler.dense": model.pair.pooler.weight,
        "cls.seq_relationship": model.pair.classifier.weight,
        "cls.predictions.transform.dense": model.head.dense.weight,
        "cls.predictions.transform.LayerNorm": model.head.norm.weight,
        "cls.predictions.decoder": model.output_weight,
    }
    with torch.no_grad():
        for name, weight in weights.items():
            module = reference.get_submodule(name)
            module.weight.copy_(weight)
            module.bias.zero_()
    reference.bert = Stack(model, reference.bert.pooler)
    return reference


@pytest.mark.parametrize("name", ["mlm_nsp", "mlm_sop"])
def test_it_is_the_loss_of_bert(name: str, tmp_path: Path) -> None:
    """Of transformers' `BertForPreTraining`, with labels at the targets alone and padding that is not seen."""
    objective = made.objective_of(name)
    model, batch = made.model_of(objective, disturbed=True).train(), batch_of(objective, tmp_path)
    masked = masking.mask(batch.input_ids, 0.3, vocabulary(), made.generator())
    labels = torch.full((batch.input_ids.numel(),), -100).index_copy(0, masked.positions, masked.labels)
    expected = bert(model)(
        masked.input_ids,
        attention_mask=(batch.input_ids != PAD_ID).long(),
        labels=labels.view_as(batch.input_ids),
        next_sentence_label=batch.labels,
    ).loss
    terms = objective.terms(model, batch, made.generator(), torch.float32)
    assert list(terms) == ["mlm", name.removeprefix("mlm_")]
    torch.testing.assert_close(Loss(terms, 0).value, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["mlm_nsp", "mlm_sop"])
def test_padding_adds_no_targets_to_evaluation(name: str, tmp_path: Path) -> None:
    """In training there are as many as the shape says, in evaluation BERT's share of the tokens that are there."""
    objective = made.objective_of(name)
    model, batch = made.model_of(objective), batch_of(objective, tmp_path)
    counts = [
        objective.terms(model.train(training), batch, made.generator(), torch.float32)["mlm"].count
        for training in (True, False)
    ]
    assert counts == [round(0.3 * batch.input_ids.numel()), round(0.15 * int((batch.input_ids != PAD_ID).sum()))]


def test_there_are_enough_tokens_for_the_highest_rate(tmp_path: Path) -> None:
    """Also where every row is half empty; a rate that is too high is an error."""
    objective = made.objective_of("mlm_nsp", mlm_probability=0.4)
    for length in (15, 16, 32, 63):
        least = -(-(length - 3) // 2)
        texts = [([*range(len(SPECIAL_TOKENS), len(SPECIAL_TOKENS) + least), SEP_ID], 4) for _ in range(16)]
        token_store.write(tmp_path / str(length), texts)
        store = token_store.read(tmp_path / str(length))
        reader = objective.reader(store, length, "corpus", document_mask=False)
        batch = reader.take(np.arange(16), made.generator())
        term = objective.terms(made.model_of(objective).train(), batch, made.generator(), torch.float32)["mlm"]
        assert term.count == masking.count(16 * length, 0.4)
    with pytest.raises(ValidationError, match=r"less than or equal to 0\.4"):
        made.objective_of("mlm_nsp", mlm_probability=0.41)


def test_wrong_pairs_are_of_two_documents(tmp_path: Path) -> None:
    """Whether or not documents that share a row may see each other elsewhere."""
    store = numbered(tmp_path / "store", shuffled())
    objective = made.objective_of("mlm_nsp")
    readers = [objective.reader(store, 32, "corpus", document_mask=document_mask) for document_mask in (False, True)]
    first, second = (reader.take(np.arange(100), made.generator()) for reader in readers)
    assert torch.equal(first.input_ids, second.input_ids)
    for row, label in zip(first.input_ids, first.labels.tolist(), strict=True):
        left, right = traced(row, shuffled())
        assert (left.document != right.document) is (label == WRONG)


def learnt(name: str, text: Callable[[np.random.Generator], list[int]], folder: Path) -> dict[str, float]:
    """Held-out figures after training on made texts."""
    objective = made.objective_of(name, mlm_probability=0.15)
    model = made.model_of(objective)
    generator = np.random.default_rng(0)

    def texts(count: int) -> Texts:
        return [([*(len(SPECIAL_TOKENS) + np.array(text(generator))).tolist(), SEP_ID], 4) for _ in range(count)]

    for part, count in (("train", 400), ("validation", 100)):
        token_store.write(folder / "packed" / part, texts(count))
    corpus = objective.corpus(Material(folder / "packed", folder, made.LENGTH, document_mask=False, seed=0))
    batching = Batching(made.BATCH, made.LENGTH)
    work = Pretraining(model, objective, corpus, batching, seed=0, dtype=torch.float32)
    optimizers = muon_adamw(model, learning_rate=0.01, matrix_learning_rate=0.02, weight_decay=0.0, dtype=torch.float32)
    plan = Plan(steps=400, evaluations=1, warmup=0.05, decay=0.5, max_grad_norm=1.0)
    return train(work, optimizers, plan, Checkpoint(folder, name, {}), Silent())[-1]


def topical(generator: np.random.Generator) -> list[int]:
    """A text of words of one of four topics."""
    words = WORDS // 4
    return (words * generator.integers(4) + generator.integers(words, size=29)).tolist()


def ascending(generator: np.random.Generator) -> list[int]:
    """A text whose words come in one order."""
    return sorted(generator.integers(WORDS, size=29).tolist())


def test_topics_tell_the_next_segment(tmp_path: Path) -> None:
    """A quarter of the wrong pairs share a topic, which leaves 0.31 nats if nothing is masked; guessing loses 0.69."""
    assert learnt("mlm_nsp", topical, tmp_path)["nsp_loss"] < 0.6
