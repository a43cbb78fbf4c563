"""Gathering: what each entry gets, what it does not, and what goes wrong."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from stages import artifacts, params, paths, token_store
from stages.errors import StageError
from stages.gather import gather as gathering
from stages.gather.gather import LISTING, gather
from stages.model import files
from stages.model.config import TransformerConfig
from stages.model.transformer import LanguageModel, initialize
from stages.params import Params
from stages.pretrain import labelled, objectives, start
from stages.pretrain.objectives.clm import CausalLM
from stages.pretrain.run import Run, summary
from stages.task import FILE, Task
from stages.tokenizer import files as tokenizer_files
from stages.tokenizer import train as tokenizer_training
from tests.pretrain.corpus import write
from tests.training.toy import Silent

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
FOLDERS = ("TOKENIZER", "CORPORA", "PACKED", "ENCODED", "TASKS", "GATHERED", "STATE")


class Labelled(CausalLM):
    """An objective that says that it learns from labels."""

    reads_labels = True


def settings_of(entries: dict[str, Any], checkpoints: dict[str, Any]) -> Params:
    content: dict[str, Any] = params.load().model_dump()
    content |= {"objectives": entries, "checkpoints": checkpoints, "model": SIZES, "tasks": ["imdb"]}
    content["engine"] = {"precision": "fp32", "threads": 1}
    content["tokenizer"]["vocab_size"] = 400
    changes = {"objectives": list(entries), "budget": {"flops": 2.0e9}, "sequence_length": 32, "batch_size": 8}
    content["pretrain"] |= changes
    return params.parse(Params, content, "params.yaml")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tokenizer, a packed corpus, an encoded task, and a checkpoint of this project in ``mine``."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    for name in FOLDERS:
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    monkeypatch.setitem(objectives.OBJECTIVES, "labelled", Labelled)
    settings = settings_of({"scratch": {}}, {})
    words = lambda: iter([["the made words of a small language " * 20]])  # noqa: E731
    tokenizer_files.save(tokenizer_training.train(words, settings.tokenizer), paths.TOKENIZER)
    for seed, part in enumerate(("train", "validation", "test")):
        write(paths.PACKED / part, 200, seed)
        token_store.write(paths.encoded("imdb") / part, [([2, 120, 3], 5)] * 4, np.array([0, 1, 0, 1]))
    described = Task(family="classification", labels=("negative", "positive"), metric="accuracy")
    artifacts.write_json(paths.task("imdb") / FILE, described.model_dump())
    model = LanguageModel(TransformerConfig(400, *(SIZES[name] for name in SIZES)))
    initialize(model, torch.Generator().manual_seed(7))
    files.save(tmp_path / "mine", model, paths.TOKENIZER)
    return tmp_path


MINE = {"mine": {"kind": "file", "path": "mine"}}


def listing(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def test_each_gets_what_it_needs_and_no_more(project: Path) -> None:
    """Examples only where they are learnt from and never the test's, a checkpoint only where a run starts from it."""
    gather(settings_of({"scratch": {}, "labelled": {}, "clm": {"start": "mine"}}, MINE))
    assert listing(paths.gathered("scratch")) == {LISTING}
    examples = listing(paths.gathered("labelled") / labelled.FOLDER)
    assert {name.rsplit("/", 1)[0] for name in examples} == {"imdb", "imdb/train", "imdb/validation"}
    assert listing(paths.gathered("clm")) == {LISTING} | {
        f"{start.FOLDER}/{name}" for name in listing(project / "mine")
    }


def test_one_entrys_folder_does_not_depend_on_anothers(project: Path) -> None:
    """So that an objective does not run again because another reads other examples."""
    gather(settings_of({"scratch": {}, "labelled": {}}, MINE))
    before = artifacts.md5(paths.gathered("scratch")), artifacts.md5(paths.gathered("labelled"))
    token_store.write(paths.encoded("imdb") / "train", [([2, 121, 3], 5)] * 4, np.array([0, 1, 0, 1]))
    gather(settings_of({"scratch": {}, "labelled": {}, "clm": {"start": "mine"}}, MINE))
    assert artifacts.md5(paths.gathered("scratch")) == before[0]
    assert artifacts.md5(paths.gathered("labelled")) != before[1]


def test_a_run_goes_on_from_a_checkpoint(project: Path) -> None:
    """With a rate of nearly nothing, it ends with the weights that it started from."""
    settings = settings_of({"mlm": {"start": "mine", "mlm_probability": 0.3}}, MINE)
    small = {"learning_rate": 1e-12, "matrix_learning_rate": 1e-12, "weight_decay": 0.0}
    settings = settings.model_copy(update={"pretrain": settings.pretrain.model_copy(update=small)})
    gather(settings)
    trained = Run(settings, "mlm", 3).train(Silent()).model.state_dict()
    for name, value in files.load(project / "mine").state_dict().items():
        torch.testing.assert_close(trained[name], value, atol=1e-6, rtol=0)


