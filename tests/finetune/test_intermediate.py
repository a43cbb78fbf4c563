"""An intermediate task: the same as fine-tuning twice, one after the other, with a folder between them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from stages import artifacts, params, paths, task
from stages.errors import StageError
from stages.finetune import examples, files, tasks
from stages.finetune.methods.base import Tuned
from stages.finetune.predict import scores
from stages.finetune.run import checkpoint_of, finetune, method_of
from stages.finetune.tokenization import Tokenization
from stages.intermediate.lend import lend
from stages.model import files as model_files
from stages.model.config import TransformerConfig
from stages.model.transformer import LanguageModel, initialize
from stages.params import Params
from stages.task import Task
from stages.tokenizer import encode
from stages.tokenizer import files as tokenizer_files
from stages.tokenizer import train as tokenizer_training
from stages.training import loop
from tests.finetune.methods.made import OPTIONS
from tests.finetune.test_run import texts
from tests.model import checkpoints
from tests.training.toy import Silent

FIRST = Task(family="regression", labels=(), metric="pearson")
SECOND = Task(family="classification", labels=("low", "high"), metric="accuracy", words=("bad", "good"))
QUICK = {name: {**options, "epochs": 2} if "epochs" in options else options for name, options in OPTIONS.items()}
QUICK |= {"zero_shot": {}}


def write_task(name: str, described: Task, seed: int) -> None:
    """A task of words that the checkpoint knows, as the split and the encode stage leave it."""
    paths.task(name).mkdir(parents=True)
    task.write(paths.task(name), described)
    for place, split in enumerate(("train", "validation", "test")):
        said, labels = texts(120, seed + place)
        shares = [sum(word in checkpoints.HIGH for word in text.split()) / len(text.split()) for text in said]
        known = pa.array(labels, pa.int64()) if described.labels else pa.array(shares, pa.float32())
        table = paths.task(name) / f"{split}.parquet"
        pq.write_table(pa.table({"text": said, "label": known, "id": [str(index) for index in range(120)]}), table)
        encode.encode(tokenizer_files.load(paths.TOKENIZER), table, paths.encoded(name) / split)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Two tasks, the one before the other, and two pre-trained models: ours, and one with its own tokenizer."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    for name in ("TASKS", "ENCODED", "INTERMEDIATE", "PREDICTIONS", "MODELS", "TOKENIZER", "STATE"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    content = params.load().model_dump()
    content |= {"engine": {"precision": "fp32", "threads": 1}, "methods": QUICK}
    content |= {"seeds": [0], "tasks": ["imdb", "rotten_tomatoes"]}
    content["tokenizer"]["vocab_size"] = 400
    content["finetune"] |= {"max_train_examples": 100, "max_validation_examples": 60, "max_length": 20}
    content["finetune"]["intermediate"] = {"imdb": "rotten_tomatoes"}
    made = params.parse(Params, content, "params.yaml")
    words = [[*checkpoints.LOW, *checkpoints.HIGH]]
    tokenizer_files.save(tokenizer_training.train(lambda: iter(words), made.tokenizer), paths.TOKENIZER)
    write_task("imdb", SECOND, 0)
    write_task("rotten_tomatoes", FIRST, 10)
    lend(made)
    model = LanguageModel(TransformerConfig(400, 32, 2, 2, 48, causal=False))
    initialize(model, torch.Generator().manual_seed(0))
    model_files.save(paths.pretrained("ours", 0), model, paths.TOKENIZER, ["pseudo"])
    checkpoints.save(paths.pretrained("theirs", 0), "roberta")
    return made


def run(settings: Params, name: str, objective: str, method: str, observer: Silent | None = None) -> Tuned:
    """As the stage does it."""
    checkpoint = checkpoint_of(settings, name, objective, method, 0)
    return finetune(settings, name, objective, method, 0, checkpoint, observer or Silent())


def without(settings: Params) -> Params:
    """The same, but that nothing comes before anything."""
    plain = settings.model_copy(update={"finetune": settings.finetune.model_copy(update={"intermediate": {}})})
    lend(plain)
    return plain


def save_backbone(tuned: Tuned, objective: str) -> None:
    """A fitted model's backbone as a pre-trained model of the name `again`."""
    source, target = paths.pretrained(objective, 0), paths.pretrained("again", 0)
    state = tuned.model.transformer.state_dict()
    if objective == "ours":
        model = model_files.load(source)
        model.model.load_state_dict(state)
        model_files.save(target, model, paths.TOKENIZER)
    else:
        tuned.model.transformer.model.save_pretrained(target)
        checkpoints.tokens("roberta").save(str(target / "tokenizer.json"))


@pytest.mark.parametrize("objective", ["ours", "theirs"])
@pytest.mark.parametrize("method", ["frozen", "full", "lora"])
def test_it_is_fitting_twice(settings: Params, objective: str, method: str) -> None:
    """Bit for bit: all weights to the one task, then by the method to the other."""
    chained = run(settings, "imdb", objective, method)
    plain = without(settings)
    save_backbone(run(plain, "rotten_tomatoes", objective, "full"), objective)
    expected = run(plain, "imdb", "again", method)
    assert chained.curve == expected.curve
    assert chained.trainable_parameters == expected.trainable_parameters
    state, other = chained.model.state_dict(), expected.model.state_dict()
    assert state.keys() == other.keys()
    assert all(torch.equal(state[name], other[name]) for name in state)
    alone = run(plain, "imdb", objective, method).model.state_dict()
    assert not all(torch.equal(state[name], alone[name]) for name in state)


