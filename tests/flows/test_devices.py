"""Devices are leased by locks: never two holders, none idle while something fits, and none freed while it is in use."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from flows.devices import Devices


@pytest.fixture(autouse=True)
def _own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_the_visible_gpus_are_mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    found = Devices.found(workers=1)
    assert found.gpus == 2
    first, second = found.take(1, 1), found.take(1, 1)
    assert first
    assert second
    assert [lease.environment["CUDA_VISIBLE_DEVICES"] for lease in (first, second)] == ["3", "5"]
    assert found.take(1, 1) is None
    found.give_back(first)
    again = found.take(1, 1)
    assert again
    assert again.gpus == ("3",)


def test_a_stage_without_a_gpu_sees_none(monkeypatch: pytest.MonkeyPatch) -> None:
    lease = Devices(["0", "1"], 2).take(0, 1)
    assert lease
    assert lease.environment == {"CUDA_VISIBLE_DEVICES": "", "NPROC_PER_NODE": "1"}


def test_without_gpus_the_places_are_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found = Devices.found(workers=3)
    assert found.cores >= 3  # more at a time than there are cores, if that is wanted
    machine = Devices([], 2)
    assert machine.take(1, 64)  # no GPU to ask for, and all cores
    assert machine.take(1, 1) is None


def test_several_are_taken_all_or_none() -> None:
    """A try that fails keeps nothing back."""
    machine = Devices(["0", "1", "2"], 3)
    two = machine.take(2, 1)
    assert two
    assert two.gpus == ("0", "1")
    assert two.environment == {"CUDA_VISIBLE_DEVICES": "0,1", "NPROC_PER_NODE": "2"}
    assert machine.take(2, 1) is None
    one = machine.take(1, 1)
    assert one
    assert one.gpus == ("2",)
    machine.give_back(two)
    assert machine.take(2, 2)


def test_two_flows_share_no_device() -> None:
    mine, others = Devices(["0", "1"], 8), Devices(["1", "2"], 8)
    assert mine.take(2, 1)
    lease = others.take(1, 1)
    assert lease
    assert lease.gpus == ("2",)


def test_a_device_is_in_use_until_its_last_holder_is_gone() -> None:
    machine = Devices(["0"], 4)
    lease = machine.take(1, 1)
    assert lease
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=lease.descriptors)
    machine.give_back(lease)  # as the death of the flow does
    assert machine.take(1, 1) is None
    child.kill()
    child.wait()
    assert machine.take(1, 1)


def test_two_hundred_stages_on_four_devices() -> None:
    """In random order of ending: at no time two holders of a device, nor an idle one while a stage fits on it."""
    machine, draw = Devices([str(number) for number in range(4)], 4), random.Random(0)
    waiting, running = [draw.choice([1, 1, 1, 2, 4]) for _ in range(200)], []
    while waiting or running:
        for need in list(waiting):
            if lease := machine.take(need, 1):
                waiting.remove(need)
                running.append(lease)
        held = [gpu for lease in running for gpu in lease.gpus]
        assert len(held) == len(set(held))
        assert all(need > 4 - len(held) for need in waiting)
        machine.give_back(running.pop(draw.randrange(len(running))))


def test_nvidia_smi_is_asked_where_nothing_else_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Devices.found(workers=1).gpus == 0
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 0\necho 1\n")
    tool.chmod(0o755)
    assert Devices.found(workers=1).gpus == 2
    tool.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n")
    assert Devices.found(workers=1).gpus == 0
