"""Questions and answers: windows, what is learnt of them, and what becomes of an answer in every room."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer
from torch.nn import functional as F

from stages import params
from stages.errors import Inapplicable
from stages.evaluate import evaluation, runs
from stages.finetune.tasks.question_answering import QuestionAnswering
from stages.finetune.tokenization import Tokenization
from stages.finetune.windows import NOWHERE, Windows
from stages.params import Params
from stages.predict.predictor import Answer, Predictor
from stages.task import Task
from stages.tokenizer import train as tokenizer_training
from tests.finetune import project
from tests.finetune.test_tagged import ARCHITECTURES, FIRST, LAST, PLACES, WORDS

ALWAYS, SOMETIMES = (
    QuestionAnswering(
        Task(family="question_answering", labels=("start", "end"), metric="f1", silent=silent, template="", words=())
    )
    for silent in (False, True)
)
ALGORITHMS = ("wordpiece", "bpe", "unigram")


def questions(count: int, seed: int, silent: bool = False) -> list[tuple[str, str, str]]:
    """Who, or where? The one name, or the one place, in the text; or none."""
    generator = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        asked = str(generator.choice(["who", "where"]))
        name, place = f"{generator.choice(FIRST)} {generator.choice(LAST)}", str(generator.choice(PLACES))
        words = [str(word) for word in generator.choice(WORDS, int(generator.integers(4, 9)))]
        lacking = silent and generator.random() < 0.3
        held = [name, place] if not lacking else [place if asked == "who" else name]
        for part in held:
            words.insert(int(generator.integers(len(words))), part)
        text, answer = " ".join(words), name if asked == "who" else place
        label = [] if lacking else [[answer, text.index(answer)]]
        made.append((asked, text, json.dumps(label)))
    return made


def trained(algorithm: str) -> Tokenizer:
    settings = params.load().tokenizer.model_copy(update={"vocab_size": 400, "algorithm": algorithm})
    texts = [f"{asked} {text}" for asked, text, _ in questions(12, 9)]
    return tokenizer_training.train(lambda: iter([texts, ["abc, xyz! jklmn?"]]), settings)


def windows(rows: list[tuple[str, str, str]], tokenizer: Tokenizer, length: int = 64) -> Windows:
    asked, texts, labels = zip(*rows, strict=True)
    return Windows(asked, texts, np.array(labels, dtype=np.object_), tokenizer, Tokenization(tokenizer, 0, length))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_answer_is_the_tokens_that_hold_it(algorithm: str) -> None:
    """Their characters in the text are the answer's, up to a blank that a token begins with."""
    rows = questions(30, 0)
    made = windows(rows, trained(algorithm))
    assert len(made) == 30
    for (_, text, label), window in zip(rows, made._windows, strict=True):
        first, last = window.answer
        [[answer, _]] = json.loads(label)
        assert text[window.characters[first, 0] : window.characters[last, 1]].strip() == answer


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_windows_of_a_long_text_hold_all_of_it_and_the_whole_question(algorithm: str) -> None:
    """They overlap, none is too long, and the answer is marked in each that holds all of it, and there alone."""
    tokenizer = trained(algorithm)
    text = " ".join(["slowly went to"] * 30 + ["anna novak"] + ["saw the"] * 30)
    made = windows([("who", text, json.dumps([["anna novak", text.index("anna")]]))], tokenizer, 40)
    asked = tokenizer.encode("who", add_special_tokens=False).ids
    covered: set[int] = set()
    marked = []
    for window in made._windows:
        assert len(window.ids) <= 40
        assert window.ids[1 : 1 + len(asked)] == asked
        inside = window.characters[window.characters[:, 0] >= 0]
        start, end = int(inside[0, 0]), int(inside[-1, 1])
        assert not covered or start < max(covered)
        covered |= set(range(start, end))
        whole = start <= text.index("anna") and end >= text.index("novak") + 5
        assert (window.answer != NOWHERE) == whole
        marked.append(whole)
    assert set(marked) == {True, False}
    assert covered == set(range(len(text)))


