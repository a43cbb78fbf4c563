"""A linear head on frozen features: what pre-training left in them, and nothing that tuning adds.

The features are the pooled states of one depth; a logistic (of scores, a ridge) regression is fitted at every depth,
and the depth and the strength of its penalty are chosen on validation (probing as in Peters et al. 2019, To Tune or Not
to Tune).
"""

from __future__ import annotations

from dataclasses import replace

from stages.errors import Inapplicable
from stages.finetune.methods import probe
from stages.finetune.methods.base import Job, Method, Tuned
from stages.model.backbone import Backbone
from stages.model.classifier import Classifier


class Frozen(Method):
    """Only the head is fitted."""

    def fit(self, transformer: Backbone, job: Job) -> Tuned:
        if not job.family.probed:
            raise Inapplicable("no regression on the states of single tokens gives an answer of this kind")
        config = job.reading(transformer)
        reader = Classifier(transformer, config).eval()
        train, validation = (probe.read(reader, job.family, part, job.dtype) for part in (job.train, job.validation))
        depths = [slice(depth, depth + 1) for depth in config.depths]
        probes = [probe.fit(train.at(depth), validation.at(depth), job.family) for depth in depths]
        best = max(config.depths, key=lambda depth: (probes[depth].score, -depth))
        model = Classifier(transformer, replace(config, depths=(best,)))
        probes[best].give(model)
        curve = [{"depth": depth, "score": probes[depth].score} for depth in config.depths]
        return Tuned(model, sum(p.numel() for p in model.classifier.parameters()), curve)
