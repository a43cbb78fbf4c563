"""Each model reads a task's texts with its own tokenizer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer, models

from stages import artifacts, params, paths
from stages.corpus import tables
from stages.errors import StageError
from stages.finetune import examples
from stages.finetune.examples import Examples
from stages.finetune.tokenization import TOKENIZER, Tokenization
from stages.tokenizer import encode
from stages.tokenizer import files as tokenizer_files
from stages.tokenizer import train as tokenizer_training
from stages.training import randomness
from tests.model import checkpoints

COUNT = 50
LIMIT = 20


def sentences(seed: int) -> list[str]:
    """Texts of 1 to 30 words, which a checkpoint's tokenizer knows."""
    generator = np.random.default_rng(seed)
    words = [word for word in checkpoints.WORDS if word.isalpha()]
    return [" ".join(generator.choice(words, int(generator.integers(1, 30)))) for _ in range(COUNT)]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tasks of single texts and of pairs, encoded by a tokenizer that knows other words; a BERT and a RoBERTa."""
    for name in ("TASKS", "ENCODED", "TOKENIZER"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    settings = params.load().tokenizer.model_copy(update={"vocab_size": 400})
    tokenizer_files.save(tokenizer_training.train(lambda: iter([["0123 4567 89"]]), settings), paths.TOKENIZER)
    for task in ("single", "pairs"):
        paths.task(task).mkdir(parents=True)
        for seed, split in enumerate(("train", "validation", "test")):
            columns = {"text": sentences(seed)} | ({"text_pair": sentences(seed + 9)} if task == "pairs" else {})
            table = paths.task(task) / f"{split}.parquet"
            pq.write_table(pa.table({**columns, "label": [index % 3 for index in range(COUNT)]}), table)
            encode.encode(tokenizer_files.load(paths.TOKENIZER), table, paths.encoded(task) / split)
    for kind in ("bert", "roberta"):
        checkpoints.save(tmp_path / kind, kind)
    return tmp_path


def read(part: Examples) -> list[list[int]]:
    """The ids of each example, alone in its batch."""
    return [part.batch(np.array([place])).input_ids[0].tolist() for place in range(len(part))]


@pytest.mark.parametrize("task", ["single", "pairs"])
@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_ids_are_those_of_the_models_own_tokenizer(kind: str, task: str, project: Path) -> None:
    """Framed, cut and padded as transformers does it with the same files, whatever else the files ask for."""
    from transformers import PreTrainedTokenizerFast

    reference = PreTrainedTokenizerFast(
        tokenizer_file=str(project / kind / TOKENIZER), pad_token="<pad>" if kind == "roberta" else "[PAD]"
    )
    table = pq.read_table(paths.task(task) / "test.parquet")
    texts = [table[name].to_pylist() for name in table.column_names if name != "label"]
    expected = reference(*texts, truncation=True, max_length=16, padding=True, return_tensors="pt")
    part = examples.load(task, "test", Tokenization.of(project / kind, 16))
    batch = part.batch(np.arange(COUNT))
    assert batch.input_ids.tolist() == expected["input_ids"].tolist()
    assert batch.attention_mask.tolist() == expected["attention_mask"].tolist()
    assert part.labels.tolist() == [index % 3 for index in range(COUNT)]


def test_our_tokenizer_reads_what_was_encoded_before(project: Path) -> None:
    """A model with the same tokenizer file, whoever made it, needs no text."""
    (project / "bert" / TOKENIZER).write_bytes((paths.TOKENIZER / TOKENIZER).read_bytes())
    artifacts.write_json(project / "bert" / "config.json", {"vocab_size": 400})
    tokenizer = tokenizer_files.load(paths.TOKENIZER)
    expected = [tokenizer.encode(text).ids for text in sentences(2)]
    for split in ("train", "validation", "test"):
        (paths.task("single") / f"{split}.parquet").unlink()
    part = examples.load("single", "test", Tokenization.of(project / "bert", 400))
    assert read(part) == expected


@pytest.mark.parametrize("kind", ["bert", "ours"])
def test_drawing_depends_on_the_seed(kind: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No example twice; the same seed draws the same ones, for every tokenizer; a limit above the number takes all.

    However many rows are read at a time.
    """
    monkeypatch.setattr(tables, "ROW_GROUP", 8)
    if kind == "ours":
        (project / "bert" / TOKENIZER).write_bytes((paths.TOKENIZER / TOKENIZER).read_bytes())
    own = Tokenization.of(project / "bert", 400)
    whole = read(examples.load("single", "train", own))
    for seed in (0, 1):
        drawn = randomness.sample(COUNT, LIMIT, seed)
        part = examples.load("single", "train", own, LIMIT, seed)
        assert len(set(drawn.tolist())) == LIMIT
        assert read(part) == [whole[index] for index in drawn]
        assert part.labels.tolist() == [index % 3 for index in drawn]
    assert len(examples.load("single", "train", own, 1000)) == COUNT


