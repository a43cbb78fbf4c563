"""The algorithms: the same vocabulary every time, as good as the library's own trainers'."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from stages import params, paths
from stages.tokenizer.algorithms import ALGORITHMS
from stages.tokenizer.special import SPECIAL_TOKENS, UNK_ID
from stages.tokenizer.statistics import statistics
from stages.tokenizer.texts import Texts
from stages.tokenizer.train import train
from stages.tokenizer.words import count_words

Settings = Callable[..., params.Tokenizer]

TRAIN_ONCE = """
import hashlib, json, sys
from stages import params
from stages.tokenizer.train import train
batches = json.loads(sys.stdin.read())
for algorithm in sys.argv[1:]:
    settings = params.Tokenizer(algorithm=algorithm, vocab_size=450, lowercase=True)
    print(hashlib.sha256(train(lambda: iter(batches), settings).to_str().encode()).hexdigest())
"""


def test_processes_and_threads_do_not_matter(texts: Texts) -> None:
    """Hash maps are seeded once a process, so each training has a process of its own."""
    batches = json.dumps(list(texts()))
    outcomes = set()
    for threads in ("1", "2", "4", "2"):
        environment = os.environ | {"RAYON_NUM_THREADS": threads, "PYTHONPATH": str(paths.ROOT)}
        command = [sys.executable, "-c", TRAIN_ONCE, *ALGORITHMS]
        done = subprocess.run(command, input=batches, env=environment, capture_output=True, text=True, check=True)
        outcomes.add(done.stdout)
    assert len(outcomes) == 1
    assert len(set(outcomes.pop().split())) == len(ALGORITHMS)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_order_of_texts_does_not_matter(algorithm: str, texts: Texts, settings: Settings) -> None:
    batch = [text for batch in texts() for text in batch]
    shuffled = random.Random(3).sample(batch, len(batch))
    ordered = train(lambda: iter([batch]), settings(algorithm))
    assert ordered.to_str() == train(lambda: iter([shuffled]), settings(algorithm)).to_str()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("lowercase", [True, False])
def test_vocabulary(algorithm: str, lowercase: bool, texts: Texts, settings: Settings) -> None:
    tokenizer = train(texts, settings(algorithm, lowercase=lowercase))
    vocabulary = tokenizer.get_vocab()
    assert sorted(vocabulary.values()) == list(range(450))
    assert [vocabulary[token] for token in SPECIAL_TOKENS] == list(range(len(SPECIAL_TOKENS)))
    capitals = any(piece != piece.lower() for piece in vocabulary if piece not in SPECIAL_TOKENS)
    if algorithm != "bpe":  # whose 256 bytes hold the capitals
        assert capitals != lowercase


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_text_comes_back(algorithm: str, texts: Texts, settings: Settings) -> None:
    tokenizer = train(texts, settings(algorithm))
    for text in next(texts())[:50]:
        decoded = tokenizer.decode(tokenizer.encode(text).ids)
        expected = text.lower()
        if algorithm == "wordpiece":  # strips accents and separates punctuation
            expected = tokenizer.normalizer.normalize_str(text)
        assert "".join(decoded.split()) == "".join(expected.split())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_pairs_are_framed(algorithm: str, texts: Texts, settings: Settings) -> None:
    encoding = train(texts, settings(algorithm)).encode("film", "film film")
    assert [token for token in encoding.tokens if token in SPECIAL_TOKENS] == ["[CLS]", "[SEP]", "[SEP]"]
    first_end = encoding.tokens.index("[SEP]")
    assert encoding.type_ids == [0] * (first_end + 1) + [1] * (len(encoding.ids) - first_end - 1)


def test_wordpiece_learns_what_the_librarys_trainer_learns(texts: Texts, settings: Settings) -> None:
    ours = ALGORITHMS["wordpiece"](texts, settings("wordpiece"))
    theirs = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    theirs.normalizer, theirs.pre_tokenizer = ours.normalizer, ours.pre_tokenizer
    trainer = trainers.WordPieceTrainer(vocab_size=450, special_tokens=list(SPECIAL_TOKENS), show_progress=False)
    theirs.train_from_iterator(texts(), trainer)
    shared = set(ours.get_vocab()) & set(theirs.get_vocab())
    assert len(shared) >= 0.9 * 450  # they may differ where counts are equal


def test_unigram_splits_no_worse_than_the_librarys_trainer(texts: Texts, settings: Settings) -> None:
    ours = ALGORITHMS["unigram"](texts, settings("unigram", vocab_size=400))
    theirs = Tokenizer(models.Unigram())
    theirs.normalizer, theirs.pre_tokenizer = ours.normalizer, ours.pre_tokenizer
    trainer = trainers.UnigramTrainer(
        vocab_size=400, special_tokens=list(SPECIAL_TOKENS), unk_token="[UNK]", show_progress=False
    )
    theirs.train_from_iterator(texts(), trainer)
    assert statistics(ours, texts)["fertility"] <= 1.1 * statistics(theirs, texts)["fertility"]


@pytest.mark.parametrize(
    ("normalizer", "pre_tokenizer"),
    [
        (normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()),
        (normalizers.Lowercase(), pre_tokenizers.Metaspace()),
    ],
)
def test_words_are_counted_as_the_tokenizer_splits_whole_texts(
    texts: Texts, normalizer: Any, pre_tokenizer: Any
) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
    expected: Counter[str] = Counter()
    for batch in texts():
        for text in batch:
            text = normalizer.normalize_str(text.replace("\n", " "))
            expected.update(word for word, _ in pre_tokenizer.pre_tokenize_str(text))
    assert count_words(tokenizer, texts) == expected


def test_characters_that_were_not_seen_are_unknown_or_bytes(texts: Texts, settings: Settings) -> None:
    for algorithm in ALGORITHMS:
        tokenizer = train(texts, settings(algorithm))
        assert (UNK_ID in tokenizer.encode("雪").ids) == (algorithm != "bpe")


def test_a_small_corpus_gives_a_smaller_vocabulary(settings: Settings) -> None:
    for algorithm in ALGORITHMS:
        tokenizer = train(lambda: iter([["too few words"]]), settings(algorithm))
        assert len(SPECIAL_TOKENS) < tokenizer.get_vocab_size() < 450
        assert UNK_ID not in tokenizer.encode("too few words").ids


def test_statistics_by_hand(texts: Texts, settings: Settings) -> None:
    tokenizer = train(texts, settings("wordpiece"))
    batch = ["film 雪 acting", "naïve"]
    encodings = [tokenizer.encode(text, add_special_tokens=False).tokens for text in batch]
    tokens = sum(map(len, encodings))
    assert statistics(tokenizer, lambda: iter([batch[:1], batch[1:]])) == {
        "fertility": tokens / 4,
        "unknown_rate": 1 / tokens,
        "bytes_per_token": (len("film 雪 acting".encode()) + len("naïve".encode())) / tokens,
        "vocab_size": 450,
    }
