"""The end of a search: what is said of its trials, what is written, and what it means that none was completed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.search import search, space
from flows.search.settings import Settings
from flows.search.study import Study
from stages import paths
from stages.errors import StageError

FILE: dict[str, Any] = {
    "study": "s",
    "stages": ["pretrain@mlm-0"],
    "goal": {"file": "data/metrics/pretrain/mlm-0.json", "key": "loss", "direction": "minimize"},
    "parameters": {
        "pretrain.learning_rate": {"kind": "float", "low": 0.001, "high": 0.1, "log": True},
        "pretrain.batch_size": {"kind": "int", "low": 8, "high": 32},
    },
    "trials": 3,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One in which params.yaml and the studies lie."""
    monkeypatch.setattr(search, "FOLDER", tmp_path / "studies")
    monkeypatch.setattr(paths, "PARAMS", Path(shutil.copyfile(paths.PARAMS, tmp_path / "params.yaml")))
    return tmp_path


def opened(folder: Path, **changes: Any) -> Study:
    """The study that a search of these trials has made."""
    (folder / "x.yaml").write_text(yaml.safe_dump(FILE | changes, sort_keys=False))
    sought = space.load(folder / "x.yaml")
    others = Settings(sought, "x").others
    return Study(sought, others, f"sqlite:///{folder / 'studies' / 'optuna.db'}", folder / "studies")


def end(folder: Path, write: bool) -> None:
    """What is left to do of a search all of whose trials have run."""
    search.search(folder / "x.yaml", 1, "", {}, write=write)


def test_all_trials_are_listed_and_the_best_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The best first, here the lowest; what was pruned may be lower still, and is none that was completed."""
    study = opened(folder)
    study.begin_with({"pretrain.learning_rate": 0.0123456, "pretrain.batch_size": 8})
    for reached in (3.5, None, 1.0):
        trial = study.ask("w")
        assert trial
        if reached is None:
            study.fail(trial, "too much")
        elif trial.number:
            trial.report(reached, 1)
            study.prune(trial)
        else:
            study.complete(trial, reached)
    end(folder, write=True)
    header, *rows = (line.split() for line in capsys.readouterr().out.splitlines())
    assert header == ["trial", "loss", "learning_rate", "batch_size"]
    assert rows[0] == ["0", "3.5", "0.01235", "8", "complete"]
    assert [rows[1][:2], rows[1][-1:]] == [["2", "1"], ["pruned"]]
    assert [rows[2][:2], rows[2][-3:]] == [["1", "-"], ["failed:", "too", "much"]]
    assert " ".join(rows[3]) == "best: trial 0, loss 3.5: pretrain.learning_rate 0.01235, pretrain.batch_size 8"
    changes = "pretrain.learning_rate 0.008 -> 0.01235; pretrain.batch_size 16 -> 8"
    assert " ".join(rows[4]) == f"params.yaml: {changes}"
    now = yaml.safe_load((folder / "params.yaml").read_text())["pretrain"]
    assert (now["learning_rate"], now["batch_size"]) == (0.01235, 8)
    end(folder, write=True)  # what was written is no other beginning: the study goes on
    assert capsys.readouterr().out.endswith("params.yaml: it has these values already\n")


def test_what_matters_is_said_once_there_are_trials_enough(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a loss that the batch size alone decides."""
    study = opened(folder, trials=20, random=20)
    while trial := study.ask("w"):
        study.complete(trial, float(trial.params["pretrain.batch_size"]))
    end(folder, write=False)
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith("what mattered, roughly: pretrain.batch_size ")
    assert "pretrain.learning_rate" in said


def test_a_search_without_a_single_complete_trial_has_failed(folder: Path) -> None:
    study = opened(folder, trials=2)
    while trial := study.ask("w"):
        study.fail(trial, "too much")
    before = (folder / "params.yaml").read_bytes()
    with pytest.raises(StageError, match=r"x\.yaml: no trial was completed; what their flows said is in .*studies/s"):
        end(folder, write=True)
    assert (folder / "params.yaml").read_bytes() == before
