"""Every method with options for 32-dim models, and pre-trained models in folders, each weight of which matters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from stages.finetune.methods import METHODS
from stages.finetune.methods.base import Job, Method
from stages.model import backbone, files
from stages.model.classifier import Classifier
from stages.model.classifier_config import ClassifierConfig
from stages.model.config import TransformerConfig
from stages.model.transformer import LanguageModel, initialize
from tests.finetune.made import LENGTH, TASK, VOCABULARY, job
from tests.model import checkpoints
from tests.training.toy import Silent

RATES = {"learning_rate": 3e-3, "imported_learning_rate": 3e-3}
FULL = {**RATES, "epochs": 4, "batch_size": 16, "warmup": 0.1, "weight_decay": 0.01, "patience": 3}
QUICK = {"learning_rate": 1e-2, "imported_learning_rate": 1e-2}
OPTIONS: dict[str, dict[str, Any]] = {
    "frozen": {},
    "full": FULL,
    "top_k": {**FULL, "k": 1},
    "bitfit": {**FULL, **QUICK},
    "layerwise_decay": {**FULL, "layer_decay": 0.8},
    "adapter": {**FULL, **QUICK, "placement": "houlsby", "bottleneck": 8},
    "lora": {**FULL, **QUICK, "rank": 4, "alpha": 8},
    "adalora": {
        **FULL,
        **QUICK,
        "rank": 2,
        "initial_rank": 4,
        "alpha": 8,
        "initial": 0.2,
        "final": 0.3,
        "orthogonality": 0.1,
    },
    "ia3": {**FULL, **QUICK},
    "prefix": {**FULL, **QUICK, "prefix_length": 4},
    "prompt": {**FULL, **QUICK, "virtual_tokens": 2},
    "p_tuning": {**FULL, **QUICK, "virtual_tokens": 2, "encoder_hidden_size": 16},
}


def method(name: str, **changes: Any) -> Method:
    """It, with the options above but for these."""
    kind = METHODS[name]
    return kind(kind.Options(**{**OPTIONS[name], **changes}))


def pretrained(folder: Path, architecture: str) -> Path:
    """A model of 32 dimensions as pre-training leaves it; every layer does something."""
    if architecture == "imported":
        checkpoints.save(folder, "bert", vocab_size=VOCABULARY)
    else:
        model = LanguageModel(TransformerConfig(VOCABULARY, 32, 2, 2, 48, architecture == "decoder"))
        initialize(model, generator := torch.Generator().manual_seed(0))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
        files.save(folder, model)
        (folder / "tokenizer.json").write_text("{}")
    return folder


def classifier_on(folder: Path) -> Classifier:
    """An untuned classifier on it, with a head that is not zero."""
    body = backbone.load(folder)
    model = Classifier(body, ClassifierConfig(TASK.labels, tuple(body.depths), LENGTH))
    torch.nn.init.normal_(model.classifier.weight, generator=torch.Generator().manual_seed(0))
    return model.eval()


def shortened(folder: Path, name: str, observer: Silent | None = None) -> Job:
    """The made task for this method, its texts as short as the method needs them."""
    given = job(folder)
    length = LENGTH - method(name).virtual_tokens
    for part in (given.train, given.validation):
        part._max_length = length
        part.lengths = part.lengths.clip(max=length)
    return Job(**{**vars(given), "max_length": length, "observer": observer or Silent()})
