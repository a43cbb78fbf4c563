"""Cutting the sources in use into the tasks' splits and the corpus, and counting what was done."""

from __future__ import annotations

from collections.abc import Collection
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages import artifacts, paths, progress
from stages.corpus import tasks
from stages.corpus.corpus import Corpus
from stages.corpus.sets import SetWriter
from stages.params import Params

Keys = dict[str, NDArray[np.uint64]]
"""The keys of the distinct texts of each set."""


def split(params: Params) -> None:
    """Write data/tasks, data/corpus, data/corpora/<name> for each further corpus, and data/metrics/split.json.

    All tasks of the sources in use are cut, whether or not they are chosen: so choosing other
    tasks changes no corpus.

    Raises:
        StageError: a source was not fetched, or a set would be empty.
    """
    with (
        artifacts.atomic_folder(paths.TASKS) as task_folder,
        artifacts.atomic_folder(paths.CORPUS) as folder,
        artifacts.atomic_folder(paths.CORPORA) as further,
    ):
        metrics = _split(params, task_folder, folder, further)
    artifacts.write_json(paths.METRICS / "split.json", metrics)


def _split(params: Params, task_folder: Path, corpus_folder: Path, further: Path) -> dict[str, Any]:
    names = [name for source in params.data.sources for name in params.sources[source].tasks]
    writers: dict[str, SetWriter] = {}
    with progress.bar("split", 2 * len(names) + 1, "steps") as bar:
        scanned = []
        for name in names:
            scanned.append(tasks.scan(name, params))
            bar.advance(1)
        for task in scanned:
            elsewhere = [other.held_out.texts for other in scanned if other is not task]
            written = tasks.write(task, elsewhere, task_folder / task.name)
            writers |= {f"{task.name}/{name}": writer for name, writer in written.items()}
            bar.advance(1)
        held_out = [task.held_out.texts for task in scanned]
        corpora = {"corpus": Corpus(params, held_out)}
        for name in params.further_corpora:  # what the corpus is measured on must not be learnt from elsewhere
            corpora[f"corpora/{name}"] = Corpus(params, [*held_out, corpora["corpus"].validation()], name)
        for called, corpus in corpora.items():
            target = corpus_folder if called == "corpus" else further / Path(called).name
            writers |= zip((f"{called}/train", f"{called}/validation"), corpus.write(target), strict=True)
        bar.advance(1)
    further_sets = [f"{task.name}/{item.name}" for task in scanned for item in task.further]
    found = {name: keys for task in scanned for name, keys in task.keys_found().items()}
    removed = {name: counts for task in scanned for name, counts in task.removed().items()}
    return {
        "sets": {name: writer.statistics() for name, writer in writers.items()},
        "removed": removed | {called: dict(corpus.removed) for called, corpus in corpora.items()},
        "overlaps_found": overlaps(found),
        "overlaps": overlaps({name: writer.keys for name, writer in writers.items()}, further_sets),
    }


def overlaps(sets: Keys, further: Collection[str] = ()) -> dict[str, int]:
    """The number of distinct texts that any two sets have in common, up to case and punctuation.

    ``further`` sets are not compared with those of their own task, which may share texts with them, but no rows.
    """
    return {
        f"{first} & {second}": len(np.intersect1d(sets[first], sets[second], assume_unique=True))
        for first, second in combinations(sorted(sets), 2)
        if not (Path(first).parent == Path(second).parent and {first, second} & set(further))
    }
