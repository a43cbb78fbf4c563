"""One stage between two machines: what it stands on and what comes of it travel through DVC's remote.

Whoever offers a stage gives its inputs and says which they are; who serves gets them, makes the stage, and gives its
outputs and the entry of the run-cache that names them; who offered fetches both, and DVC restores the stage as if it
had run here. ``dvc push --run-cache`` would give all that ever ran, at a cost that grows with it; here it is one entry,
after the objects that it names, so that whoever finds it finds all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.fs import generic
from dvc.output import Output
from dvc.stage import PipelineStage
from dvc.stage.cache import _get_stage_hash
from dvc.stage.serialize import to_single_stage_lockfile

from flows import reproduce
from flows.limits import Limits
from flows.result import Result
from flows.run_stage import log_file
from stages import artifacts

LEGACY = "md5-dos2unix"
"""DVC's name for the kind of store, here and on the remote, that has the run-cache beside its objects."""

CAUSE = "something lies there that neither git nor DVC keeps, or was edited since"


def paper(root: Path, stage: str) -> Path:
    """Where an offer is written: `lock`, the entries of `dvc.lock` behind its inputs, and the `hashes` of these."""
    return log_file(root / ".state" / "offers", stage).with_suffix(".json")


def offer(stage: PipelineStage) -> Result:
    """Restore the stage if that can be; else give its inputs, write the offer, and say `ABSENT`."""
    try:
        result = reproduce.restore(stage)
        if result is Result.ABSENT and _pull(stage.reload()):
            result = reproduce.restore(stage.reload())
        if result is Result.ABSENT:
            _give_inputs(stage.reload())
    except (DvcException, OSError) as error:
        return _lost(error)
    return result


def serve(stage: PipelineStage, limits: Limits, descriptors: Iterable[int]) -> Result:
    """Get the inputs that were offered, make the stage, give its outputs. What it writes first is out of date then."""
    try:
        _get_inputs(stage)
        if differing := _differing(stage):
            print(f"ERROR: other here than where the stage was offered: {', '.join(differing)}; {CAUSE}", flush=True)
            return Result.FAILED
        made = stage.reload()
        result = reproduce.reproduce(made, limits, tuple(descriptors))
        if result.succeeded:
            _push(made)
    except (DvcException, OSError) as error:
        return _lost(error)
    return result


def fetch(stage: PipelineStage) -> Result:
    """Restore what another machine has made; `ABSENT` if what the stage stands on is not any more as it was offered."""
    try:
        _pull(stage)
    except (DvcException, OSError) as error:
        return _lost(error)
    return reproduce.restore(stage.reload())


def overlap(one: str, other: str) -> bool:
    """Whether two paths are the same, or one lies within the other."""
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _lost(error: BaseException) -> Result:
    print(f"ERROR: {error}", flush=True)
    return Result.LOST


def _give_inputs(stage: PipelineStage) -> None:
    stage.save_deps()
    inputs = _inputs(stage)
    _transfer(stage.repo.cloud.push, inputs)
    lock = {}
    for out in inputs:
        if isinstance(out.stage, PipelineStage):
            entry = to_single_stage_lockfile(out.stage)
            lock[out.stage.addressing] = {"cmd": entry["cmd"], "outs": entry["outs"]}
    artifacts.write_json(paper(Path(stage.repo.root_dir), stage.addressing), {"lock": lock, "hashes": _hashes(stage)})


def _get_inputs(stage: PipelineStage) -> None:
    inputs = _inputs(stage)
    _transfer(stage.repo.cloud.pull, inputs)
    for out in inputs:
        out.checkout(force=True)


def _inputs(stage: PipelineStage) -> list[Output]:
    """Outputs of other stages, and what was added to DVC, that the stage reads: all of them or in part."""
    paths = [dep.fs_path for dep in stage.deps]
    outs = [out for other in stage.repo.index.stages for out in other.outs]
    return [out for out in outs if any(overlap(out.fs_path, path) for path in paths)]


def _hashes(stage: PipelineStage) -> dict[str, Any]:
    return {str(dep): dep.hash_info.value for dep in stage.deps}


def _differing(stage: PipelineStage) -> list[str]:
    """What is not as it was offered."""
    offered = artifacts.read_json(paper(Path(stage.repo.root_dir), stage.addressing))["hashes"]
    stage.save_deps()
    here = _hashes(stage)
    return sorted(name for name in offered.keys() | here if offered.get(name) != here.get(name))


def _push(stage: PipelineStage) -> None:
    _transfer(stage.repo.cloud.push, stage.outs)
    _copy_entries(stage, stage.repo.cache.legacy, _remote(stage))


def _pull(stage: PipelineStage) -> bool:
    """Get what the remote has of the stage as it stands now, if it has it."""
    stage.save_deps()
    entries = _copy_entries(stage, _remote(stage), stage.repo.cache.legacy)
    for objects in stage.repo.stage_cache.get_used_objs(entries).values():
        _check(stage.repo.cloud.pull(objects))
    return bool(entries)


def _remote(stage: PipelineStage) -> Any:
    return stage.repo.cloud.get_remote_odb(command="push", hash_name=LEGACY)


def _copy_entries(stage: PipelineStage, source: Any, target: Any) -> list[tuple[str, str]]:
    """Copy the run-cache's entries of the stage from one store to the other; their keys and names."""
    key = _get_stage_hash(stage)
    place = ("runs", key[:2], key)
    folder = source.fs.join(source.path, *place)
    files = list(source.fs.find(folder)) if source.fs.exists(folder) else []
    names = [source.fs.name(file) for file in files]
    generic.copy(source.fs, files, target.fs, [target.fs.join(target.path, *place, name) for name in names])
    return [(key, name) for name in names]


def _transfer(way: Callable[[Any], Any], outs: Iterable[Output]) -> None:
    """Push or pull what is in `outs`."""
    objects = {found for out in outs for used in out.get_used_objs().values() for found in used}
    _check(way(objects))


def _check(done: Any) -> None:
    if done.failed:
        raise OSError(f"{len(done.failed)} files did not pass between DVC's cache and its remote")
