"""Fine-tuning as the engine sees it."""

from __future__ import annotations

from stages.finetune.examples import Examples
from stages.finetune.methods.base import Job
from stages.finetune.predict import scores
from stages.model.classifier import Classifier
from stages.training.loss import Loss, Term


class Finetuning:
    """A classifier on a task's examples; an epoch sees each of them once."""

    def __init__(self, model: Classifier, job: Job, batch_size: int) -> None:
        self.model: Classifier = model
        self._job, self._batch_size = job, batch_size
        self.steps_per_epoch = len(job.train.shuffled(batch_size, job.seed, 0))
        self._epoch, self._order = -1, job.train.shuffled(batch_size, job.seed, 0)

    def loss(self, step: int) -> Loss:
        """That of the step's batch."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._job.train.shuffled(self._batch_size, self._job.seed, epoch)
        batch = self._job.train.batch(self._order[place])
        outputs = self.model(batch.input_ids, batch.attention_mask, self._job.dtype)
        total = self._job.family.loss(outputs, batch.labels.to(outputs.device))
        return Loss({"loss": Term(total, len(batch.labels))}, int(batch.attention_mask.sum()))

    def evaluate(self) -> dict[str, float]:
        """The task's metrics on the validation examples."""
        examples: Examples = self._job.validation
        return self._job.family.figures(
            examples.labels, scores(self.model, self._job.family, examples, self._job.dtype)
        )
