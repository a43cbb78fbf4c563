"""Progress: lines in logs, a bar on terminals, always on stderr."""

from __future__ import annotations

import io
import re
import sys

import pytest

from stages import progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("stages.progress.time.monotonic", clock)
    return clock


def test_plain_lines_come_every_ten_seconds_and_at_the_end(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress.bar("pretrain mlm", 4_000_000, "tokens") as bar:
        for _ in range(50):
            clock.now += 1
            bar.advance(24_310, loss=4.2134)
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == ""
    assert len(lines) == 6
    assert lines[0] == "pretrain mlm: 243,100/4,000,000 tokens, 24,310 tokens/s, 2:35 left, loss 4.21"
    assert lines[-1] == "pretrain mlm: 1,215,500/4,000,000 tokens, 24,310 tokens/s, 0:50 in all, loss 4.21"


def test_an_unknown_total_has_no_time_left(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress.bar("download", None, "rows") as bar:
        clock.now += 10
        bar.advance(1000, step=1234567)
    assert capsys.readouterr().err.splitlines()[0] == "download: 1,000 rows, 100 rows/s, step 1,234,567"


def test_a_terminal_gets_a_bar_with_count_rate_and_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    with progress.bar("split", 10, "rows") as bar:
        bar.advance(4)
        bar.advance(6, loss=0.5)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    assert re.search(r"split .*10/10 rows, [\d,]+/s .*loss 0\.5", shown)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (115.4, "1:55"), (3600, "1:00:00"), (7389, "2:03:09")])
def test_clock(seconds: float, text: str) -> None:
    assert progress.clock(seconds) == text
