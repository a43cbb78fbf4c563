"""`python -m stages.predict` from file to file."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages import paths
from stages.errors import StageError
from stages.predict import run, tally
from stages.predict.__main__ import main
from tests.predict import made
from tests.predict.test_predictor import HUNDRED_THOUSAND, texts

COUNT = 60
PROBABILITIES = [f"probability_{label}" for label in made.LABELS]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.tuned(tmp_path_factory.mktemp("made") / "model", "encoder")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Reviews and what else is known of them; a label among it."""
    columns = {"id": [f"00{index}" for index in range(COUNT)], "text": texts(COUNT), "label": ["?"] * COUNT}
    pd.DataFrame(columns).to_csv(tmp_path / "texts.csv", index=False)
    return tmp_path / "texts.csv"


def read(path: Path) -> list[dict[str, Any]]:
    """A table by another reader than ours."""
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    options = {"sep": "\t", "quoting": csv.QUOTE_NONE} if path.suffix == ".tsv" else {}
    frame = pd.read_csv(path, dtype=dict.fromkeys(("id", "text"), str), keep_default_na=False, **options)
    return frame.to_dict("records")


def predict(model: Path, source: Path, *options: str) -> None:
    main(["--model", str(model), "--input", str(source), *options])


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """As jsonl or parquet."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def check(rows: list[dict[str, Any]], model: Path, label: str = "label") -> None:
    """Every answer is the model's."""
    for row in rows:
        expected = made.outputs(model, row["text"])
        assert [row[name] for name in PROBABILITIES] == pytest.approx(expected, abs=2e-6)
        assert row[label] == made.LABELS[expected.index(max(expected))]


