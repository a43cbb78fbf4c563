"""A whole training against transformers' Trainer: what chance is left apart, both end at the same weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from stages.finetune.methods.base import Job
from stages.finetune.tasks.base import Family
from stages.model import backbone
from stages.model.classifier import Classifier
from stages.model.dropout import Dropout
from tests.benchmarks.glue_engine import ToTheEnd
from tests.finetune.made import CLASSES, LENGTH, SCORES, job
from tests.finetune.methods.made import FULL, pretrained

EPOCHS, BATCH, RATE, NORM = 3, 20, 2e-3, 0.5
MORE = {"learning_rate": RATE, "imported_learning_rate": RATE, "batch_size": BATCH, "epochs": EPOCHS, "warmup": 0.0}
DRAWS, RATE_OF_DROPOUT = 1000, 0.2
FAMILIES = pytest.mark.parametrize("family", [CLASSES, SCORES], ids=["classes", "scores"])


def tuner() -> ToTheEnd:
    """As `run_glue.py` tunes, but for dropout; gradients are larger than they are let be."""
    given = {**FULL, **MORE, "schedule": "linear", "head": "drawn", "max_grad_norm": NORM, "weight_decay": 0.1}
    return ToTheEnd(ToTheEnd.Options(**given))


def first(folder: Path, family: Family) -> Job:
    """The made task, read by first tokens."""
    return replace(job(folder, family=family), pooling="first")


def untrained(base: Path, given: Job) -> Classifier:
    """What tuning begins with."""
    method = tuner()
    model = method._model(backbone.load(base), given)
    assert isinstance(model, Classifier)
    method._begin(model, given)
    return model.eval()


def theirs(base: Path, given: Job) -> Any:
    """Transformers' own class on the same checkpoint, with the same head."""
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=len(given.family.task.labels) or 1)
    model.classifier.load_state_dict(untrained(base, given).classifier.state_dict())
    return model


def dropping(model: Any, rate: float) -> Any:
    """It, with another rate of dropout."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = rate
    return model


def trained(model: Any, given: Job, folder: Path) -> Any:
    """By the Trainer, on our batches in our order; its rate is that of the middle of a step, as ours is."""
    from transformers import Trainer, TrainingArguments, default_data_collator

    order = [place for epoch in range(EPOCHS) for batch in given.train.shuffled(BATCH, 0, epoch) for place in batch]
    rows = []
    for place in order:
        batch = given.train.batch(torch.tensor([place]).numpy())
        padding = (0, LENGTH - batch.input_ids.shape[1])
        row = {name: nn.functional.pad(getattr(batch, name)[0], padding) for name in ("input_ids", "attention_mask")}
        rows.append({**row, "label": batch.labels[0].item()})
    arguments = TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=BATCH, num_train_epochs=1, learning_rate=RATE,
        weight_decay=0.1, max_grad_norm=NORM, train_sampling_strategy="sequential", use_cpu=True, report_to=[],
        save_strategy="no", logging_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    trainer = Trainer(model, arguments, train_dataset=rows, data_collator=default_data_collator)
    optimizer = trainer.create_optimizer()
    steps = len(rows) // BATCH
    trainer.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - (step + 0.5) / steps)
    trainer.train()
    return model.eval()


@FAMILIES
def test_it_ends_where_transformers_trainer_does(family: Family, tmp_path: Path) -> None:
    """Loss, order, clipping, AdamW without decay of norms and biases, and the schedule, over all epochs."""
    given, base = first(tmp_path, family), pretrained(tmp_path / "bert", "imported")
    expected = trained(dropping(theirs(base, given), 0.0), given, tmp_path / "trainer")
    found = tuner().fit(backbone.load(base), given).model
    assert isinstance(found, Classifier)
    batch = given.validation.batch(torch.arange(100).numpy())
    with torch.no_grad():
        ours = found(batch.input_ids, batch.attention_mask)
        other = expected(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
        start = untrained(base, given)(batch.input_ids, batch.attention_mask)
    assert (other - start).abs().mean() > 0.1
    torch.testing.assert_close(ours, other, atol=1e-5, rtol=1e-4)


def test_it_drops_out_as_transformers_does(tmp_path: Path) -> None:
    """Wherever BERT does, attention's weights too: what the head reads scatters as much, about the same mean."""
    given, base = first(tmp_path, CLASSES), pretrained(tmp_path / "bert", "imported")
    ours, other = untrained(base, given), dropping(theirs(base, given), RATE_OF_DROPOUT).train()
    for model in (ours, other):
        for name, parameter in model.named_parameters():
            if name.endswith(("self.value.weight", "attention.output.dense.weight")):
                parameter.data.mul_(10)  # else attention adds next to nothing to what it stands beside
    batch = given.validation.batch(torch.arange(8).numpy())
    ids, mask = (getattr(batch, name).repeat(DRAWS, 1) for name in ("input_ids", "attention_mask"))
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        expected = other.bert(input_ids=ids, attention_mask=mask).pooler_output.view(DRAWS, 8, -1)
        dropout = Dropout(RATE_OF_DROPOUT, torch.Generator().manual_seed(0))
        found = ours.features(ids, mask, torch.float32, dropout).view(DRAWS, 8, -1)
    error = expected.std(0) * (2 / DRAWS) ** 0.5
    assert ((found.mean(0) - expected.mean(0)) / error).square().mean().item() == pytest.approx(1, abs=0.5)
    assert (found.std(0) / expected.std(0)).mean().item() == pytest.approx(1, abs=0.01)
