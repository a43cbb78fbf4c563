"""Writing values into params.yaml: they change, and nothing else."""

from __future__ import annotations

import difflib
import shutil
from pathlib import Path

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


def test_a_key_that_is_not_there_yet_is_added(file: Path) -> None:
    before = yaml.safe_load(file.read_text())
    assert winner.write(file, {"methods.full.dropout": 0.1}) == ["methods.full.dropout (not there) -> 0.1"]
    before["methods"]["full"]["dropout"] = 0.1
    assert yaml.safe_load(file.read_text()) == before


def test_what_is_there_already_is_not_written(file: Path) -> None:
    stamp = file.stat().st_mtime_ns
    assert winner.write(file, {"methods.full.epochs": 3, "pretrain.budget.flops": 2e13}) == []
    assert file.stat().st_mtime_ns == stamp


def test_a_file_that_would_be_laid_out_anew_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("a:\n      b: 1\n")
    with pytest.raises(StageError, match=r"params\.yaml is laid out .*; set by hand: a\.b 1 -> 2"):
        winner.write(file, {"a.b": 2})
    assert file.read_text() == "a:\n      b: 1\n"
