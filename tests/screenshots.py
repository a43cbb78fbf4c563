"""Pictures of the report's page and of MLflow's UI, as README shows them: reports/screenshots/*.png.

    python -m tests.screenshots

Of the page as it was built last, and of the runs in the project's own MLflow store.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser

from stages import command, paths
from stages.errors import StageError
from stages.tracking import links, store
from tests import browser

Scheme = Literal["light", "dark"]
WIDTH, HEIGHT = 1440, 900
PATIENCE = 60
"""Seconds that a server has to answer, and a page to draw."""

SETTLING = 4000
"""Milliseconds that a page has for what is drawn after what was waited for."""


def main(arguments: Sequence[str] | None) -> None:
    """Take all pictures."""
    command.parser("tests.screenshots", __doc__).parse_args(arguments)
    page = paths.REPORTS / "index.html"
    if not page.is_file():
        raise StageError(f"{page} is missing: run `dvc repro report`, or `dvc checkout`")
    experiments = logged()
    if (executable := browser.found()) is None:
        raise StageError("no Chromium here: name one in the environment as CHROMIUM")
    folder = paths.REPORTS / "screenshots"
    folder.mkdir(exist_ok=True)
    with browser.launched(executable) as launched, served() as address:
        schemes: tuple[Scheme, ...] = ("light", "dark")
        for scheme in schemes:
            take(launched, page.as_uri(), ".chart .main-svg", folder / f"report-{scheme}.png", scheme)
        every = links.runs(list(experiments.values()))
        take(launched, f"{address}#/experiments", "text=pretrain", folder / "mlflow-experiments.png")
        take(launched, f"{address}{every}", ".ag-row", folder / "mlflow-runs.png")
        curves = links.runs([experiments["pretrain"]], charts=True)
        take(launched, f"{address}{curves}", ".js-plotly-plot", folder / "mlflow-curves.png", charts="gigaflops/loss")


def logged() -> dict[str, str]:
    """The ids of the experiments that have runs, by name.

    Raises:
        StageError: nothing was pre-trained yet.
    """
    database = store.file()
    if database is None or not database.exists():
        raise StageError(f"{store.uri()} holds no runs: run `make repro` first")
    client = store.connect()
    ids = {item.name: item.experiment_id for item in client.search_experiments()}
    filled = {name: key for name, key in ids.items() if client.search_runs([key], max_results=1)}
    if "pretrain" not in filled:
        raise StageError(f"{store.uri()} holds no runs of `pretrain`: run `make repro` first")
    return filled


@contextmanager
def served() -> Iterator[str]:
    """The address of the UI, which ends with the block."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    start = [sys.executable, "-m", "flows", "ui", "--port", str(port)]
    server = subprocess.Popen(start, cwd=paths.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(f"{links.address(port)}health", server)
        yield links.address(port)
    finally:
        os.kill(server.pid, signal.SIGTERM)
        server.wait()


def _wait(address: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise StageError("MLflow's UI does not answer: try `make ui`")


def take(browser: Browser, address: str, wanted: str, target: Path, scheme: Scheme = "light", charts: str = "") -> None:
    """The upper part of a page, once what is wanted of it is there and nothing moves any more.

    Args:
        charts: which of MLflow's charts are shown, by a part of their names.
    """
    context = browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(address)
    page.locator(wanted).first.wait_for(timeout=1000 * PATIENCE)
    for close in page.get_by_role("button", name="Close", exact=True).all():
        close.click()  # MLflow's assistant
    if charts:
        page.get_by_placeholder("Search metric charts").fill(charts)
    page.wait_for_timeout(SETTLING)  # MLflow's pages ask their server again and again: its network is never idle
    page.screenshot(path=target, animations="disabled")
    context.close()
    print(f"{target.relative_to(paths.ROOT)}  {target.stat().st_size / 1024:.0f} kB")


if __name__ == "__main__":
    command.run(main)