def test_a_csv_becomes_a_csv_beside_it(model: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With all its columns as they were; its own label keeps its name."""
    predict(model, source)
    rows = read(source.with_name("texts.predictions.csv"))
    assert list(rows[0]) == ["row", "id", "text", "label", "predicted_label", *PROBABILITIES]
    assert [row["row"] for row in rows] == list(range(1, COUNT + 1))
    before = read(source)
    assert [{name: row[name] for name in ("id", "text", "label")} for row in rows] == before
    check(rows, model, "predicted_label")
    assert capsys.readouterr().out.endswith(f"texts.predictions.csv: {COUNT} of {COUNT} rows\n")


@pytest.mark.parametrize("into", ["out.csv", "out.tsv", "out.jsonl", "out.parquet"])
@pytest.mark.parametrize("name", ["in.jsonl", "in.parquet"])
def test_every_format_into_every_other(name: str, into: str, model: Path, tmp_path: Path) -> None:
    """What has a type keeps it where the format has types; what is missing stays so."""
    given = [{"text": text, "n": index, "more": [index, None]} for index, text in enumerate(texts(9))]
    given[4] |= {"n": None}
    predict(model, write(tmp_path / name, given), "--output", str(tmp_path / into))
    rows = read(tmp_path / into)
    check(rows, model)
    assert [row["row"] for row in rows] == list(range(1, 10))
    typed = into == "out.jsonl" or (name, into) == ("in.parquet", "out.parquet")
    for row, before in zip(rows, given, strict=True):
        if typed:
            assert {key: row[key] for key in before} == before
        else:
            assert json.loads(row["more"]) == before["more"]
            assert row["n"] in (before["n"], str(before["n"])) or (before["n"] is None and row["n"] in (None, ""))


def test_scores_of_pairs_in_columns_that_are_named(tmp_path: Path) -> None:
    scorer = made.tuned(tmp_path / "scorer", "bert", labels=())
    pairs = list(zip(texts(5, 1), texts(5, 2), strict=True))
    source = write(tmp_path / "in.jsonl", [{"first": first, "second": second} for first, second in pairs])
    predict(scorer, source, "--text", "first", "second", "--output", str(tmp_path / "out.jsonl"))
    rows = read(tmp_path / "out.jsonl")
    assert [list(row) for row in rows] == [["row", "first", "second", "score"]] * 5
    for row, pair in zip(rows, pairs, strict=True):
        assert row["score"] == pytest.approx(made.outputs(scorer, *pair)[0], abs=1e-5)


def test_how_rows_are_cut_into_pieces_changes_nothing(
    model: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no piece holds more than it may: memory does not grow with the file."""
    predict(model, source, "--output", str(tmp_path / "whole.jsonl"))
    sizes, answer = [], run.Predictor.answer

    def spied(self: run.Predictor, rows: list[Any], *rest: Any) -> list[Any]:
        sizes.append((len(rows), sum(len(row[0]) for row in rows[:-1])))
        return answer(self, rows, *rest)

    monkeypatch.setattr(run.Predictor, "answer", spied)
    monkeypatch.setattr(run, "CHARACTERS", 500)
    predict(model, source, "--batch-size", "1", "--output", str(tmp_path / "pieces.jsonl"))
    assert sum(count for count, _ in sizes) == COUNT
    assert all(count <= run.BATCHES and characters < 500 for count, characters in sizes)
    assert {count for count, _ in sizes} != {run.BATCHES}
    whole, pieces = (read(tmp_path / f"{name}.jsonl") for name in ("whole", "pieces"))
    for one, other in zip(whole, pieces, strict=True):
        assert [one[name] for name in PROBABILITIES] == pytest.approx([other[name] for name in PROBABILITIES], abs=2e-6)
        assert one["text"] == other["text"]


def test_bad_rows_are_told_and_the_rest_is_written(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first twenty one by one; a text of 100,000 words is no bad row, but is said to be cut."""
    lines = ["text,n", f"{HUNDRED_THOUSAND},1", "good,2,3", "bad,4", ",5", *[f" ,{n}" for n in range(30)], "fine,6"]
    (tmp_path / "a.csv").write_text("\n".join(lines), encoding="utf-8")
    predict(model, tmp_path / "a.csv")
    rows = read(tmp_path / "a.predictions.csv")
    assert [(row["row"], row["n"]) for row in rows] == [(1, 1), (3, 4), (35, 6)]
    check(rows, model)
    said = capsys.readouterr()
    expected = ["rows left out: 32", "  row 2: it has 3 columns, the header 2", "  row 4: text is empty"]
    start = said.err.splitlines().index(expected[0])
    shown = said.err.splitlines()[start:]
    assert shown[:3] == expected
    assert shown[tally.SHOWN + 1 :] == [
        "  and 12 more",
        f"texts cut to the {made.LENGTH} tokens that the model reads: 1 (row 1)",
    ]
    assert said.out.endswith("3 of 35 rows\n")


def test_where_nothing_can_be_predicted_nothing_is_written(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was there before stays."""
    (tmp_path / "a.csv").write_text("text,n\n,1\n", encoding="utf-8")
    (tmp_path / "a.predictions.csv").write_text("before")
    with pytest.raises(StageError, match=r"a\.csv has no row that could be predicted: nothing is written"):
        predict(model, tmp_path / "a.csv")
    assert "row 1: text is empty" in capsys.readouterr().err
    for body in ("", "text\n"):
        (tmp_path / "a.csv").write_text(body)
        with pytest.raises(StageError, match="nothing is written"):
            predict(model, tmp_path / "a.csv")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.csv", "a.predictions.csv"]
    assert (tmp_path / "a.predictions.csv").read_text() == "before"


def test_what_is_asked_wrongly_is_named(model: Path, source: Path, tmp_path: Path) -> None:
    for options, message in (
        (["--output", "out.xlsx"], r"--output out\.xlsx: predictions are written as one of \.csv, \.tsv"),
        (["--output", str(source)], "is the input: name another file"),
        (["--batch-size", "0"], "--batch-size 0: it must be at least 1"),
        (["--text", "a", "b", "c"], "--text a b c: name one column, or two"),
        (["--text", "review"], "has no column review; it has id, text, label"),
    ):
        with pytest.raises(StageError, match=message):
            predict(model, source, *options)
    with pytest.raises(StageError, match="is not there"):
        predict(tmp_path / "nowhere", source)
    taken = write(tmp_path / "b.jsonl", [{"text": "a", "row": 1, "predicted_row": 2}])
    with pytest.raises(StageError, match=r"b\.jsonl has a column predicted_row, which is an answer's name"):
        predict(model, taken)
    broken = write(tmp_path / "c.jsonl", [{"text": "a\tb"}])
    with pytest.raises(StageError, match="a tab or a line break stands in a text"):
        predict(model, broken, "--output", str(tmp_path / "c.tsv"))
    assert not (tmp_path / "c.tsv").exists()


def test_exit_codes_and_help(model: Path, source: Path) -> None:
    """As a person calls it."""
    source.write_text("text\ngood\n,\n", encoding="utf-8")
    command = [sys.executable, "-m", "stages.predict", "--model", str(model), "--input", str(source)]
    done = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{source.with_name('texts.predictions.csv')}: 1 of 2 rows\n")
    assert "row 2: it has 2 columns, the header 1" in done.stderr
    failed = subprocess.run([*command, "--text", "x"], cwd=paths.ROOT, capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: texts.csv has no column x; it has text")
    assert "Traceback" not in failed.stderr
