"""The parameters that a trial runs with: those of params.yaml, with some of their values replaced."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from flows.search.space import Space
from stages import params, paths
from stages.errors import StageError


class Settings:
    """What params.yaml holds with what is fixed for all trials, and where searched values go."""

    def __init__(self, space: Space, file: str) -> None:
        """Check that every key is one of params.yaml, and that the ends of every range are values that it may have.

        Raises:
            StageError: they are not; the message names the key.
        """
        self._space = space
        params.load(paths.PARAMS)
        present = yaml.safe_load(paths.PARAMS.read_text(encoding="utf-8"))
        self._content = _checked(present, space.fixed, f"{file}: fixed")
        for key, parameter in space.parameters.items():
            for value in parameter.corners:
                _checked(self._content, {key: value}, f"{file}: parameters")

    @property
    def present(self) -> dict[str, Any] | None:
        """The searched parameters' present values; None if one of them is not there, or no value that is searched."""
        values = {}
        for key, parameter in self._space.parameters.items():
            section, last = _place(self._content, key)
            if not (last in section and parameter.holds(section[last])):
                return None
            values[key] = section[last]
        return values

    @property
    def others(self) -> dict[str, Any]:
        """All that is not searched and may change a result."""
        content = copy.deepcopy(self._content)
        content.pop("resources", None)
        for key in self._space.parameters:
            section, last = _place(content, key)
            section.pop(last, None)
        return content

    def of(self, values: Mapping[str, Any]) -> bytes:
        """A params.yaml with these values.

        Raises:
            StageError: they do not go together.
        """
        return yaml.safe_dump(_checked(self._content, values, "trial"), sort_keys=False, allow_unicode=True).encode()


def _checked(content: dict[str, Any], values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A copy with these values.

    Raises:
        StageError: a key is unknown, or a value is none that it may have.
    """
    content = copy.deepcopy(content)
    for key, value in values.items():
        try:
            section, last = _place(content, key)
        except StageError as error:
            raise StageError(f"{where}.{key}: {error}") from None
        section[last] = value
    try:
        _check(params.parse(params.Params, content, "params.yaml"), values)
    except StageError as error:
        raise StageError(f"{where}: {error}") from None
    return content


def _place(content: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    """The mapping that a key stands in, and the last part of the key, which may be new there.

    Raises:
        StageError: there is no such mapping.
    """
    *above, last = key.split(".")
    section: Any = content
    for place, part in enumerate(above):
        if part not in section:
            inside = ".".join(above[:place])
            raise StageError(f"params.yaml has no such key; {inside or 'it'} has: {', '.join(section)}")
        section = section[part]
        if not isinstance(section, dict):
            raise StageError(f"params.yaml has no such key: {'.'.join(above[: place + 1])} holds no others")
    return section, last


def _check(settings: params.Params, keys: Iterable[str]) -> None:
    """Check the options of the variants that `keys` change."""
    changed = {(parts[0], parts[1]) for parts in (key.split(".") for key in keys) if len(parts) > 2}
    for section, name in sorted(changed):
        if section in OPTIONS:
            OPTIONS[section](settings, name)


def _check_method(settings: params.Params, name: str) -> None:
    from stages.finetune import methods

    params.options(methods.get(name).Options, settings.methods, "methods", name)


def _check_compressor(settings: params.Params, name: str) -> None:
    from stages.compress import chain

    chain.read(settings, name)


def _check_objective(settings: params.Params, name: str) -> None:
    import torch

    from stages.pretrain import curriculum
    from stages.tokenizer.vocabulary import Vocabulary

    size = settings.tokenizer.vocab_size
    unmarked = torch.zeros(size, dtype=torch.bool)
    curriculum.read(settings, name, Vocabulary(size, unmarked, unmarked))


OPTIONS = {"methods": _check_method, "compressors": _check_compressor, "objectives": _check_objective}
"""Sections whose options are described by the classes that read them, not by the schema of params.yaml."""
