"""Texts that are written in answer: what is learnt of them, and what becomes of them in every room."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sacrebleu.metrics import BLEU
from tokenizers import Tokenizer
from torch.nn import functional as F

from stages import params
from stages.errors import Inapplicable
from stages.evaluate import evaluation, runs
from stages.finetune.methods import METHODS
from stages.finetune.methods.full import Full
from stages.finetune.tasks.generation import Generation
from stages.finetune.tokenization import Tokenization
from stages.finetune.workload import Finetuning, Regime
from stages.finetune.written import IGNORED, Written, unlabelled
from stages.model.classifier_config import ClassifierConfig
from stages.model.config import TransformerConfig
from stages.model.generator import Generator
from stages.model.transformer import LanguageModel, initialize
from stages.params import Params, Target
from stages.predict.predictor import Answer, Predictor
from stages.task import Task
from stages.tokenizer import train as tokenizer_training
from stages.tokenizer.special import SEP_ID
from tests.finetune import project
from tests.finetune.made import job

DICTIONARY = {"one": "eins", "two": "zwei", "three": "drei", "four": "vier", "five": "acht", "six": "sechs"}
ARCHITECTURES = ("encoder", "decoder", "encoder_decoder")
NOT_FOR_WRITING = ("frozen", "zero_shot", "few_shot", "prompt", "p_tuning")
TARGET = Target(max_length=10, beams=2)
FAMILY = Generation(Task(family="generation", labels=(), metric="bleu", target=TARGET))


def translations(count: int, seed: int) -> dict[str, list[str]]:
    """A few numbers, and the same in another language."""
    generator = np.random.default_rng(seed)
    words = [generator.choice(list(DICTIONARY), int(generator.integers(4, 7))).tolist() for _ in range(count)]
    return {
        "text": [" ".join(row) for row in words],
        "label": [" ".join(DICTIONARY[word] for word in row) for row in words],
    }


def trained(algorithm: str = "wordpiece") -> Tokenizer:
    """Of which most words are one token."""
    settings = params.load().tokenizer.model_copy(update={"vocab_size": 400, "algorithm": algorithm})
    texts = [text for column in translations(200, 9).values() for text in column]
    return tokenizer_training.train(lambda: iter([texts]), settings)


def examples(tokenizer: Tokenizer, count: int = 6, room: int = 8) -> Written:
    rows = translations(count, 3)
    made = unlabelled([[text] for text in rows["text"]], tokenizer, Tokenization(tokenizer, 0, 32), room)
    targets = np.array(rows["label"], dtype=np.object_)
    return Written(made._store, targets, tokenizer, Tokenization(tokenizer, 0, 32), room)


@pytest.mark.parametrize("algorithm", ["wordpiece", "bpe", "unigram"])
def test_targets_are_the_texts_that_are_to_be_written(algorithm: str) -> None:
    """Their tokens say them again, and [SEP] ends them; one that is too long is cut so that it still ends."""
    tokenizer = trained(algorithm)
    made = examples(tokenizer, 20, 64)
    batch = made.batch(np.arange(20))
    ids = np.empty(20, dtype=np.object_)
    ids[:] = [[token for token in row if token not in (IGNORED, SEP_ID)] for row in batch.labels.tolist()]
    assert made.joined(ids).tolist() == made.labels.tolist() == translations(20, 3)["label"]
    assert all([token for token in row if token != IGNORED][-1] == SEP_ID for row in batch.labels.tolist())
    assert made.weight(np.arange(20)) == int((batch.labels != IGNORED).sum())
    cut = examples(tokenizer, 20, 2).batch(np.arange(20)).labels
    assert cut.shape == (20, 2)
    assert torch.equal(cut[:, 0], batch.labels[:, 0])
    assert (cut[:, 1] == SEP_ID).all()


def model(tokenizer: Tokenizer) -> Generator:
    language = LanguageModel(TransformerConfig(tokenizer.get_vocab_size(), 32, 2, 2, 48, True))
    initialize(language, torch.Generator().manual_seed(0))
    config = ClassifierConfig((), (), 32, "last", family="generation", search=FAMILY.search)
    return Generator(language.model, language.head, config)


@pytest.mark.parametrize("parts", [1, 3])
def test_the_loss_is_the_mean_over_all_tokens_of_the_batch(parts: int, tmp_path: Path) -> None:
    """As transformers' models have it, in whatever parts a batch is computed; so are the gradients."""
    tokenizer = trained()
    made, generator = examples(tokenizer, 6), model(tokenizer)
    workload = Finetuning(generator, replace(job(tmp_path), train=made, family=FAMILY), Regime(6, parts))
    loss = workload.loss(0)
    loss.value.backward()
    ours = generator.head.dense.weight.grad
    generator.zero_grad()
    batch = made.batch(np.arange(6))
    logits = generator(batch.input_ids, batch.attention_mask, batch.labels)
    expected = F.cross_entropy(logits.flatten(0, 1), batch.labels.flatten(), ignore_index=-100)
    expected.backward()
    assert float(loss.value) == pytest.approx(float(expected), rel=1e-5)
    assert ours is not None
    torch.testing.assert_close(ours, generator.head.dense.weight.grad, rtol=1e-4, atol=1e-6)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Numbers to be translated."""
    source: dict[str, Any] = {"label": "label", "target": TARGET.model_dump()}
    monkeypatch.setitem(project.OPTIONS, "full", {**project.OPTIONS["full"], "epochs": 20, "patience": 20})
    return project.make(tmp_path, monkeypatch, FAMILY.task, source, trained(), translations, max_length=16)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_translations_are_learnt_evaluated_and_written(architecture: str, settings: Params) -> None:
    project.pretrained(architecture)
    folder, figures = project.tune(settings, "full")
    table = pd.read_parquet(project.predictions("full"))
    assert list(table.columns) == ["id", "label", "prediction"]
    said, asked = table["prediction"].tolist(), translations(100, 2)
    assert table["label"].tolist() == asked["label"]
    expected = BLEU().corpus_score(said, [asked["label"]]).score / 100
    assert figures["test.bleu"] == figures["test.score"] == pytest.approx(expected)
    assert expected > 0.8
    found = evaluation.evaluate(settings, "asked", runs.read(settings, "asked"))
    assert (found.metric, found.flags) == ("bleu", [])
    predictor = Predictor(folder)
    assert predictor.columns == ["generated_text"]
    again = predictor.answer([[text] for text in asked["text"]], ["text"])
    assert [answer.values["generated_text"] for answer in again if isinstance(answer, Answer)] == said


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("method", sorted({*METHODS} - {"full", *NOT_FOR_WRITING}))
def test_every_method_that_trains_teaches_to_write(method: str, architecture: str, settings: Params) -> None:
    """What was trained is written alone, and what is loaded from it answers as what was scored."""
    project.pretrained(architecture)
    shortened = settings.methods | {method: {**settings.methods[method], "epochs": 2}}
    settings = settings.model_copy(update={"methods": shortened})
    folder, _ = project.tune(settings, method)
    (said,) = Predictor(folder).answer([["one two"]], ["text"])
    assert isinstance(said, Answer)
    assert (folder / "adapter.safetensors").is_file() == (method != "layerwise_decay")


@pytest.mark.parametrize("method", NOT_FOR_WRITING)
def test_methods_that_cannot_write_say_so(method: str, settings: Params) -> None:
    project.pretrained("decoder")
    with pytest.raises(Inapplicable):
        project.tune(settings, method)


def test_a_checkpoint_from_elsewhere_is_not_taught_to_write(settings: Params) -> None:
    project.pretrained("imported", tuple(DICTIONARY))
    with pytest.raises(Inapplicable, match="trained elsewhere"):
        project.tune(settings, "full")


def test_full_fine_tuning_leaves_the_table_that_writes_as_it_is() -> None:
    """Bringing it to the size of an untrained one would change what the model says."""
    tokenizer = trained()
    generator, batch = model(tokenizer), examples(tokenizer).batch(np.arange(6))
    generator.transformer.embeddings.tok_embeddings.weight.data.mul_(5)
    before = generator(batch.input_ids, batch.attention_mask, batch.labels)
    Full(Full.Options(**project.OPTIONS["full"])).prepare(generator)
    assert torch.equal(generator(batch.input_ids, batch.attention_mask, batch.labels), before)