@pytest.mark.parametrize("method", ["frozen", "lora", "bitfit", "prefix"])
def test_what_is_written_is_all_of_it(settings: Params, method: str, tmp_path: Path) -> None:
    """The pre-trained model alone does not have the weights that the method began with."""
    tuned = run(settings, "imdb", "ours", method)
    files.save(tmp_path / "saved", tuned, method, method_of(settings, method), paths.pretrained("ours", 0))
    (tmp_path / "alone").mkdir()
    files.stand_alone(tmp_path / "saved", tmp_path / "alone")
    length = tuned.model.config.max_length
    test = examples.load("imdb", "test", Tokenization.of(paths.pretrained("ours", 0), length))
    family = tasks.read("imdb")
    expected = scores(tuned.model, family, test, torch.float32)
    assert (scores(files.load(tmp_path / "saved"), family, test, torch.float32) == expected).all()
    alone = scores(files.load(tmp_path / "alone"), family, test, torch.float32)
    assert alone == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("stop", [5, 11, 14, 20], ids=lambda stop: f"step {stop}")
@pytest.mark.parametrize("method", ["full", "lora"])
def test_killed_and_resumed_it_is_the_same(
    settings: Params, method: str, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In either half of the run (14 steps are of the first); but for the step that was cut off, none is done twice."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    whole = Counting()
    expected = run(settings, "imdb", "ours", method, whole)
    checkpoint_of(settings, "imdb", "ours", method, 0).discard()
    killed, second = Counting(stop_after=stop), Counting()
    with pytest.raises(KeyboardInterrupt):
        run(settings, "imdb", "ours", method, killed)
    again = run(settings, "imdb", "ours", method, second)
    assert killed.steps == whole.steps[:stop]
    assert killed.steps[:-1] + second.steps == whole.steps
    assert again.curve == expected.curve
    state, other = again.model.state_dict(), expected.model.state_dict()
    assert all(torch.equal(state[name], other[name]) for name in other)
    checkpoint_of(settings, "imdb", "ours", method, 0).discard()
    assert not list((paths.STATE / "checkpoints").iterdir())


class Counting:
    """An observer that remembers steps and figures, and stops a run as a kill would."""

    def __init__(self, stop_after: int = 10**9) -> None:
        self.steps: list[int] = []
        self.rows: list[dict[str, float]] = []
        self._stop_after = stop_after

    def step(self, step: int, tokens: int, loss: float) -> None:
        self.steps.append(step)
        if len(self.steps) == self._stop_after:
            raise KeyboardInterrupt

    def evaluated(self, row: dict[str, float]) -> None:
        self.rows.append(row)


def test_who_watches_can_tell_the_two(settings: Params) -> None:
    watching = Counting()
    tuned = run(settings, "imdb", "ours", "full", watching)
    assert [set(row) & {"score", "intermediate.score"} for row in watching.rows] == [
        *[{"intermediate.score"}] * 2,
        *[{"score"}] * 2,
    ]
    assert "intermediate.pearson" in watching.rows[0]
    assert tuned.curve == watching.rows[2:]


def test_nothing_comes_before_a_method_without_tuning(settings: Params) -> None:
    """It asks the pre-trained model itself, whatever the task before."""
    watching = Counting()
    tuned = run(settings, "imdb", "ours", "zero_shot", watching)
    assert (watching.steps, tuned.curve) == ([], [])
    assert not list((paths.STATE / "checkpoints").glob("*"))


def test_a_task_without_one_is_as_it_was(settings: Params) -> None:
    """Whatever others have: the same weights, and only the trained ones are to be written."""
    tuned = run(settings, "rotten_tomatoes", "ours", "lora")
    expected = run(without(settings), "rotten_tomatoes", "ours", "lora")
    assert tuned.trained == expected.trained
    assert tuned.trained is not None
    assert len(tuned.trained) < len(tuned.model.state_dict())
    state = expected.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in tuned.model.state_dict().items())


def test_other_rows_before_take_up_no_old_state(settings: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was killed is begun anew where the intermediate task has changed since."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        run(settings, "imdb", "ours", "full", Counting(stop_after=20))
    table = paths.task("rotten_tomatoes") / "train.parquet"
    pd.read_parquet(table)[:-20].to_parquet(table, index=False)
    lend(settings)
    second = Counting()
    run(settings, "imdb", "ours", "full", second)
    assert second.steps[0] == 1
    assert len(second.steps) == 2 * 2 * 7


def test_errors_name_the_task_before(settings: Params) -> None:
    """And not the one that is fitted after it."""
    table = paths.task("rotten_tomatoes") / "train.parquet"
    frame = pd.read_parquet(table)
    frame.assign(label=frame["label"] * 0).to_parquet(table, index=False)
    lend(settings)
    with pytest.raises(StageError, match="task rotten_tomatoes: the 100 train examples in use all have one label"):
        run(settings, "imdb", "ours", "full")
    (paths.intermediate("imdb") / "intermediate.json").unlink()
    with pytest.raises(StageError, match=r"imdb/intermediate\.json is missing: run `dvc repro`"):
        run(settings, "imdb", "ours", "full")


def test_only_what_is_trained_on_is_lent(settings: Params) -> None:
    """The rows of the task before, and the options of the method; to the other task, nothing."""
    folder = paths.intermediate("imdb")
    assert sorted(file.name for file in folder.iterdir()) == [
        "intermediate.json", "task.json", "train.parquet", "validation.parquet",
    ]  # fmt: skip
    assert artifacts.read_json(folder / "intermediate.json") == {"task": "rotten_tomatoes", "options": QUICK["full"]}
    assert [file.name for file in paths.intermediate("rotten_tomatoes").iterdir()] == ["intermediate.json"]
    assert artifacts.read_json(paths.intermediate("rotten_tomatoes") / "intermediate.json")["task"] is None
