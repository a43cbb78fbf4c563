"""Texts that are to be written in answer: as they are fetched, cleaned, cut and described."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from stages import artifacts, params, paths
from stages.corpus.download import download
from stages.corpus.split import split
from stages.errors import StageError

Settings = Callable[..., params.Params]


def source(path: Path, **changes: Any) -> dict[str, Any]:
    columns = {"text": ["de"], "label": "en", "target": {"max_length": 20, "beams": 2}, "tasks": {"translated": {}}}
    return {"path": str(path), **columns, **changes}


def test_targets_are_texts(project: Path, settings: Settings) -> None:
    """Cleaned as others; a text may have several, and a row without one is left out."""
    rows = [(f"Satz {number} ueber Haus {number * 7}", f" Sentence  {number}") for number in range(90)]
    rows += [(text, f"{target} again") for text, target in rows] + [("Ein Satz ohne Ziel", "")]
    pd.DataFrame(rows, columns=["de", "en"]).to_csv(project / "pairs.csv", index=False)
    made = settings({"pairs": source(project / "pairs.csv")}, near_duplicate=0.99)
    download("pairs", made.sources["pairs"], paths.raw("pairs"))
    split(made)
    tables = [pd.read_parquet(paths.task("translated") / f"{part}.parquet") for part in ("train", "validation", "test")]
    assert [list(table.columns) for table in tables] == [["text", "label", "id"]] * 3
    found = pd.concat(tables)
    assert len(found) == 180
    assert sorted(found["label"]) == sorted(
        f"Sentence {number}{rest}" for number in range(90) for rest in ("", " again")
    )
    assert all(set(one["text"]).isdisjoint(other["text"]) for one, other in pairwise(tables))
    described = artifacts.read_json(paths.task("translated") / "task.json")
    assert (described["family"], described["metric"], described["labels"]) == ("generation", "bleu", [])
    assert described["target"] == {"max_length": 20, "beams": 2, "length_penalty": 1.0}
    counted = artifacts.read_json(paths.METRICS / "split.json")["sets"]["translated/train"]
    assert counted.keys() == {"rows", "words", "bytes"}


@pytest.mark.parametrize("changes", [{"score": True}, {"labels": ["a", "b"]}, {"target": None}])
def test_labels_are_of_one_kind(changes: dict[str, Any], project: Path, settings: Settings) -> None:
    with pytest.raises(StageError, match="needs one of"):
        settings({"pairs": source(project / "pairs.csv", **changes)})


@pytest.mark.parametrize("target", [{"max_length": 1}, {"beams": 0}, {"width": 3}])
def test_a_search_that_cannot_be_is_refused(target: dict[str, Any], project: Path, settings: Settings) -> None:
    with pytest.raises(StageError, match=r"target\.(max_length|beams|width)"):
        settings({"pairs": source(project / "pairs.csv", target=target)})
