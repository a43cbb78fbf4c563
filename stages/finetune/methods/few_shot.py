"""No tuning, but some examples in the prompt: learning in context (Brown et al. 2020, GPT-3, §2)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stages import params
from stages.finetune import prompting
from stages.finetune.methods.base import Job, Method, Tuned
from stages.model.backbone import Backbone


class FewShot(Method):
    """Which word fits, after examples with theirs?"""

    class Options(params.Section):
        """``demonstrations``: how many, the classes taking turns."""

        demonstrations: Annotated[int, Field(ge=1)] = 4

    def fit(self, transformer: Backbone, job: Job) -> Tuned:
        return Tuned(prompting.ask(job, transformer.device, self.options.demonstrations), 0, [])
