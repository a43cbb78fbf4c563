"""Versions of what a run reads from outside."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from flows.pins import pins
from stages import artifacts, params
from stages.errors import StageError
from stages.params import Params


def asking(source: dict[str, Any], **changes: Any) -> Params:
    """The project's parameters with this source alone."""
    content = params.load().model_dump()
    task = {"imdb": {}}
    described = {"label": "label", "labels": ["no", "yes"], "tasks": task, **source}
    content |= {"sources": {"mine": described}, "tasks": ["imdb"], **changes}
    content["data"]["sources"] = ["mine"]
    return params.parse(Params, content, "params.yaml")


def test_a_file_and_an_address_are_pinned_by_their_content(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    for text in ("text,label\na,no\n", "text,label\na,no\nb,yes\n"):
        file.write_text(text)
        expected = {"sources.mine.sha256": hashlib.sha256(text.encode()).hexdigest()}
        assert dict(pins(asking({"kind": "file", "path": "rows.csv"}), tmp_path)) == expected
        assert dict(pins(asking({"kind": "url", "url": file.as_uri()}), tmp_path)) == expected


def test_a_folder_like_the_hub_is_pinned_by_all_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", str(tmp_path))
    source = {"kind": "hub", "id": "$MINE"}
    seen = []
    for name in ("train-00000-of-00002.parquet", "train-00001-of-00002.parquet"):
        (tmp_path / name).write_text(name)
        seen.append(dict(pins(asking(source), tmp_path / "elsewhere")))
        assert seen[-1] == {"sources.mine.revision": artifacts.md5(tmp_path)}
    assert seen[0] != seen[1]


def test_a_package_has_its_version_already(tmp_path: Path) -> None:
    assert list(pins(params.load(), tmp_path)) == []


def test_a_checkpoint_that_is_gone_on_from_is_pinned_by_its_weights(tmp_path: Path) -> None:
    """Where it lies from a workspace that is not there yet; what nothing starts from is not looked at."""
    settings = params.load()
    start = {"present": params.FileCheckpoint(kind="file", path="../../mine"), "other": settings.checkpoints["minilm"]}
    chosen = settings.model_copy(update={
        "checkpoints": start,
        "objectives": {"on": {"start": "present", "objective": "mlm"}},
        "pretrain": settings.pretrain.model_copy(update={"objectives": ["on"]}),
    })  # fmt: skip
    workspace = tmp_path / "not" / "there"
    with pytest.raises(
        StageError, match=r"checkpoints\.present: .*mine/model\.safetensors is missing: run `dvc repro`"
    ):
        dict(pins(chosen, workspace))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "model.safetensors").write_bytes(b"weights")
    assert dict(pins(chosen, workspace)) == {"checkpoints.present.sha256": hashlib.sha256(b"weights").hexdigest()}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"kind": "file", "path": "nothing.csv"}, r"source mine: nothing\.csv does not exist: correct `path`"),
        ({"kind": "file", "path": "."}, r"source mine: \. is a folder, which has no sha256: name it as `id`"),
        ({"kind": "file", "path": "$NOWHERE/a.csv"}, r"source mine: \$NOWHERE/a\.csv: there is no such variable"),
        ({"kind": "url", "url": "file:///nothing.csv"}, r"source mine: file:///nothing\.csv could not be read"),
    ],
)
def test_what_is_not_there_is_named(source: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=message):
        dict(pins(asking(source), tmp_path))
