"""Two processes do what one does: a share each, the same step, the first one alone reports."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from stages import paths
from stages.training import launch
from tests.training import shares
from tests.training.shares import METHODS, Result

PROCESSES = 2
LIKELIHOODS = ["clm"]
"""Objectives that draw nothing, so that shares are of the same text whoever reads them."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Result]]:
    """Of everything what each process has."""
    folder = tmp_path_factory.mktemp("shares")
    environment = {**os.environ, launch.PROCESSES: str(PROCESSES)}
    subprocess.run([sys.executable, "-m", shares.__name__, str(folder)], cwd=paths.ROOT, env=environment, check=True)
    return {
        found.name: [load_file(found / f"{rank}.safetensors") for rank in range(PROCESSES)]
        for found in (folder / "results").iterdir()
    }


@pytest.mark.parametrize("name", [*shares.trained(), *METHODS])
def test_processes_stay_alike(name: str, results: dict[str, list[Result]]) -> None:
    """Bit for bit: weights, what the batch norms know, and the figures, which the first one measures."""
    first, second = results[name]
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert all(value.isfinite().all() for value in first.values() if value.is_floating_point())


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_shares_make_the_step_of_the_batch(name: str, results: dict[str, list[Result]], tmp_path: Path) -> None:
    """Weights and losses are those of one process, but for the order of sums."""
    _assert_close(results[name][0], shares.pretrain(name, tmp_path))


@pytest.mark.parametrize("name", METHODS)
def test_so_they_do_in_tuning(name: str, results: dict[str, list[Result]], tmp_path: Path) -> None:
    """Also where shares are unequal, and where a batch has fewer examples than there are processes."""
    _assert_close(results[name][0], shares.finetune(name, tmp_path))


def test_a_target_counts_alike_whoever_has_it(results: dict[str, list[Result]], tmp_path: Path) -> None:
    """Where one process has two targets, and the other one."""
    _assert_close(results["divide"][0], shares.divide(tmp_path))


def test_each_has_negatives_from_all(results: dict[str, list[Result]]) -> None:
    """Each hears of the others' rows what one process tells its own, and their losses add up."""
    alone, told = shares.contrast(), results["contrast"]
    torch.testing.assert_close(sum(part["loss"] for part in told), alone["loss"])
    for key in ("first", "second"):
        torch.testing.assert_close(torch.cat([part[key] for part in told]), alone[key])


def test_collectives(results: dict[str, list[Result]]) -> None:
    """A batch is divided, and may be too small; draws are nobody else's; the first one is heard."""
    first, second = results["collective"]
    assert (first["share"].tolist(), second["share"].tolist()) == ([0, 1, 2], [3, 4])
    assert (first["spare"].item(), second["spare"].item()) == (False, True)
    assert (first["positions"].tolist(), second["positions"].tolist()) == ([0, 2, 4], [1, 3, 5])
    assert first["average"] == second["average"] == 0.5
    assert first["first"] == second["first"] == 0


def _assert_close(found: Result, expected: Result) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-3, atol=1e-4, msg=lambda text, key=key: f"{key}: {text}")
