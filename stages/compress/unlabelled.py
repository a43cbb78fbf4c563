"""Texts of the corpus, for what is learnt without labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stages import paths
from stages.errors import StageError
from stages.finetune.examples import Examples
from stages.finetune.tokenization import Tokenization
from stages.tokenizer import encode
from stages.tokenizer import files as tokenizer_files
from stages.training import randomness


def read(tokenization: Tokenization, seed: int, count: int) -> Examples:
    """At most ``count`` texts, drawn, as the model reads texts; a label of 0 stands where there is none.

    Raises:
        StageError: there is no corpus, or nothing in it.
    """
    table = paths.CORPUS / "train.parquet"
    if not (there := encode.count(table)):
        raise StageError(f"{table} has no texts: let a source of params.yaml: data.sources give some to the corpus")
    drawn = randomness.numpy_generator(seed, "compress-texts").permutation(there)[:count]
    tokenizer = tokenization.tokenizer or tokenizer_files.load(paths.TOKENIZER)
    store = encode.encode_rows(tokenizer, table, np.sort(drawn))
    labelled = replace(store, labels=np.zeros(len(store), dtype=np.int64))
    return Examples(labelled, np.arange(len(store)), tokenization.max_length, tokenization.pad_id)
