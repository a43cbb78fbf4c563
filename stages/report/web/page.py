"""``reports/index.html``: what ``report.md`` says, in one file that needs no network.

The words and tables are those of the markdown. Where that has a picture, or a mark that only this page heeds
(``<!-- charts: NAME -->``), there are figures drawn by Plotly, whose code is part of the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt

from stages.report.charts import Chart, compression, diagnoses, pretraining, scores, tuning, zero_shot
from stages.report.inputs import Inputs
from stages.report.results import Results

TEMPLATES = Path(__file__).parent

PLACE = re.compile(r'<p><img src="figures/(\w+)\.svg" alt="([^"]*)" ?/></p>|<!-- charts: (\w+) -->')
"""Where figures go: a picture of the markdown, or the mark."""

TRACED = re.compile(r"<td([^>]*)>((?:(?!</td>).)*?)<!-- trace: (.*?) --></td>", re.DOTALL)
"""A number in a table, and what it comes from."""

LONG = re.compile(r"<td([^>]*)>((?:(?!</td>).){60,})</td>", re.DOTALL)
"""A cell of a table that holds a text."""

HEADING = re.compile(r"<h([2-4])>(.*?)</h\1>")


def render(inputs: Inputs, results: Results, markdown: str) -> str:
    """The whole file.

    Args:
        markdown: ``report.md``, with marks behind numbers that say where they come from.
    """
    from plotly.offline import get_plotlyjs

    charts = _charts(inputs, results)
    body = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
    body = PLACE.sub(lambda found: _figures(found[1] or found[3], found[2] or "", charts), body)
    body = TRACED.sub(r'<td\1 data-origins="\3">\2</td>', body)
    body = body.replace("<table>", '<div class="scroll"><table>').replace("</table>", "</table></div>")
    body, contents = _anchored(LONG.sub(r'<td class="words"\1>\2</td>', body))
    environment = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True)
    return environment.get_template("index.html.j2").render(
        body=body,
        contents=contents,
        style=(TEMPLATES / "page.css").read_text(encoding="utf-8"),
        script=(TEMPLATES / "page.js").read_text(encoding="utf-8"),
        plotly=get_plotlyjs(),
        charts=_as_script(charts),
    )


def _charts(inputs: Inputs, results: Results) -> dict[str, list[Chart]]:
    """All figures, by the name of their place."""
    compressed = [item for item in inputs.evaluations if item.compressions]
    return {
        "scores": [scores.scores(inputs, results, item) for item in inputs.evaluations],
        "tuning": [tuning.tuning(inputs, results, item) for item in inputs.evaluations],
        "pretraining": [pretraining.pretraining(inputs)],
        "zero_shot": [zero_shot.zero_shot(inputs, results, name) for name in inputs.params.zero_shot.sources],
        "reliability": [diagnoses.reliability(inputs.diagnoses)],
        "noise": [diagnoses.noise(item) for item in inputs.diagnoses if item.disturbed],
        "attributions": [diagnoses.attribution(each) for item in inputs.diagnoses for each in item.attributions],
        "attention": [
            diagnoses.attention(item.attributions[0])
            for item in inputs.diagnoses
            if item.attributions and item.attributions[0].attention
        ],
        "compression": [compression.compression(item) for item in compressed],
    }


def _figures(name: str, caption: str, charts: Mapping[str, Sequence[Chart]]) -> str:
    """Empty boxes of the right height, which the script fills."""
    boxes = [
        f'<div class="chart" id="{name}-{number}" style="height:{drawn["layout"]["height"]}px"></div>'
        for number, drawn in enumerate(charts[name])
    ]
    words = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f"<figure>{''.join(boxes)}{words}</figure>" if boxes else ""


def _anchored(body: str) -> tuple[str, list[tuple[str, str]]]:
    """Headings that can be linked to, as git hosts make them, and those of the second level."""
    contents: list[tuple[str, str]] = []

    def anchor(found: re.Match[str]) -> str:
        level, words = found.groups()
        plain = re.sub(r"<[^>]*>", "", words)
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        if level == "2":
            contents.append((name, plain))
        return f'<h{level} id="{name}">{words}</h{level}>'

    return HEADING.sub(anchor, body), contents


def _as_script(charts: Mapping[str, Sequence[Chart]]) -> str:
    """JSON that cannot end the script it stands in."""
    named = {f"{name}-{number}": drawn for name, group in charts.items() for number, drawn in enumerate(group)}
    return json.dumps(named, sort_keys=True, separators=(",", ":")).replace("<", "\\u003c")
