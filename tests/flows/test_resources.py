"""What stages ask for: patterns of `resources`, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from flows import resources
from stages import paths
from stages.errors import StageError
from stages.params import Resources


def patterns(tmp_path: Path, content: str) -> resources.Patterns:
    (tmp_path / "params.yaml").write_text(content)
    return resources.load(tmp_path)


def test_of_all_patterns_that_match_the_last_says_what_it_says(tmp_path: Path) -> None:
    found = patterns(
        tmp_path,
        "resources: {'*': {cpus: 1, memory: 4GB}, 'train@*': {gpus: 1, minutes: 9}, 'train@big*': {cpus: 3}, join: {}}",
    )
    assert resources.of("join", found) == Resources(cpus=1, memory=4_000_000_000)
    assert resources.of("train@small", found) == Resources(gpus=1, cpus=1, memory=4_000_000_000, minutes=9)
    assert resources.of("train@big-0", found) == Resources(gpus=1, cpus=3, memory=4_000_000_000, minutes=9)


def test_without_a_section_or_a_file_every_stage_asks_for_one_core(tmp_path: Path) -> None:
    assert resources.of("any", resources.load(tmp_path)) == Resources(gpus=0, cpus=1)
    assert resources.of("any", patterns(tmp_path, "size: 1")) == Resources(gpus=0, cpus=1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{'train@*': {gpu: 1}}", r"params\.yaml: resources\.train@\*: gpu: unknown key"),
        ("{'train@*': {gpus: -1}}", r"resources\.train@\*: gpus: "),
        ("{'*': {memory: much}}", r"resources\.\*: memory: "),
        ("{'*': {minutes: 0}}", r"resources\.\*: minutes: "),
        ("[1]", r"resources: it must map patterns"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(StageError, match=message):
        patterns(tmp_path, f"resources: {content}")


def test_no_stage_depends_on_resources() -> None:
    """So that another machine's devices make nothing anew."""
    for stage in yaml.safe_load(paths.ROOT.joinpath("dvc.yaml").read_text())["stages"].values():
        assert not any(key.split(".")[0] == "resources" for key in stage.get("params", []))
    assert resources.of("pretrain@mlm-0", resources.load(paths.ROOT)).gpus == 1
