"""Tokens per second of this project's training step.

python -m tests.benchmarks.engine
"""

from __future__ import annotations

import time
from itertools import count

import stages  # noqa: F401 - before torch: it decides how threads wait and how memory is kept

# isort: split
import torch

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
from tests.benchmarks.workload import PROBABILITY, VOCABULARY, Amount, parser, text


def rate(amount: Amount) -> float:
    """In the precision that ``auto`` gives: loss, gradients, clipping, Muon and AdamW."""
    model = LanguageModel(TransformerConfig(VOCABULARY, **presets.sizes("mini")))
    initialize(model, torch.Generator().manual_seed(0))
    nothing = torch.zeros(VOCABULARY, dtype=torch.bool)
    vocabulary = Vocabulary(VOCABULARY, continues=nothing, ends_sentence=nothing)
    objective = MaskedLM(MaskedLM.Options(mlm_probability=PROBABILITY), vocabulary)
    dtype = compute_dtype(Engine(precision="auto", threads=torch.get_num_threads()))
    optimizers = muon_adamw(model, learning_rate=1e-3, matrix_learning_rate=0.02, weight_decay=0.01, dtype=dtype)
    batch, numbers = Text(torch.from_numpy(text(amount.batch_size, len(SPECIAL_TOKENS))), None), count()

    def step() -> None:
        generator = randomness.torch_generator(0, "benchmark", next(numbers))
        loss = objective.terms(model.train(), batch, generator, dtype)["mlm"].mean
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizers.step(1.0)
        loss.item()

    for _ in range(amount.warm_up):
        step()
    started = time.perf_counter()
    for _ in range(amount.steps):
        step()
    return amount.rate(time.perf_counter() - started)


if __name__ == "__main__":
    arguments = parser(__doc__).parse_args()
    print(rate(Amount(arguments.batch_size, arguments.steps)))
