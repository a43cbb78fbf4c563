"""From a number of the report, or a run, to the exact inputs it came from and the command that makes it again.

python -m flows trace 72.6                       a score as the report has it
python -m flows trace imdb full mlm accuracy     a cell of reports/results.csv, by words that its columns hold
python -m flows trace finetune@mlm-imdb-full-0   a stage
python -m flows trace 1f0c9a2b                   an MLflow run, by the beginning of its id

`make ui` serves the same for the numbers of reports/index.html: a click on one leads to its runs. With --report NAME
it is asked of what was published in reports/NAME.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from flows import graph
from stages import paths
from stages.errors import StageError
from stages.tracking import links, store

if TYPE_CHECKING:
    from mlflow.entities import Run

REPORTS, RESULTS = "reports", "results.csv"
CELL = ("task", "method", "objective", "compressor", "metric")
NUMBER, RUN_ID = re.compile(r"[+−-]?\d+(\.\d+)?"), re.compile(r"[0-9a-f]{6,32}")
MOST, ALL = 12, 50_000
"""Cells that are named where several fit, and what MLflow gives at once."""


@dataclass(frozen=True)
class Made:
    """A stage as `dvc.lock` has it.

    Attributes:
        needs, outs: files and folders by path, with their hashes.
    """

    name: str
    command: str
    needs: dict[str, str]
    outs: dict[str, str]
    params: dict[str, Any]


class Logged(NamedTuple):
    """The MLflow run that made what a stage has now."""

    id: str
    experiment: str
    name: str
    commit: str
    is_dirty: bool
    seconds: float

    def told(self) -> str:
        """With the address that it has in the UI which `make ui` opens."""
        commit = f", commit {self.commit[:10]}{' with changes' * self.is_dirty}" if self.commit else ""
        return f"{self.name}, {self.seconds:.0f} s{commit}, {links.address()}{links.run(self.experiment, self.id)}"


@dataclass(frozen=True)
class Traced:
    """A stage that something was led back to.

    Attributes:
        made: all stages, by name.
        runs: the MLflow runs that made what it has now, the latest first.
        stale: what has changed since, of it and of all that it stands on; of what stands on such alone, nothing.
        report: the name of a published one, which is not compared to what there is now.
    """

    stage: Made
    made: Mapping[str, Made]
    runs: Sequence[Logged]
    stale: Mapping[str, Sequence[str]]
    report: str

    @property
    def state(self) -> str:
        """Whether what it stands on is as it was."""
        if self.report:
            return "as published"
        if self.stage.name not in self.stale:
            return "as recorded"
        return "STALE: " + ("; ".join(self.stale[self.stage.name]) or "what it stands on is")

    @property
    def again(self) -> str:
        """The command that makes only this again."""
        command = f"dvc repro --single-item --force {self.stage.name}"
        return f"cd .state/workspaces/{self.report} && {command}" if self.report else command


def trace(words: Sequence[str], root: Path, report: str = "") -> Iterator[str]:
    """Lines that lead back from what ``words`` say.

    Args:
        report: the name of a published one, if it is not the project's own.

    Raises:
        StageError: nothing is known by these words, or too much.
    """
    for title, stages in traced(words, root, report):
        yield title
        for found in stages:
            yield from _told(found)


def traced(words: Sequence[str], root: Path, report: str = "") -> Iterator[tuple[str, list[Traced]]]:
    """A title and the stages that it is about, for each thing that the words may mean.

    Raises:
        StageError: nothing is known by these words, or too much.
    """
    made = locked(root, report)
    for title, names in resolve(words, root / REPORTS / report / RESULTS, made):
        stale = {item.name: item.reasons for item in graph.plan(names).stages} if names and not report else {}
        yield title, [Traced(made[name], made, logged(made[name]), stale, report) for name in names]


def locked(root: Path, report: str = "") -> dict[str, Made]:
    """All stages that have run.

    Raises:
        StageError: none has.
    """
    path = (root / REPORTS / report if report else root) / graph.LOCK
    if not path.is_file():
        again = f"python -m flows full {report}" if report else "dvc repro"
        raise StageError(f"{path.relative_to(root)} is missing: nothing has run here yet; run `{again}`")
    stages = yaml.safe_load(path.read_text(encoding="utf-8")).get("stages", {})
    return {name: _made(name, entry) for name, entry in stages.items()}


def _made(name: str, entry: Mapping[str, Any]) -> Made:
    needs, outs = ({item["path"]: item["md5"] for item in entry.get(key, ())} for key in ("deps", "outs"))
    params = {key: value for file in entry.get("params", {}).values() for key, value in file.items()}
    return Made(name, entry["cmd"], needs, outs, params)


def resolve(words: Sequence[str], results: Path, made: Mapping[str, Made]) -> Iterator[tuple[str, list[str]]]:
    """A title and the names of stages, for each thing that the words may mean."""
    if len(words) == 1 and words[0] in made:
        yield words[0], [words[0]]
    elif len(words) == 1 and RUN_ID.fullmatch(words[0]) and (found := _of_run(words[0])):
        yield f"run {found[0]}", [found[1]]
    else:
        yield from _cells(words, results, made)


def _of_run(beginning: str) -> tuple[str, str] | None:
    """The id and the stage of a run."""
    client = store.connect()
    experiments = [item.experiment_id for item in client.search_experiments()]
    runs = client.search_runs(experiments, "tags.`dvc.stage` != ''", max_results=ALL)
    found = [run for run in runs if run.info.run_id.startswith(beginning)]
    if len(found) > 1:
        raise StageError(f"{beginning}: {len(found)} runs begin like that: give more of the id")
    return (found[0].info.run_id, found[0].data.tags["dvc.stage"]) if found else None


def _cells(words: Sequence[str], results: Path, made: Mapping[str, Made]) -> Iterator[tuple[str, list[str]]]:
    cells = _read(results)
    fitting = {cell: rows for cell, rows in cells.items() if all(_fits(word, cell, rows) for word in words)}
    if not fitting:
        raise StageError(f"{' '.join(words)}: no stage, no run and no cell of {results.name} goes by that")
    if len(fitting) > MOST:
        few = "; ".join(" ".join(cell) for cell in list(fitting)[:MOST])
        raise StageError(f"{' '.join(words)}: {len(fitting)} cells fit ({few}; …): say more of their columns")
    for cell, rows in fitting.items():
        values = ", ".join(f"{row['value']} with seed {row['seed']}" for row in rows)
        names = dict.fromkeys(stage for row in rows if (stage := _stage_of(row, made)))
        yield f"{' · '.join(cell)}: {mean(float(row['value']) for row in rows):.6g} ({values})", list(names)


def _read(path: Path) -> dict[tuple[str, ...], list[dict[str, str]]]:
    if not path.is_file():
        raise StageError(f"{path.parent.name}/{path.name} is missing: run `dvc repro report`")
    cells: dict[tuple[str, ...], list[dict[str, str]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            cells.setdefault(tuple(row[column] for column in CELL), []).append(row)
    return cells


def _fits(word: str, cell: tuple[str, ...], rows: Sequence[Mapping[str, str]]) -> bool:
    """Whether a column says so, or, of a number, the mean or a seed does, as a share or in percent."""
    if word in cell:
        return True
    if not NUMBER.fullmatch(word):
        return False
    digits = len(word.partition(".")[2])
    asked, values = float(word.replace("−", "-")), [float(row["value"]) for row in rows]
    shown = [round(scale * value, digits) for value in (mean(values), *values) for scale in (1, 100)]
    return asked in shown


def _stage_of(row: Mapping[str, str], made: Mapping[str, Made]) -> str | None:
    """The stage that made the model behind a value."""
    task = row["task"].partition("/")[0]
    ways = {
        "pretrain": f"pretrain@{row['objective']}-{row['seed']}",
        "zero_shot": f"zero_shot@{task}-{row['objective']}-{row['seed']}",
    }
    tuned = f"finetune@{row['objective']}-{task}-{row['method']}-{row['seed']}"
    if row["compressor"] == "none":
        names = [ways.get(row["method"], tuned), tuned]
    else:
        names = [f"compress@{task}-{model}-{row['compressor']}" for model in (row["objective"], paths.BEST)]
    return next((name for name in names if name in made), None)


def _told(found: Traced) -> Iterator[str]:
    """A stage in full, and all that it stands on, a line each."""
    stage, made = found.stage, found.made
    yield f"\n{stage.name}"
    yield f"  command    {stage.command}"
    yield f"  again      {found.again}"
    yield f"  state      {found.state}"
    yield from (f"  run        {run.told()}" for run in found.runs)
    yield from (f"  parameter  {option} = {value}" for option, value in stage.params.items())
    yield from (f"  from       {path}  {md5}{_maker(path, made)}" for path, md5 in stage.needs.items())
    yield from (f"  made       {path}  {md5}" for path, md5 in stage.outs.items())
    for before in _before(stage.name, made):
        yield f"  stands on  {before}{' (STALE)' if before in found.stale else ''}: {made[before].command}"


def _maker(path: str, made: Mapping[str, Made]) -> str:
    found = next((name for name, stage in made.items() if any(_overlap(path, out) for out in stage.outs)), None)
    return f"  <- {found}" if found else ""


def _overlap(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def _before(name: str, made: Mapping[str, Made]) -> list[str]:
    """All stages behind one, the nearest first."""
    found: dict[str, None] = {}
    waiting = [name]
    while waiting:
        needs = made[waiting.pop(0)].needs
        makers = [
            other
            for other, stage in made.items()
            if other not in found and other != name and any(_overlap(need, out) for need in needs for out in stage.outs)
        ]
        found |= dict.fromkeys(makers)
        waiting += makers
    return list(found)


def logged(stage: Made) -> list[Logged]:
    """The finished runs of a stage that made its present outputs: one of other outputs is none of them."""
    client = store.connect()
    experiments = [item.experiment_id for item in client.search_experiments()]
    wanted = f"attributes.status = 'FINISHED' AND tags.`dvc.stage` = '{stage.name}'"
    runs = client.search_runs(experiments, wanted, order_by=["attributes.start_time DESC"], max_results=ALL)
    return [_logged(run) for run in runs if _outs(run) == stage.outs]


def _outs(run: Run) -> dict[str, str]:
    tags = run.data.tags.items()
    return {name.removeprefix("output."): md5 for name, md5 in tags if name.startswith("output.")}


def _logged(run: Run) -> Logged:
    tags, info = run.data.tags, run.info
    seconds = (info.end_time - info.start_time) / 1000
    is_dirty = tags.get("git.dirty") == "true"
    return Logged(info.run_id, info.experiment_id, info.run_name, tags.get("git.commit", ""), is_dirty, seconds)
