"""No tuning at all: a language model is asked in words (Schick & Schütze 2021, §3.1; Brown et al. 2020, GPT-3, §2)."""

from __future__ import annotations

from stages.finetune import prompting
from stages.finetune.methods.base import Job, Method, Tuned
from stages.model.backbone import Backbone


class ZeroShot(Method):
    """Which word fits, of those that stand for the classes?"""

    def fit(self, transformer: Backbone, job: Job) -> Tuned:
        return Tuned(prompting.ask(job, transformer.device), 0, [])
