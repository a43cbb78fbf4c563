"""Tokens per second of transformers' Trainer, as a user of it has it: nothing of this project is imported.

python -m tests.benchmarks.trainer --bf16
"""

from __future__ import annotations

import tempfile
import time

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

from tests.benchmarks.workload import HEADS, LAYERS, LENGTH, PROBABILITY, VOCABULARY, WIDTH, Amount, parser, text

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


class Clock(TrainerCallback):  # type: ignore[misc]
    """When each step of the Trainer ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *_: object, **__: object) -> None:
        self.ends.append(time.perf_counter())


def rate(amount: Amount, *, bf16: bool) -> float:
    """On a BERT, its own defaults otherwise."""
    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH, max_position_embeddings=LENGTH,
    )  # fmt: skip
    rows = [{"input_ids": row.tolist()} for row in text(amount.batch_size, len(SPECIAL_TOKENS))]
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, per_device_train_batch_size=amount.batch_size, max_steps=amount.warm_up + amount.steps,
            bf16=bf16, use_cpu=True, report_to=[], save_strategy="no", logging_strategy="no", disable_tqdm=True,
        )  # fmt: skip
        collator = DataCollatorForLanguageModeling(tokenizer(), mlm_probability=PROBABILITY)
        model = BertForMaskedLM(config)
        Trainer(model=model, args=arguments, train_dataset=rows, data_collator=collator, callbacks=[clock]).train()
    return amount.rate(clock.ends[-1] - clock.ends[amount.warm_up - 1])


def tokenizer() -> PreTrainedTokenizerFast:
    """Of words that are numbers: the collator masks by it."""
    words = [*SPECIAL_TOKENS, *(f"t{index}" for index in range(len(SPECIAL_TOKENS), VOCABULARY))]
    model = models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="[UNK]")
    roles = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(model), **dict(zip(roles, SPECIAL_TOKENS, strict=True)))


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--bf16", action="store_true")
    given = options.parse_args()
    print(rate(Amount(given.batch_size, given.steps), bf16=given.bf16))
