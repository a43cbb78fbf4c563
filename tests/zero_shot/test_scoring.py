"""Scores against transformers' models and the definitions written out, one sentence and one mask at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from stages import params
from stages.model import files
from stages.model.config import ScoringMode, TransformerConfig
from stages.model.transformer import LanguageModel, initialize
from stages.tokenizer.special import MASK_ID, PAD_ID, SEP_ID
from stages.tokenizer.train import train as train_tokenizer
from stages.training.checkpoint import Checkpoint
from stages.training.loop import Plan, train
from stages.training.optimizer import muon_adamw
from stages.zero_shot import scoring
from stages.zero_shot.scoring import FRAME, Scores, Sentence
from tests.pretrain import made
from tests.pretrain.corpus import texts as walks
from tests.tokenizer.conftest import make_texts
from tests.training.toy import Silent

VOCABULARY = 450
TEXTS = [
    "Lauders wonless.",
    "The filmering is (acmily) plotly, and scridon!",
    "naïve laudon “acderation”",
    "Lauders wonless. The filmering is acmily, plotly; and so on, and so forth…",
    "wonless lauders.",
]

Reference = Callable[[list[int]], torch.Tensor]
"""Log-probabilities (length, vocabulary) at each of some ids."""


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """WordPiece, whose pieces show where words go on."""
    settings = params.Tokenizer(algorithm="wordpiece", vocab_size=VOCABULARY, lowercase=True)
    return train_tokenizer(lambda: iter([make_texts(250, 1), make_texts(250, 2)]), settings)


@pytest.fixture(scope="module")
def sentences(tokenizer: Tokenizer) -> list[Sentence]:
    return scoring.encode(tokenizer, TEXTS)


def model_of(mode: ScoringMode) -> LanguageModel:
    """A 32-dim model whose every weight matters."""
    model = LanguageModel(TransformerConfig(VOCABULARY, 32, 2, 2, 48, causal=mode == "causal"))
    generator = made.generator()
    initialize(model, generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model.eval()


def score(model: LanguageModel, sentences: list[Sentence], mode: ScoringMode, **changes: Any) -> Scores:
    return scoring.score(model, sentences, mode, torch.float32, **changes)


def of_transformers(model: LanguageModel, folder: Path, padding: int) -> Reference:
    """The same weights in the stock class, which is given every text padded."""
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    files.save(folder / "model", model)
    kind = AutoModelForCausalLM if model.config.causal else AutoModelForMaskedLM
    stock = kind.from_pretrained(folder / "model").eval()

    def log_probabilities(ids: list[int]) -> torch.Tensor:
        mask = torch.tensor([[1] * len(ids) + [0] * padding])
        with torch.no_grad():
            logits = stock(input_ids=torch.tensor([ids + [PAD_ID] * padding]), attention_mask=mask).logits
        return logits[0, : len(ids)].log_softmax(-1)

    return log_probabilities


def of_ours(model: LanguageModel) -> Reference:
    """Our own model on one text."""

    def log_probabilities(ids: list[int]) -> torch.Tensor:
        with torch.no_grad():
            return model.logits(model.model(torch.tensor([ids]))[-1])[0].log_softmax(-1)

    return log_probabilities


def left_to_right(reference: Reference, ids: list[int]) -> float:
    said = reference(ids)
    return sum(said[place - 1, ids[place]].item() for place in range(1, len(ids)))


def one_by_one(reference: Reference, ids: list[int], tokenizer: Tokenizer, framed: int = 1) -> float:
    """Each token masked with the ``##`` pieces that follow it, in a copy of its own.

    ``framed``: how many ids stand before the text.
    """
    total = 0.0
    for place in range(framed, len(ids) - 1):
        copy, masked = list(ids), place
        while masked == place or tokenizer.id_to_token(ids[masked]).startswith("##"):
            copy[masked] = MASK_ID
            masked += 1
        total += reference(copy)[place, ids[place]].item()
    return total


def test_sentences_are_framed_and_their_words_numbered(tokenizer: Tokenizer, sentences: list[Sentence]) -> None:
    """By the ends of texts; a new word begins at every piece without ``##``."""
    for text, sentence in zip(TEXTS, sentences, strict=True):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert sentence.ids == (SEP_ID, *ids, SEP_ID)
        starts = np.cumsum([not tokenizer.id_to_token(index).startswith("##") for index in ids]) - 1
        assert sentence.words == (FRAME, *starts.tolist(), FRAME)
    assert any(len(set(sentence.words)) < len(sentence.words) - 1 for sentence in sentences)


def test_causal_scores_are_those_of_transformers(tmp_path: Path, sentences: list[Sentence]) -> None:
    """The stock decoder's log-softmax of each next token, summed, the end of the text among them."""
    model = model_of("causal")
    reference = of_transformers(model, tmp_path, padding=7)
    expected = [left_to_right(reference, list(sentence.ids)) for sentence in sentences]
    np.testing.assert_allclose(score(model, sentences, "causal"), expected, rtol=1e-5)


def test_pseudo_scores_are_those_of_transformers(
    tmp_path: Path, tokenizer: Tokenizer, sentences: list[Sentence]
) -> None:
    """The stock encoder's log-softmax of each token in a copy where it and the rest of its word are masked."""
    model = model_of("pseudo")
    reference = of_transformers(model, tmp_path, padding=7)
    expected = [one_by_one(reference, list(sentence.ids), tokenizer) for sentence in sentences]
    np.testing.assert_allclose(score(model, sentences, "pseudo"), expected, rtol=1e-5)


