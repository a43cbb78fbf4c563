"""From a click on a number of the page to MLflow's list of its runs, and their curves, in a real browser."""

from __future__ import annotations

import shutil

import pytest
from mlflow import MlflowClient
from playwright.sync_api import Browser, Page

from stages import paths
from stages.params import Params
from stages.report import inputs
from stages.report.build import build
from stages.tracking import links, views
from tests.flows.conftest import Project
from tests.flows.test_ui import Served, served  # noqa: F401
from tests.report.conftest import measured, settings  # noqa: F401

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def watch(page: Page) -> list[str]:
    """What scripts fail with on a page, from now on."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    return errors


def test_a_click_on_a_number_lists_its_runs_and_their_curves_draw(
    browser: Browser,
    project: Project,
    settings: Params,  # noqa: F811
    served: Served,  # noqa: F811
) -> None:
    build(inputs.read(settings), paths.REPORTS)
    shutil.copyfile(paths.REPORTS / "results.csv", served.root / "reports" / "results.csv")
    client = MlflowClient(project.environment["MLFLOW_TRACKING_URI"])
    for name in ("present 0", "present 1"):
        for step in range(5):
            client.log_metric(served.runs[name], "validation.loss", 5 - step / 2, step=step)
    page = browser.new_page()
    errors = watch(page)
    page.goto(f"{(paths.REPORTS / 'index.html').as_uri()}?mlflow={links.address(served.port)}")
    page.locator('td[data-origins="imdb full clm none accuracy"] button').click()
    assert page.locator("dialog code").last.inner_text() == "python -m flows trace imdb full clm none accuracy"
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Its runs in MLflow").click()
    listed = opened.value
    errors += watch(listed)
    for name in ("present 0", "present 1"):
        listed.get_by_text(name, exact=True).first.wait_for(timeout=60_000)
    assert listed.get_by_text("earlier", exact=False).count() == 0
    listed.goto(listed.url + "&compareRunsMode=CHART")
    listed.locator(".js-plotly-plot").first.wait_for(timeout=60_000)
    tuned = client.create_experiment("finetune")
    views.give(client, tuned, "finetune")
    run = client.create_run(tuned, tags={"objective": "clm", "seed": "0"})
    client.log_metric(run.info.run_id, "test.score", 0.7251)
    listed.goto(f"{links.address(served.port)}{links.runs([tuned])}")
    listed.get_by_text("0.7251").first.wait_for(timeout=60_000)
    shown = " ".join(listed.locator(".ag-header-cell").all_inner_texts())
    assert "objective" in shown
    assert "test.score" in shown
    assert "Dataset" not in shown
    assert errors == []
