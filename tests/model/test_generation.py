"""What is written against all that could be, against transformers' own search, and each text by itself."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
import torch

from stages.model import files
from stages.model.classifier_config import ClassifierConfig
from stages.model.config import TransformerConfig
from stages.model.generation import Search, beam_search
from stages.model.generator import Generator
from stages.model.transformer import EncoderDecoder, LanguageModel, Memory, Seq2Seq, initialize
from stages.tokenizer.special import CLS_ID, PAD_ID, SEP_ID
from stages.training.randomness import torch_generator

ARCHITECTURES = ("decoder", "encoder", "encoder_decoder")


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def made(architecture: str, vocabulary: int, seed: int = 0) -> LanguageModel:
    """32 dimensions, weights that are no longer zero where initial ones are; its probabilities are far from even."""
    pair = architecture == "encoder_decoder"
    config = TransformerConfig(vocabulary, 32, 2, 2, 48, architecture == "decoder", num_decoder_layers=2 * pair)
    model = EncoderDecoder(config) if pair else LanguageModel(config)
    generator = torch_generator(seed, "weights")
    initialize(model, generator)
    for parameter in model.parameters():
        parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def generate(model: LanguageModel, ids: torch.Tensor, mask: torch.Tensor, search: Search) -> list[list[int]]:
    return generator(model).generate(ids, mask, search)


def generator(model: LanguageModel) -> Generator:
    stack = Seq2Seq.of(model) if isinstance(model, EncoderDecoder) else model.model
    return Generator(stack, model.head, ClassifierConfig((), (), 512, "last", family="generation")).eval()


def texts(vocabulary: int, lengths: list[int]) -> list[torch.Tensor]:
    generator = torch_generator(0, "texts")
    return [torch.randint(vocabulary, (length,), generator=generator) for length in lengths]


def padded(rows: list[torch.Tensor], side: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Texts as one batch, with [PAD] on the left or on the right."""
    ids = torch.nn.utils.rnn.pad_sequence(rows, True, PAD_ID, side)
    return ids, torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], True, 0, side)


def log_probability(model: LanguageModel, text: torch.Tensor, written: tuple[int, ...]) -> float:
    """Of all that is written, at once."""
    targets = torch.tensor([written])
    if isinstance(model, EncoderDecoder):
        shifted = torch.cat([torch.tensor([[CLS_ID]]), targets[:, :-1]], 1)
        hidden = model.decode(shifted, Memory(model.model(text[None])[-1], None))
    else:
        whole = torch.cat([text[None], targets[:, :-1]], 1)
        seen = torch.ones(whole.shape[1], whole.shape[1]).tril()
        if not model.config.causal:  # the text is seen as a whole
            seen[:, : len(text)] = 1
        hidden = model.model(whole, seen[None])[-1][:, len(text) - 1 :]
    return float(model.logits(hidden).log_softmax(-1).gather(2, targets[..., None]).sum())


def all_texts(vocabulary: int, length: int) -> list[tuple[int, ...]]:
    """Those that end in [SEP] and have no other, and those as long as they may be that have none."""
    rest = [token for token in range(vocabulary) if token != SEP_ID]
    ended = [(*start, SEP_ID) for size in range(length) for start in product(rest, repeat=size)]
    return ended + list(product(rest, repeat=length))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("length_penalty", [0.0, 0.7, 1.0])
def test_a_beam_that_is_wide_enough_finds_the_best_of_all_texts(architecture: str, length_penalty: float) -> None:
    """Of a vocabulary of 5, in at most 4 tokens; among what is best, texts of several lengths."""
    search, found, best = Search(SEP_ID, 4, 5**4, length_penalty), [], []
    for seed in (0, 4, 5, 6, 7):
        model, (text,) = made(architecture, 5, seed), texts(5, [6])
        scores = {one: log_probability(model, text, one) / len(one) ** length_penalty for one in all_texts(5, 4)}
        best.append([token for token in max(scores, key=lambda one: scores[one]) if token != SEP_ID])
        found += generate(model, text[None], torch.ones(1, 6, dtype=torch.long), search)
    assert found == best
    assert len({len(one) for one in best}) > 1


