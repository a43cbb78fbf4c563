from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stages import artifacts, paths
from stages.evaluate import evaluation, runs
from stages.params import Params
from stages.report import inputs
from stages.report.build import build
from tests.evaluate import made
from tests.report import metrics


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which everything but the report was made."""
    folder = tmp_path_factory.mktemp("measured")
    with pytest.MonkeyPatch.context() as monkeypatch:
        made.redirect(monkeypatch, folder)
        settings = made.settings()
        made.write_predictions(settings)
        for task in settings.tasks:
            found = evaluation.evaluate(settings, task, runs.read(settings, task))
            artifacts.write_json(paths.METRICS / "evaluate" / f"{task}.json", found.model_dump())
        metrics.write_pretraining(settings)
        metrics.write_texts(settings)
        metrics.write_diagnoses(settings)
    shutil.rmtree(folder / "data/predictions")
    return folder


@pytest.fixture(scope="session")
def published(measured: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same project with its report, to be looked at by all and changed by none."""
    folder = tmp_path_factory.mktemp("published") / "project"
    shutil.copytree(measured, folder)
    with pytest.MonkeyPatch.context() as monkeypatch:
        made.redirect(monkeypatch, folder)
        build(inputs.read(made.settings()), paths.REPORTS)
    return folder


@pytest.fixture
def settings(measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Parameters whose metrics all exist, in a copy of that project to be spoiled at will."""
    shutil.copytree(measured, tmp_path, dirs_exist_ok=True)
    made.redirect(monkeypatch, tmp_path)
    return made.settings()
