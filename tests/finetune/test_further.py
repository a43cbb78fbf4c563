"""Further sets are answered by the final model: figures where labels are known, a leaderboard's file where not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from stages import artifacts, paths, task
from stages.corpus.tables import FURTHER
from stages.finetune import leaderboard
from stages.finetune.score import score
from stages.model import classifier
from stages.model.classifier import Classifier
from stages.model.classifier_config import ClassifierConfig
from stages.model.config import TransformerConfig
from stages.model.transformer import Transformer, initialize
from stages.params import Finetune, Tokenizer
from stages.task import FurtherSet, Task
from stages.tokenizer import encode
from stages.tokenizer import files as tokenizer_files
from stages.tokenizer import train as tokenizer_training
from tests.finetune.made import CLASSES, SCORES
from tests.model import checkpoints

LIMITS = Finetune(methods=["full"], max_train_examples=50, max_validation_examples=50, max_length=24)
IDENTITY = {"objective": "ours", "method": "full", "seed": 0, "compressor": "none"}
HIDDEN = FurtherSet(labelled=False, answers="name", bounds=None)
SETS = {"more": FurtherSet(labelled=True, answers="index", bounds=None), "BOARD-x": HIDDEN}


def texts(count: int, seed: int) -> list[str]:
    """Texts of 2 to 30 words of two kinds, mixed at another rate in each."""
    generator = np.random.default_rng(seed)
    kinds = (checkpoints.LOW, checkpoints.HIGH)

    def word(rate: float) -> str:
        return str(generator.choice(kinds[int(generator.random() < rate)]))

    return [" ".join(word(rate) for _ in range(generator.integers(2, 30))) for rate in generator.random(count)]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tokenizer that knows the words."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    for name in ("TASKS", "ENCODED", "PREDICTIONS", "MODELS", "TOKENIZER"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    words = [[*checkpoints.LOW, *checkpoints.HIGH]]
    settings = Tokenizer(algorithm="wordpiece", vocab_size=400, lowercase=True)
    tokenizer_files.save(tokenizer_training.train(lambda: iter(words), settings), paths.TOKENIZER)
    return tmp_path


def written(described: Task) -> None:
    """The task's folders, with labels that any model gets wrong now and then."""
    artifacts.write_json(paths.task("made") / task.FILE, described.model_dump())
    (paths.task("made") / FURTHER).mkdir()
    for seed, name in enumerate(("validation", "test", f"{FURTHER}/more", f"{FURTHER}/BOARD-x")):
        said = texts(40, seed)
        said[7] = said[3] if name.startswith(FURTHER) else said[7]
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 2, 40) if described.labels else rng.random(40).astype(np.float32)
        known = {} if name.endswith("BOARD-x") else {"label": labels}
        table = pa.table({"text": said, **known, "id": [f"{index:016x}" for index in range(40)]})
        pq.write_table(table, paths.task("made") / f"{name}.parquet")


def tuned(described: Task) -> Classifier:
    """A model whose head says different things of different texts, in its folder."""
    body = Transformer(TransformerConfig(400, 32, 2, 2, 48, causal=False))
    initialize(body, torch.Generator().manual_seed(0))
    model = Classifier(body, ClassifierConfig(described.labels, tuple(body.depths), LIMITS.max_length)).eval()
    torch.nn.init.normal_(model.classifier.weight, generator=torch.Generator().manual_seed(1))
    return model


def scored(described: Task, project: Path, encoded: bool) -> tuple[Classifier, dict[str, float]]:
    """What the stage does once a model is fitted; its tokenizer is the project's, or one that is read with anew."""
    written(described)
    tokenizer = tokenizer_files.load(paths.TOKENIZER)
    folder, model = project / "model", tuned(described)
    folder.mkdir()
    artifacts.write_json(folder / classifier.CLASSIFIER, classifier.to_dict(model.config))
    artifacts.write_json(folder / "config.json", {"pad_token_id": 0})
    source = (paths.TOKENIZER / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(source if encoded else source + "\n")
    if encoded:
        for name in encode.sets(paths.task("made"))[1:]:
            encode.encode(tokenizer, paths.task("made") / f"{name}.parquet", paths.encoded("made") / name)
    figures = score(
        model, torch.float32, LIMITS, task="made", folder=folder, predicted=paths.PREDICTIONS / "run", run=IDENTITY
    )
    return model, figures


def alone(model: Classifier, text: str) -> np.ndarray[Any, Any]:
    """What the model says of one text, by itself: nothing that was put in a batch or into an order."""
    ids = tokenizer_files.load(paths.TOKENIZER).encode(text).ids
    ids = ids if len(ids) <= LIMITS.max_length else [*ids[: LIMITS.max_length - 1], ids[-1]]
    with torch.no_grad():
        return model(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long))[0].numpy()


