"""Tags of words: which piece answers for which word, what is learnt of it, and what becomes of it in every room."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from seqeval.metrics import f1_score
from tokenizers import Tokenizer

from stages import params
from stages.errors import Inapplicable
from stages.evaluate import evaluation, runs
from stages.finetune import tagged
from stages.finetune.tagged import IGNORED, TaggedExamples
from stages.finetune.tasks.token_classification import TokenClassification
from stages.finetune.tokenization import Tokenization
from stages.model.classifier import Classifier
from stages.model.classifier_config import ClassifierConfig
from stages.model.config import TransformerConfig
from stages.model.transformer import LanguageModel, initialize
from stages.params import Params
from stages.predict.predictor import Answer, Predictor
from stages.task import Task
from stages.tokenizer import train as tokenizer_training
from tests.finetune import project

TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
FAMILY = TokenClassification(Task(family="token_classification", labels=TAGS, metric="f1"))
FIRST, LAST, PLACES = ("anna", "boris", "clara", "dmitri"), ("novak", "petrova", "quine"), ("rome", "samarkand", "tver")
WORDS = ("the", "of", "went", "saw", "slowly", "unbelievably", "and", "to", "again", "yesterday")
ALGORITHMS = ("wordpiece", "bpe", "unigram")


def sentence(generator: np.random.Generator) -> tuple[str, str]:
    """Words, among them names of one or two words, and their tags."""
    words: list[str] = []
    tags: list[str] = []
    for _ in range(int(generator.integers(3, 8))):
        kind = generator.random()
        if kind < 0.25:
            words += [str(generator.choice(FIRST)), str(generator.choice(LAST))]
            tags += ["B-PER", "I-PER"]
        elif kind < 0.45:
            words.append(str(generator.choice(PLACES)))
            tags.append("B-LOC")
        else:
            words.append(str(generator.choice(WORDS)))
            tags.append("O")
    return " ".join(words), " ".join(tags)


def sentences(count: int, seed: int) -> tuple[list[str], list[str]]:
    generator = np.random.default_rng(seed)
    texts, tags = zip(*(sentence(generator) for _ in range(count)), strict=True)
    return list(texts), list(tags)


def trained(algorithm: str) -> Tokenizer:
    """With so few entries that most words are several pieces."""
    settings = params.load().tokenizer.model_copy(update={"vocab_size": 400, "algorithm": algorithm})
    return tokenizer_training.train(lambda: iter([sentences(30, 9)[0][:3], ["abc, xyz! jklmn?"]]), settings)


def examples(texts: Sequence[str], tags: Sequence[str], tokenizer: Tokenizer, length: int = 64) -> TaggedExamples:
    return TaggedExamples(texts, np.array(tags, dtype=np.object_), tokenizer, TAGS, Tokenization(tokenizer, 0, length))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_word_is_answered_for_at_its_first_piece(algorithm: str) -> None:
    """Which is the one that the word's first letter is in; blanks are no word's."""
    tokenizer = trained(algorithm)
    for text in [*sentences(20, 0)[0], "a, b", "what?! (no)", "tver"]:
        encoding = tokenizer.encode(text)
        words = tagged.first_pieces(encoding, text)
        found = {int(word): token for token, word in enumerate(words) if word >= 0}
        assert list(found) == list(range(len(text.split())))
        start = 0
        for number, word in enumerate(text.split()):
            start = text.index(word, start)
            first, end = encoding.offsets[found[number]]
            assert first <= start < end
            start += len(word)


def test_pieces_are_those_of_the_library_that_is_given_words() -> None:
    """Its own account of which token is of which word, for a tokenizer to which blanks are nothing."""
    tokenizer = trained("wordpiece")
    for text in [*sentences(20, 1)[0], "what?! (no) a,b"]:
        split = tokenizer.encode(text.split(), is_pretokenized=True)
        assert split.ids == tokenizer.encode(text).ids
        seen: set[int] = set()
        expected = [-1 if word is None or word in seen or seen.add(word) else word for word in split.word_ids]
        assert tagged.first_pieces(tokenizer.encode(text), text).tolist() == expected


def test_the_loss_is_the_mean_over_words_of_each_example() -> None:
    """One word at a time; pieces behind the first, special tokens and padding have no part in it."""
    texts, tags = sentences(5, 2)
    batch = examples(texts, tags, trained("wordpiece")).batch(np.arange(5))
    outputs = torch.randn(*batch.input_ids.shape, len(TAGS), generator=torch.Generator().manual_seed(0))
    expected = 0.0
    for row, answer in enumerate(tags):
        places = [place for place in range(batch.input_ids.shape[1]) if batch.labels[row, place] != IGNORED]
        named = answer.split()
        assert len(places) == len(named)
        losses = [
            -outputs[row, place].log_softmax(0)[TAGS.index(tag)] for place, tag in zip(places, named, strict=True)
        ]
        expected += float(sum(losses)) / len(named)
    assert float(FAMILY.loss(outputs, batch.labels)) == pytest.approx(expected, rel=1e-5)


def test_words_that_are_cut_off_stand_outside() -> None:
    """There are as many answers as words; what the model reads ends in [SEP], which is no word."""
    texts, tags = ["anna novak " * 30, "rome"], ["B-PER I-PER " * 30, "B-LOC"]
    made = examples([text.strip() for text in texts], [tag.strip() for tag in tags], trained("wordpiece"), 16)
    batch = made.batch(np.arange(2))
    outputs = torch.zeros(*batch.input_ids.shape, len(TAGS))
    outputs[..., 1] = 1.0
    first, second = (answer.split() for answer in FAMILY.read(outputs, batch))
    read = int((batch.labels[0] != IGNORED).sum())
    assert batch.input_ids.shape[1] == 16
    assert 0 < read <= 14
    assert first == ["B-PER"] * read + ["O"] * (60 - read)
    assert second == ["B-PER"]
    assert batch.labels[0, 15] == IGNORED


@pytest.mark.parametrize("causal", [False, True])
def test_padding_on_either_side_changes_no_answer(causal: bool) -> None:
    tokenizer = trained("wordpiece")
    model = LanguageModel(TransformerConfig(tokenizer.get_vocab_size(), 32, 2, 2, 48, causal)).model
    initialize(model, generator := torch.Generator().manual_seed(0))
    for parameter in model.parameters():
        parameter.data.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    reader = Classifier(model, ClassifierConfig(TAGS, tuple(model.depths), 64, "none")).eval()
    torch.nn.init.normal_(reader.classifier.weight, generator=generator)
    batch = examples(*sentences(6, 3), tokenizer).batch(np.arange(6))
    lengths = batch.attention_mask.sum(1).tolist()
    order = torch.tensor([[*range(length, batch.input_ids.shape[1]), *range(length)] for length in lengths])
    with torch.no_grad():
        right = reader(batch.input_ids, batch.attention_mask)
        left = reader(batch.input_ids.gather(1, order), batch.attention_mask.gather(1, order))
    for row, length in enumerate(lengths):
        assert torch.equal(right[row, :length], left[row, -length:])


ARCHITECTURES = ("encoder", "decoder", "imported")


PIECES = (*FIRST, *LAST, *PLACES, *WORDS[:-1], "yester", "##day")
"""What an imported model's tokenizer knows."""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Names in a temporary project, whose tokenizer cuts most words into pieces."""
    source = {"label": "tag", "labels": list(TAGS), "tags": True}

    def rows(count: int, seed: int) -> project.Columns:
        return dict(zip(("text", "label"), sentences(count, seed), strict=True))

    few = {"max_train_examples": 300, "max_length": 40}
    return project.make(tmp_path, monkeypatch, FAMILY.task, source, trained("wordpiece"), rows, **few)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("method", ["frozen", "full", "lora", "prompt"])
