"""Which stages of the graph a search is about: what trials change, what they do not, and what they are judged by."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from flows import graph
from flows.graph import Described
from flows.search.space import Space
from stages.errors import StageError


class Steps:
    """The stages that a trial runs."""

    def __init__(self, project: Path, space: Space, file: str) -> None:
        """Look at the graph in `project`, whose params.yaml is that of a trial.

        Raises:
            StageError: there are no such stages, none of them makes the goal's file, or a parameter is read by none.
        """
        self._space, self._file = space, file
        try:
            self._steps = graph.described(project, space.stages)
        except StageError as error:
            raise StageError(f"{file}: stages: {error}") from None
        self._changing = self._with_what_follows(key for key in space.parameters)
        self.judged = self._judged()

    @property
    def constant(self) -> list[str]:
        """Stages that are the same in every trial, in order."""
        return [step.name for step in self._steps if step.name not in self._changing]

    def _with_what_follows(self, keys: Iterable[str]) -> set[str]:
        """The stages that read one of `keys`, and those that stand on them."""
        changing: set[str] = set()
        for key in keys:
            readers = {step.name for step in self._steps if any(_overlap(key, read) for read in step.params)}
            if not readers:
                raise StageError(f"{self._file}: parameters.{key}: none of the stages that a trial runs reads it")
            changing |= readers
        for step in self._steps:
            if step.needs & changing:
                changing.add(step.name)
        return changing

    def _judged(self) -> str:
        """The stage that makes the goal's file."""
        path = PurePosixPath(self._space.goal.file)
        found = [step for step in self._steps if any(path.is_relative_to(out) for out in step.outs)]
        if not found:
            raise StageError(f"{self._file}: goal.file: no stage that a trial runs makes {path}; {_made(self._steps)}")
        if found[0].name not in self._changing:
            raise StageError(f"{self._file}: goal.file: {path} is the same in every trial: no parameter changes it")
        return found[0].name


def _overlap(key: str, read: str) -> bool:
    """Whether a stage that reads the key `read`, and all below it, reads `key`, or a part of it."""
    return f"{key}.".startswith(f"{read}.") or f"{read}.".startswith(f"{key}.")


def _made(steps: Iterable[Described]) -> str:
    files = sorted(out for step in steps for out in step.outs if out.endswith((".csv", ".json")))
    return f"they make: {', '.join(files) or 'no curves and no metrics'}"
