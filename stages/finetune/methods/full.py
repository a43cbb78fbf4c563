"""Full fine-tuning: every weight is trained (Devlin et al. 2019, BERT, §3.2)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stages import params
from stages.finetune.methods.base import Job, Method, Tuned
from stages.finetune.workload import Finetuning
from stages.model.classifier import Classifier, ClassifierConfig, depths_of
from stages.model.transformer import Transformer
from stages.training.loop import Plan, train
from stages.training.optimizer import adamw

MAX_GRAD_NORM = 1.0


class Full(Method):
    """All weights, on the pooled states of all depths; the best epoch on validation is kept.

    The embeddings start at the size of untrained ones, so that one learning rate fits whatever was pre-trained.
    """

    class Options(params.Section):
        """``patience``: epochs without a better validation accuracy after which to stop."""

        learning_rate: Annotated[float, Field(gt=0)]
        epochs: Annotated[int, Field(ge=1)]
        batch_size: Annotated[int, Field(ge=1)]
        warmup: Annotated[float, Field(ge=0, lt=1)]
        weight_decay: Annotated[float, Field(ge=0)]
        patience: Annotated[int, Field(ge=1)]

    def fit(self, transformer: Transformer, job: Job) -> Tuned:
        transformer.embeddings.shrink()
        config = ClassifierConfig(job.labels, tuple(depths_of(transformer.config)), job.max_length)
        workload = Finetuning(Classifier(transformer, config), job, self.options.batch_size)
        plan = Plan(
            steps=self.options.epochs * workload.steps_per_epoch,
            evaluations=self.options.epochs,
            warmup=self.options.warmup,
            decay=1.0,
            max_grad_norm=MAX_GRAD_NORM,
            best_by="accuracy",
            patience=self.options.patience,
        )
        optimizers = adamw(
            workload.model, learning_rate=self.options.learning_rate, weight_decay=self.options.weight_decay
        )
        curve = train(workload, optimizers, plan, job.checkpoint, job.observer)
        return Tuned(workload.model, sum(p.numel() for p in workload.model.parameters() if p.requires_grad), curve)
