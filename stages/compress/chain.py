"""What an entry of ``compressors`` in `params.yaml` means: one compressor, or several one after another.

An entry names its options; with ``compressor`` it is a variant of another compressor under a name of its own, and a
list is a chain, each step of which is a compressor's name or such a mapping:

    int8_dynamic: {}
    half_the_neurons: {compressor: prune_neurons, sparsity: 0.5}
    small: [{compressor: prune_neurons, sparsity: 0.5}, vocabulary, int8_dynamic]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict

from stages.compress import methods
from stages.compress.base import Compressor, Export
from stages.errors import StageError
from stages.params import Params, Section, parse


class _Step(Section):
    """A step; what belongs to its compressor is checked by that."""

    model_config = ConfigDict(extra="allow", frozen=True)

    compressor: str | None = None


@dataclass(frozen=True)
class Step:
    """A compressor with its options, and what it is called."""

    name: str
    compressor: Compressor


Chain = Sequence[Step]


def read(settings: Params, name: str) -> Chain:
    """The steps of an entry.

    Raises:
        StageError: there is no such entry or compressor, an option is unknown or has a bad value, or a step cannot come
            after those before it. The message names the key.
    """
    if name not in settings.compressors:
        raise StageError(f"params.yaml: compressors has no {name!r}; it has: {', '.join(settings.compressors)}")
    entry, where = settings.compressors[name], f"params.yaml: compressors.{name}"
    if isinstance(entry, Mapping):
        return check([_step({"compressor": name, **entry}, where)])
    return check([_step(_described(content), f"{where}.{place}") for place, content in enumerate(entry)])


def check(chain: Chain) -> Chain:
    """The same chain.

    Raises:
        StageError: a step cannot come where it stands.
    """
    for place, step in enumerate(chain):
        before = chain[:place]
        reasons = (_reason(one, step) for one in before)
        if reason := next(filter(None, reasons), None) or step.compressor.refusal([one.name for one in before]):
            raise step.compressor.refuse(reason)
    return chain


def _reason(before: Step, step: Step) -> str | None:
    """Why a step cannot come after another one, by what that leaves."""
    if isinstance(before.compressor, Export):
        way = "leave one of them out" if isinstance(step.compressor, Export) else f"put {before.name} last"
        return f"{step.name} cannot come after {before.name}, which hands the model over: {way}"
    if before.compressor.quantizes:
        return f"{step.name} cannot come after {before.name}, whose integers nothing changes: put {before.name} last"
    if before.compressor.sparsifies and step.compressor.trains:
        way = "leave one of them out" if step.compressor.quantizes else f"put {before.name} behind it"
        return f"{step.name} trains, and would fill the zeros of {before.name}: {way}"
    return None


def make(name: str, options: Mapping[str, Any], where: str) -> Step:
    """A step from a compressor's name and options; ``where`` they stand is what errors name.

    Raises:
        StageError: there is no such compressor, or an option is unknown or has a bad value.
    """
    kind = methods.get(name, where)
    return Step(name, kind(parse(kind.Options, dict(options), where), where))


def _described(content: str | Mapping[str, Any]) -> Mapping[str, Any]:
    return {"compressor": content} if isinstance(content, str) else content


def _step(content: Mapping[str, Any], where: str) -> Step:
    step = parse(_Step, dict(content), where)
    if step.compressor is None:
        raise StageError(f"{where}: a step needs the key `compressor`: {', '.join(methods.COMPRESSORS)}")
    return make(step.compressor, step.model_extra or {}, where)
