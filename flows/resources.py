"""What each stage asks for: `resources` of params.yaml, by patterns of stages' names."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

import yaml

from stages import params
from stages.errors import StageError
from stages.params import Resources

Patterns = Mapping[str, Resources]


def load(root: Path) -> Patterns:
    """The patterns of the project in `root`; none where it has no `params.yaml`.

    Only this section is read: whatever else stands there is the stages' business.

    Raises:
        StageError: an unknown key, or a bad value.
    """
    file = root / "params.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else {}
    section = content.get("resources", {}) if isinstance(content, dict) else {}
    if not isinstance(section, dict):
        raise StageError(f"{file.name}: resources: it must map patterns of stages to what they need")
    return {
        pattern: params.parse(Resources, needs, f"{file.name}: resources.{pattern}")
        for pattern, needs in section.items()
    }


def of(stage: str, patterns: Patterns) -> Resources:
    """What `stage` needs: of all patterns that match, key by key, what the last one says."""
    merged: dict[str, object] = {}
    for pattern, needs in patterns.items():
        if fnmatchcase(stage, pattern):
            merged |= needs.model_dump(exclude_unset=True)
    return Resources.model_validate(merged)