def test_only_what_is_used_is_encoded(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty texts are drawn, and twenty reach the tokenizer."""
    tokenization, seen = Tokenization.of(project / "bert", 16), []

    class Counting:
        def encode_batch_fast(self, texts: list[str]) -> object:
            seen.extend(texts)
            assert tokenization.tokenizer is not None
            return tokenization.tokenizer.encode_batch_fast(texts)

    counted = Tokenization(Counting(), tokenization.pad_id, tokenization.max_length)  # type: ignore[arg-type]
    examples.load("single", "train", counted, LIMIT, 3)
    texts = sentences(0)
    assert seen == [texts[index] for index in randomness.sample(COUNT, LIMIT, 3)]


def test_a_vocabulary_beyond_uint16(project: Path) -> None:
    """Ids above 65,535 come through whole."""
    vocabulary = {f"w{index}": index for index in range(70_000)} | {"film": 70_000}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="w0"))
    pq.write_table(pa.table({"text": ["film"] * 2, "label": [0, 1]}), paths.task("single") / "test.parquet")
    part = examples.load("single", "test", Tokenization(tokenizer, 0, 8))
    assert read(part) == [[70_000], [70_000]]


def test_a_folder_without_a_tokenizer_is_named(project: Path) -> None:
    (project / "bert" / TOKENIZER).unlink()
    with pytest.raises(StageError, match=r"bert.tokenizer\.json is missing: .*AutoTokenizer.*checkpoints.*kind: file"):
        Tokenization.of(project / "bert", 16)
    (project / "bert" / TOKENIZER).write_text("{")
    with pytest.raises(StageError, match=r"bert has no readable tokenizer"):
        Tokenization.of(project / "bert", 16)


def test_a_tokenizer_of_another_model_is_named(project: Path) -> None:
    """Its ids would be looked up beyond the end of the embeddings, or mean other tokens."""
    artifacts.write_json(project / "bert" / "config.json", {"vocab_size": 20})
    with pytest.raises(StageError, match=r"tokenizer\.json has the id 27, but the model knows only 20 tokens"):
        Tokenization.of(project / "bert", 16)


@pytest.mark.parametrize("kind", ["bert", "ours"])
def test_a_split_without_examples_is_named(kind: str, project: Path) -> None:
    if kind == "ours":
        (project / "bert" / TOKENIZER).write_bytes((paths.TOKENIZER / TOKENIZER).read_bytes())
    table = paths.task("single") / "test.parquet"
    pq.write_table(pq.read_table(table).slice(0, 0), table)
    encode.encode(tokenizer_files.load(paths.TOKENIZER), table, paths.encoded("single") / "test")
    with pytest.raises(StageError, match=r"task single: its test split has no labelled examples"):
        examples.load("single", "test", Tokenization.of(project / "bert", 400))
