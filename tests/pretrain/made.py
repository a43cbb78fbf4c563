"""Small models and batches for the objectives' tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from stages import artifacts, token_store
from stages.model.config import TransformerConfig
from stages.model.transformer import LanguageModel, initialize
from stages.pretrain import labelled
from stages.pretrain.material import Corpus, Material
from stages.pretrain.objectives import OBJECTIVES
from stages.pretrain.objectives.base import Objective
from stages.pretrain.workload import Batching, Pretraining
from stages.tokenizer.special import CLS_ID, SEP_ID, SPECIAL_TOKENS
from tests.pretrain.corpus import VOCABULARY, texts, vocabulary, write

OPTIONS: dict[str, dict[str, Any]] = {
    "multitask": {"max_train_examples": None},
    **{name: {"mlm_probability": 0.3} for name in ("mlm", "mlm_nsp", "mlm_sop", "contrastive", "clm_mlm")},
}
"""Of objectives whose options have no default."""

LENGTH, BATCH = 32, 8
ENCODER = TransformerConfig(VOCABULARY, 32, 2, 2, 48)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def objective_of(name: str, **options: Any) -> Objective[Any]:
    """An objective of the made language."""
    kind = OBJECTIVES[name]
    return kind(kind.Options(**{**OPTIONS.get(name, {}), **options}), vocabulary())


def model_of(objective: Objective[Any], *, disturbed: bool = False) -> Any:
    """A 32-dim model for it; ``disturbed``: every weight matters, also those that begin as zero or one."""
    model = objective.build(objective.configure(ENCODER))
    initialize(model, generator())
    if disturbed:
        noise = generator(1)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=noise) * 0.1)
    return model


def corpus(objective: Objective[Any], folder: Path, *, document_mask: bool = False) -> Corpus:
    """The made language, as the objective reads it."""
    for seed, part in enumerate(("train", "validation")):
        write(folder / "packed" / part, 300, seed)
    write_examples(folder / "gathered" / labelled.FOLDER)
    material = Material(folder / "packed", folder / "gathered", LENGTH, document_mask, seed=0)
    return objective.corpus(material)


def write_examples(folder: Path) -> None:
    """Two tasks on texts of the made language: is the first word a high one, and is the text long."""
    middle = (VOCABULARY + len(SPECIAL_TOKENS)) // 2
    for seed, part in enumerate(("train", "validation")):
        framed = [([CLS_ID, *ids], size) for ids, size in texts(60, seed)]
        high = np.array([int(ids[1] >= middle) for ids, _ in framed])
        long = np.array([len(ids) / 8 for ids, _ in framed], dtype=np.float32)
        for task, labels in (("high", high), ("long", long)):
            token_store.write(folder / task / part, framed, labels)
    names = {"high": ["0", "1"], "long": [f"{fifth / 5:.1f}" for fifth in range(26)]}
    for number, (task, keys) in enumerate(names.items()):
        targets = {key: [len(SPECIAL_TOKENS) + place, SEP_ID] for place, key in enumerate(keys)}
        wording = {"prompt": [len(SPECIAL_TOKENS) + 30 + number], "targets": targets}
        artifacts.write_json(folder / task / labelled.WORDING, wording)


def workload(objective: Objective[Any], model: LanguageModel, folder: Path) -> Pretraining:
    """The objective on the made language, in fp32."""
    batching = Batching(BATCH, LENGTH)
    return Pretraining(model, objective, corpus(objective, folder), batching, seed=0, dtype=torch.float32)
