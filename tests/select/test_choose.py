"""The choice of the best model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stages import params, paths
from stages.errors import StageError
from stages.select import choose
from tests.recorded import note_absence, noted


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


def asking(settings: params.Params, *models: str) -> params.Params:
    """With these models to be compressed."""
    return settings.model_copy(update={"compress": settings.compress.model_copy(update={"models": list(models)})})


def put(root: Path, name: str, value: float) -> None:
    """Write a model and its result."""
    (root / "MODELS" / "finetuned" / "imdb" / name).mkdir(parents=True)
    (root / "MODELS" / "finetuned" / "imdb" / name / "model.safetensors").write_text(name)
    folder = root / "PREDICTIONS" / "finetuned" / "imdb" / name
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(
        json.dumps(
            noted(
                objective=name.partition("-")[0],
                metric="matthews",
                validation={"accuracy": 0.5, "matthews": value},
            )
        )
    )


def test_the_best_listed_model_is_copied(runs: params.Params, tmp_path: Path) -> None:
    """By validation, and never a leftover that `params.yaml` does not list."""
    put(tmp_path, "leftover-full-0", 0.99)
    chosen = choose.best(choose.candidates(runs, "imdb"))
    last = f"{runs.pretrain.objectives[-1]}-{runs.finetune.methods[-1]}-{runs.seeds[-1]}"
    assert chosen.folder.name == last
    choose.write(chosen, tmp_path / "selected")
    assert (tmp_path / "selected" / "model.safetensors").read_text() == last
    assert json.loads((tmp_path / "selected" / "run.json").read_text()) == chosen.noted


def test_each_objective_that_is_asked_for_has_its_own_best(runs: params.Params) -> None:
    """Beside the best of all, which is that of its objective."""
    objectives, last = runs.pretrain.objectives, f"{runs.finetune.methods[-1]}-{runs.seeds[-1]}"
    chosen = choose.choose(asking(runs, "best", *objectives), "imdb")
    assert {name: one.folder.name for name, one in chosen.items()} == {
        "best": f"{objectives[-1]}-{last}",
        **{name: f"{name}-{last}" for name in objectives},
    }
    assert list(choose.choose(asking(runs, "best"), "imdb")) == ["best"]


def test_an_objective_that_no_method_fits_is_named(runs: params.Params, tmp_path: Path) -> None:
    first = runs.pretrain.objectives[0]
    for folder in (tmp_path / "PREDICTIONS" / "finetuned" / "imdb").glob(f"{first}-*"):
        note_absence(folder)
    with pytest.raises(StageError, match=f"no method of finetune.methods fits {first}: take it out of compress.models"):
        choose.choose(asking(runs, "best", first), "imdb")


def test_a_missing_result_is_named(runs: params.Params, tmp_path: Path) -> None:
    """With what to do about it."""
    first = f"{runs.pretrain.objectives[0]}-{runs.finetune.methods[0]}-{runs.seeds[0]}"
    (tmp_path / "PREDICTIONS" / "finetuned" / "imdb" / first / "run.json").unlink()
    with pytest.raises(StageError, match=f"{first}.*dvc repro"):
        choose.candidates(runs, "imdb")


@pytest.mark.parametrize(("content", "message"), [("[]", "no JSON object"), ("{}", "objective")])
def test_a_damaged_result_is_named(runs: params.Params, tmp_path: Path, content: str, message: str) -> None:
    first = f"{runs.pretrain.objectives[0]}-{runs.finetune.methods[0]}-{runs.seeds[0]}"
    (tmp_path / "PREDICTIONS" / "finetuned" / "imdb" / first / "run.json").write_text(content)
    with pytest.raises(StageError, match=f"{first}.*{message}"):
        choose.candidates(runs, "imdb")


def test_runs_that_cannot_be_are_passed_over(runs: params.Params, tmp_path: Path) -> None:
    """Whichever is the best of the others; nothing but such runs is an error."""
    names = [folder.name for folder in sorted((tmp_path / "MODELS" / "finetuned" / "imdb").iterdir())]
    best = choose.best(choose.candidates(runs, "imdb")).folder.name
    for name in (best, *(name for name in names if name != best)):
        folder = tmp_path / "PREDICTIONS" / "finetuned" / "imdb" / name
        note_absence(folder)
        if name == best:
            assert choose.best(choose.candidates(runs, "imdb")).folder.name != best
    with pytest.raises(StageError, match=r"no method of params\.yaml"):
        choose.candidates(runs, "imdb")
