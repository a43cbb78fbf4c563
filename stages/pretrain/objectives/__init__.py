"""The registry of pre-training objectives: the names that `params.yaml` may use."""

from __future__ import annotations

from typing import Any

from stages.errors import StageError
from stages.pretrain.objectives.base import Objective
from stages.pretrain.objectives.clm import CausalLM
from stages.pretrain.objectives.clm_mlm import CausalAndMaskedLM
from stages.pretrain.objectives.contrastive import Contrastive
from stages.pretrain.objectives.denoising import Denoising
from stages.pretrain.objectives.mixture_of_denoisers import MixtureOfDenoisers
from stages.pretrain.objectives.mlm import MaskedLM
from stages.pretrain.objectives.mlm_nsp import NextSentence
from stages.pretrain.objectives.mlm_sop import SentenceOrder
from stages.pretrain.objectives.multitask import Multitask
from stages.pretrain.objectives.prefix_lm import PrefixLM
from stages.pretrain.objectives.rtd import ReplacedTokenDetection
from stages.pretrain.objectives.scratch import Scratch
from stages.pretrain.objectives.span_corruption import SpanCorruption

OBJECTIVES: dict[str, type[Objective[Any]]] = {
    "scratch": Scratch,
    "mlm": MaskedLM,
    "clm": CausalLM,
    "prefix_lm": PrefixLM,
    "span_corruption": SpanCorruption,
    "denoising": Denoising,
    "mixture_of_denoisers": MixtureOfDenoisers,
    "mlm_nsp": NextSentence,
    "mlm_sop": SentenceOrder,
    "rtd": ReplacedTokenDetection,
    "contrastive": Contrastive,
    "clm_mlm": CausalAndMaskedLM,
    "multitask": Multitask,
}


def get(name: str, key: str = "objectives") -> type[Objective[Any]]:
    """The class of an objective.

    Raises:
        StageError: there is none of that name; the message names ``key``, where it stands in `params.yaml`.
    """
    if name not in OBJECTIVES:
        raise StageError(f"params.yaml: {key}: {name!r} is unknown; there are: {', '.join(OBJECTIVES)}")
    return OBJECTIVES[name]