def likeliest(model: LanguageModel, text: torch.Tensor, written: tuple[int, ...]) -> int:
    """The token to follow what is written."""
    return max(range(12), key=lambda token: log_probability(model, text, (*written, token)))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_one_beam_takes_the_likeliest_token_at_every_step(architecture: str) -> None:
    model, rows, expected = made(architecture, 12, 2), texts(12, [3, 9, 6]), []
    for row in rows:
        written: tuple[int, ...] = ()
        while SEP_ID not in written and len(written) < 12:
            written += (likeliest(model, row, written),)
        expected.append([token for token in written if token != SEP_ID])
    assert generate(model, *padded(rows, "right"), Search(SEP_ID, 12)) == expected


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_is_taught_is_what_is_searched_by(architecture: str, side: str) -> None:
    """The logits under the targets give each of them, whatever its length, the probability that the search gives it."""
    model, rows = made(architecture, 12, 2), texts(12, [3, 9, 6])
    targets = [(5, 7, SEP_ID), (4, SEP_ID), (9, 9, 5, 6, SEP_ID)]
    labels = torch.nn.utils.rnn.pad_sequence([torch.tensor(one) for one in targets], True, -100)
    found = generator(model)(*padded(rows, side), labels).log_softmax(-1)
    for row, (text, target) in enumerate(zip(rows, targets, strict=True)):
        ours = sum(float(found[row, place, token]) for place, token in enumerate(target))
        assert ours == pytest.approx(log_probability(model, text, target), abs=1e-4)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("beams", [1, 4])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_text_is_gone_on_with_as_if_it_were_alone(architecture: str, beams: int, side: str) -> None:
    model, rows, search = made(architecture, 12, 2), texts(12, [3, 9, 6, 1, 9]), Search(SEP_ID, 12, beams)
    alone = [generate(model, row[None], torch.ones_like(row[None]), search)[0] for row in rows]
    assert generate(model, *padded(rows, side), search) == alone
    assert len({len(text) for text in alone}) > 1


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("beams", [1, 4])
def test_transformers_writes_the_same(beams: int, length_penalty: float, tmp_path: Path) -> None:
    """Its own classes on the saved weights, with its cache."""
    from transformers import AutoModelForCausalLM

    lengths = set()
    for seed in range(3):
        model, rows = made("decoder", 12, seed), texts(12, [3, 9, 6, 1, 9])
        files.save(tmp_path / str(seed), model)
        stock = AutoModelForCausalLM.from_pretrained(tmp_path / str(seed)).eval()
        ids, mask = padded(rows, "left")
        theirs = stock.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=12, num_beams=beams, do_sample=False,
            early_stopping=beams > 1, length_penalty=length_penalty, eos_token_id=SEP_ID, pad_token_id=PAD_ID,
        )[:, ids.shape[1] :]  # fmt: skip
        ours = generate(model, ids, mask, Search(SEP_ID, 12, beams, length_penalty))
        for text, other in zip(ours, theirs.tolist(), strict=True):
            end = other.index(SEP_ID) if SEP_ID in other else len(other)
            assert text == other[:end]
            lengths.add(end)
    assert len(lengths) > 2


@pytest.mark.parametrize("beams", [1, 3])
def test_of_equally_likely_tokens_the_lowest_is_taken(beams: int) -> None:
    assert beam_search(lambda rows, _: torch.zeros(len(rows), 5), 2, Search(SEP_ID, 4, beams)) == [[0] * 4] * 2
    assert beam_search(lambda rows, _: torch.zeros(len(rows), 5), 1, Search(0, 4)) == [[]]


def test_a_search_that_is_over_asks_no_more() -> None:
    """Row 0 ends at once, row 1 after two tokens, row 2 never."""
    asked: list[list[int]] = []

    def step(rows: torch.Tensor, written: torch.Tensor) -> torch.Tensor:
        asked.append(rows.tolist())
        ends = (rows == 0) | ((rows == 1) & (written.shape[1] == 2))
        return torch.nn.functional.one_hot(torch.where(ends, SEP_ID, 4), 5) * 9.0

    assert beam_search(step, 3, Search(SEP_ID, 5)) == [[], [4] * 2, [4] * 5]
    assert asked == [[0, 1, 2], [1, 2], [1, 2], [2], [2]]


@pytest.mark.parametrize(("length_penalty", "expected"), [(0.0, []), (1.0, [4, 4])])
def test_a_penalty_on_length_lets_longer_texts_win(length_penalty: float, expected: list[int]) -> None:
    """To end at once has a probability of 0.4; the longer text has 0.3, but log 0.3 is of three tokens."""

    def step(rows: torch.Tensor, written: torch.Tensor) -> torch.Tensor:
        first = torch.tensor([0.15, 0.1, 0.05, 0.4, 0.3])
        later = torch.full((5,), 1e-6)
        later[4 if written.shape[1] == 1 else SEP_ID] = 1
        return (later if written.shape[1] else first).log().expand(len(rows), 5)

    assert beam_search(step, 1, Search(SEP_ID, 6, 2, length_penalty)) == [expected]
