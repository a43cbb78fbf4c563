"""A checkpoint with its own tokenizer through all rooms: tuned, scored, selected, compressed, measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from stages import artifacts, params, paths, record, task
from stages.compress import files as compressed_files
from stages.finetune import examples, files
from stages.finetune.__main__ import main
from stages.finetune.run import checkpoint_of, finetune, method_of
from stages.finetune.score import score
from stages.finetune.tokenization import Tokenization
from stages.intermediate.lend import lend
from stages.model import classifier
from stages.params import Params
from stages.select import choose
from stages.speed import models as speed
from stages.tokenizer import encode
from stages.tokenizer import files as tokenizer_files
from stages.tokenizer import train as tokenizer_training
from tests.compress.made import compress
from tests.finetune.made import TASK
from tests.finetune.methods.made import OPTIONS
from tests.model import checkpoints
from tests.training.toy import Silent

SIZES = {"parameters": 1, "trainable_parameters": 1}
IDENTITY = {"objective": "theirs", "method": "full", "seed": 0, "compressor": "none", **SIZES}


def texts(count: int, seed: int) -> tuple[list[str], list[int]]:
    """Texts of 4 to 30 words, four of five of them those of their class."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, count).tolist()
    kinds = (checkpoints.LOW, checkpoints.HIGH)

    def word(label: int) -> str:
        return str(generator.choice(kinds[label if generator.random() < 0.8 else 1 - label]))

    return [" ".join(word(label) for _ in range(generator.integers(4, 30))) for label in labels], labels


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """A task in words that the checkpoint knows, and that are all [UNK] to the project's tokenizer."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    for name in ("TASKS", "ENCODED", "PREDICTIONS", "MODELS", "TOKENIZER", "STATE", "INTERMEDIATE", "CORPUS"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    content = params.load().model_dump()
    content["tokenizer"]["vocab_size"] = 400
    content |= {"engine": {"precision": "fp32", "threads": 1}, "objectives": {"theirs": {"start": "theirs"}}}
    content |= {"seeds": [0], "tasks": ["imdb"], "methods": {**OPTIONS, "zero_shot": {}}}
    content["pretrain"]["objectives"], content["finetune"]["max_train_examples"] = ["theirs"], 200
    made = params.parse(Params, content, "params.yaml")
    tokenizer_files.save(tokenizer_training.train(lambda: iter([["0123 4567 89"]]), made.tokenizer), paths.TOKENIZER)
    paths.task("imdb").mkdir(parents=True)
    artifacts.write_json(paths.task("imdb") / task.FILE, TASK.model_dump())
    for seed, (split, count) in enumerate((("train", 300), ("validation", 100), ("test", 100))):
        sentences, labels = texts(count, seed)
        table = paths.task("imdb") / f"{split}.parquet"
        pq.write_table(
            pa.table({"id": [str(index) for index in range(count)], "text": sentences, "label": labels}), table
        )
        encode.encode(tokenizer_files.load(paths.TOKENIZER), table, paths.encoded("imdb") / split)
    artifacts.write_json(paths.CORPUS / "made.json", {})
    checkpoints.save(paths.pretrained("theirs", 0), "roberta")
    lend(made)
    return made


def tune(settings: Params, method: str) -> Path:
    """Tune the checkpoint and write it, as the stage does; its folder."""
    target = paths.finetuned("imdb", "theirs", method, 0)
    checkpoint = checkpoint_of(settings, "imdb", "theirs", method, 0)
    tuned = finetune(settings, "imdb", "theirs", method, 0, checkpoint, Silent())
    files.save(target, tuned, method, method_of(settings, method), paths.pretrained("theirs", 0))
    return target


def scored(settings: Params, folder: Path, model: object, name: str) -> dict[str, float]:
    """The figures of a model, and its predictions in a folder of this name."""
    predicted = paths.PREDICTIONS / "finetuned" / "imdb" / name
    return score(
        model,  # type: ignore[arg-type]
        torch.float32,
        settings.finetune,
        task="imdb",
        folder=folder,
        predicted=predicted,
        run=IDENTITY,
    )


@pytest.mark.parametrize("method", ["frozen", "full", "lora", "prompt"])
def test_it_is_tuned_and_scored_with_its_own_tokenizer(method: str, settings: Params) -> None:
    """On words that are one and the same to the project's own; longer texts are cut to the positions that it has."""
    folder = tune(settings, method)
    figures = scored(settings, folder, files.load(folder), folder.name)
    assert classifier.load_config(folder).max_length == 22 - method_of(settings, method).virtual_tokens
    assert figures["test.accuracy"] > 0.85
    predicted = pd.read_parquet(paths.PREDICTIONS / "finetuned" / "imdb" / folder.name / "predictions.parquet")
    right = (predicted["prediction"] == texts(100, 2)[1]).mean()
    assert figures["test.accuracy"] == pytest.approx(right)


