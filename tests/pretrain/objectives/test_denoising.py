"""Denoising against its definition: infilled spans, sentences out of order, and the text itself as the target."""

from __future__ import annotations

from collections import Counter
from itertools import chain, pairwise, permutations

import numpy as np
import pytest
import torch
from scipy.stats import chi2_contingency, chisquare, poisson
from torch.nn import functional as F

from stages.model.transformer import Memory
from stages.pretrain.objectives import denoising
from stages.pretrain.sequences import Text
from stages.tokenizer.special import CLS_ID, MASK_ID, SEP_ID
from tests.pretrain import made
from tests.pretrain.corpus import STOP, VOCABULARY, vocabulary
from tests.pretrain.test_masking import ids
from tests.pretrain.test_source_target import pairs_of

WORDS = range(STOP + 1, VOCABULARY)


def numbered(rows: int, length: int) -> Text:
    """Tokens and documents that tell their places."""
    places = torch.arange(length).expand(rows, -1)
    return Text(WORDS.start + places, places)


def test_it_is_the_likelihood_of_the_text() -> None:
    """BART's: of every token of the window, from what is left of it."""
    objective, text = made.objective_of("denoising"), Text(ids(8, 32), None)
    model = made.model_of(objective, disturbed=True)
    [(source, target)] = pairs_of(objective, text)
    term = objective.terms(model, text, made.generator(), torch.float32)["denoising"]
    assert torch.equal(target.input_ids, text.input_ids)
    assert source.input_ids.shape == (8, 32 - 10 + 4)
    inputs = torch.cat([torch.full((8, 1), CLS_ID), text.input_ids[:, :-1]], 1)
    logits = model.logits(model.decode(inputs, Memory(model.model(source.input_ids)[-1], None)))
    reference = F.cross_entropy(logits.flatten(0, 1), text.input_ids.flatten(), reduction="sum")
    assert term.count == 8 * 32
    torch.testing.assert_close(term.total, reference, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize(("mask_ratio", "permute_sentences"), [(0.0, False), (0.0, True), (0.3, False)])
def test_each_kind_of_noise_can_be_left_out(mask_ratio: float, permute_sentences: bool) -> None:
    """Without both the source is the text; unless sentences are permuted, what stays is in order."""
    objective = made.objective_of("denoising", mask_ratio=mask_ratio, permute_sentences=permute_sentences)
    text = ids(8, 32)
    [(source, _)] = pairs_of(objective, Text(text, None))
    assert (MASK_ID in source.input_ids) == (mask_ratio > 0)
    assert torch.equal(source.input_ids, text) == (not mask_ratio and not permute_sentences)
    lines = zip(map(iter, text.tolist()), source.input_ids.tolist(), strict=True)
    in_order = [all(token in left for token in after if token != MASK_ID) for left, after in lines]
    assert all(in_order) == (not permute_sentences)


def test_infilling_takes_out_as_much_as_it_says() -> None:
    """What stays is in order, tokens are missing only where there is a [MASK], and it has the first one's document."""
    masked, spans, length = 10, 4, 32
    infilled = denoising.infill(numbered(500, length), masked, spans, made.generator())
    assert infilled.documents is not None
    for tokens, documents in zip(infilled.input_ids.tolist(), infilled.documents.tolist(), strict=True):
        kept = [token - WORDS.start for token in tokens if token != MASK_ID]
        assert len(tokens) - len(kept) == spans
        assert sorted(set(kept)) == kept
        assert len(kept) == length - masked
        reached = 0
        for place, (token, document) in enumerate(zip(tokens, documents, strict=True)):
            if token == MASK_ID:
                before = place and tokens[place - 1] == MASK_ID
                assert document >= reached if before else document == min(reached, length - 1)
                continue
            assert document == token - WORDS.start
            assert document == reached or tokens[place - 1] == MASK_ID
            reached = document + 1
        assert reached == length or tokens[-1] == MASK_ID


def test_spans_are_poisson() -> None:
    """As Poisson draws of which only those that add up are kept (χ²), however likely that is."""
    tokens, spans, draws = 12, 4, 4000
    found = denoising.span_lengths(draws, tokens, spans, made.generator())
    assert found.shape == (draws, spans)
    assert (found.sum(1) == tokens).all()
    drawn = np.random.default_rng(0).poisson(tokens / spans, (20 * draws, spans))
    expected = drawn[drawn.sum(1) == tokens]
    both = [Counter(map(tuple, lengths[:, :2].tolist())) for lengths in (found, expected)]
    cells = [cell for cell in both[0] | both[1] if min(counter[cell] for counter in both) > 10]
    table = [
        [*(counter[cell] for cell in cells), counter.total() - sum(counter[cell] for cell in cells)] for counter in both
    ]
    assert len(cells) > 30
    assert chi2_contingency(table).pvalue > 0.001


def test_the_spans_of_a_long_text_are_poisson_without_condition() -> None:
    """Where there are many, their sum says little about one of them: zeros and all, the lengths are Poisson (χ²)."""
    lengths = denoising.span_lengths(40, 150, 50, made.generator()).flatten()
    found = torch.bincount(lengths.clamp(max=8), minlength=9).numpy()
    shares = [*poisson.pmf(range(8), 3), poisson.sf(7, 3)]
    assert chisquare(found, [share * len(lengths) for share in shares]).pvalue > 0.001


def test_masks_stand_anywhere() -> None:
    """Of empty spans, which insert a [MASK], every arrangement is as likely (χ²)."""
    infilled = denoising.infill(numbered(3000, 4), 0, 2, made.generator()).input_ids
    found = Counter(tuple(row) for row in (infilled == MASK_ID).tolist())
    assert len(found) == 15
    assert chisquare(list(found.values())).pvalue > 0.001


def test_sentences_are_permuted_whole() -> None:
    """Each stays as it was, each order is as likely (χ²), and tokens and documents go together."""
    a, b, c, d, e, f = WORDS[:6]
    sentences = [(a, b, STOP, STOP), (c, STOP, SEP_ID), (d, e, f)]
    text = Text(torch.tensor([[*chain(*sentences)]]).expand(3000, -1), torch.arange(10).expand(3000, -1))
    permuted = denoising.permute(text, vocabulary(), made.generator())
    found = Counter(map(tuple, permuted.input_ids.tolist()))
    assert set(found) == {tuple(chain(*order)) for order in permutations(sentences)}
    assert chisquare(list(found.values())).pvalue > 0.001
    assert permuted.documents is not None
    assert torch.equal(permuted.input_ids, text.input_ids.gather(1, permuted.documents))


@pytest.mark.parametrize("start", [STOP, STOP + 1])
def test_only_where_a_sentence_ends_does_the_order_change(start: int) -> None:
    """In windows of many sentences, and of one: behind a token stands the one that stood there, but for such ends."""
    tokens = torch.randint(start, STOP + 5, (200, 24), generator=made.generator())
    permuted = denoising.permute(Text(tokens, torch.arange(24).expand(200, -1)), vocabulary(), made.generator())
    assert permuted.documents is not None
    for row, places in zip(tokens.tolist(), permuted.documents.tolist(), strict=True):
        assert sorted(places) == list(range(24))
        for place, behind in pairwise(places):
            ended = place == 23 or (row[place] == STOP and row[place + 1] != STOP)
            assert ended or behind == place + 1
    assert torch.equal(permuted.input_ids, tokens) == (start > STOP)
