"""``index.html``: one file that says what ``report.md`` says, and behaves in a browser."""

from __future__ import annotations

import csv
import re
from html import unescape
from pathlib import Path
from statistics import mean

import pytest
from playwright.sync_api import Browser, Page

WIDTHS = (390, 1280, 1920)


def html(published: Path) -> str:
    return (published / "reports" / "index.html").read_text()


def own(text: str) -> str:
    """Without the library that draws."""
    return re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)


def test_it_needs_no_other_file(published: Path) -> None:
    """Links lead to files beside it or to places in it; nothing is loaded."""
    text = own(html(published))
    assert not re.search(r"<(img|iframe|link(?! rel=\"icon\" href=\"data:,\"))|@import|url\(|src=", text)
    targets = re.findall(r'href="([^"]*)"', text)
    anchors = set(re.findall(r'id="([^"]*)"', text))
    for target in targets:
        assert target in ("data:,", "results.csv", "speed.md") or target.removeprefix("#") in anchors


def plain(cell: str) -> str:
    """Without markup, but for marks that are meant."""
    bare = re.sub(r"(?<!\\)(`|\*\*|\*)", "", cell)
    return unescape(re.sub(r"\\(.)", r"\1", bare)).strip()


def test_every_number_of_the_markdown_is_there(published: Path) -> None:
    text = unescape(re.sub(r"<[^>]*>", "", own(html(published))))
    markdown = (published / "reports" / "report.md").read_text()
    rows = [re.split(r"(?<!\\)\|", line) for line in markdown.splitlines() if line.startswith("| ")]
    cells = [plain(cell) for row in rows for cell in row]
    assert len(cells) > 100
    for cell in cells:
        assert cell in text or set(cell) <= set(":- ")


def test_numbers_say_where_they_come_from(published: Path) -> None:
    """Each leads back to cells of the results, or to stages; a mean of seeds is that of its cell."""
    found = re.findall(r'<td[^>]*data-origins="([^"]*)">(.*?)</td>', own(html(published)))
    cells: dict[str, list[float]] = {}
    with (published / "reports" / "results.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            words = " ".join(row[name] for name in ("task", "method", "objective", "compressor", "metric"))
            cells.setdefault(words, []).append(float(row["value"]))
    origins = [origin for named, _ in found for origin in named.split("; ")]
    stages = {origin.partition("@")[0] for origin in origins if origin not in cells}
    assert stages == {"finetune", "compress", "diagnose"}
    shares = [(named, plain(shown)) for named, shown in found if named.endswith(("accuracy", " f1"))]
    means = {named: shown for named, shown in shares if "; " not in named}
    assert len(means) == 3 * 2 * 2 * 2  # of objectives, tasks, methods and metrics
    for named, shown in means.items():
        assert re.sub("<.*?>|†", "", shown).partition(" ")[0] == f"{100 * mean(cells[named]):.1f}"
    assert "trace:" not in (published / "reports" / "report.md").read_text()


def opened(browser: Browser, published: Path, width: int, scheme: str = "light") -> tuple[Page, list[str]]:
    """The page from disk, without network, and what its console complains of."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True, reduced_motion="reduce"
    )
    page, errors = context.new_page(), []
    page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((published / "reports" / "index.html").as_uri())
    page.wait_for_function("document.querySelectorAll('.chart .main-svg').length > 0")
    return page, errors


OVERLAPS = """() => {
  const boxes = [...document.querySelectorAll('.chart')].flatMap((chart) => {
    const texts = [...chart.querySelectorAll('text')].filter((text) => text.textContent.trim());
    const rects = texts.map((text) => ({ words: text.textContent, box: text.getBoundingClientRect() }));
    return rects.flatMap((one, place) => rects.slice(place + 1)
      .filter((other) => one.box.width && other.box.width &&
        one.box.left < other.box.right - 2 && other.box.left < one.box.right - 2 &&
        one.box.top < other.box.bottom - 2 && other.box.top < one.box.bottom - 2)
      .map((other) => `${one.words} / ${other.words}`));
  });
  return boxes;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_opens_without_a_complaint_and_fits(browser: Browser, published: Path, width: int, scheme: str) -> None:
    """Figures draw, no text lies on another, and nothing makes the page wider than the window."""
    page, errors = opened(browser, published, width, scheme)
    assert errors == []
    charts = page.locator(".chart")
    assert charts.count() >= 5
    assert page.locator(".chart .main-svg").count() >= charts.count()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(OVERLAPS) == []


def test_tables_sort_by_numbers_and_by_words(browser: Browser, published: Path) -> None:
    page, _ = opened(browser, published, 1280)
    table = page.locator("table").first
    score = table.locator("th button").nth(1)

    def column(place: int) -> list[str]:
        return table.locator(f"tbody tr td:nth-child({place + 1})").all_inner_texts()

    values = [float(cell.split(" ")[0]) for cell in column(1)]
    score.click()
    assert [float(cell.split(" ")[0]) for cell in column(1)] == sorted(values, reverse=True)
    score.click()
    assert [float(cell.split(" ")[0]) for cell in column(1)] == sorted(values)
    table.locator("th button").first.click()
    assert column(0) == sorted(column(0))
    assert table.locator("th").first.get_attribute("aria-sort") == "ascending"


def test_curves_change_to_tokens_and_a_legend_hides(browser: Browser, published: Path) -> None:
    page, errors = opened(browser, published, 1280)
    curves = page.locator("#pretraining-0")
    page.get_by_role("button", name="tokens", exact=True).click()
    page.wait_for_function("document.querySelector('#pretraining-0 .xtitle').textContent === 'tokens'")
    lines = curves.locator(".scatterlayer .trace")
    before = lines.count()
    curves.locator(".legendtoggle").first.click()
    page.wait_for_function(f"document.querySelectorAll('#pretraining-0 .scatterlayer .trace').length < {before}")
    assert errors == []