def test_a_checkpoint_alone_is_taken_as_it_is(project: Path, tmp_path: Path) -> None:
    """Byte for byte; its curve has no loss, and its parameters are counted."""
    settings = settings_of({"theirs": {"start": "mine"}}, MINE)
    gather(settings)
    run = Run(settings, "theirs", 0)
    assert run.is_adopted
    curve, parameters = run.adopt(tmp_path / "target")
    assert artifacts.md5(tmp_path / "target") == artifacts.md5(project / "mine")
    assert curve == [{"step": 0, "tokens": 0, "flops": 0}]
    assert parameters == sum(value.numel() for value in files.load(project / "mine").parameters())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": "nowhere"}, r"checkpoints\.mine: nowhere is no folder: correct `path`"),
        ({"sha256": "0" * 64}, r"checkpoints\.mine: model\.safetensors has sha256 .*correct `sha256`"),
        ({"path": "pickled"}, r"checkpoints\.mine: it has no model\.safetensors, only config\.json: .*save_pretrained"),
    ],
)
def test_a_checkpoint_that_cannot_be_had(changes: dict[str, str], message: str, project: Path) -> None:
    """Is an error that names it, and nothing is left half-written."""
    (project / "pickled").mkdir()
    (project / "pickled" / "config.json").write_text("{}")
    (project / "pickled" / "pytorch_model.bin").write_bytes(b"\x80")
    with pytest.raises(StageError, match=message):
        gather(settings_of({"clm": {"start": "mine"}}, {"mine": {**MINE["mine"], **changes}}))
    assert not paths.GATHERED.exists()
    assert not list(project.glob(".gathered*"))


def test_a_right_hash_is_accepted(project: Path) -> None:
    digest = hashlib.sha256((project / "mine" / files.WEIGHTS).read_bytes()).hexdigest()
    gather(settings_of({"clm": {"start": "mine"}}, {"mine": {**MINE["mine"], "sha256": digest}}))
    assert (paths.gathered("clm") / start.FOLDER).is_dir()


def test_what_cannot_be_trained_on(project: Path) -> None:
    """Another block, another size, another vocabulary: each named, with the way out."""
    settings = settings_of({"clm": {"start": "mine"}}, MINE)
    gather(settings)
    folder = paths.gathered("clm") / start.FOLDER
    wider = settings.model_copy(update={"model": params.Model(**{**SIZES, "hidden_size": 64})})
    with pytest.raises(StageError, match=r"checkpoints\.mine has hidden_size 32, not 64: set `model`"):
        Run(wider, "clm", 0).train(Silent())
    (folder / start.TOKENIZER).write_text("{}")
    with pytest.raises(StageError, match=r"checkpoints\.mine has another vocabulary"):
        Run(settings, "clm", 0).train(Silent())
    artifacts.write_json(folder / files.CONFIG, {"model_type": "bert"})
    with pytest.raises(StageError, match=r"checkpoints\.mine is no checkpoint of this project's block.*as it is"):
        Run(settings, "clm", 0).train(Silent())


def test_a_task_that_is_not_encoded_is_named(project: Path) -> None:
    settings = settings_of({"labelled": {}}, {}).model_copy(update={"tasks": ["rotten_tomatoes"]})
    with pytest.raises(StageError, match=r"rotten_tomatoes.*missing: run `dvc repro`"):
        gathering.gather(settings)


CONTINUAL = {
    "phases": [
        {"objective": "clm", "share": 0.5},
        {"objective": "clm", "share": 0.5, "corpus": "songs", "replay": 0.25},
    ]
}


def with_songs(entries: dict[str, Any]) -> Params:
    """Parameters with a source that makes a further corpus."""
    settings = settings_of({"scratch": {}}, {})
    songs = params.FileSource(kind="file", path="songs", corpus="songs")
    data = settings.data.model_copy(update={"sources": [*settings.data.sources, "songs"]})
    pretrain = settings.pretrain.model_copy(update={"objectives": list(entries)})
    changes = {"sources": settings.sources | {"songs": songs}, "data": data}
    return settings.model_copy(update={**changes, "objectives": entries, "pretrain": pretrain})


def test_continual_pre_training_tells_what_was_forgotten(project: Path) -> None:
    """The second phase learns the further corpus, and its curve has the loss on the first one, before and after."""
    for part in ("train", "validation"):
        (paths.CORPORA / "songs").mkdir(parents=True, exist_ok=True)
        texts = ["small words of the made language " * 3] * 40
        pq.write_table(pa.table({"text": texts}), paths.CORPORA / "songs" / f"{part}.parquet")
    settings = with_songs({"to_songs": CONTINUAL})
    gather(settings)
    curve = Run(settings, "to_songs", 0).train(Silent()).curve
    second = [row for row in curve if "earlier_loss" in row]
    assert second[0]["step"] == curve[len(curve) - len(second) - 1]["step"], "measured before the phase begins"
    assert second[0]["earlier_loss"] == pytest.approx(curve[len(curve) - len(second) - 1]["loss"])
    assert second[-1]["loss"] < 0.5 * second[0]["loss"]
    assert summary(curve)["forgotten"] == second[-1]["earlier_loss"] - second[0]["earlier_loss"]


def test_a_further_corpus_that_no_source_makes_is_named(project: Path) -> None:
    with pytest.raises(StageError, match=r"objectives\.x: corpus: no source .* makes 'songs'; further corpora: none"):
        gather(settings_of({"x": CONTINUAL}, {}))
    entry = {"objective": "clm", "replay": 0.5}
    with pytest.raises(StageError, match=r"objectives\.x: replay needs `corpus`"):
        gather(settings_of({"x": entry}, {}))