def test_an_encoder_is_read_causally_where_that_is_asked(sentences: list[Sentence]) -> None:
    """As prefix decoders and hybrids are: each token is predicted from the text cut before it."""
    model = model_of("pseudo")

    def last(ids: tuple[int, ...]) -> torch.Tensor:
        with torch.no_grad():
            return model.logits(model.model(torch.tensor([ids]), causal=True)[-1])[0, -1].log_softmax(-1)

    expected = [sum(last(ids[:end])[ids[end]].item() for end in range(1, len(ids))) for ids, _ in sentences]
    np.testing.assert_allclose(score(model, sentences, "causal"), expected, rtol=1e-5)


@pytest.mark.parametrize("mode", scoring.MODES)
def test_a_batch_changes_nothing(mode: ScoringMode, sentences: list[Sentence], monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone, among others, in any order, and with logits cut anyhow: the same score."""
    model = model_of(mode)
    many = sentences + [Sentence((SEP_ID, *s.ids[-2:0:-1], SEP_ID), s.words) for s in sentences]
    together = score(model, many, mode)
    alone = [score(model, [sentence], mode).item() for sentence in many]
    np.testing.assert_allclose(together, alone, rtol=1e-6)
    np.testing.assert_allclose(score(model, many[::-1], mode), together[::-1], rtol=1e-6)
    monkeypatch.setattr(scoring, "TOKENS", 1)
    monkeypatch.setattr(scoring, "LOGITS", 3 * VOCABULARY)
    np.testing.assert_allclose(score(model, many, mode), together, rtol=1e-6)


@pytest.mark.parametrize("mode", scoring.MODES)
def test_equal_tokens_have_equal_scores(mode: ScoringMode, tokenizer: Tokenizer) -> None:
    """To the bit, wherever they stand, for a tie must be one; and they are computed once."""
    model, rows = model_of(mode), []
    model.model.embeddings.register_forward_pre_hook(lambda _, arguments: rows.append(len(arguments[0])))
    distinct = score(model, scoring.encode(tokenizer, TEXTS), mode)
    needed = sum(rows)
    again = score(model, scoring.encode(tokenizer, ["lauders WONLESS.", *TEXTS, *TEXTS]), mode)
    assert again.tolist() == [distinct[0], *distinct, *distinct]
    assert len(set(distinct)) == len(TEXTS)
    assert sum(rows) == 2 * needed


@pytest.mark.parametrize("mode", scoring.MODES)
def test_a_text_without_tokens_is_the_end_of_a_text(mode: ScoringMode, tokenizer: Tokenizer) -> None:
    model = model_of(mode)
    expected = left_to_right(of_ours(model), [SEP_ID, SEP_ID]) if mode == "causal" else 0.0
    assert score(model, scoring.encode(tokenizer, [" "]), mode).item() == pytest.approx(expected)


def test_a_model_that_never_saw_other_texts_sees_none(tokenizer: Tokenizer, sentences: list[Sentence]) -> None:
    """Positions are relative, so that hiding the [SEP] before a text is the same as leaving it out.

    Only the first token is predicted from that [SEP], for there is nothing else before it.
    """
    decoder, encoder = model_of("causal"), model_of("pseudo")
    first = [of_ours(decoder)([SEP_ID])[0, sentence.ids[1]].item() for sentence in sentences]
    rest = [left_to_right(of_ours(decoder), list(sentence.ids[1:])) for sentence in sentences]
    hidden = score(decoder, sentences, "causal", document_mask=True)
    np.testing.assert_allclose(hidden, np.add(first, rest), rtol=1e-5)
    assert not np.allclose(hidden, score(decoder, sentences, "causal"))
    expected = [one_by_one(of_ours(encoder), list(sentence.ids[1:]), tokenizer, framed=0) for sentence in sentences]
    np.testing.assert_allclose(score(encoder, sentences, "pseudo", document_mask=True), expected, rtol=1e-5)


@pytest.mark.parametrize(("objective", "mode"), [("clm", "causal"), ("mlm", "pseudo")])
def test_a_trained_model_prefers_what_the_language_allows(objective: str, mode: ScoringMode, tmp_path: Path) -> None:
    """Unseen walks to the same words in another order, as it did not before."""
    generator = np.random.default_rng(5)
    good = [tuple(ids) for ids, _ in walks(300, seed=99)]
    bad = [(*generator.permutation(ids[:-1]).tolist(), SEP_ID) for ids in good]
    sentences = [Sentence((SEP_ID, *ids), (FRAME, *range(len(ids) - 1), FRAME)) for ids in good + bad]

    def accuracy(model: LanguageModel) -> float:
        right = np.greater(*score(model.eval(), sentences, mode).reshape(2, -1))
        return float(right.mean())

    task = made.objective_of(objective)
    model = made.model_of(task)
    before = accuracy(model)
    work = made.workload(task, model, tmp_path)
    optimizers = muon_adamw(model, learning_rate=0.01, matrix_learning_rate=0.02, weight_decay=0.0, dtype=torch.float32)
    plan = Plan(steps=200, evaluations=1, warmup=0.05, decay=0.5, max_grad_norm=1.0)
    train(work, optimizers, plan, Checkpoint(tmp_path, "made", {}), Silent())
    assert before < 0.7
    assert accuracy(model) > 0.95
