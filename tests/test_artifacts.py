"""Artifacts: whole or absent, the same every time, hashed as DVC hashes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stages import artifacts
from stages.errors import StageError


def write_tree(folder: Path) -> None:
    (folder / "nested").mkdir(parents=True)
    (folder / "b.txt").write_text("b\n")
    (folder / "nested" / "ä.txt").write_text("with a name that is not ASCII\n")
    (folder / "nested.txt").write_text("")
    (folder / "big.bin").write_bytes(bytes(range(256)) * 10_000)


def fail_half_way(path: Path) -> None:
    path.write_text("half")
    raise RuntimeError


def test_hashes_are_those_that_dvc_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dvc.repo import Repo

    monkeypatch.setenv("DVC_NO_ANALYTICS", "true")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.chdir(tmp_path)
    write_tree(tmp_path / "tree")
    (tmp_path / "file.bin").write_bytes(b"some bytes\r\n\x00")
    with Repo.init(str(tmp_path), no_scm=True) as repo:
        repo.add(["tree", "file.bin"])
    for name in ("tree", "file.bin"):
        recorded = yaml.safe_load((tmp_path / f"{name}.dvc").read_text())["outs"][0]["md5"]
        assert artifacts.md5(tmp_path / name) == recorded


def test_a_failing_block_leaves_what_was_there(tmp_path: Path) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"
    artifacts.write_json(file, {"old": 1})
    write_tree(folder)
    before = artifacts.md5(tmp_path)
    with pytest.raises(RuntimeError), artifacts.atomic_file(file) as temporary:
        fail_half_way(temporary)
    with pytest.raises(RuntimeError), artifacts.atomic_folder(folder) as temporary:
        fail_half_way(temporary / "half")
    assert artifacts.md5(tmp_path) == before


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    write_tree(tmp_path / "folder")
    with artifacts.atomic_folder(tmp_path / "folder") as temporary:
        (temporary / "new").write_text("new")
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "new"]


def test_a_killed_writer_leaves_nothing_under_the_name(tmp_path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from stages import artifacts
with artifacts.atomic_folder(Path({str(tmp_path / "out")!r})) as temporary:
    (temporary / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, env=os.environ | {"PYTHONPATH": os.getcwd()})
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()


def test_json_is_sorted_and_refuses_what_json_cannot_say(tmp_path: Path) -> None:
    artifacts.write_json(tmp_path / "a.json", {"b": 1, "a": "ä"})
    artifacts.write_json(tmp_path / "b.json", {"a": "ä", "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert artifacts.read_json(tmp_path / "a.json") == {"a": "ä", "b": 1}
    with pytest.raises(ValueError, match="JSON"):
        artifacts.write_json(tmp_path / "c.json", float("nan"))
    assert not (tmp_path / "c.json").exists()


def test_json_errors_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"a\.json is missing: run `dvc repro`"):
        artifacts.read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(StageError, match="not valid JSON"):
        artifacts.read_json(tmp_path / "a.json")
