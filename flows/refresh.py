"""New rows have arrived: pre-training goes on with them, and what comes of it becomes the champion if it is better.

    python -m flows refresh

The parameters are those of flows/refresh.yaml, in .state/workspaces/refresh. Sources are pinned as they are now, so
that what has no new rows is up to date. An objective that starts from a checkpoint goes on from it on what arrived,
with a share of the old corpus, so that less is forgotten; it is fine-tuned and evaluated as any other. The stage
`register` gives it the alias `champion` only if its lead over the present one is significant. The report is published
in reports/refresh.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import yaml

from flows import ENVIRONMENT
from flows.pins import pins
from flows.workspace import Workspace
from stages import params
from stages.params import Params
from stages.tracking import store

NAME, ALIAS = "refresh", "champion"


def refresh(workers: int, settings: Sequence[str] = ()) -> Iterator[str]:
    """Run what is out of date; of each task, a line on who is the champion now.

    Raises:
        StageError: a source is not there, the parameters are wrong, or a stage failed.
    """
    workspace = Workspace(NAME)
    asked = prepare(workspace, settings)
    before = {task: _champion(task) for task in asked.tasks}
    workspace.run(workers, ENVIRONMENT)
    workspace.publish()
    for task, old in before.items():
        new, log = _champion(task), workspace.root / ".state" / "logs" / f"register@{task}.log"
        if new == old:
            yield f"{task}: {_named(old)} stays the champion; why is in {log}"
        else:
            yield f"{task}: {_named(new)} takes the place of {_named(old)}"


def prepare(workspace: Workspace, settings: Sequence[str] = ()) -> Params:
    """Bring the workspace to the present commit, its parameters and the versions that sources have now.

    Raises:
        StageError: a source is not there, or the parameters are wrong.
    """
    content = yaml.safe_load(workspace.parameters(settings))
    asked = params.parse(Params, content, f"flows/{NAME}.yaml")
    workspace.prepare([*settings, *(f'{key}="{value}"' for key, value in pins(asked, workspace.root))])
    return asked


def _champion(task: str) -> int | None:
    """Its version; None where there is none."""
    from mlflow.exceptions import MlflowException

    try:
        return int(store.connect().get_model_version_by_alias(task, ALIAS).version)
    except MlflowException:
        return None


def _named(version: int | None) -> str:
    return "nobody" if version is None else f"version {version}"