def test_the_loss_is_that_of_transformers(tmp_path: Path) -> None:
    """`BertForQuestionAnswering` averages the cross-entropies of both ends, as it does over a batch."""
    made = windows(questions(6, 1), trained("wordpiece"))
    batch = made.batch(np.arange(6))
    outputs = torch.randn(*batch.input_ids.shape, 2, generator=torch.Generator().manual_seed(0))
    start, end = (F.cross_entropy(outputs[..., side], batch.labels[:, side]) for side in (0, 1))
    assert float(ALWAYS.loss(outputs, batch.labels)) == pytest.approx(6 * float((start + end) / 2), rel=1e-5)


@pytest.mark.parametrize("family", [ALWAYS, SOMETIMES], ids=["always", "sometimes"])
def test_the_surest_pair_of_ends_answers(family: QuestionAnswering) -> None:
    """By brute force over all windows and pairs; none, where that may be, if all are surer of their first token."""
    generator = np.random.default_rng(0)
    text = " ".join(str(word) for word in generator.choice(WORDS, 60))
    made = windows([("who", text, "[]"), ("where", "rome", "[]")], trained("wordpiece"), 40)
    batch = made.batch(np.arange(len(made)))
    drawn = torch.Generator().manual_seed(1)
    for _ in range(20):
        outputs = torch.randn(*batch.input_ids.shape, 2, generator=drawn)
        found = made.joined(family.read(outputs, batch))
        for owner, whole in enumerate((text, "rome")):
            best, none = (-np.inf, ""), np.inf
            for row, window in enumerate(made._windows):
                if window.owner != owner:
                    continue
                places = np.flatnonzero(window.characters[:, 0] >= 0)
                for first in places:
                    for last in places[(places >= first) & (places < first + 30)]:
                        sure = float(outputs[row, first, 0] + outputs[row, last, 1])
                        best = max(best, (sure, whole[window.characters[first, 0] : window.characters[last, 1]]))
                none = min(none, float(outputs[row, 0].sum()))
            expected = "" if family.task.silent and none >= best[0] else best[1]
            assert found[owner] == expected


@pytest.fixture(params=["always", "sometimes"])
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Params:
    """Questions in a temporary project."""
    family = SOMETIMES if request.param == "sometimes" else ALWAYS
    source = {"text": ["question", "context"], "label": "answers", "answers": request.param}
    monkeypatch.setitem(project.OPTIONS, "full", {**project.OPTIONS["full"], "epochs": 12, "patience": 12})

    def rows(count: int, seed: int) -> project.Columns:
        columns = zip(*questions(count, seed, family.task.silent), strict=True)
        return dict(zip(("text", "text_pair", "label"), columns, strict=True))

    return project.make(tmp_path, monkeypatch, family.task, source, trained("wordpiece"), rows, max_length=48)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_questions_are_learnt_evaluated_and_answered(architecture: str, settings: Params) -> None:
    project.pretrained(architecture, (*FIRST, *LAST, *PLACES, *WORDS, "who", "where"))
    folder, figures = project.tune(settings, "full")
    table = pd.read_parquet(project.predictions("full"))
    accepted = [json.loads(label) for label in table["label"]]
    said = table["prediction"].tolist()
    right = [answer in given if given else not answer for answer, given in zip(said, accepted, strict=True)]
    assert figures["test.exact_match"] == pytest.approx(np.mean(right))
    assert figures["test.f1"] == figures["test.score"] > 0.6
    found = evaluation.evaluate(settings, "asked", runs.read(settings, "asked"))
    assert (found.metrics, found.flags) == (["f1", "exact_match"], [])
    predictor = Predictor(folder)
    rows = [[asked, text] for asked, text, _ in questions(100, 2, settings.sources["asked"].answers == "sometimes")]
    again = [answer.values for answer in predictor.answer(rows, ["text", "text_pair"]) if isinstance(answer, Answer)]
    assert again == [{"answer": answer} for answer in said]


@pytest.mark.parametrize("method", ["frozen", "zero_shot"])
def test_methods_that_cannot_answer_say_so(method: str, settings: Params) -> None:
    project.pretrained("encoder")
    with pytest.raises(Inapplicable):
        project.tune(settings, method)
