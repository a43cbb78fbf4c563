"""Asking without tuning, against transformers' models and the tokenizer's own reading of the sentence in full."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from stages import paths, token_store
from stages.compress import files as compressed_files
from stages.errors import Inapplicable, StageError
from stages.finetune import files, methods, prompting
from stages.finetune.examples import Examples
from stages.finetune.methods.base import Job, Tuned
from stages.finetune.predict import scores
from stages.finetune.tasks.classification import Classification
from stages.model import backbone
from stages.model import files as model_files
from stages.model.config import ScoringMode, TransformerConfig
from stages.model.prompted import Prompted
from stages.model.transformer import LanguageModel, initialize
from stages.params import Tokenizer as TokenizerParams
from stages.task import Task
from stages.tokenizer import files as tokenizer_files
from stages.tokenizer import train as tokenizer_training
from tests.compress.made import compress
from tests.finetune.made import SCORES, job

TEXTS = ["a fine film", "what a bore", "fine , fine acting", "a film for nobody", "boring"] * 4
OTHERS = ["so it was", "and how", "so", "no", "so it goes on and on"] * 4
LABELS = np.array([1, 0, 1, 0, 0] * 4)
WORDS = {"low": "bad", "high": "really good"}
SINGLE, PAIR = "{text} It was {word}.", "{text} ? {word}, {text_pair}"
ALGORITHMS = ("wordpiece", "bpe", "unigram")


def made_task(template: str = SINGLE, words: tuple[str, ...] = tuple(WORDS.values())) -> Task:
    return Task(family="classification", labels=tuple(WORDS), metric="accuracy", template=template, words=words)


def trained(algorithm: str) -> Tokenizer:
    """On the sentences of the task."""
    settings = TokenizerParams.model_validate({"algorithm": algorithm, "vocab_size": 400, "lowercase": True})
    sentences = [*TEXTS, *OTHERS, "It was good.", "it was bad, really? no."]
    return tokenizer_training.train(lambda: iter([sentences]), settings)


def pretrained(folder: Path, mode: ScoringMode | None, algorithm: str = "wordpiece") -> Tokenizer:
    """A language model of 32 dimensions with a tokenizer, as pre-training leaves them; every weight matters."""
    tokenizer = trained(algorithm)
    tokenizer_files.save(tokenizer, folder.parent / "tokenizer")
    size = tokenizer.get_vocab_size()
    model = LanguageModel(TransformerConfig(size, 32, 2, 2, 48, causal=mode == "causal"))
    initialize(model, generator := torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    model_files.save(folder, model, folder.parent / "tokenizer", [mode] if mode else [])
    return tokenizer


def examples(folder: Path, tokenizer: Tokenizer, pairs: bool) -> Examples:
    """The texts, as the encode stage leaves them."""
    given = list(zip(TEXTS, OTHERS, strict=True)) if pairs else TEXTS
    encoded = [tokenizer.encode(*text) if pairs else tokenizer.encode(text) for text in given]
    token_store.write(folder, [(one.ids, 1) for one in encoded], labels=LABELS)
    return Examples(token_store.read(folder), np.arange(len(TEXTS)), 64, 0)


def made_job(folder: Path, tokenizer: Tokenizer, task: Task, **changes: Any) -> Job:
    pairs = "{text_pair}" in task.template
    parts = {name: examples(folder / name, tokenizer, pairs) for name in ("train", "validation")}
    given = {"family": Classification(task), "pretrained": folder / "pretrained" / "made-0", "max_length": 64}
    return Job(**{**vars(job(folder)), **parts, **given, **changes})


def ask(base: Path, given: Job, count: int) -> Tuned:
    kind = methods.get("few_shot" if count else "zero_shot")
    chosen = kind(kind.Options(**({"demonstrations": count} if count else {})))
    return chosen.fit(backbone.load(base), given)


def outputs(model: Any, given: Job) -> torch.Tensor:
    return torch.from_numpy(scores(model, given.family, given.validation, torch.float32))


@pytest.mark.parametrize("template", [SINGLE, PAIR])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_prompt_is_the_sentence(template: str, algorithm: str, tmp_path: Path) -> None:
    """What the tokenizer makes of it in full; but a text of a pair begins as a text that stands alone does."""
    tokenizer = trained(algorithm)
    prompt = prompting.encode(made_task(template), tokenizer, "causal", 64)
    written = template.replace(" {text_pair}", "{text_pair}") if algorithm == "bpe" else template
    for text, other in zip(TEXTS, OTHERS, strict=True):
        parts = [tuple(tokenizer.encode(part, add_special_tokens=False).ids) for part in (text, other)]
        for word, ids in zip(WORDS.values(), prompt.words, strict=True):
            sentence = written.format(text=text, text_pair=other, word=word)
            expected = tokenizer.encode(sentence, add_special_tokens=False).ids
            assert prompt.sequence(parts, ids)[0][1:-1] == expected


def reference(folder: Path, tokenizer: Tokenizer, text: str, mode: ScoringMode) -> list[float]:
    """Probabilities of the classes by transformers' own model of the sentence's words, one word at a time."""
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    model = (AutoModelForCausalLM if mode == "causal" else AutoModelForMaskedLM).from_pretrained(folder).eval()
    end, mask = tokenizer.token_to_id("[SEP]"), tokenizer.token_to_id("[MASK]")
    before = [end, *tokenizer.encode(f"{text} It was", add_special_tokens=False).ids]
    stop = tokenizer.encode(".", add_special_tokens=False).ids
    totals = []
    for word in WORDS.values():
        ids = tokenizer.encode(f" {word}", add_special_tokens=False).ids
        seen = [*before, *ids] if mode == "causal" else [*before, *[mask] * len(ids), *stop, end]
        with torch.no_grad():
            found = model(torch.tensor([seen])).logits[0].log_softmax(-1)
        first = len(before) - (mode == "causal")
        totals.append(sum(float(found[first + place, token]) for place, token in enumerate(ids)))
    return torch.tensor(totals).softmax(0).tolist()


@pytest.mark.parametrize("mode", ["causal", "pseudo"])
def test_zero_shot_is_what_transformers_finds_likely(mode: ScoringMode, tmp_path: Path) -> None:
    base = tmp_path / "pretrained" / "made-0"
    given = made_job(tmp_path, tokenizer := pretrained(base, mode), made_task())
    tuned = ask(base, given, 0)
    assert (tuned.trainable_parameters, tuned.curve) == (0, [])
    found = outputs(tuned.model, given)
    for row, text in zip(found[:5], TEXTS, strict=False):
        assert row.tolist() == pytest.approx(reference(base, tokenizer, text, mode), abs=1e-5)


def test_few_shot_reads_examples_with_their_words_first(tmp_path: Path) -> None:
    """Each a training example in full with the word of its label; as many of each class; another seed, others."""
    base = tmp_path / "pretrained" / "made-0"
    given = made_job(tmp_path, tokenizer := pretrained(base, "causal"), made_task(), max_length=200)
    shown = []
    for seed in (0, 0, 1):
        model = ask(base, Job(**{**vars(given), "seed": seed}), 4).model
        assert isinstance(model, Prompted)
        shown.append(model.prompt.demonstrations)
    end = tokenizer.token_to_id("[SEP]")
    sentences = {
        tuple(tokenizer.encode(f"{text} It was {list(WORDS.values())[label]}.", add_special_tokens=False).ids): label
        for text, label in zip(TEXTS, LABELS.tolist(), strict=True)
    }
    parts = " ".join(map(str, shown[0])).removesuffix(f" {end}").split(f" {end} ")
    assert Counter(sentences[tuple(map(int, part.split()))] for part in parts) == {0: 2, 1: 2}
    assert shown[0] == shown[1] != shown[2]


@pytest.mark.parametrize("count", [0, 2])
@pytest.mark.parametrize("mode", ["causal", "pseudo"])
def test_saved_it_needs_the_pre_trained_model_and_selected_it_needs_none(
    mode: ScoringMode, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two folders of one run are alike to the byte; int8 answers nearly as fp32 does."""
    monkeypatch.setattr(paths, "MODELS", tmp_path)
    base = tmp_path / "pretrained" / "made-0"
    given = made_job(tmp_path, pretrained(base, mode), made_task(), max_length=100)
    tuned, kind = ask(base, given, count), methods.get("zero_shot")
    expected = outputs(tuned.model, given)
    saved, alone, small = (tmp_path / name for name in ("saved", "alone", "small"))
    files.save(saved, tuned, "zero_shot", kind(kind.Options()), base)
    assert {file.name for file in saved.iterdir()} >= {"prompt.json", "classifier.json", "config.json"}
    assert files.size(saved) == 0
    assert torch.equal(outputs(files.load(saved), given), expected)
    alone.mkdir()
    files.stand_alone(saved, alone)
    base.rename(tmp_path / "away")
    with pytest.raises(StageError, match=r"model\.safetensors"):
        files.load(saved)
    assert torch.equal(outputs(files.load(alone), given), expected)
    compress(small, alone, "int8_dynamic")
    assert files.size(small) < 0.6 * files.size(alone)
    torch.testing.assert_close(outputs(compressed_files.load(small), given), expected, atol=0.05, rtol=0)


def test_who_cannot_be_asked_says_why(tmp_path: Path) -> None:
    """No failure: other rows of the same table can be."""
    base = tmp_path / "pretrained" / "made-0"
    tokenizer = pretrained(base, None)
    with pytest.raises(Inapplicable, match="no language model"):
        ask(base, made_job(tmp_path, tokenizer, made_task()), 0)
    pretrained(base, "causal")
    with pytest.raises(Inapplicable, match="no classes of a text"):
        ask(base, made_job(tmp_path, tokenizer, made_task(), family=SCORES), 0)


@pytest.mark.parametrize("words", [("bad", "bad"), ("bad", " ")])
def test_words_that_tell_nothing_are_refused(words: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"prompt\.words: bad, .*a word of its own"):
        prompting.encode(made_task(words=words), trained("wordpiece"), "causal", 64)
