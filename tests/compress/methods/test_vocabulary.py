"""Rows of the table of embeddings: those that training texts use say what they said, all others what [UNK] says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models

from stages.compress import files
from stages.compress.base import Material
from stages.compress.methods.vocabulary import Indexed, _unknown
from stages.model import classifier
from stages.model import files as model_files
from stages.tokenizer import files as tokenizer_files
from stages.tokenizer.algorithms import ALGORITHMS
from tests.compress.conftest import save
from tests.compress.made import compress, examples, material
from tests.finetune.test_prompting import trained
from tests.model.checkpoints import batch


def narrow(folder: Path, saved: Path) -> Material:
    """Training texts of the first 12 tokens that are not special."""
    return material(folder, saved, train=examples(folder / "narrow", 16, 60, 1))


def used(data: Material) -> set[int]:
    every = data.train.batch(np.arange(len(data.train)))
    return set(every.input_ids[every.attention_mask.bool()].tolist())


def test_known_tokens_stay_and_others_are_unknown(saved: Path, tmp_path: Path) -> None:
    """To the bit, on texts that hold both."""
    data, unknown = narrow(tmp_path / "data", saved), 0 if saved.parent.name == "roberta" else 1
    compress(tmp_path / "small", saved, "vocabulary", data=data)
    ids, mask = batch()
    known = torch.tensor(sorted(used(data)))
    assert 0 < (~torch.isin(ids, known)).sum() < ids.numel()
    stand_in = torch.where(torch.isin(ids, known) | (mask == 0), ids, unknown)
    with torch.no_grad():
        small, original = files.load(tmp_path / "small"), classifier.load(saved)
        assert torch.equal(small(ids, mask)[0], original(stand_in, mask)[0])
        torch.testing.assert_close(small(ids, mask), original(stand_in, mask), rtol=1e-5, atol=1e-6)
        assert not torch.allclose(small(ids, mask), original(ids, mask))
    assert isinstance(small, torch.nn.Module)
    (table,) = {module for module in small.modules() if isinstance(module, Indexed)}
    assert used(data) | {unknown} <= set(torch.nonzero(table.index >= 0).flatten().tolist())
    assert len(used(data)) <= table.table.num_embeddings <= len(used(data)) + 6


def test_rows_are_those_that_are_seen_often_enough(tmp_path: Path) -> None:
    saved = save(tmp_path / "encoder", "encoder")
    data = narrow(tmp_path / "data", saved)
    every = data.train.batch(np.arange(len(data.train)))
    counts = torch.bincount(every.input_ids[every.attention_mask.bool()], minlength=200)
    least = int(counts.sort(descending=True).values[5])
    compress(tmp_path / "small", saved, ("vocabulary", {"min_count": least}), data=data)
    weights = model_files.load_weights(tmp_path / "small" / model_files.WEIGHTS)
    index = weights["transformer.embeddings.tok_embeddings.index"]
    rows = weights["transformer.embeddings.tok_embeddings.table.weight"]
    table = model_files.load_weights(saved / model_files.WEIGHTS)["transformer.embeddings.tok_embeddings.weight"]
    kept = set(torch.nonzero(counts >= least).flatten().tolist()) | {0, 1, 2, 3}
    assert len(rows) == len(kept)
    for token in range(200):
        assert torch.equal(rows[index[token]], table[token if token in kept else 1])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_unknown_token_of_our_tokenizers(algorithm: str, tmp_path: Path) -> None:
    tokenizer_files.save(trained(algorithm), tmp_path / "tokenizer")
    assert _unknown(tmp_path / "tokenizer") == 1


def test_the_unknown_token_of_others(tmp_path: Path) -> None:
    """Of bytes, which know no unknown token, it has a name all the same, or is the first."""
    for tokens, expected in ((["a", "<s>", "<unk>"], 2), (["a", "b"], 0)):
        made = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=[]))
        made.save(str(tmp_path / "tokenizer.json"))
        assert _unknown(tmp_path) == expected
