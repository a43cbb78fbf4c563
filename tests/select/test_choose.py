"""The choice of the best model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stages import params, paths
from stages.errors import StageError
from stages.select import choose


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> params.Params:
    """A result for each run that `params.yaml` lists for imdb; later ones are better."""
    settings = params.load()
    for name in ("MODELS", "PREDICTIONS"):
        monkeypatch.setattr(paths, name, tmp_path / name)
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    value = 0.5
    for objective in settings.pretrain.objectives:
        for method in settings.finetune.methods:
            for seed in settings.seeds:
                value += 0.01
                put(tmp_path, f"{objective}-{method}-{seed}", value)
    return settings


def put(root: Path, name: str, value: float) -> None:
    """Write a model and its result."""
    (root / "MODELS" / "finetuned" / "imdb" / name).mkdir(parents=True)
    (root / "MODELS" / "finetuned" / "imdb" / name / "model.safetensors").write_text(name)
    folder = root / "PREDICTIONS" / "finetuned" / "imdb" / name
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(
        json.dumps({"metric": "matthews", "validation": {"accuracy": 0.5, "matthews": value}})
    )


def test_the_best_listed_model_is_copied(runs: params.Params, tmp_path: Path) -> None:
    """By validation, and never a leftover that `params.yaml` does not list."""
    put(tmp_path, "leftover-full-0", 0.99)
    chosen = choose.best(choose.candidates(runs, "imdb"))
    last = f"{runs.pretrain.objectives[-1]}-{runs.finetune.methods[-1]}-{runs.seeds[-1]}"
    assert chosen.folder.name == last
    choose.write(chosen, tmp_path / "selected")
    assert (tmp_path / "selected" / "model.safetensors").read_text() == last
    assert json.loads((tmp_path / "selected" / "run.json").read_text()) == chosen.run


def test_a_missing_result_is_named(runs: params.Params, tmp_path: Path) -> None:
    """With what to do about it."""
    first = f"{runs.pretrain.objectives[0]}-{runs.finetune.methods[0]}-{runs.seeds[0]}"
    (tmp_path / "PREDICTIONS" / "finetuned" / "imdb" / first / "run.json").unlink()
    with pytest.raises(StageError, match=f"{first}.*dvc repro"):
        choose.candidates(runs, "imdb")


def test_runs_that_cannot_be_are_passed_over(runs: params.Params, tmp_path: Path) -> None:
    """Whichever is the best of the others; nothing but such runs is an error."""
    names = [folder.name for folder in sorted((tmp_path / "MODELS" / "finetuned" / "imdb").iterdir())]
    best = choose.best(choose.candidates(runs, "imdb")).folder.name
    for name in (best, *(name for name in names if name != best)):
        folder = tmp_path / "PREDICTIONS" / "finetuned" / "imdb" / name
        (folder / "run.json").write_text(json.dumps({"inapplicable": "it has no head"}))
        if name == best:
            assert choose.best(choose.candidates(runs, "imdb")).folder.name != best
    with pytest.raises(StageError, match=r"no method of params\.yaml"):
        choose.candidates(runs, "imdb")
