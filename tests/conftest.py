"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# 32-dim models gain nothing from threads, and tests run side by side
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["GOMP_SPINCOUNT"] = "0"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The machine's own Chromium; tests of pages are skipped where there is none."""
    from tests import browser as browsers

    if (found := browsers.found()) is None:
        pytest.skip("no Chromium here: name one in the environment as CHROMIUM")
    with browsers.launched(found) as launched:
        yield launched
