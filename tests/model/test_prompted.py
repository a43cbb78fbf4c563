"""Prompts against their definition: one sequence after another, without padding, one word at a time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from stages.model.classifier_config import ClassifierConfig
from stages.model.config import ScoringMode, TransformerConfig
from stages.model.prompted import TEXT, TEXT_PAIR, WORD, Prompt, Prompted
from stages.model.transformer import LanguageModel, initialize

VOCABULARY, SEP, MASK = 60, 3, 4
WORDS = {"single": ((20,), (21,), (22,)), "of any length": ((20,), (21, 22), (23, 24), (25, 26, 27))}


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture
def model() -> LanguageModel:
    """32 dimensions, weights that are no longer zero where initial ones are."""
    made = LanguageModel(TransformerConfig(VOCABULARY, 32, 2, 2, 48, causal=False))
    generator = torch.Generator().manual_seed(0)
    initialize(made, generator)
    for parameter in made.parameters():
        parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return made.eval()


def prompt(mode: ScoringMode, words: str = "single", demonstrations: tuple[int, ...] = (), length: int = 64) -> Prompt:
    """``text : word .`` with ids for the signs."""
    return Prompt(mode, (TEXT, 10, WORD, 11), WORDS[words], demonstrations, length, SEP, MASK)


def ask(model: LanguageModel, prompt: Prompt) -> Prompted:
    """A class a word."""
    labels = tuple(str(word) for word in prompt.words)
    return Prompted(model, prompt, ClassifierConfig(labels, (), prompt.max_length))


def batch(texts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """As tasks are encoded: [CLS] text [SEP], padded on the right."""
    rows = [[2, *text, SEP] for text in texts]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    return ids, torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])


TEXTS = [[30, 31, 32], [33] * 9, [34, 35, 36, 37, 38]]


@pytest.mark.parametrize("demonstrations", [(), (40, 10, 20, 11, SEP)])
@pytest.mark.parametrize("words", WORDS)
def test_a_causal_model_goes_on_with_the_word(
    words: str, demonstrations: tuple[int, ...], model: LanguageModel
) -> None:
    """The sum over its tokens of log P(token | all before it), each from a sequence that ends before it."""
    found = ask(model, prompt("causal", words, demonstrations))(*batch(TEXTS))
    for row, text in enumerate(TEXTS):
        for column, word in enumerate(WORDS[words]):
            total = 0.0
            for place, token in enumerate(word):
                ids = torch.tensor([[SEP, *demonstrations, *text, 10, *word[:place]]])
                hidden = model.model(ids, causal=True)[-1][0, -1]
                total += float(model.logits(hidden).log_softmax(-1)[token])
            assert float(found[row, column]) == pytest.approx(total, abs=1e-4)


@pytest.mark.parametrize("words", WORDS)
def test_a_masked_model_fills_the_place_of_the_word(words: str, model: LanguageModel) -> None:
    """All its tokens masked at once, what is behind it seen as well."""
    found = ask(model, prompt("pseudo", words))(*batch(TEXTS))
    for row, text in enumerate(TEXTS):
        for column, word in enumerate(WORDS[words]):
            ids = torch.tensor([[SEP, *text, 10, *[MASK] * len(word), 11, SEP]])
            hidden = model.model(ids, causal=False)[-1][0, len(text) + 2 : len(text) + 2 + len(word)]
            expected = model.logits(hidden).log_softmax(-1)[torch.arange(len(word)), torch.tensor(word)].sum()
            assert float(found[row, column]) == pytest.approx(float(expected), abs=1e-4)


def test_both_texts_of_a_pair_have_a_place(model: LanguageModel) -> None:
    pair = Prompt("pseudo", (TEXT, 10, WORD, 11, TEXT_PAIR), WORDS["single"], (), 64, SEP, MASK)
    sequence, place = pair.sequence([(30, 31), (32,)], (MASK,))
    assert (sequence, place) == ([SEP, 30, 31, 10, MASK, 11, 32, SEP], 4)
    found = ask(model, pair)(*batch([[30, 31, SEP, 32]]))
    hidden = model.model(torch.tensor([sequence]), causal=False)[-1][0, place]
    expected = model.logits(hidden).log_softmax(-1)[torch.tensor([20, 21, 22])]
    assert found[0].tolist() == pytest.approx(expected.tolist(), abs=1e-4)


@pytest.mark.parametrize(("lengths", "room", "kept"), [
    ((10,), 5, [5]), ((10, 3), 13, [10, 3]), ((10, 3), 9, [6, 3]), ((10, 8), 6, [3, 3]), ((4, 4), 0, [0, 0]),
])  # fmt: skip
def test_the_longest_text_is_cut_first(lengths: tuple[int, ...], room: int, kept: list[int]) -> None:
    """Word and pattern stay whole, however little room there is."""
    texts = [tuple(range(30, 30 + length)) for length in lengths]
    places = (TEXT, TEXT_PAIR)[: len(lengths)]
    ids, place = Prompt.filled((*places, 10, WORD), texts, (20,), room + 2)
    assert ids == [token for text, length in zip(texts, kept, strict=True) for token in text[:length]] + [10, 20]
    assert place == len(ids) - 1


def test_a_text_of_100_000_words_fits(model: LanguageModel) -> None:
    whole = ask(model, prompt("causal", length=24))
    assert len(whole.prompt.sequence([(30,) * 100_000], ())[0]) == 24
    long, short = whole(*batch([[30] * 100_000])), whole(*batch([[30] * 20]))
    torch.testing.assert_close(long, short)
