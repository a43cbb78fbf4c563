"""``run.json``: read as it was written, refused by name where it is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages import artifacts, record
from stages.errors import StageError
from tests.recorded import note_absence, noted


def write(folder: Path, text: str) -> None:
    (folder / record.FILE).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "name"), [({}, "mlm-full-0"), ({"seed": 3, "compressor": "onnx"}, "mlm-full-3 + onnx")]
)
def test_a_record_is_read_as_it_was_noted(tmp_path: Path, changes: dict[str, object], name: str) -> None:
    """What else a stage notes there is passed over."""
    artifacts.write_json(tmp_path / record.FILE, noted(**changes, seconds=7))
    found = record.read(tmp_path)
    assert found.model_dump(exclude_none=True) == noted(**changes)
    assert (found.name, found.original, found.score) == (name, name.partition(" + ")[0], 0.5)


@pytest.mark.parametrize("text", ["[]", '["objective"]', "null", "7", '"mlm"'])
def test_what_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path, text)
    with pytest.raises(StageError, match=r"run\.json holds no JSON object: remove it and run `dvc repro`"):
        record.read(tmp_path)


@pytest.mark.parametrize(("text", "message"), [("{}", "objective"), ("{", "not valid JSON"), ("", "not valid JSON")])
def test_a_damaged_record_is_refused(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, text)
    with pytest.raises(StageError, match=message):
        record.read(tmp_path)


def test_a_missing_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"run\.json is missing"):
        record.read(tmp_path)


def test_a_metric_that_was_not_measured_is_named(tmp_path: Path) -> None:
    artifacts.write_json(tmp_path / record.FILE, noted(metric="matthews"))
    with pytest.raises(StageError, match="imdb: mlm-full-0 has no matthews on validation"):
        _ = record.read(tmp_path).score


def test_a_run_that_there_cannot_be_says_why(tmp_path: Path) -> None:
    """In place of whatever lay there; and nothing else says so."""
    write(tmp_path, "{}")
    (tmp_path / "model.safetensors").write_bytes(b"old")
    told = note_absence(tmp_path, compressor="onnx", seed=2)
    assert record.absence(tmp_path) == told
    assert [file.name for file in tmp_path.iterdir()] == [record.FILE]
    artifacts.write_json(tmp_path / record.FILE, noted())
    assert record.absence(tmp_path) is None
    assert record.absence(tmp_path / "elsewhere") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "no JSON object"),
        ('{"inapplicable": "so"}', r"run\.json: inapplicable"),
        ('{"inapplicable": {}}', "objective"),
    ],
)
def test_a_damaged_reason_is_refused(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, text)
    with pytest.raises(StageError, match=message):
        record.absence(tmp_path)
