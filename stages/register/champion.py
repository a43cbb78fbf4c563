"""Versions of a task's model in MLflow's registry; the best of them has the alias ``champion``."""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stages import artifacts, paths, record
from stages.params import Params
from stages.predict import source
from stages.record import Record
from stages.register import judgement, package, rescore
from stages.register.judgement import Judgement
from stages.tracking import lineage, store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

ALIAS, MD5 = "champion", "md5"

IDENTITY = ("objective", "method", "seed")
"""What a version says of where its model comes from, out of ``run.json``."""


@dataclass(frozen=True)
class Candidate:
    """The selected model of a task: its folder, its ``run.json``, and how good it is on validation."""

    task: str
    folder: Path
    record: Record
    judged: Judgement


@dataclass(frozen=True)
class Verdict:
    """What became of a candidate.

    Attributes:
        version: which one it is of its task's.
        is_champion: whether it has the alias.
        text: both, and why.
    """

    version: int
    is_champion: bool
    text: str


def candidate(settings: Params, task: str) -> Candidate:
    """The selected model.

    Raises:
        StageError: it or the task is missing or damaged.
    """
    folder = paths.selected(task)
    found = record.read(folder)
    return Candidate(task, folder, found, Judgement(found.score, judgement.present(settings, task)))


def register(settings: Params, candidate: Candidate) -> Verdict:
    """Register a model, unless it is there already, and let it meet the champion; raises what the store raises."""
    client, judged = store.connect(), candidate.judged
    version = _registered(client, candidate)
    champion = _champion(client, candidate.task)
    if champion is None:
        wins, why = True, "there was none"
    elif int(champion.version) == int(version.version):
        wins, why = True, "it was before"
    else:
        wins, why = _meet(client, settings, candidate, champion)
    if wins:
        client.set_registered_model_alias(candidate.task, ALIAS, str(version.version))
    said = "is the champion" if wins else "is not the champion"
    score = f"{judged.yardstick.metric} {judged.value:.4f} on validation"
    return Verdict(int(version.version), wins, f"version {version.version}, {score}, {said}: {why}")


def _registered(client: MlflowClient, candidate: Candidate) -> ModelVersion:
    """The version that these very files are, made if it is new; its tags tell of the latest judgement."""
    from mlflow.exceptions import MlflowException

    task, md5 = candidate.task, artifacts.md5(candidate.folder)
    if known := client.search_model_versions(f"name = '{task}' and tags.{MD5} = '{md5}'"):
        _tag(client, known[0], candidate.judged)
        return known[0]
    info = package.log(client, task, candidate.folder)
    with suppress(MlflowException):  # if it is there; what else is wrong, the next call says
        client.create_registered_model(task)
    origin = {key: value for key, value in lineage.origin().items() if key.startswith("git.")}
    identity = {key: str(getattr(candidate.record, key)) for key in IDENTITY}
    tags = {MD5: md5, **identity, **origin, **candidate.judged.tags}
    return client.create_model_version(task, info.model_uri, tags=tags, model_id=info.model_id)


def _tag(client: MlflowClient, version: ModelVersion, judged: Judgement) -> None:
    for key, value in judged.tags.items():
        client.set_model_version_tag(version.name, str(version.version), key, value)


def _champion(client: MlflowClient, task: str) -> ModelVersion | None:
    version = client.get_registered_model(task).aliases.get(ALIAS)
    return None if version is None else client.get_model_version(task, str(version))


def _meet(client: MlflowClient, settings: Params, candidate: Candidate, champion: ModelVersion) -> tuple[bool, str]:
    """Whether the candidate is better than the champion on the same examples, and how that was found."""
    name, judged = f"version {champion.version}", candidate.judged
    if judged.holds(champion.tags):
        value, how = judgement.recorded(champion.tags), ""
    else:
        try:
            value, how = _rescored(client, settings, candidate, champion), ", scored anew on the present examples"
        except rescore.Incomparable as reason:
            return True, f"{name}, which was, cannot be compared: {reason}"
    wins, why = judged.value > value, f"{name} has {value:.4f}{how}"
    if not (wins and settings.champion.significant):
        return wins, why
    with _files(champion) as folder:
        lower, upper = rescore.lead(settings, candidate.task, candidate.folder, folder)
    return lower > 0, f"{why}, and the 95 % interval of the lead is {lower:+.4f} to {upper:+.4f}"


def _files(version: ModelVersion) -> AbstractContextManager[Path]:
    return source.folder(f"models:/{version.name}/{version.version}")


def _rescored(client: MlflowClient, settings: Params, candidate: Candidate, champion: ModelVersion) -> float:
    """The champion's score by today's yardstick, which its tags tell from now on."""
    with _files(champion) as folder:
        value = rescore.score(settings, candidate.task, folder)
    _tag(client, champion, Judgement(value, candidate.judged.yardstick))
    return value