def test_ours_would_not_do(settings: Params) -> None:
    """What was encoded before has no word in it."""
    stored = examples.load("imdb", "test", Tokenization(None, 0, 64))
    assert {tuple(set(stored.batch(np.array([place])).input_ids[0].tolist())) for place in range(100)} == {(1, 2, 3)}


@pytest.mark.parametrize(
    "tried", [["frozen", "full"], ["adalora"], ["adapter"], ["prefix"], ["p_tuning"]], ids="-".join
)
def test_it_is_selected_compressed_and_measured(
    tried: list[str], settings: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing but what lies in its folders; int8 answers nearly as fp32 does."""
    compress_alone = settings.compress.model_copy(update={"compressors": ["int8_dynamic"]})
    chosen = {"finetune": settings.finetune.model_copy(update={"methods": tried}), "compress": compress_alone}
    settings = settings.model_copy(update=chosen)
    for method in tried:
        folder = tune(settings, method)
        scored(settings, folder, files.load(folder), folder.name)
    choose.write(choose.choose(settings, "imdb")[paths.BEST], paths.selected("imdb"))
    paths.pretrained("theirs", 0).rename(tmp_path / "away")
    small = paths.compressed("imdb", paths.BEST, "int8_dynamic")
    compress(small, paths.selected("imdb"), "int8_dynamic")
    figures = scored(settings, small, compressed_files.load(small), "small")
    original = scored(settings, paths.selected("imdb"), files.load(paths.selected("imdb")), "selected")
    assert figures["test.accuracy"] == pytest.approx(original["test.accuracy"], abs=0.05)
    monkeypatch.setattr(speed, "SINGLES", 10)
    monkeypatch.setattr(speed.memory, "measure", lambda folder, _: files.size(folder))  # has tests of its own
    rows = speed.measure(settings, "imdb", paths.BEST)
    assert {row.subject for row in rows} == {"imdb/best", "imdb/best/int8_dynamic"}
    assert all(row.value > 0 for row in rows)


def test_a_method_that_does_not_fit_leaves_its_reason(
    settings: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the place of the model and of its predictions, for the stages that read them; and the stage does not fail."""
    for name in ("CURVES", "STATE"):
        monkeypatch.setattr(paths, name, paths.ROOT / name.lower())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{paths.ROOT / 'mlflow.db'}")
    monkeypatch.setattr(params, "load", lambda: settings)
    target = paths.finetuned("imdb", "theirs", "zero_shot", 0)
    main(["--task", "imdb", "--objective", "theirs", "--method", "zero_shot", "--seed", "0"])
    expected = record.Absence(
        objective="theirs",
        method="zero_shot",
        compressor="none",
        seed=0,
        reason="it is no language model: its head does not say how likely a word is",
    )
    for folder in (target, paths.PREDICTIONS / "finetuned" / "imdb" / target.name):
        assert record.absence(folder) == expected
    assert (paths.CURVES / "finetune" / "imdb" / f"{target.name}.csv").read_text() == "step\n"
    assert "theirs-zero_shot-0 cannot be: it is no language model" in capsys.readouterr().out
