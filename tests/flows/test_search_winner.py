"""Writing values into params.yaml: they change, and nothing else."""

from __future__ import annotations

import difflib
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.search import winner
from stages import paths
from stages.errors import StageError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A copy of the project's own."""
    return Path(shutil.copyfile(paths.PARAMS, tmp_path / "params.yaml"))


def test_only_lines_of_changed_values_change(file: Path) -> None:
    """Comments, order, quotes and the way numbers are written stay; what is read is a number."""
    before = file.read_text()
    values = {"methods.full.learning_rate": 3e-05, "methods.full.epochs": 5, "pretrain.decay": 0.5}
    changed = winner.write(file, {**values, "tokenizer.algorithm": "bpe"})
    assert changed == [
        "methods.full.learning_rate 0.0003 -> 3e-05",
        "methods.full.epochs 3 -> 5",
        "tokenizer.algorithm wordpiece -> bpe",
    ]
    assert [line for line in difflib.ndiff(before.splitlines(), file.read_text().splitlines()) if line[0] in "+-"] == [
        "-   algorithm: wordpiece     # wordpiece | bpe | unigram",
        "+   algorithm: bpe           # wordpiece | bpe | unigram",
        "-     learning_rate: 0.0003",
        "+     learning_rate: 3.0e-05",
        "-     epochs: 3",
        "+     epochs: 5",
    ]
    assert yaml.safe_load(file.read_text())["methods"]["full"]["learning_rate"] == 3e-05


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("methods.full.dropout", "    dropout: 0.1"),
        ("methods.frozen.dropout", "  frozen: {dropout: 0.1}"),
        ("methods.few_shot.dropout", "  few_shot: {dropout: 0.1, demonstrations: 4}"),
    ],
)
def test_a_key_that_is_not_there_yet_is_added(key: str, line: str, file: Path) -> None:
    before = yaml.safe_load(file.read_text())
    assert winner.write(file, {key: 0.1}) == [f"{key} (not there) -> 0.1"]
    before["methods"][key.split(".")[1]]["dropout"] = 0.1
    assert yaml.safe_load(file.read_text()) == before
    assert line in file.read_text().splitlines()


@pytest.mark.parametrize("layout", [{}, {"indent": 7, "width": 30}, {"default_flow_style": True}])
def test_other_layouts_stay_as_they_are(layout: dict[str, Any], file: Path) -> None:
    """Those of `yaml.dump`, for all values that a search may have changed."""
    content = yaml.safe_load(file.read_text())
    before = yaml.safe_dump(content, **layout)
    file.write_text(before)
    assert (
        len(winner.write(file, {"pretrain.decay": 0.25, "tokenizer.lowercase": False, "engine.precision": "fp32"})) == 3
    )
    content["pretrain"]["decay"], content["tokenizer"]["lowercase"] = 0.25, False
    content["engine"]["precision"] = "fp32"
    assert yaml.safe_load(file.read_text()) == content
    winner.write(file, {"pretrain.decay": 0.5, "tokenizer.lowercase": True, "engine.precision": "auto"})
    assert file.read_text() == before


def test_what_is_there_already_is_not_written(file: Path) -> None:
    stamp = file.stat().st_mtime_ns
    assert winner.write(file, {"methods.full.epochs": 3, "pretrain.budget.flops": 2e13}) == []
    assert file.stat().st_mtime_ns == stamp


def test_what_cannot_be_replaced_is_left_alone(tmp_path: Path) -> None:
    """What stands there by a name alone: another key's value would change with it."""
    file = tmp_path / "params.yaml"
    file.write_text(text := "base: &base {b: 1}\na: *base\n")
    with pytest.raises(StageError, match=r"params\.yaml: set this by hand: a\.b 1 -> 2"):
        winner.write(file, {"a.b": 2})
    assert file.read_text() == text
