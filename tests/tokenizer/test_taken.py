"""A vocabulary that comes from a checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages import artifacts
from stages.errors import StageError
from stages.params import FileCheckpoint
from stages.tokenizer import files
from stages.tokenizer.taken import taken
from tests.predict import made


def test_it_is_the_checkpoints_own_to_the_byte(tmp_path: Path) -> None:
    """As pre-training that goes on from it asks for."""
    folder = made.pretrained(tmp_path / "model", "encoder")
    files.save(taken("mine", FileCheckpoint(kind="file", path=str(folder))), tmp_path / "taken")
    assert artifacts.md5(tmp_path / "taken" / "tokenizer.json") == artifacts.md5(folder / "tokenizer.json")


def test_a_checkpoint_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"checkpoints\.mine: .*nowhere is no folder"):
        taken("mine", FileCheckpoint(kind="file", path=str(tmp_path / "nowhere")))
    folder = made.pretrained(tmp_path / "model", "encoder")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(StageError, match="has no readable tokenizer"):
        taken("mine", FileCheckpoint(kind="file", path=str(folder)))
