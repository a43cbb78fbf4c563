"""The machine's own Chromium, for tests of pages and for pictures of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")


def found() -> str | None:
    """Where it is: what ``CHROMIUM`` names, or the first of its usual names; None if there is none."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def launched(executable: str) -> Iterator[Browser]:
    """A browser without a window."""
    with sync_playwright() as started:
        yield started.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
