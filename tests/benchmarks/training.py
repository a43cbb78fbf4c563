"""Tokens per second of the training engine, against transformers' Trainer on the same model shape and data.

    python -m tests.benchmarks.training

Masked language modelling, 4 layers x 256, 4 heads, vocabulary 8192, sequences of 128. The peer is `Trainer` with
`BertForMaskedLM` and `DataCollatorForLanguageModeling`, once in fp32 and once with ``bf16=True``. Ours and the peer
take turns, and ratios are of medians over the turns. Writes reports/benchmarks/training.csv.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import stages  # noqa: F401 - before torch: it decides how threads wait

# isort: split
import numpy as np
import torch
from tokenizers import Tokenizer, models
from transformers import (
    BertConfig,
    BertForMaskedLM,
    DataCollatorForLanguageModeling,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from stages import paths
from stages.artifacts import atomic_file
from stages.model import presets
from stages.model.config import TransformerConfig
from stages.model.transformer import LanguageModel, initialize
from stages.params import Engine
from stages.pretrain.objectives.mlm import MaskedLM
from stages.pretrain.sequences import Text
from stages.tokenizer.special import SPECIAL_TOKENS
from stages.tokenizer.vocabulary import Vocabulary
from stages.training import randomness
from stages.training.optimizer import muon_adamw
from stages.training.precision import compute_dtype

VOCABULARY, LENGTH, WIDTH, LAYERS, HEADS = 8192, 128, 256, 4, 4
PROBABILITY = 0.15


def text(batch_size: int) -> torch.Tensor:
    """Token ids as common as words are (Zipf), int64 (batch, length)."""
    generator = np.random.default_rng(0)
    ranks = generator.zipf(1.2, size=(batch_size, LENGTH)) % (VOCABULARY - len(SPECIAL_TOKENS))
    return torch.from_numpy(ranks + len(SPECIAL_TOKENS))


def ours(batch_size: int, steps: int, warm_up: int) -> Callable[[], float]:
    """Our engine's step in the precision that ``auto`` gives: loss, gradients, clipping, Muon and AdamW."""
    config = TransformerConfig(VOCABULARY, **presets.sizes("mini"))
    model = LanguageModel(config)
    initialize(model, torch.Generator().manual_seed(0))
    nothing = torch.zeros(VOCABULARY, dtype=torch.bool)
    vocabulary = Vocabulary(VOCABULARY, continues=nothing, ends_sentence=nothing)
    objective = MaskedLM(MaskedLM.Options(mlm_probability=PROBABILITY), vocabulary)
    dtype = compute_dtype(Engine(precision="auto", threads=torch.get_num_threads()))
    optimizers = muon_adamw(model, learning_rate=1e-3, matrix_learning_rate=0.02, weight_decay=0.01, dtype=dtype)
    input_ids, numbers = text(batch_size), count()

    def step() -> None:
        generator = randomness.torch_generator(0, "benchmark", next(numbers))
        loss = objective.terms(model.train(), Text(input_ids, None), generator, dtype)["mlm"].mean
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizers.step(1.0)
        loss.item()

    def rate() -> float:
        for _ in range(warm_up):
            step()
        started = time.perf_counter()
        for _ in range(steps):
            step()
        return steps * batch_size * LENGTH / (time.perf_counter() - started)

    return rate


class Clock(TrainerCallback):  # type: ignore[misc]
    """When each step of the Trainer ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *_: object, **__: object) -> None:
        self.ends.append(time.perf_counter())


def peer(batch_size: int, steps: int, warm_up: int, bf16: bool) -> Callable[[], float]:
    """transformers' Trainer on a BERT of the same shape, its own defaults otherwise."""
    vocabulary = {token: index for index, token in enumerate(SPECIAL_TOKENS)}
    vocabulary |= {f"t{index}": index for index in range(len(SPECIAL_TOKENS), VOCABULARY)}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]")),
        pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]",
    )  # fmt: skip
    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH, max_position_embeddings=LENGTH,
    )  # fmt: skip
    model, rows = BertForMaskedLM(config), [{"input_ids": row.tolist()} for row in text(batch_size)]

    def rate() -> float:
        clock = Clock()
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                output_dir=folder, per_device_train_batch_size=batch_size, max_steps=warm_up + steps, bf16=bf16,
                use_cpu=True, report_to=[], save_strategy="no", logging_strategy="no", disable_tqdm=True,
            )  # fmt: skip
            collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=PROBABILITY)
            Trainer(model=model, args=arguments, train_dataset=rows, data_collator=collator, callbacks=[clock]).train()
        return steps * batch_size * LENGTH / (clock.ends[-1] - clock.ends[warm_up - 1])

    return rate


def measure(batch_size: int, steps: int, turns: int) -> Iterator[tuple[str, str, str, str, float, float]]:
    """Rows (subject, peer, figure, unit, value, ratio of ours to the peer)."""
    contenders = {
        "engine": ours(batch_size, steps, 2),
        "transformers Trainer fp32": peer(batch_size, steps, 2, bf16=False),
        "transformers Trainer bf16": peer(batch_size, steps, 2, bf16=True),
    }
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(turns):
        for name, rate in contenders.items():
            rates[name].append(rate())
            print(f"{name}: {rates[name][-1]:,.0f} tokens/s", flush=True)
    for name in list(contenders)[1:]:
        ratio = statistics.median(a / b for a, b in zip(rates["engine"], rates[name], strict=True))
        yield "engine", name, "training", "tokens/s", statistics.median(rates["engine"]), ratio


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    rows = list(measure(arguments.batch_size, arguments.steps, arguments.turns))
    target = paths.REPORTS / "benchmarks" / "training.csv"
    with atomic_file(target) as temporary, Path(temporary).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("subject", "peer", "figure", "unit", "value", "ratio"))
        writer.writerows((*row[:4], f"{row[4]:.0f}", f"{row[5]:.2f}") for row in rows)
    for row in rows:
        print(f"{row[0]} / {row[1]}: {row[5]:.2f}x ({row[4]:,.0f} tokens/s)")


if __name__ == "__main__":
    main()
