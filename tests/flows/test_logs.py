"""What a stage prints, passed on while it runs: all of what is short, the ends of what is long, nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows import logs
from flows.logs import LINES, Follower


@pytest.fixture
def heard() -> list[str]:
    return []


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "log"


def add(file: Path, text: str) -> None:
    with file.open("a", newline="") as opened:
        opened.write(text)


def test_whole_lines_are_passed_on_once(file: Path, heard: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "PAUSE", 0)
    follower = Follower(file, heard.append)
    follower.look()
    add(file, "one\n\ntwo\nthr")
    follower.look()
    follower.look()
    add(file, "ee\n")
    follower.look()
    add(file, "and no end")
    follower.look(last=True)
    follower.look(last=True)
    assert heard == ["one\ntwo", "three", "and no end"]


def test_a_bar_that_is_drawn_over_itself_is_one_line(file: Path, heard: list[str]) -> None:
    add(file, "10 %\r50 %\r100 %\nlast\r\n")
    Follower(file, heard.append).look(last=True)
    assert heard == ["100 %\nlast"]


def test_it_looks_only_now_and_then_but_never_too_early_at_the_end(file: Path, heard: list[str]) -> None:
    follower = Follower(file, heard.append)
    add(file, "one\n")
    follower.look()
    assert heard == []
    follower.look(last=True)
    assert heard == ["one"]


def test_of_what_is_long_the_middle_is_left_out(file: Path, heard: list[str]) -> None:
    """However much it is: three megabytes come as a hundred lines, the last one of them."""
    add(file, "".join(f"{number} {'x' * 100}\n" for number in range(30_000)))
    Follower(file, heard.append).look(last=True)
    lines = heard[0].splitlines()
    assert len(lines) == LINES + 1
    assert lines[-1].startswith("29999 ")
    assert f"more lines in {file}" in lines[LINES // 2]
    assert len(heard[0]) < 20_000
