"""What `plan` says: order, device, estimate and reasons; and how fast it says it."""

from __future__ import annotations

import resource
from pathlib import Path

import yaml

from flows import overview
from flows.devices import Devices
from flows.graph import Plan, Stage
from stages.params import Resources
from tests.flows.conftest import Project

PATTERNS = {"*": Resources(cpus=1), "train@*": Resources(gpus=1), "wide": Resources(cpus=2)}


def plan(**needs: str) -> Plan:
    stages = tuple(
        Stage(name.replace("__", "@"), frozenset(need.replace("__", "@").split()), () if need else ("it never ran",))
        for name, need in needs.items()
    )
    return Plan(Path(), stages, ())


def test_stages_are_listed_with_what_is_to_be_known() -> None:
    seconds = {"train@a": 65.0, "train@b": 5.0}
    listed = plan(top="", train__a="top", train__b="top", wide="")
    assert list(overview.lines(listed, PATTERNS, Devices(["0"], 2), seconds, workers=2)) == [
        "   1  top  (1 core, no estimate)",
        "      it never ran",
        "   2  train@a  (1 GPU, about 1:05)",
        "      after top",
        "   3  train@b  (1 GPU, about 0:05)",
        "      after top",
        "   4  wide  (2 cores, no estimate)",
        "      it never ran",
        "4 stages, 2 at a time: at most 1:10, and 2 of which no earlier run is known",
    ]


def test_a_rehearsal_knows_needs_devices_and_workers() -> None:
    seconds = {"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0}
    free, chain = plan(a="", b="", c="", d=""), plan(a="", b="a", c="b", d="c")
    cores = Devices([], 4)
    assert overview.rehearse(free, PATTERNS, cores, seconds, workers=4)[1] == 4.0
    assert overview.rehearse(free, PATTERNS, cores, seconds, workers=2)[1] == 5.0
    assert overview.rehearse(free, PATTERNS, Devices([], 1), seconds, workers=4)[1] == 10.0
    assert overview.rehearse(chain, PATTERNS, cores, seconds, workers=4)[1] == 10.0
    trained = plan(train__a="", train__b="")
    twins = dict.fromkeys(["train@a", "train@b"], 3.0)
    assert overview.rehearse(trained, PATTERNS, Devices(["0"], 4), twins, workers=4)[1] == 6.0
    assert overview.rehearse(trained, PATTERNS, cores, twins, workers=4)[1] == 3.0


def test_three_hundred_stages_are_planned_in_three_seconds(project: Project) -> None:
    made = {
        f"s{number}": {"cmd": f"echo {number} > o{number}", "deps": ["work.py"], "outs": [f"o{number}"]}
        for number in range(300)
    }
    (project.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": made}))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = project.run("flows", "plan")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stdout.count("it never ran") == 300, done.stderr
    # of the processor, so that it does not matter what else the machine does
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3