@pytest.mark.parametrize("encoded", [True, False], ids=["encoded before", "encoded now"])
def test_classes(project: Path, encoded: bool) -> None:
    model, figures = scored(CLASSES.task.model_copy(update={"further": SETS}), project, encoded)
    asked = {name: list(pd.read_parquet(paths.task("made") / FURTHER / f"{name}.parquet")["text"]) for name in SETS}
    expected = {name: [int(alone(model, text).argmax()) for text in said] for name, said in asked.items()}
    assert {*expected["more"], *expected["BOARD-x"]} == {0, 1}
    frame = pd.read_parquet(paths.PREDICTIONS / "run" / FURTHER / "more.parquet")
    assert list(frame.columns) == ["id", "label", "prediction", "score_0", "score_1"]
    assert [int(value, 16) for value in frame["id"]] == list(range(40))
    assert list(frame["prediction"]) == expected["more"]
    for name, metric in (("accuracy", accuracy_score), ("f1", f1_score), ("matthews", matthews_corrcoef)):
        assert figures[f"more.{name}"] == pytest.approx(metric(frame["label"], expected["more"]))
    assert not any(name.startswith("BOARD") for name in figures)
    text = (paths.PREDICTIONS / "run" / "BOARD-x.tsv").read_bytes().decode()
    names = [("low", "high")[answer] for answer in expected["BOARD-x"]]
    assert text == "index\tprediction\n" + "".join(f"{index}\t{name}\n" for index, name in enumerate(names))
    assert sorted(file.name for file in (paths.PREDICTIONS / "run").iterdir()) == [
        "BOARD-x.tsv", "further", "predictions.parquet", "run.json",
    ]  # fmt: skip


def test_scores_are_cut_to_their_bounds(project: Path) -> None:
    bounded = HIDDEN.model_copy(update={"bounds": (-0.5, 0.5)})
    model, figures = scored(
        SCORES.task.model_copy(update={"further": {"more": SETS["more"], "BOARD-x": bounded}}), project, True
    )
    asked = pd.read_parquet(paths.task("made") / FURTHER / "BOARD-x.parquet")["text"]
    raw = np.array([float(alone(model, text)[0]) for text in asked])
    assert (np.abs(raw) > 0.5).any()
    assert (np.abs(raw) < 0.5).any()
    frame = pd.read_csv(paths.PREDICTIONS / "run" / "BOARD-x.tsv", sep="\t")
    np.testing.assert_allclose(frame["prediction"], raw.clip(-0.5, 0.5), atol=2e-5)
    assert {name for name in figures if name.startswith("more.")} == {"more.score", "more.pearson", "more.spearman"}


def test_classes_by_index(tmp_path: Path) -> None:
    """As the server wants CoLA, SST-2, MRPC, QQP and WNLI."""
    scores = np.array([[0.2, 0.8], [0.9, 0.1]], dtype=np.float32)
    asked = HIDDEN.model_copy(update={"answers": "index"})
    leaderboard.write(tmp_path / "CoLA.tsv", CLASSES, asked, scores)
    assert (tmp_path / "CoLA.tsv").read_text() == "index\tprediction\n0\t1\n1\t0\n"


def test_a_task_without_any_has_no_more_files_than_before(project: Path) -> None:
    scored(CLASSES.task, project, True)
    assert sorted(file.name for file in (paths.PREDICTIONS / "run").iterdir()) == ["predictions.parquet", "run.json"]
