"""Replaced token detection against its definition and transformers' ELECTRA."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import ElectraConfig, ElectraForPreTraining
from transformers.modeling_outputs import BaseModelOutput

from stages.model.config import TransformerConfig
from stages.pretrain import masking
from stages.pretrain.objectives import rtd
from stages.pretrain.objectives.rtd import Electra
from stages.pretrain.sequences import Text
from stages.tokenizer.special import MASK_ID
from stages.training.loss import Loss, Term
from tests.pretrain import made
from tests.pretrain.corpus import vocabulary
from tests.pretrain.test_masking import ids

ROWS, LENGTH = 8, 32
TARGETS = round(0.15 * ROWS * LENGTH)


class Seen:
    """What a run was made of: what generator and discriminator read, and the generator's logits."""

    def __init__(self, model: Electra, forced: Tensor | None = None) -> None:
        """``forced``: logits in place of the generator's, to draw from."""
        self.read: list[Tensor] = []
        model.model.embeddings.register_forward_pre_hook(lambda _, arguments: self.read.append(arguments[0]))
        original = model.guess

        def guess(*arguments: Any) -> Tensor:
            self.logits = original(*arguments) if forced is None else forced
            return self.logits

        model.guess = guess  # type: ignore[method-assign]


def run(model: Electra, text: Tensor, **options: Any) -> dict[str, Term]:
    return made.objective_of("rtd", **options).terms(model, Text(text, None), made.generator(), torch.float32)


def built(**options: Any) -> Electra:
    model: Electra = made.model_of(made.objective_of("rtd", **options), disturbed=True).train()
    return model


def chosen(text: Tensor) -> masking.Masked:
    return masking.mask(text, 0.15, vocabulary(), made.generator())


def electra(model: Electra) -> ElectraForPreTraining:
    """ELECTRA over our last states, with our weights in its head; it has biases, which are zero."""

    class Stack(nn.Module):
        def forward(self, input_ids: Tensor, **_: Any) -> BaseModelOutput:
            return BaseModelOutput(model.model(input_ids)[-1])

    reference = ElectraForPreTraining(ElectraConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2)).eval()
    head = reference.discriminator_predictions
    with torch.no_grad():
        for theirs, ours in (
            (head.dense, model.discriminator.dense),
            (head.dense_prediction, model.discriminator.classifier),
        ):
            theirs.weight.copy_(ours.weight)
            theirs.bias.zero_()
    reference.electra = Stack()
    return reference


