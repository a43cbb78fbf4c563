"""A second set of parameters: how it is put together, and what is wrong with it; tests/test_pipeline runs one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from flows.workspace import Workspace
from stages import params, paths
from stages.errors import StageError


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the project's parameters and no git."""
    shutil.copyfile(paths.PARAMS, tmp_path / "params.yaml")
    (tmp_path / "flows").mkdir()
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(paths, "PARAMS", tmp_path / "params.yaml")
    monkeypatch.setattr(paths, "STATE", tmp_path / ".state")
    monkeypatch.setattr(paths, "REPORTS", tmp_path / "reports")
    return tmp_path


def test_the_parameters_of_full_are_valid_and_list_every_objective() -> None:
    """All that `params.yaml` describes and what is described only there, but no checkpoint that stays as it is."""
    content = yaml.safe_load(Workspace("full").parameters())
    full = params.parse(params.Params, content, "flows/full.yaml")
    assert set(full.objectives) == {*params.load().objectives, "mlm_to_sentences"}
    assert set(full.pretrain.objectives) == set(full.objectives) - set(full.checkpoints)
    assert full.model == params.load().model


def test_what_differs_replaces_key_by_key(root: Path) -> None:
    """Mappings are gone into, lists and values replaced; ``-S`` has the last word."""
    (root / "flows" / "x.yaml").write_text("seeds: [7]\npretrain: {batch_size: 8, objectives: [clm]}\n")
    content = yaml.safe_load(Workspace("x").parameters(["pretrain.batch_size=4", "tasks=[imdb]"]))
    before = yaml.safe_load((root / "params.yaml").read_text())
    changed = {"seeds": [7], "tasks": ["imdb"]}
    pretrain = {**before["pretrain"], "batch_size": 4, "objectives": ["clm"]}
    assert content == {**before, **changed, "pretrain": pretrain}


@pytest.mark.parametrize(
    ("content", "settings", "message"),
    [
        ("seeds: [-1]", [], r"flows/x\.yaml: seeds\.0: "),
        ("seed: [1]", [], r"flows/x\.yaml: seed: unknown key"),
        ("{}", ["seeds"], "--set-param seeds: it must be key=value"),
        ("{}", ["pretrain.speed=1"], r"pretrain\.speed: unknown key"),
    ],
)
def test_wrong_parameters_are_named_before_anything_is_made(
    content: str, settings: list[str], message: str, root: Path
) -> None:
    (root / "flows" / "x.yaml").write_text(content)
    with pytest.raises(StageError, match=message):
        Workspace("x").prepare(settings)
    assert not (root / ".state").exists()


def test_parameters_that_are_missing_are_named(root: Path) -> None:
    with pytest.raises(StageError, match=r"flows/y\.yaml is missing"):
        Workspace("y").prepare()


def test_without_a_commit_there_is_no_workspace(root: Path) -> None:
    """What git says is passed on."""
    (root / "flows" / "x.yaml").write_text("{}")
    with pytest.raises(StageError, match=r"git rev-parse: .*not a git repository"):
        Workspace("x").prepare()
