"""Full fine-tuning: every weight is trained (Devlin et al. 2019, BERT, §3.2).

The head begins as a logistic (of scores, a ridge) regression on the features that are there (Kumar et al. 2022,
Fine-Tuning Can Distort Pretrained Features, §4): one that knows nothing yet would turn them, in its first steps, into
whatever it says.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stages import params
from stages.finetune.methods import probe
from stages.finetune.methods.base import Job, Method, Tuned
from stages.finetune.workload import Finetuning
from stages.model.backbone import Backbone
from stages.model.classifier import Classifier, ClassifierConfig
from stages.model.transformer import Transformer
from stages.training.loop import Plan, train
from stages.training.optimizer import adamw

MAX_GRAD_NORM = 1.0


class Full(Method):
    """All weights, on the pooled states of all depths; the epoch that scores best on validation is kept.

    Our embeddings start at the size of untrained ones, so that one learning rate fits whatever was pre-trained.
    """

    class Options(params.Section):
        """``patience``: epochs without a better score on validation after which to stop.

        ``imported_learning_rate``: of checkpoints that were trained elsewhere, whose embeddings are of another size.
        """

        learning_rate: Annotated[float, Field(gt=0)]
        imported_learning_rate: Annotated[float, Field(gt=0)]
        epochs: Annotated[int, Field(ge=1)]
        batch_size: Annotated[int, Field(ge=1)]
        warmup: Annotated[float, Field(ge=0, lt=1)]
        weight_decay: Annotated[float, Field(ge=0)]
        patience: Annotated[int, Field(ge=1)]

    def fit(self, transformer: Backbone, job: Job) -> Tuned:
        transformer.shrink_embeddings()
        workload = Finetuning(_probed(transformer, job), job, self.options.batch_size)
        plan = Plan(
            steps=self.options.epochs * workload.steps_per_epoch,
            evaluations=self.options.epochs,
            warmup=self.options.warmup,
            decay=1.0,
            max_grad_norm=MAX_GRAD_NORM,
            best_by="score",
            patience=self.options.patience,
        )
        is_own = isinstance(transformer, Transformer)
        learning_rate = self.options.learning_rate if is_own else self.options.imported_learning_rate
        optimizers = adamw(workload.model, learning_rate=learning_rate, weight_decay=self.options.weight_decay)
        curve = train(workload, optimizers, plan, job.checkpoint, job.observer)
        return Tuned(workload.model, sum(p.numel() for p in workload.model.parameters() if p.requires_grad), curve)


def _probed(transformer: Backbone, job: Job) -> Classifier:
    """A classifier on all depths, with the head that fits their features best."""
    model = Classifier(
        transformer, ClassifierConfig(job.family.task.labels, tuple(transformer.depths), job.max_length)
    ).eval()
    train, validation = (probe.features(model, part, job.dtype) for part in (job.train, job.validation))
    probe.fit(train.reshape(len(train), -1), validation.reshape(len(validation), -1), job).give(model)
    return model
