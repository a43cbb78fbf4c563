"""Writing the winner into params.yaml: its values alone change, and comments and order stay."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from ruamel.yaml import YAML

from stages import artifacts
from stages.errors import StageError


def write(file: Path, values: Mapping[str, Any]) -> list[str]:
    """Set these keys, and say what has changed: ``methods.full.epochs 3 -> 4``; nothing is written if nothing does.

    Raises:
        StageError: the file is laid out in a way that would not be kept.
    """
    before = file.read_text(encoding="utf-8")
    content = _editor().load(before)
    kept = _text(content) == before
    changed = list(_set(content, values))
    if changed and not kept:
        raise StageError(f"{file.name} is laid out in a way that would not be kept; set by hand: {'; '.join(changed)}")
    if changed:
        with artifacts.atomic_file(file) as temporary:
            temporary.write_text(_text(content), encoding="utf-8")
    return changed


def _set(content: Any, values: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        *above, last = key.split(".")
        section = content
        for part in above:
            section = section[part]
        before = section.get(last)
        if before == value and isinstance(before, bool) is isinstance(value, bool):
            continue
        section[last] = _written(value)
        yield f"{key} {'(not there)' if before is None else before} -> {value}"


def _written(value: Any) -> Any:
    """As the stages' own reader takes it: to YAML 1.1 3e-05 is a text, and 3.0e-05 a number."""
    return _editor().load(yaml.safe_dump(value))


def _text(content: Any) -> str:
    text = io.StringIO()
    _editor().dump(content, text)
    return text.getvalue()


def _editor() -> YAML:
    """Writes the file as it is laid out: nothing is broken into lines or indented anew."""
    editor = YAML()
    editor.preserve_quotes = True
    editor.width = 1 << 16
    editor.indent(mapping=2, sequence=4, offset=2)
    return editor