def test_names_are_learnt_and_judged_by_entities(method: str, architecture: str, settings: Params) -> None:
    """By seqeval, of what was written; a head on frozen states finds less than all weights do, but not nothing."""
    project.pretrained(architecture, PIECES)
    _, figures = project.tune(settings, method)
    table = pd.read_parquet(project.predictions(method))
    assert list(table.columns) == ["id", "label", "prediction"]
    assert table["label"].tolist() == sentences(100, 2)[1]
    found = f1_score([row.split() for row in table["label"]], [row.split() for row in table["prediction"]])
    assert figures["test.f1"] == figures["test.score"] == pytest.approx(found)
    assert found > (0.65 if method == "full" else 0.6)


def test_it_is_evaluated_with_intervals_and_a_model_that_finds_nothing_is_flagged(settings: Params) -> None:
    project.pretrained("encoder", PIECES)
    _, figures = project.tune(settings, "full")
    found = evaluation.evaluate(settings, "asked", runs.read(settings, "asked"))
    assert (found.metrics, found.metric, found.flags) == (["f1", "precision", "recall", "accuracy"], "f1", [])
    (f1,) = (row for row in found.rows if row.metric == "f1")
    assert f1.value == pytest.approx(figures["test.f1"])
    assert f1.lower is not None
    assert f1.upper is not None
    assert f1.lower < f1.value <= f1.upper
    file = project.predictions("full")
    table = pd.read_parquet(file)
    table.assign(prediction=[" ".join("O" for _ in row.split()) for row in table["label"]]).to_parquet(file)
    (flag,) = evaluation.evaluate(settings, "asked", runs.read(settings, "asked")).flags
    assert flag.reason == "predicts O for every word"


@pytest.mark.parametrize("architecture", ["encoder", "imported"])
def test_a_tuned_model_tags_texts(architecture: str, settings: Params) -> None:
    """As many tags as words, those that were scored; of a text that is cut, `O` behind the cut."""
    project.pretrained(architecture, PIECES)
    folder, _ = project.tune(settings, "full")
    predictor = Predictor(folder)
    texts = sentences(100, 2)[0]
    answers = predictor.answer([[text] for text in [*texts, "anna novak " * 200, ""]], ["text"])
    assert predictor.columns == ["label"]
    said = [answer.values["label"] for answer in answers if isinstance(answer, Answer)]
    table = pd.read_parquet(project.predictions("full"))
    assert said[:100] == table["prediction"].tolist()
    assert len(said) == 101
    assert isinstance(answers[100], Answer)
    assert answers[100].is_cut
    assert (len(said[100].split()), said[100].split()[-1]) == (400, "O")


def test_methods_without_tuning_do_not_fit(settings: Params) -> None:
    project.pretrained("encoder", PIECES)
    with pytest.raises(Inapplicable, match="no classes of a text"):
        project.tune(settings, "zero_shot")
