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
    values = {"methods.full.learning_rate": 3e-05, "methods.full.epochs": 5, "pretrain.budget.flops": 3e13}
    changed = winner.write(file, {**values, "pretrain.decay": 0.5, "tokenizer.algorithm": "bpe"})
    assert changed[:2] == ["methods.full.learning_rate 0.0003 -> 3e-05", "methods.full.epochs 3 -> 5"]
    assert len(changed) == 4
    lines = list(difflib.unified_diff(before.splitlines(), file.read_text().splitlines(), n=0, lineterm=""))[2:]
    assert [line for line in lines if line[0] in "+-"] == [
        "-  algorithm: wordpiece     # wordpiece | bpe | unigram",
        "+  algorithm: bpe           # wordpiece | bpe | unigram",
        "-  budget: {flops: 2.0e+13} # of each objective and seed: flops | tokens | seconds",
        "+  budget: {flops: 30000000000000.0} # of each objective and seed: flops | tokens | seconds",
        "-    learning_rate: 0.0003",
        "-    imported_learning_rate: 0.00005",
    ] or lines
    now = yaml.safe_load(file.read_text())
    assert now["methods"]["full"] | {"epochs": 3} == now["methods"]["full"] | {"epochs": 3, "learning_rate": 3e-05}


def test_a_key_that_is_not_there_yet_is_added(file: Path) -> None:
    before = yaml.safe_load(file.read_text())
    assert winner.write(file, {"methods.full.dropout": 0.1}) == ["methods.full.dropout (not there) -> 0.1"]
    before["methods"]["full"]["dropout"] = 0.1
    assert yaml.safe_load(file.read_text()) == before


def test_what_is_there_already_is_not_written(file: Path) -> None:
    file.chmod(0o400)
    stamp = file.stat().st_mtime_ns
    assert winner.write(file, {"methods.full.epochs": 3, "pretrain.budget.flops": 2e13}) == []
    assert file.stat().st_mtime_ns == stamp


def test_a_file_that_would_be_laid_out_anew_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("a:\n      b: 1\n")
    with pytest.raises(StageError, match=r"params\.yaml is laid out .*; set by hand: a\.b 1 -> 2"):
        winner.write(file, {"a.b": 2})
    assert file.read_text() == "a:\n      b: 1\n"
