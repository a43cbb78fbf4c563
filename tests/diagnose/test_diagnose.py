"""The stage on a task of a temporary project: every figure from answers that are asked for one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages import artifacts, params, paths
from stages.diagnose import __main__
from stages.diagnose.bias import FEWEST
from stages.diagnose.mistakes import LONGEST
from stages.diagnose.noises import NOISES
from stages.diagnose.schema import Diagnosis
from stages.predict.predictor import Answer, Predictor
from stages.task import Task
from tests.evaluate.tracked import Tracked
from tests.model import checkpoints
from tests.predict import made
from tests.recorded import noted

COUNT = 60


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Of a task whose selected model knows nothing."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    for name in ("TASKS", "MODELS", "METRICS", "TOKENIZER"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    generator = np.random.default_rng(0)
    words = [*checkpoints.HIGH, *checkpoints.LOW, "she", "he", "don't"]
    rows = [" ".join(generator.choice(words, int(generator.integers(3, 12)))) for _ in range(COUNT)]
    folder = paths.task("asked")
    folder.mkdir(parents=True)
    task = Task(family="classification", labels=made.LABELS, metric="accuracy", template="", words=())
    artifacts.write_json(folder / "task.json", task.model_dump())
    labels = generator.integers(0, 3, COUNT)
    ids = [f"{number:03d}" for number in range(COUNT)]
    pq.write_table(pa.table({"text": rows, "label": labels, "id": ids}), folder / "test.parquet")
    made.tuned(paths.selected("asked"), "encoder")
    artifacts.write_json(paths.selected("asked") / "run.json", noted(task="asked", seed=1))
    return rows


def run(monkeypatch: pytest.MonkeyPatch) -> Diagnosis:
    settings = params.load()
    monkeypatch.setattr(params, "load", lambda: settings)
    Tracked(monkeypatch)
    __main__.main(["--task", "asked"])
    return Diagnosis.model_validate(artifacts.read_json(paths.METRICS / "diagnose" / "asked.json"))


def test_figures_are_those_of_the_answers(texts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = run(monkeypatch)
    assert (found.task, found.model, found.examples) == ("asked", "mlm-full-1", COUNT)
    predictor = Predictor(paths.selected("asked"))
    labels = pq.read_table(paths.task("asked") / "test.parquet")["label"].to_pylist()
    answers = predictor.answer([[text] for text in texts], ["text"])
    said = [answer.values["label"] for answer in answers if isinstance(answer, Answer)]
    right = np.mean([one == made.LABELS[label] for one, label in zip(said, labels, strict=True)])
    assert [each.noise for each in found.disturbed] == list(NOISES)
    lowered = {each.noise: each for each in found.disturbed}["lower case"]
    assert (lowered.accuracy, lowered.drop, lowered.changed) == (pytest.approx(right), 0, 0)
    for each in found.disturbed:
        assert each.accuracy == pytest.approx(right - each.drop)
        assert each.lower <= each.drop <= each.upper
    (swapped,) = found.swapped
    assert swapped.texts == sum(any(word in ("she", "he") for word in text.split()) for text in texts) > FEWEST
    wrong = [
        (max(float(answer.values[f"probability_{name}"]) for name in made.LABELS), text)
        for answer, text, label in zip(answers, texts, labels, strict=True)
        if isinstance(answer, Answer) and answer.values["label"] != made.LABELS[label]
    ]
    wrong.sort(key=lambda pair: -pair[0])
    assert [each.text for each in found.mistakes] == [text for _, text in wrong[:5]]
    assert len(found.attributions) == 5
    assert all(len(each.text) <= LONGEST + 2 for each in found.mistakes)


def test_twice_is_the_same(texts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch) == run(monkeypatch)


def test_a_task_of_another_family_says_so(texts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    task = Task(family="regression", labels=(), metric="pearson")
    artifacts.write_json(paths.task("asked") / "task.json", task.model_dump())
    found = run(monkeypatch)
    assert (found.labels, found.reason, found.disturbed) == ([], "its answers are those of regression", [])
