"""Writing the winner into params.yaml: its values alone change, and every other character of the file stays."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from yaml import MappingNode, Node

from stages import artifacts
from stages.errors import StageError


def write(file: Path, values: Mapping[str, Any]) -> list[str]:
    """Set these keys, and say what has changed: ``methods.full.epochs 3 -> 4``; nothing is written if nothing does.

    Raises:
        StageError: a value is written in a way that cannot be replaced.
    """
    text = file.read_text(encoding="utf-8")
    changed = []
    for key, value in values.items():
        before = _value(yaml.safe_load(text), key)
        if before == value and isinstance(before, bool) is isinstance(value, bool):
            continue
        change = f"{key} {'(not there)' if before is None else before} -> {value}"
        text = _set(text, key, value, f"{file.name}: set this by hand: {change}")
        changed.append(change)
    if changed:
        with artifacts.atomic_file(file) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return changed


def _set(text: str, key: str, value: Any, otherwise: str) -> str:
    """The text with one value replaced, or one key put before the others of its section."""
    *above, last = key.split(".")
    section = yaml.compose(text)
    for part in above:
        section = _children(section)[part]
    assert isinstance(section, MappingNode)
    if node := _children(section).get(last):
        new = _replaced(text, node, _written(value))
    elif first := section.value:
        place = first[0][0].start_mark
        gap = ", " if section.flow_style else f"\n{' ' * place.column}"
        new = f"{text[: place.index]}{last}: {_written(value)}{gap}{text[place.index :]}"
    else:
        new = _replaced(text, section, f"{{{last}: {_written(value)}}}")
    if yaml.safe_load(new) != _changed(yaml.safe_load(text), key.split("."), value):
        raise StageError(otherwise)
    return new


def _replaced(text: str, node: Node, new: str) -> str:
    """A comment behind the value stays in its column, where there is room."""
    start, end = node.start_mark.index, node.end_mark.index
    rest = text[end:]
    if blanks := re.match(r" +(?=#)", rest):
        width = end - start + len(blanks.group())
        rest = " " * max(1, width - len(new)) + rest[blanks.end() :]
    return text[:start] + new + rest


def _children(section: Node | None) -> dict[str, Node]:
    return {key.value: child for key, child in section.value} if isinstance(section, MappingNode) else {}


def _changed(content: dict[str, Any], key: Sequence[str], value: Any) -> dict[str, Any]:
    """A copy in which this alone is changed, also where the same part of the file stands for several keys."""
    return {**content, key[0]: _changed(content[key[0]], key[1:], value) if key[1:] else value}


def _value(content: Any, key: str) -> Any:
    for part in key.split("."):
        content = content.get(part)
    return content


def _written(value: Any) -> str:
    """As the stages' reader takes it: to YAML 1.1 3e-05 is a text, and 3.0e-05 a number."""
    return str(yaml.safe_dump(value)).removesuffix("...\n").strip()