def test_it_is_the_loss_of_electra() -> None:
    """The discriminator's by transformers' own model, the generator's at every masked token; 50 to 1."""
    model, text = built(), ids(ROWS, LENGTH)
    seen = Seen(model)
    terms = run(model, text)
    _, corrupted = seen.read
    expected = electra(model)(corrupted, labels=(corrupted != text).long()).loss
    torch.testing.assert_close(terms["discriminator"].mean, expected, rtol=1e-5, atol=1e-5)
    assert terms["discriminator"].count == ROWS * LENGTH
    restored = F.cross_entropy(seen.logits, chosen(text).labels)
    torch.testing.assert_close(terms["generator"].mean, restored, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(Loss(terms, 0).value, restored + 50 * expected, rtol=1e-5, atol=1e-4)
    assert run(model, text, discriminator_weight=3.0)["discriminator"].weight == 3.0


def test_the_generator_restores_masked_tokens_and_the_discriminator_reads_what_it_drew() -> None:
    """All targets are [MASK] for the one; the other sees draws in their places, and nothing else is changed."""
    model, text = built(), ids(ROWS, LENGTH)
    seen = Seen(model)
    run(model, text)
    masked, corrupted = (read.flatten() for read in seen.read)
    positions = chosen(text).positions
    assert torch.equal(masked, text.flatten().index_fill(0, positions, MASK_ID))
    generator = made.generator()
    masking.mask(text, 0.15, vocabulary(), generator)
    drawn = rtd.sample(seen.logits, generator)
    assert len(drawn) == TARGETS
    assert torch.equal(corrupted, text.flatten().index_copy(0, positions, drawn))


def test_a_token_that_was_drawn_right_is_not_replaced() -> None:
    """Forced: the truth for the first half of the targets, and another token for the second."""
    text = ids(ROWS, LENGTH)
    batch = chosen(text)
    drawn = torch.where(torch.arange(TARGETS) < TARGETS // 2, batch.labels, batch.labels - 1)
    model = built()
    Seen(model, forced=1e4 * F.one_hot(drawn, made.ENCODER.vocab_size).float())
    term = run(model, text)["discriminator"]
    replaced = torch.zeros(ROWS * LENGTH).index_fill(0, batch.positions[TARGETS // 2 :], 1)
    corrupted = text.flatten().index_copy(0, batch.positions, drawn).view_as(text)
    logits = model.discriminator(model.model(corrupted)[-1]).flatten()
    torch.testing.assert_close(term.total, F.binary_cross_entropy_with_logits(logits, replaced, reduction="sum"))


@pytest.mark.parametrize("spread", [0.0, 1.0, 6.0])
def test_draws_follow_the_softmax(spread: float) -> None:
    """χ² over tokens that are all alike or far from it; one that is all but impossible is not drawn."""
    logits = torch.cat([spread * torch.linspace(0, 1, 39), torch.tensor([-1e4])])
    drawn = rtd.sample(logits.expand(40_000, -1), made.generator())
    counts, expected = torch.bincount(drawn, minlength=40), 40_000 * logits.double().softmax(-1)
    assert counts[-1] == 0
    assert chisquare(counts[:-1].numpy(), expected[:-1].numpy()).pvalue > 0.001


def test_a_lot_on_an_edge_belongs_to_the_part_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """With four lots in all, half of them go to either of two tokens, and none to one without a share."""
    monkeypatch.setattr(rtd, "RESOLUTION", 4)
    drawn = rtd.sample(torch.tensor([-1e4, 0.0, 0.0]).expand(4000, -1), made.generator())
    assert chisquare(torch.bincount(drawn)[1:].numpy()).pvalue > 0.001
    assert 0 not in drawn


def test_each_row_draws_from_its_own_softmax() -> None:
    """A row's lot is no other's."""
    certain = torch.arange(39, -1, -1)
    assert torch.equal(rtd.sample(1e4 * F.one_hot(certain).float(), made.generator()), certain)
    alike = rtd.sample(torch.zeros(1000, 40), made.generator())
    assert len(alike.unique()) == 40


def test_the_two_losses_meet_in_the_embeddings_alone() -> None:
    """The discriminator's teaches the model and its own head; the generator's, the generator and what it reads with."""
    taught = {}
    for name in ("generator", "discriminator"):
        model = built()
        run(model, ids(ROWS, LENGTH))[name].total.backward()
        taught[name] = {key for key, p in model.named_parameters() if p.grad is not None and bool(p.grad.any())}
    shared = {"model.embeddings.tok_embeddings.weight", "model.embeddings.norm.weight"}
    assert taught["generator"] & taught["discriminator"] == shared
    names = {key for key, _ in model.named_parameters()}
    assert taught["generator"] - shared == {key for key in names if key.startswith("generator.")}
    stack = {key for key in names if key.startswith(("model.", "discriminator."))}
    assert taught["discriminator"] == stack


def test_there_is_one_table_of_embeddings() -> None:
    """The only tensor with a row for each token; it changes what the generator reads, and what it says."""
    model, text = built(), ids(ROWS, LENGTH)
    vocabulary_sized = [name for name, p in model.named_parameters() if made.ENCODER.vocab_size in p.shape]
    assert vocabulary_sized == ["model.embeddings.tok_embeddings.weight"]
    model.guess(text, None, torch.arange(8), torch.float32)[:, 150].sum().backward()  # all of them in the first row
    gradient = model.output_weight.grad
    assert gradient is not None
    assert set(gradient.any(1).nonzero().flatten().tolist()) == {*text[0].tolist(), 150}


@pytest.mark.parametrize(
    ("share", "width", "heads", "inner"), [(0.25, 16, 1, 48), (0.5, 32, 2, 96), (0.7, 48, 3, 134), (1.0, 64, 4, 192)]
)
def test_the_generator_is_narrower(share: float, width: int, heads: int, inner: int) -> None:
    """By whole heads of the model's own size; as deep, and never without a head."""
    objective = made.objective_of("rtd", generator_size=share)
    stack = objective.build(TransformerConfig(160, 64, 3, 4, 192)).generator.stack
    config = stack.config
    assert (config.hidden_size, config.num_attention_heads, config.intermediate_size) == (width, heads, inner)
    assert (config.head_dim, len(stack.layers)) == (16, 3)
    tiny = made.objective_of("rtd", generator_size=0.01).build(made.ENCODER).generator.stack.config
    assert (tiny.num_attention_heads, tiny.hidden_size, tiny.intermediate_size) == (1, 16, 1)


def test_evaluation_replaces_as_many_as_bert_masks() -> None:
    """Whatever is replaced in training."""
    model, text = built(), ids(ROWS, LENGTH)
    counts = [run(model.train(training), text, mlm_probability=0.4)["generator"].count for training in (True, False)]
    assert counts == [round(0.4 * text.numel()), TARGETS]
