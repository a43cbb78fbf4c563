"""``reports/report.md``: the tables and words, set by the template."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stages.evaluate.comparisons import BASELINE
from stages.evaluate.schema import NONE
from stages.params import Budget, Params
from stages.paths import BEST
from stages.report import answer, formats
from stages.report.inputs import Inputs
from stages.report.results import Results
from stages.report.standings import standing
from stages.report.tables import (
    Table,
    benchmarks,
    compression,
    continual,
    diagnoses,
    differences,
    models,
    pretraining,
    scores,
    texts,
    zero_shot,
)

TEMPLATES = Path(__file__).parent / "templates"


def render(content: Mapping[str, Any]) -> str:
    """The page as markdown, from what `content` gives."""
    return _environment().get_template("report.md.j2").render(content)


def table(content: Table) -> str:
    """A table as markdown."""
    made: str = _environment().get_template("table.md.j2").module.table(content)  # type: ignore[attr-defined]
    return made


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def content(inputs: Inputs, results: Results) -> dict[str, Any]:
    """All that the page says, by the names that its template has for it."""
    params = inputs.params
    standings = [
        found
        for evaluation in inputs.evaluations
        for method in params.finetune.methods
        if (found := standing(evaluation, results, params.pretrain.objectives, method))
    ]
    return {
        "params": params,
        "doubled": _doubled(params.pretrain.budget),
        "settings": yaml.safe_dump(settings(params), sort_keys=False, allow_unicode=True, width=110),
        "headline": answer.headline(standings),
        "verdicts": [answer.verdict(item) for item in standings],
        "compression_verdicts": _compression_verdicts(inputs),
        "scores": [(method, scores.scores(inputs, results, standings, method)) for method in params.finetune.methods],
        "further": [formats.code(name) for item in inputs.evaluations for name in item.sets if name != item.task],
        "flags": _flags(inputs),
        "inapplicable": _inapplicable(inputs),
        "differences": differences.differences(inputs),
        "pretraining": pretraining.pretraining(inputs, results),
        "continual": continual.continual(inputs),
        "zero_shot": [(name, zero_shot.zero_shot(inputs, results, name)) for name in params.zero_shot.sources],
        "models": models.models(inputs, results),
        "compression": compression.compression(inputs),
        "kept": compression.kept(inputs),
        "uncompressible": _uncompressible(inputs),
        **_inside(inputs),
        "benchmarks": benchmarks.benchmarks(inputs.benchmarks),
        "problems": inputs.problems,
        "evaluations": len(inputs.evaluations),
        **_texts(inputs),
        "tokenizer": inputs.tokenizer,
        "baseline": BASELINE,
        "seeds": f"{len(params.seeds)} seed{'s' if len(params.seeds) > 1 else ''}",
        "formats": formats,
    }


def tables(content: Mapping[str, Any]) -> dict[str, Table]:
    """Its tables, by name."""
    found = {name: table for name, table in content.items() if isinstance(table, Table)}
    for name in ("scores", "zero_shot"):
        found |= {f"{name}-{part}": table for part, table in content[name]}
    return found


def marked(content: Mapping[str, Any]) -> dict[str, Any]:
    """The same with marks that say where numbers come from, which only ``index.html`` heeds."""
    parts = {name: [(part, table.marked) for part, table in content[name]] for name in ("scores", "zero_shot")}
    return {name: item.marked if isinstance(item, Table) else item for name, item in content.items()} | parts


def _texts(inputs: Inputs) -> dict[str, Any]:
    """What is told of the sets of texts; nothing if that could not be read."""
    if (split := inputs.split) is None:
        return {"sets": None}
    return {
        "sets": texts.sets(split),
        "removed": texts.removed(split),
        "overlaps": texts.overlaps(split, inputs.params),
        "pairs": len(split.overlaps),
    }


def _inside(inputs: Inputs) -> dict[str, Any]:
    found = inputs.diagnoses
    return {
        "unasked": [f"{item.task}: {item.reason}" for item in found if item.reason],
        "reliability": diagnoses.reliability(found),
        "noise": diagnoses.noise(found),
        "groups": diagnoses.groups(found),
        "mistakes": diagnoses.mistakes(found),
        "attributions": diagnoses.attributions(found),
    }


def _doubled(budget: Budget) -> str:
    """The setting that gives every objective twice as much."""
    return f"pretrain.budget.{budget.unit}={2 * getattr(budget, budget.unit):g}"


def _compression_verdicts(inputs: Inputs) -> list[str]:
    """Of the best model of each task, and of all objectives together."""
    return [
        verdict
        for evaluation in inputs.evaluations
        for verdict in (
            *(answer.compression_verdict(evaluation, item) for item in evaluation.of_model(BEST)),
            *(answer.order_verdict(evaluation, order) for order in evaluation.orders),
        )
    ]


def _flags(inputs: Inputs) -> list[str]:
    return [
        f"{evaluation.task}, {formats.code(f'{flag.objective}-{flag.method}-{flag.seed}')}"
        + ("" if flag.compressor == NONE else f" + {formats.code(flag.compressor)}")
        + f": {flag.reason}"
        for evaluation in inputs.evaluations
        for flag in evaluation.flags
    ]


def _inapplicable(inputs: Inputs) -> list[str]:
    """Why cells of methods are empty, each reason once."""
    runs = [run for evaluation in inputs.evaluations for run in evaluation.inapplicable if run.compressor == NONE]
    return list(
        dict.fromkeys(f"{formats.code(run.method)} of {formats.code(run.objective)}: {run.reason}" for run in runs)
    )


def _uncompressible(inputs: Inputs) -> list[str]:
    """Why those of compressors are."""
    return [
        f"{evaluation.task}, {formats.code(run.compressor)} of "
        f"{formats.code(f'{run.objective}-{run.method}-{run.seed}')}: {run.reason}"
        for evaluation in inputs.evaluations
        for run in evaluation.uncompressible
    ]


def settings(params: Params) -> dict[str, Any]:
    """`params.yaml` without the variants and sources that are defined but not in use."""
    used = {
        "objectives": params.pretrain.objectives,
        "methods": params.finetune.methods,
        "compressors": params.compress.compressors,
        "sources": params.data.sources,
    }
    content = params.model_dump(exclude_unset=True)
    return content | {section: {name: content[section][name] for name in names} for section, names in used.items()}
