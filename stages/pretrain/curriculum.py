"""What an entry of ``objectives`` in `params.yaml` means: one objective, or several one after another.

An entry names its options; with ``objective`` it is a variant of another objective under a name of its own, with
``phases`` a list of such entries, each with its share of the budget, and with ``start`` it goes on from a checkpoint of
``checkpoints`` (or, where it says nothing else, is that checkpoint as it is):

    mlm: {mlm_probability: 0.4}
    mlm_15: {objective: mlm, mlm_probability: 0.15}
    clm_then_mlm:
      phases:
        - {objective: clm, share: 0.5}
        - {objective: mlm, share: 0.5, mlm_probability: 0.4}
    mlm_on: {start: mine, objective: mlm, mlm_probability: 0.4}
    minilm: {start: minilm}

A phase with ``corpus`` reads a further corpus instead of the corpus, of which ``replay`` mixes in a share, so that less
is forgotten (continual pre-training; Ibrahim et al. 2024, Simple and Scalable Strategies, §6.2):

    to_sentences:
      phases:
        - {objective: mlm, share: 0.8, mlm_probability: 0.4}
        - {objective: mlm, share: 0.2, mlm_probability: 0.4, corpus: sentences, replay: 0.25}
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from stages.errors import StageError
from stages.params import Name, Params, Section, parse
from stages.pretrain import objectives
from stages.pretrain.objectives.base import Objective
from stages.tokenizer.vocabulary import Vocabulary


class _Phase(Section):
    """An objective, its share of the budget, what it reads, and the objective's own options."""

    model_config = ConfigDict(extra="allow", frozen=True)

    objective: str
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    corpus: Name | None = None
    replay: Annotated[float, Field(ge=0, lt=1)] = 0.0


class _Entry(Section):
    """An entry; what belongs to its phases is checked phase by phase."""

    model_config = ConfigDict(extra="allow", frozen=True)

    start: Name | None = None
    objective: str | None = None
    phases: Annotated[list[dict[str, Any]], Field(min_length=1)] | None = None


@dataclass(frozen=True)
class Phase:
    """An objective, the share of the budget that it gets, and the further corpus that it reads, if any.

    ``replay``: share of each batch's rows that come from the corpus all the same.
    """

    objective: Objective[Any]
    share: float
    corpus: str | None
    replay: float


@dataclass(frozen=True)
class Curriculum:
    """The checkpoint that a run starts from, if any, and its phases: none for a checkpoint that stays as it is."""

    start: str | None
    phases: Sequence[Phase]


def read(settings: Params, name: str, vocabulary: Vocabulary) -> Curriculum:
    """The curriculum of an entry; an objective alone is a single phase.

    Raises:
        StageError: there is no such entry, objective or checkpoint, an option is unknown or has a bad value, or the
            shares do not add up to 1. The message names the key.
    """
    if name not in settings.objectives:
        raise StageError(f"params.yaml: objectives has no {name!r}; it has: {', '.join(settings.objectives)}")
    where = f"objectives.{name}"
    entry = parse(_Entry, settings.objectives[name], f"params.yaml: {where}")
    if entry.start is not None and entry.start not in settings.checkpoints:
        known = ", ".join(settings.checkpoints) or "none"
        raise StageError(f"params.yaml: {where}.start: {entry.start!r} is unknown; checkpoints has: {known}")
    phases = _phases(entry, name, where, vocabulary)
    for phase in phases:
        _check_corpus(settings, phase, where)
    return Curriculum(entry.start, phases)


def _phases(entry: _Entry, name: str, where: str, vocabulary: Vocabulary) -> list[Phase]:
    own = dict(entry.model_extra or {})
    if entry.phases is not None:
        if surplus := [*own, *(["objective"] if entry.objective else [])]:
            raise StageError(f"params.yaml: {where}: {surplus[0]}: unknown key beside phases")
        found = [_phase(phase, f"{where}.phases.{index}", vocabulary) for index, phase in enumerate(entry.phases)]
        if not math.isclose(total := sum(phase.share for phase in found), 1):
            raise StageError(f"params.yaml: {where}.phases: their shares add up to {total:g}, not 1")
        return found
    if entry.start and not entry.objective and not own and name not in objectives.OBJECTIVES:
        return []
    return [_phase({"objective": entry.objective or name, **own}, where, vocabulary)]


def _phase(content: Mapping[str, Any], where: str, vocabulary: Vocabulary) -> Phase:
    phase = parse(_Phase, dict(content), f"params.yaml: {where}")
    kind = objectives.get(phase.objective, f"{where}.objective")
    options = parse(kind.Options, dict(phase.model_extra or {}), f"params.yaml: {where}")
    return Phase(kind(options, vocabulary), phase.share, phase.corpus, phase.replay)


def _check_corpus(settings: Params, phase: Phase, where: str) -> None:
    if phase.corpus is not None and phase.corpus not in settings.further_corpora:
        known = ", ".join(settings.further_corpora) or "none"
        raise StageError(
            f"params.yaml: {where}: corpus: no source in data.sources makes {phase.corpus!r}; further corpora: {known}"
        )
    if phase.replay and phase.corpus is None:
        raise StageError(f"params.yaml: {where}: replay needs `corpus`, for without it all rows are the corpus's")
